--- One exchange: its record, begun at its request, and its OTLP JSON text, written without a tree of tables.
-- The attributes and their names are the guide's; `compatibility = "guide"` writes nothing beyond them.

local config = require("config")
local body = require("body")
local headers = require("headers")
local ids = require("ids")
local json = require("json")
local redaction = require("redaction")
local report = require("report")

local GUIDE = config.compatibility == "guide"
local KIND = GUIDE and 1 or config.direction == "outbound" and 3 or 2 -- INTERNAL, CLIENT, SERVER
local FLAVORS = { ["HTTP/1.0"] = "1.0", ["HTTP/1.1"] = "1.1", ["HTTP/2"] = "2", ["HTTP/3"] = "3" }
local NO_BODY = body.new({})

local M = {}

--- @param content JSON string content
local function attribute(key, content, kind)
  return '{"key":"' .. key .. '","value":{"' .. (kind or "stringValue") .. '":"' .. content .. '"}},'
end

local SENSOR = attribute("sensor.id", json.escape(config.sensor_id))

--- The guide's sources in the guide's order, then the downstream address, without a port.
local function peer_address(values, stream)
  local forwarded = values["x-forwarded-for"]
  return (values["x-envoy-peer-metadata-id"] or ""):match("sidecar~[^~]+~([^~]+)%.")
    or (forwarded and forwarded:match("^[^,]+"))
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
  local method = json.escape(values[":method"] or "")
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
    attributes = SENSOR
      .. attribute("http.method", method)
      .. attribute("http.target", json.escape(redaction.url(values[":path"] or "")))
      .. attribute("http.host", json.escape(values[":authority"] or ""))
      .. attribute("http.flavor", FLAVORS[stream:protocol()] or "")
      .. attribute("http.scheme", json.escape(scheme))
      .. attribute("net.sock.peer.addr", json.escape(peer_address(values, stream)))
      .. attribute("http.request.headers", shown),
    request_body = body.new(values),
    status = 0,
    response_headers = "{}",
    response_body = NO_BODY,
  }
end

local function body_attributes(handle, key, part)
  local content, omitted, raw = body.render(part)
  local written = raw and attribute(key, handle:base64Escape(raw), "bytesValue") or attribute(key, content)
  if GUIDE then
    return written
  end
  if part.total > 0 then
    written = written .. attribute(key .. ".size", part.total, "intValue")
  end
  if omitted then
    written = written .. attribute(key .. ".omitted", omitted)
  elseif body.is_truncated(part) then
    report.count("truncated")
    written = written .. '{"key":"' .. key .. '.truncated","value":{"boolValue":true}},'
  end
  return written
end

--- One span.
-- @param handle of the stream at hand, for base64
-- @param record as begun, with what its response added: status, response_headers, response_body, is_aborted
-- @param finish nanoseconds as text
function M.render(handle, record, finish)
  local attributes = record.attributes
    .. attribute("http.status_code", record.status, "intValue")
    .. attribute("http.response.headers", record.response_headers)
    .. body_attributes(handle, "http.request.body", record.request_body)
    .. body_attributes(handle, "http.response.body", record.response_body)
  local parent, name, status = "", "example-span", ""
  if not GUIDE then
    parent = record.parent_id and '"parentSpanId":"' .. record.parent_id .. '",' or ""
    name = record.method ~= "" and record.method or "HTTP"
    status = record.status >= 500 and ',"status":{"code":2}' or ""
    if record.is_aborted then
      attributes = attributes .. attribute("error.type", "aborted")
      status = ',"status":{"code":2,"message":"aborted"}'
    end
  end
  return ('{"traceId":"%s","spanId":"%s",%s"name":"%s","kind":%d,'):format(
    record.trace_id,
    record.id,
    parent,
    name,
    KIND
  ) .. ('"startTimeUnixNano":"%s","endTimeUnixNano":"%s","attributes":[%s]%s}'):format(
    record.start,
    finish,
    attributes:sub(1, -2),
    status
  )
end

return M
