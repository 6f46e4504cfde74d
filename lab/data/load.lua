-- A wrk script: POSTs a JSON file as a browser would, and ends with what it measured as one line of JSON.
-- wrk -s load.lua URL -- BODY_FILE [CONTENT_ENCODING]

function init(arguments)
  wrk.method = "POST"
  wrk.body = assert(io.open(arguments[1], "rb")):read("*a")
  wrk.headers["accept"] = "application/json, text/plain, */*"
  wrk.headers["authorization"] = "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"
  wrk.headers["content-encoding"] = arguments[2]
  wrk.headers["content-type"] = "application/json"
  wrk.headers["cookie"] = "session=s-81f00b; theme=dark"
  wrk.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
end

function done(summary, latency)
  local errors = summary.errors
  io.write(
    ('\n{"requests": %d, "failed": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d}\n'):format(
      summary.requests,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      summary.duration,
      latency:percentile(50),
      latency:percentile(99)
    )
  )
end
