--- One exchange: its record, begun at its request, and its span, written without a tree of tables.
-- The attributes and their names are the guide's; `compatibility = "guide"` writes nothing beyond them.

local config = require("config")
local body = require("body")
local bounds = require("bounds")
local content = require("content")
local headers = require("headers")
local ids = require("ids")
local otlp = require("otlp")
local peer = require("peer")
local redaction = require("redaction")
local report = require("report")
local utf8 = require("utf8")

local put, repair = otlp.put, utf8.repair

local GUIDE = config.compatibility == "guide"
local KIND = GUIDE and 1 or config.direction == "outbound" and 3 or 2 -- INTERNAL, CLIENT, SERVER
local MAX_PEER = 256 -- bytes, of a pod's name or an address
local MAX_SIZE = 2 ^ 53 -- bytes; what a number counts exactly
local MAX_HOP = 256 -- bytes, of a path
local NO_BODY = body.new({})
NO_BODY.is_complete = true

local out = require("string.buffer").new()

local M = {}

--- The scheme. X-Forwarded-Proto comes first, if it says https; of a list, its first entry counts, which is
-- what the first proxy saw. Then the setting; then the request. A request that Envoy itself refuses has none:
-- then the connection tells.
local function scheme(values, stream)
  local forwarded = (values["x-forwarded-proto"] or ""):match("^[%s,]*(%a*)"):lower()
  if forwarded == "https" then
    return forwarded
  elseif config.scheme ~= "auto" then
    return config.scheme
  end
  return values[":scheme"] or (stream:downstreamSslConnection() and "https" or "http")
end

--- The first attributes of a span: what is known from the request's headers and its stream.
-- @param method valid UTF-8
-- @param values header values by name
local function head(method, values, header_map, stream)
  put(out:reset(), "sensor.id", config.sensor_id)
  put(out, "http.method", method)
  put(out, "http.host", repair(redaction.host(values[":authority"] or "")))
  put(out, "http.flavor", (stream:protocol() or ""):match("^HTTP/([123]%.?[01]?)$") or "")
  put(out, "http.scheme", repair(scheme(values, stream)))
  local claimed = peer.claimed(values, header_map, stream) or ""
  put(out, "net.sock.peer.addr", repair(claimed:sub(1, MAX_PEER)))
  if not GUIDE then
    -- Of the connection: downstreamRemoteAddress may be what a client wrote into X-Forwarded-For.
    put(out, "network.peer.address", peer.address(stream:downstreamDirectRemoteAddress()) or "")
  end
  return out:get()
end

local function hop_of(stream, target)
  return stream:downstreamDirectRemoteAddress() .. " " .. target:sub(1, MAX_HOP)
end

--- What an exchange is found by after an internal redirect: its connection, and the path before the redirect.
function M.hop(stream, path)
  local limit = config.max_path_bytes
  return hop_of(stream, redaction.text(#path > limit and bounds.cut(path, limit) or path))
end

--- Begins the record of an exchange.
-- @param header_map the request's; nil if the request never came to this filter and Envoy does not tell
-- @param now microseconds
function M.begin(header_map, stream, now)
  local values, shown, are_headers_cut, is_target_cut = {}, "{}", false, false
  if header_map then
    values, shown, are_headers_cut, is_target_cut = headers.read(header_map)
  end
  local id, trace_id, parent_id = ids.span_id(), ids.trace(values)
  local method = repair(values[":method"] or "")
  local target = redaction.text(values[":path"] or "")
  return {
    id = id,
    span = id,
    trace = trace_id,
    parent = not GUIDE and parent_id or nil,
    name = GUIDE and "example-span" or method ~= "" and method or "HTTP",
    kind = KIND,
    hop = hop_of(stream, target),
    method = values[":method"] or "",
    started = now,
    head = head(method, values, header_map, stream),
    target = target,
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

--- Puts an attribute that says that something was cut: `http.target.truncated`.
local function put_mark(key, is_cut)
  if is_cut and not GUIDE then
    put(out, key .. ".truncated", true)
  end
end

--- Puts what a span says of a body.
-- @param declared the size to put where the body was not read to its end and less of it has passed
local function put_body(handle, key, part, declared)
  local text, omitted, bytes = content.render(part)
  if bytes then
    otlp.put_bytes(out, key, bytes, handle)
  else
    put(out, key, text)
  end
  if GUIDE then
    return
  end
  local size = part.total
  if not part.is_complete then
    size = math.max(size, math.min(declared, MAX_SIZE))
    omitted = omitted or part.total == 0 and not part.is_stream and "unread" or nil
  end
  if size > 0 then
    put(out, key .. ".size", size)
  end
  if omitted then
    put(out, key .. ".omitted", omitted)
  elseif part.kept < part.total or (part.total > 0 and not part.is_complete) then
    report.count("truncated")
    put_mark(key, true)
  end
end

--- Completes a record as otlp.put_span takes it, and puts its attributes.
-- @param handle of the stream at hand, for base64
-- @param record as begun, with what its response added: status, response_headers, response_body, is_aborted
-- @param now microseconds
-- @return a buffer with the attributes, until the next call
function M.complete(handle, record, now)
  out:reset():put(record.head)
  put(out, "http.target", repair(record.target))
  local request_body = record.request_body
  -- If the client broke off an upload, the size is what passed. If the request was answered before its body
  -- arrived, as one that is denied, the size is what it declared.
  local declared = record.is_aborted and request_body.total > 0 and 0 or request_body.declared
  put_body(handle, "http.request.body", request_body, declared)
  put_body(handle, "http.response.body", record.response_body, 0)
  put(out, "http.request.headers", record.request_headers)
  put(out, "http.response.headers", record.response_headers)
  put_mark("http.target", record.is_target_cut)
  put_mark("http.request.headers", record.are_request_headers_cut)
  put_mark("http.response.headers", record.are_response_headers_cut)
  put(out, "http.status_code", record.status)
  if record.is_aborted and not GUIDE then
    record.error = "aborted"
    put(out, "error.type", record.error)
  elseif record.status >= 500 and not GUIDE then
    record.error = ""
  end
  record.ended = math.max(now, record.started) -- The clock is the wall's, and may have been set back.
  return out
end

return M
