--- OTLP in JSON.
-- It has the same functions as otlp_protobuf.lua.
-- https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids are hexadecimal, whole numbers of 64
-- bits are texts, bytes are base64. Each span and each attribute is put with a comma before it; when the list
-- is read, `skip(1)` leaves out the first comma. Three zeros make nanoseconds of microseconds.

local config = require("config")
local json = require("json")

local M = {}

M.content_type = "application/json"

function M.put(out, name, value)
  if value == true then
    out:putf(',{"key":"%s","value":{"boolValue":true}}', name)
  elseif type(value) == "number" then
    out:putf(',{"key":"%s","value":{"intValue":"%.0f"}}', name, value)
  else
    out:putf(',{"key":"%s","value":{"stringValue":"%s"}}', name, json.escape(value))
  end
end

--- @param handle Envoy's, which knows base64
function M.put_bytes(out, name, bytes, handle)
  out:putf(',{"key":"%s","value":{"bytesValue":"%s"}}', name, handle:base64Escape(bytes))
end

function M.put_span(batch, span, attributes)
  batch:putf(',{"traceId":"%s","spanId":"%s",', span.trace, span.span)
  batch:putf('"name":"%s","kind":%d,', json.escape(span.name), span.kind)
  batch:putf('"startTimeUnixNano":"%.0f000","endTimeUnixNano":"%.0f000",', span.started, span.ended)
  if span.parent then
    batch:putf('"parentSpanId":"%s",', span.parent)
  end
  if span.error then
    batch:putf('"status":{"code":2,"message":"%s"},', json.escape(span.error))
  end
  batch:put('"attributes":[', attributes:skip(1), "]}")
end

local HEAD = '{"resourceSpans":[{"resource":{"attributes":['
  .. '{"key":"service.name","value":{"stringValue":"astra-istio-instrumentation"}},'
  .. '{"key":"service.version","value":{"stringValue":"1.0.0"}}]},'
  .. '"scopeSpans":[{"scope":{"name":"'
  .. json.escape(config.scope_name)
  .. '"},"spans":['

function M.request(batch)
  return HEAD .. batch:skip(1):get() .. "]}]}]}"
end

return M
