--- One exchange as OTLP JSON text, written directly: no tree of tables.
-- The attributes and their names are the guide's; `compatibility = "guide"` writes nothing beyond them.

local config = require("config")
local body = require("body")
local counters = require("counters")
local json = require("json")

local escape = json.escape

local GUIDE = config.compatibility == "guide"
local KIND = GUIDE and 1 or config.direction == "outbound" and 3 or 2 -- INTERNAL, CLIENT, SERVER

local M = {}

local function attribute(key, value, kind)
  return '{"key":"' .. key .. '","value":{"' .. (kind or "stringValue") .. '":"' .. value .. '"}},'
end

local SENSOR = attribute("sensor.id", escape(config.sensor_id))

--- The attributes that are known at the request, as JSON text.
-- @param method, target, host, flavor, scheme, peer any bytes
-- @param headers a JSON object, escaped
function M.request_attributes(method, target, host, flavor, scheme, peer, headers)
  return SENSOR
    .. attribute("http.method", escape(method))
    .. attribute("http.target", escape(target))
    .. attribute("http.host", escape(host))
    .. attribute("http.flavor", flavor)
    .. attribute("http.scheme", escape(scheme))
    .. attribute("net.sock.peer.addr", escape(peer))
    .. attribute("http.request.headers", headers)
end

local function body_attributes(handle, key, part)
  local text, omitted, raw = body.render(part)
  local attributes = raw and attribute(key, handle:base64Escape(raw), "bytesValue") or attribute(key, text)
  if GUIDE then
    return attributes
  end
  if part.total > 0 then
    attributes = attributes .. attribute(key .. ".size", part.total, "intValue")
  end
  if omitted then
    attributes = attributes .. attribute(key .. ".omitted", omitted)
  elseif body.is_truncated(part) then
    counters.add("truncated")
    attributes = attributes .. '{"key":"' .. key .. '.truncated","value":{"boolValue":true}},'
  end
  return attributes
end

local function status(record)
  if record.aborted and not GUIDE then
    counters.add("aborted")
    return ',"status":{"code":2,"message":"aborted"}}'
  end
  return record.status >= 500 and not GUIDE and ',"status":{"code":2}}' or "}"
end

--- One span.
-- @param handle of the stream at hand, for base64
-- @param record id, trace_id, parent_id or nil, name, start (nanoseconds as text), attributes, request_body,
--   response_body, status (a number, 0 where there was no response), response_headers (escaped JSON), aborted
-- @param finish nanoseconds as text
function M.render(handle, record, finish)
  local parent = record.parent_id and not GUIDE and '","parentSpanId":"' .. record.parent_id or ""
  local head = '{"traceId":"' .. record.trace_id .. '","spanId":"' .. record.id .. parent .. '","name":"'
  local times = ',"startTimeUnixNano":"' .. record.start .. '","endTimeUnixNano":"' .. finish .. '"'
  local attributes = record.attributes
    .. attribute("http.status_code", record.status, "intValue")
    .. attribute("http.response.headers", record.response_headers)
    .. body_attributes(handle, "http.request.body", record.request_body)
    .. body_attributes(handle, "http.response.body", record.response_body)
    .. (record.aborted and not GUIDE and attribute("error.type", "aborted") or "")
  local name = GUIDE and "example-span" or record.name
  return head
    .. name
    .. '","kind":'
    .. KIND
    .. times
    .. ',"attributes":['
    .. attributes:sub(1, -2)
    .. "]"
    .. status(record)
end

return M
