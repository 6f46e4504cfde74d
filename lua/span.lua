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
local NO_BODY = body.new({})

local out = require("string.buffer").new()

local M = {}

--- @param content JSON string content
local function attribute(key, content, kind)
  return ('{"key":"%s","value":{"%s":"%s"}},'):format(key, kind or "stringValue", content)
end

-- A span's start and what its request says, as a format of their values; times are microseconds.
local HEAD = '{"traceId":"%s","spanId":"%s"%s,"name":"%s","kind":'
  .. KIND
  .. ',"startTimeUnixNano":"%.0f000","attributes":['
  .. attribute("sensor.id", config.sensor_id)
for key in ("method target host flavor scheme"):gmatch("%S+") do
  HEAD = HEAD .. attribute("http." .. key, "%s")
end
HEAD = HEAD .. attribute("net.sock.peer.addr", "%s")
if not GUIDE then
  HEAD = HEAD .. attribute("network.peer.address", "%s")
end

--- The IP address of `address:port` or `[address]:port`; "" for another address, such as a waypoint's.
local function ip(address)
  return address:match("^%[([%x:.]+)%]") or address:match("^([%d.]+):") or ""
end

--- The guide's sources in the guide's order, then the downstream address, without a port.
-- All but the last are what somebody wrote into a header.
local function claimed_peer(values, stream)
  local node = values["x-envoy-peer-metadata-id"]
  local pod = node and (node:match("^sidecar~[^~]+~([^~]+)") or ""):match("^(.+)%.")
  return pod
    or (values["x-forwarded-for"] or ""):match("^[^,]+")
    or values["x-envoy-external-address"]
    or values["x-real-ip"]
    or ip(stream:downstreamRemoteAddress())
end

--- Begins the record of an exchange, with what its request says in its headers and its stream.
-- @param header_map of the request, or nil where it never came to this filter
-- @param now microseconds
function M.begin(header_map, stream, now)
  local values, shown, are_headers_cut, is_target_cut = {}, "{}", false, false
  if header_map then
    values, shown, are_headers_cut, is_target_cut = headers.read(header_map)
  end
  local id, trace_id, parent_id = ids.span_id(), ids.trace(values)
  local method = escape(values[":method"] or "")
  local scheme = config.scheme ~= "auto" and config.scheme or values[":scheme"] or "https"
  return {
    id = id,
    method = method,
    started = now,
    head = HEAD:format(
      trace_id,
      id,
      not GUIDE and parent_id and ',"parentSpanId":"' .. parent_id .. '"' or "",
      GUIDE and "example-span" or method ~= "" and method or "HTTP",
      now,
      method,
      escape(redaction.text(values[":path"] or "")),
      escape(redaction.host(values[":authority"] or "")),
      (stream:protocol() or ""):match("^HTTP/([123]%.?[01]?)$") or "",
      values["x-forwarded-proto"] == "https" and "https" or escape(scheme),
      escape(claimed_peer(values, stream)),
        -- Of the connection: downstreamRemoteAddress may be what a client wrote into X-Forwarded-For.
      not GUIDE and ip(stream:downstreamDirectRemoteAddress())
    ),
    is_target_cut = is_target_cut,
    request_headers = shown,
    are_request_headers_cut = are_headers_cut,
    request_body = body.new(values),
    status = 0,
    response_headers = "{}",
    are_response_headers_cut = false,
    response_body = NO_BODY,
  }
end

local function put_mark(key, is_cut)
  if is_cut and not GUIDE then
    out:put('{"key":"', key, '.truncated","value":{"boolValue":true}},')
  end
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
  elseif part.kept < part.total or (part.total > 0 and not part.is_complete) then
    report.count("truncated")
    put_mark(key, true)
  end
end

--- One span.
-- @param handle of the stream at hand, for base64
-- @param record as begun, with what its response added: status, response_headers, response_body, is_aborted
-- @param now microseconds
-- @return a buffer, until the next call
function M.render(handle, record, now)
  out:reset():put(record.head)
  put_body(handle, "http.request.body", record.request_body)
  put_body(handle, "http.response.body", record.response_body)
  out:put(attribute("http.request.headers", record.request_headers))
  out:put(attribute("http.response.headers", record.response_headers))
  put_mark("http.target", record.is_target_cut)
  put_mark("http.request.headers", record.are_request_headers_cut)
  put_mark("http.response.headers", record.are_response_headers_cut)
  local status = ""
  if not GUIDE and record.is_aborted then
    out:put(attribute("error.type", "aborted"))
    status = ',"status":{"code":2,"message":"aborted"}'
  elseif not GUIDE and record.status >= 500 then
    status = ',"status":{"code":2}'
  end
  out:put('{"key":"http.status_code","value":{"intValue":"', record.status, '"}}]', status)
  -- The clock is the wall's, and may have been set back.
  return out:putf(',"endTimeUnixNano":"%.0f000"}', math.max(now, record.started))
end

return M
