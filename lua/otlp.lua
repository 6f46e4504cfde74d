--- The encoding of spans.
-- The settings choose one: otlp_json or otlp_protobuf, which have the same functions.

local config = require("config")
local otlp_json = require("otlp_json")
local otlp_protobuf = require("otlp_protobuf")

return config.export.encoding == "json" and otlp_json or otlp_protobuf
