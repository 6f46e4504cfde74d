--- The two hooks that Envoy calls, by the loader.
-- A request travels: sampling -> headers -> body -> span -> batch. For each stream, Envoy runs the request
-- hook and the response hook as two coroutines of one VM. The response hook finds the record that the request
-- hook began by its span id, which is in the stream's dynamic metadata. A failure here costs a span, never a
-- request: each hook runs in a pcall (from inside of which LuaJIT can yield).

local config = require("config")
local body = require("body")
local exporter = require("exporter")
local headers = require("headers")
local inflight = require("inflight")
local report = require("report")
local sampling = require("sampling")
local span = require("span")

-- Handlers are short and branch often: compiling each of their branches costs more than it saves.
require("jit.opt").start("maxside=4")

-- Several filters may see a stream, of one sensor or of several. The first filter of a sensor marks the
-- stream under its sensor's id: with the span's id, or with "" if it does not capture. The sensor's other
-- filters find the mark, and leave the stream alone; filters of other sensors do not look at it.
local METADATA, SENSOR = "astra.capture", config.sensor_id:lower()

--- The time, in microseconds.
local function clock(handle)
  -- Looked up at each call, as Envoy defines the enum only after it has loaded the chunk.
  return tonumber(handle:timestampString(EnvoyTimestampResolution.MICROSECOND))
end

--- Whether a response may never end. Its span is made once its headers are there.
local function is_stream(record, content_type)
  local status = record.status
  return status == 101
    or (record.method == "CONNECT" and status >= 200 and status < 300)
    or content_type:find("^application/grpc")
    or content_type:find("^text/event%-stream")
end

local function finish(handle, record, now)
  inflight.remove(record)
  exporter.add(handle, now, record, span.complete(handle, record, now))
end

local function abort(handle, record, now)
  record.is_aborted = true
  report.count("aborted")
  finish(handle, record, now)
end

--- Does what is due. Called on events, as Envoy has no timer for Lua.
local function catch_up(handle, now)
  inflight.sweep(abort, finish, handle, now)
  exporter.flush_if_due(handle, now)
end

--- This sensor's mark on a stream, or nil where none of its filters has seen the stream.
local function mark_of(metadata)
  local marks = metadata:get(METADATA)
  return marks and marks[SENSOR]
end

--- Decides whether a stream is captured, and marks it.
-- @param request_headers the handle's method that returns the request's headers; nil if Envoy lacks it
-- @return the stream's record, or nil where it is not captured
local function begin(handle, stream, metadata, request_headers)
  local chosen = config.enabled and sampling.chosen()
  local header_map = chosen and request_headers and request_headers(handle)
  chosen = chosen and not (header_map and sampling.excluded(header_map))
  local record
  if chosen or exporter.is_pending() then
    local now = clock(handle)
    catch_up(handle, now)
    if chosen and sampling.within_limits(header_map, now) then
      record = span.begin(header_map, stream, now)
      inflight.add(record, handle)
      report.count("captured")
    end
  end
  metadata:set(METADATA, SENSOR, record and record.id or "")
  return record
end

--- The record of an exchange that goes on in this stream, or nil: an internal redirect ends a stream inside
-- of Envoy, and sends its request again in a new one. Clients can send the header, too, but only Envoy writes
-- the filter state; where that is, the header is Envoy's.
local function redirected(handle, stream)
  local header_map = inflight.active_since(0) and handle:headers()
  local url = header_map and header_map:get("x-envoy-original-url")
  if not url or not stream:filterState():get("num_internal_redirects") then
    return nil
  end
  local record = inflight.find_hop(span.hop(stream, url:match("^%a+://[^/]*(.*)")))
  if record then
    inflight.follow(record, handle, span.hop(stream, header_map:get(":path")))
  end
  return record
end

local function capture_request(handle)
  local stream = handle:streamInfo()
  local metadata = stream:dynamicMetadata()
  if mark_of(metadata) then
    return
  end
  local record = redirected(handle, stream)
  if record then
    metadata:set(METADATA, SENSOR, record.id)
    return -- The record has the body already: Envoy redirects only requests that it has whole.
  end
  record = begin(handle, stream, metadata, handle.headers)
  if record then
    body.read(handle, record.request_body, record)
  end
end

--- Adds what a response says in its headers to a record.
-- A function of its own, so that its locals do not stay in memory while the hook waits for the body.
local function read_response_headers(record, header_map)
  local values, shown, are_cut = headers.read(header_map)
  record.response_body, record.status = body.new(values), tonumber(values[":status"]) or 0
  if inflight.keep(record, #shown) then
    record.response_headers, record.are_response_headers_cut = shown, are_cut
  else
    record.are_response_headers_cut = true
  end
end

local function capture_response(handle)
  local stream = handle:streamInfo()
  local metadata = stream:dynamicMetadata()
  local mark = mark_of(metadata)
  -- There is a mark but no record where the request is not captured, where another filter (with a VM of its
  -- own) captures it, or where a sweep has ended the record.
  local record = mark and inflight.find(mark)
  if not mark then
    -- The request never came to this filter: something before it answered.
    record = begin(handle, stream, metadata, handle.requestHeaders) -- Envoy >= 1.40
    if record then
      record.request_body.is_complete = record.request_body.declared == 0
    end
  end
  if not record then
    return
  end
  local header_map = handle:headers()
  if sampling.excluded_by_response(header_map) then
    report.count("skipped_content_type")
    inflight.remove(record)
    return catch_up(handle, clock(handle))
  end
  read_response_headers(record, header_map)
  local response_body = record.response_body
  if is_stream(record, response_body.content_type) then
    response_body.is_stream = true
    local request_body = record.request_body
    request_body.is_stream = request_body.total == 0
      and request_body.declared == 0
      and not request_body.is_complete
  else
    body.read(handle, response_body, record)
  end
  if not record.finished then
    local now = clock(handle)
    finish(handle, record, now)
    catch_up(handle, now)
  end
end

local function guarded(capture)
  return function(handle)
    local done, reason = pcall(capture, handle)
    if not done then
      report.count("failed")
      report.warn(handle, handle:timestamp() * 1000, "could not capture: " .. tostring(reason))
    end
  end
end

return { request = guarded(capture_request), response = guarded(capture_response) }
