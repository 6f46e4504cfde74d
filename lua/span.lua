--- One exchange: its record, begun at its request, and its OTLP JSON text, written without a tree of tables.
-- The attributes and their names are the guide's; `compatibility = "guide"` writes nothing beyond them.

local config = require("config")
local body = require("body")
local headers = require("headers")
local ids = require("ids")
local json = require("json")
local redaction = require("redaction")
local report = require("report")

local escape = json.escape

local GUIDE = config.compatibility == "guide"
local KIND = GUIDE and 1 or config.direction == "outbound" and 3 or 2 -- INTERNAL, CLIENT, SERVER
local FLAVORS = { ["HTTP/1.0"] = "1.0", ["HTTP/1.1"] = "1.1", ["HTTP/2"] = "2", ["HTTP/3"] = "3" }
local NO_BODY = body.new({})

local out = require("string.buffer").new()

local M = {}

--- @param content JSON string content
local function attribute(key, content, kind)
  return ('{"key":"%s","value":{"%s":"%s"}},'):format(key, kind or "stringValue", content)
end

-- What a request says, as a format of its values.
local REQUEST = attribute("sensor.id", config.sensor_id)
for key in ("method target host flavor scheme request.headers"):gmatch("%S+") do
  REQUEST = REQUEST .. attribute("http." .. key, "%s")
end
REQUEST = REQUEST .. attribute("net.sock.peer.addr", "%s")

--- The guide's sources in the guide's order, then the downstream address, without a port.
local function peer_address(values, stream)
  return (values["x-envoy-peer-metadata-id"] or ""):match("sidecar~[^~]+~([^~]+)%.")
    or (values["x-forwarded-for"] or ""):match("^[^,]+")
    or values["x-envoy-external-address"]
    or values["x-real-ip"]
    or stream:downstreamRemoteAddress():match("^%[?(.-)%]?:%d+$")
    or ""
end

--- Begins the record of an exchange, with what its request says in its headers and its stream.
-- @param header_map of the request, or nil where it never came to this filter
-- @param now microseconds
-- @param text the same in nanoseconds
function M.begin(header_map, stream, now, text)
  local values, shown = {}, "{}"
  if header_map then
    values, shown = headers.read(header_map)
  end
  local method = escape(values[":method"] or "")
  local scheme = config.scheme ~= "auto" and config.scheme or values[":scheme"] or "https"
  scheme = values["x-forwarded-proto"] == "https" and "https" or scheme
  local trace_id, parent_id = ids.trace(values)
  return {
    id = ids.span_id(),
    trace_id = trace_id,
    parent_id = parent_id,
    method = method,
    started = now,
    start = text,
    attributes = REQUEST:format(
      method,
      escape(redaction.url(values[":path"] or "")),
      escape(values[":authority"] or ""),
      FLAVORS[stream:protocol()] or "",
      escape(scheme),
      shown,
      escape(peer_address(values, stream))
    ),
    request_body = body.new(values),
    status = 0,
    response_headers = "{}",
    response_body = NO_BODY,
  }
end

--- Puts what a span says of a body.
local function put_body(handle, key, part)
  local content, omitted, raw = body.render(part)
  local kind = raw and "bytesValue" or "stringValue"
  out:put('{"key":"', key, '","value":{"', kind, '":"', raw and handle:base64Escape(raw) or content, '"}},')
  if GUIDE then
    return
  end
  if part.total > 0 then
    out:put(attribute(key .. ".size", part.total, "intValue"))
  end
  if omitted then
    out:put(attribute(key .. ".omitted", omitted))
  elseif body.is_truncated(part) then
    report.count("truncated")
    out:put('{"key":"', key, '.truncated","value":{"boolValue":true}},')
  end
end

--- One span.
-- @param handle of the stream at hand, for base64
-- @param record as begun, with what its response added: status, response_headers, response_body, is_aborted
-- @param finish nanoseconds as text
-- @return a buffer, until the next call
function M.render(handle, record, finish)
  out:reset():put('{"traceId":"', record.trace_id, '","spanId":"', record.id)
  if not GUIDE and record.parent_id then
    out:put('","parentSpanId":"', record.parent_id)
  end
  local name = GUIDE and "example-span" or record.method ~= "" and record.method or "HTTP"
  out:put('","name":"', name, '","kind":', KIND, ',"startTimeUnixNano":"', record.start)
  out:put('","endTimeUnixNano":"', finish, '","attributes":[', record.attributes)
  put_body(handle, "http.request.body", record.request_body)
  put_body(handle, "http.response.body", record.response_body)
  out:put(attribute("http.response.headers", record.response_headers))
  local status = ""
  if not GUIDE and record.is_aborted then
    out:put(attribute("error.type", "aborted"))
    status = ',"status":{"code":2,"message":"aborted"}'
  elseif not GUIDE and record.status >= 500 then
    status = ',"status":{"code":2}'
  end
  return out:put('{"key":"http.status_code","value":{"intValue":"', record.status, '"}}]', status, "}")
end

return M
