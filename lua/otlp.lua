--- The encoding of spans.
-- The settings choose one: otlp_json or otlp_protobuf, which have the same functions.

local config = require("config")
local otlp_json = require("otlp_json")
local otlp_protobuf = require("otlp_protobuf")

-- The guide's script sends JSON.
local default = config.compatibility == "guide" and "json" or "protobuf"

return (config.export.encoding or default) == "json" and otlp_json or otlp_protobuf
