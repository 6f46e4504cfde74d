std = "luajit"
max_line_length = 110
globals = { "envoy_on_request", "envoy_on_response" }
read_globals = { "EnvoyTimestampResolution" }
files["tests/lua"] = { globals = { "EnvoyTimestampResolution", "pairs" } }
files["lab/data/load.lua"] = { globals = { "init", "request", "done", "wrk" } }
