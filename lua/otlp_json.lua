--- OTLP in JSON, with the interface of otlp_protobuf.lua.
-- https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids are hexadecimal, whole numbers of 64
-- bits are texts, bytes are base64. A span's first attribute comes with its start, so that each other one
-- follows a comma.

local json = require("json")

local escape = json.escape

local M = {}

M.content_type = "application/json"

--- Most bytes that `put_span` puts before a span: none, as a span begins with its comma.
M.MAX_SPAN_PREFIX = 0

--- @param kind a field of AnyValue, in quotes
local function put_attribute(out, name, kind, before, content, after)
  out:put(',{"key":"', name, '","value":{', kind, before, content, after)
end

--- Valid UTF-8 in the form that `put_content` takes. Made once, it can be put often.
M.content = escape

function M.put_content(out, name, content)
  put_attribute(out, name, '"stringValue":', '"', content, '"}}')
end

--- @param text valid UTF-8
function M.put_text(out, name, text)
  M.put_content(out, name, escape(text))
end

--- @param handle Envoy's, which knows base64
function M.put_bytes(out, name, bytes, handle)
  put_attribute(out, name, '"bytesValue":', '"', handle:base64Escape(bytes), '"}}')
end

function M.put_integer(out, name, number)
  put_attribute(out, name, '"intValue":', '"', ("%.0f"):format(number), '"}}')
end

function M.put_true(out, name)
  put_attribute(out, name, '"boolValue":', "", "true", "}}")
end

--- Puts the start of a span, with its first attribute; others follow.
function M.put_start(out, ids, name, kind, started, sensor)
  out:put(',{"traceId":"', ids.trace, '","spanId":"', ids.span)
  if ids.parent then
    out:put('","parentSpanId":"', ids.parent)
  end
  out:put('","name":"', escape(name), '","kind":', kind)
  out:putf(',"startTimeUnixNano":"%.0f000"', started)
  out:put(',"attributes":[{"key":"sensor.id","value":{"stringValue":"', sensor, '"}}')
end

--- Puts the end of a span, after its attributes.
function M.put_end(out, ended, status, message)
  out:putf('],"endTimeUnixNano":"%.0f000"', ended)
  if status then
    out:put(',"status":{"code":', status, message and ',"message":"' .. escape(message) .. '"' or "", "}")
  end
  out:put("}")
end

--- Puts a span that is whole into a batch.
function M.put_span(batch, span)
  batch:put(span)
end

--- The body of an export.
function M.request(resource, scope, batch)
  local attributes = {}
  for index, pair in ipairs(resource) do
    attributes[index] = ('{"key":"%s","value":{"stringValue":"%s"}}'):format(pair[1], escape(pair[2]))
  end
  local resource_text = ('{"resource":{"attributes":[%s]},'):format(table.concat(attributes, ","))
  local scope_text = ('"scopeSpans":[{"scope":{"name":"%s"},"spans":['):format(escape(scope))
  local spans = batch:skip(1):get() -- without the comma before the first span
  return '{"resourceSpans":[' .. resource_text .. scope_text .. spans .. "]}]}]}"
end

return M
