--- A record and its span.
-- An exchange has one record, which begins with the request, and one span, which is written at the end.
-- The attributes and their names are the guide's; `compatibility = "guide"` writes nothing beyond them.

local config = require("config")
local content = require("content")
local headers = require("headers")
local ids = require("ids")
local message = require("message")
local otlp = require("otlp")
local peer = require("peer")
local redaction = require("redaction")
local report = require("report")
local utf8 = require("utf8")

local buffer = require("string.buffer")

local GUIDE = config.compatibility == "guide"
local KIND = GUIDE and 1 or config.direction == "outbound" and 3 or 2 -- INTERNAL, CLIENT, SERVER
local FLAVORS = { ["HTTP/1.0"] = "1.0", ["HTTP/1.1"] = "1.1", ["HTTP/2"] = "2", ["HTTP/3"] = "3" }
local MAX_PEER, MAX_HOP = 256, 256 -- bytes: of a pod's name or an address; of a path
local NO_RESPONSE = message.new({}, "{}")
NO_RESPONSE.expected = nil

local out = buffer.new()

local M = {}

local function put(name, value)
  otlp.put(out, name, value)
end

local function put_text(name, text)
  put(name, utf8.repair(text))
end

--- Puts a text that may have been cut, and if it was, an attribute that says so: `http.target.truncated`.
local function put_bounded(name, text, is_cut)
  put(name, text)
  if is_cut and not GUIDE then
    put(name .. ".truncated", true)
  end
end

--- The scheme. X-Forwarded-Proto comes first, if it says https. If it is a list, the first entry counts,
-- which is what the first proxy saw. Then comes the setting, then the request's own. A request that Envoy
-- itself refuses has none: then the connection tells.
local function scheme(values, stream)
  local forwarded = values["x-forwarded-proto"] or "http" -- As a rule, it is this, and needs no search.
  if forwarded ~= "http" and forwarded:lower():find("^[%s,]*https%f[%A]") then
    return "https"
  elseif config.scheme ~= "auto" then
    return config.scheme
  end
  return values[":scheme"] or (stream:downstreamSslConnection() and "https" or "http")
end

--- The first attributes of a span: what is known from the request's headers and its stream.
-- @param values header values by name
-- @param address of the connection
local function head(values, header_map, stream, address)
  out:reset()
  put("sensor.id", config.sensor_id)
  put_text("http.method", values[":method"] or "")
  put_text("http.host", redaction.host(values[":authority"] or ""))
  put("http.flavor", FLAVORS[stream:protocol()] or "")
  put_text("http.scheme", scheme(values, stream))
  put_text("net.sock.peer.addr", (peer.claimed(values, header_map, stream) or ""):sub(1, MAX_PEER))
  if not GUIDE then
    -- Of the connection: downstreamRemoteAddress may be what a client wrote into X-Forwarded-For.
    put("network.peer.address", peer.of_connection(address) or "")
  end
  return out:get()
end

--- What an exchange is found by after an internal redirect: its connection, and its path.
-- @param address of the connection
-- @param values as `headers.read` returns them
function M.hop(address, values)
  return address .. " " .. (values[":path"] or ""):sub(1, MAX_HOP)
end

--- Begins the record of an exchange. With the fields that other modules add, it has 16 at most as a rule:
-- with more, its table would take twice the memory. A field that is nil would count, too, so such fields are
-- left out.
-- @param header_map the request's; nil if the request never came to this filter and Envoy does not tell
-- @param now microseconds
function M.begin(header_map, stream, now)
  local values, shown, are_headers_cut, is_target_cut = headers.read(header_map or {})
  local address = stream:downstreamDirectRemoteAddress()
  local trace_id, parent_id = ids.trace(values)
  local record = {
    span = ids.span_id(),
    trace = trace_id,
    name = GUIDE and "example-span" or utf8.repair(values[":method"] or "HTTP"),
    kind = KIND,
    method = values[":method"],
    hop = M.hop(address, values),
    started = now,
    head = head(values, header_map, stream, address),
    target = redaction.text(values[":path"] or ""),
    request = message.new(values, shown, are_headers_cut),
  }
  if parent_id and not GUIDE then
    record.parent = parent_id
  end
  if is_target_cut then
    record.is_target_cut = true
  end
  return record
end

--- Puts what a span says of a body.
-- @param part a message
-- @param failure as in M.complete
local function put_body(handle, name, part, failure)
  local text, is_cut, omitted, bytes = content.render(part)
  if bytes then
    otlp.put_bytes(out, name, bytes, handle)
  else
    put(name, text)
  end
  if GUIDE then
    return
  end
  local size = part.total
  -- If the body was not read to its end, its declared size counts, as when a request was denied before its
  -- body came. But if the client broke an upload off, what passed counts.
  if part.expected and not part.omitted and not (failure and size > 0) then
    size = math.max(size, part.expected)
  end
  if size > 0 then
    put(name .. ".size", size)
  end
  if omitted then
    put(name .. ".omitted", omitted)
  elseif is_cut or part.expected then
    report.count("truncated")
    put(name .. ".truncated", true)
  end
end

--- Completes a record, so that otlp.put_span takes it, and puts its attributes.
-- @param handle of the stream at hand, for base64
-- @param record as begun, with its response, if one came
-- @param failure why the exchange has no end of its own: "aborted", or nil
-- @return a buffer with the attributes, which the next call overwrites
function M.complete(handle, record, failure)
  local request, response = record.request, record.response or NO_RESPONSE
  out:reset():put(record.head)
  put_bounded("http.target", utf8.repair(record.target), record.is_target_cut)
  put_bounded("http.request.headers", request.headers, request.are_headers_cut)
  put_bounded("http.response.headers", response.headers, response.are_headers_cut)
  put_body(handle, "http.request.body", request, failure)
  put_body(handle, "http.response.body", response, failure)
  put("http.status_code", response.status)
  if failure and not GUIDE then
    put("error.type", failure)
  end
  if (failure or response.status >= 500) and not GUIDE then
    record.error = failure or ""
  end
  return out
end

return M
