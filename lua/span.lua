--- One exchange: its record, begun at its request, and its span, written without a tree of tables.
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

local repair = utf8.repair

local GUIDE = config.compatibility == "guide"
local KIND = GUIDE and 1 or config.direction == "outbound" and 3 or 2 -- INTERNAL, CLIENT, SERVER
local ERROR = 2 -- of Status.StatusCode
local FLAVORS = { ["HTTP/1.0"] = "1.0", ["HTTP/1.1"] = "1.1", ["HTTP/2"] = "2", ["HTTP/3"] = "3" }
local MAX_PEER = 256 -- bytes, of a pod's name or an address
local MAX_HOP = 256 -- bytes, of a path
local NO_RESPONSE = message.new({}, "{}")
NO_RESPONSE.is_complete = true

local out = require("string.buffer").new()

local M = {}

local function put(name, text)
  otlp.put_text(out, name, repair(text))
end

--- The scheme. X-Forwarded-Proto comes first, if it says https; of a list, its first entry counts, which is
-- what the first proxy saw. Then the setting; then the request. A request that Envoy itself refuses has none:
-- then the connection tells.
local function scheme(values, stream)
  local forwarded = values["x-forwarded-proto"]
  if forwarded and forwarded:lower():find("^[%s,]*https%f[%A]") then
    return "https"
  elseif config.scheme ~= "auto" then
    return config.scheme
  end
  return values[":scheme"] or (stream:downstreamSslConnection() and "https" or "http")
end

--- The beginning of a span: what is known from the request's headers and its stream.
-- @param record with its `trace`, `span` and, if there is one, `parent`
-- @param values header values by name
-- @param address of the connection
local function head(record, values, header_map, stream, address)
  local method = repair(record.method)
  local name = GUIDE and "example-span" or method ~= "" and method or "HTTP"
  otlp.put_start(out:reset(), record, name, KIND, record.started, config.sensor_id)
  put("http.method", method)
  put("http.host", redaction.host(values[":authority"] or ""))
  put("http.flavor", FLAVORS[stream:protocol()] or "")
  put("http.scheme", scheme(values, stream))
  put("net.sock.peer.addr", (peer.claimed(values, header_map, stream) or ""):sub(1, MAX_PEER))
  if not GUIDE then
    -- Of the connection: downstreamRemoteAddress may be what a client wrote into X-Forwarded-For.
    put("network.peer.address", peer.address(address) or "")
  end
  return out:get()
end

--- What an exchange is found by after an internal redirect: its connection, and its path.
-- @param address of the connection
-- @param values as `headers.read` returns them
function M.hop(address, values)
  return address .. " " .. (values[":path"] or ""):sub(1, MAX_HOP)
end

--- Begins the record of an exchange.
-- @param header_map the request's; nil if the request never came to this filter and Envoy does not tell
-- @param now microseconds
function M.begin(header_map, stream, now)
  local values, shown, are_headers_cut, is_target_cut = headers.read(header_map or {})
  local address = stream:downstreamDirectRemoteAddress()
  local trace_id, parent_id = ids.trace(values)
  local record = {
    span = ids.span_id(),
    trace = trace_id,
    parent = not GUIDE and parent_id or nil,
    hop = M.hop(address, values),
    method = values[":method"] or "",
    started = now,
    status = 0,
    target = redaction.text(values[":path"] or ""),
    is_target_cut = is_target_cut,
    request = message.new(values, shown, are_headers_cut),
  }
  record.head = head(record, values, header_map, stream, address)
  return record
end

--- Puts an attribute that says that something was cut: `http.target.truncated`.
local function put_mark(name, is_cut)
  if is_cut and not GUIDE then
    otlp.put_true(out, name .. ".truncated")
  end
end

local function put_headers(name, part)
  otlp.put_content(out, name, part.headers)
  put_mark(name, part.are_headers_cut)
end

--- Puts what a span says of a body.
-- @param part a message
-- @param failure whether its exchange was aborted
local function put_body(handle, name, part, failure)
  local text, omitted, bytes = content.render(part)
  if bytes then
    otlp.put_bytes(out, name, bytes, handle)
  else
    otlp.put_text(out, name, text)
  end
  if GUIDE then
    return
  end
  local size = part.total
  if not part.is_complete and not (failure and size > 0) then
    -- The request was answered before its body arrived, as one that is denied: it declared a size. Where the
    -- client broke off an upload, the size is what passed.
    size = math.max(size, part.declared)
  end
  if size > 0 then
    otlp.put_integer(out, name .. ".size", size)
  end
  if omitted then
    put(name .. ".omitted", omitted)
  elseif part.kept < part.total or not part.is_complete then
    report.count("truncated")
    put_mark(name, true)
  end
end

--- One span.
-- @param handle of the stream at hand, for base64
-- @param record as begun, with what its response added: status and response
-- @param now microseconds
-- @param reason why the exchange has no end of its own, or nil
-- @return a buffer, until the next call
function M.render(handle, record, now, reason)
  local response, failure = record.response or NO_RESPONSE, not GUIDE and reason or nil
  out:reset():put(record.head)
  put("http.target", record.target)
  put_mark("http.target", record.is_target_cut)
  put_headers("http.request.headers", record.request)
  put_headers("http.response.headers", response)
  put_body(handle, "http.request.body", record.request, failure)
  put_body(handle, "http.response.body", response, failure)
  otlp.put_integer(out, "http.status_code", record.status)
  if failure then
    put("error.type", failure)
  end
  local is_error = failure or (record.status >= 500 and not GUIDE)
  -- The clock is the wall's, and may have been set back.
  otlp.put_end(out, math.max(now, record.started), is_error and ERROR or nil, failure)
  return out
end

return M
