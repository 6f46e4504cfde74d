--- The two hooks that Envoy calls.
-- It calls them through the loader: one for each request, one for each response.
-- The way of an exchange through the modules:
--   sampling: is it captured? endpoints counts its endpoint's spans;
--   headers: reads its headers; bounds cuts them, redaction masks them;
--   span.begin: makes its record; ids finds the trace, peer finds the client's address;
--   inflight: keeps the record until the exchange has ended, or was aborted;
--   message: copies the bodies as they pass, first the request's, then the response's;
--   span.complete: writes its span, as otlp encodes it; content decides what the span says of a body, with
--     inflate, utf8 and redaction;
--   exporter: sends the span in a batch.
-- For each stream, Envoy runs the two hooks as two coroutines of one VM. The request hook puts the span's id
-- into the stream's dynamic metadata, by which the response hook finds the record. A failure here costs a
-- span, never a request: each hook runs in a pcall (from inside of which LuaJIT can yield).

local config = require("config")
local exporter = require("exporter")
local headers = require("headers")
local inflight = require("inflight")
local message = require("message")
local report = require("report")
local sampling = require("sampling")
local span = require("span")

-- `maxside`: how many branches of a loop LuaJIT compiles. `hotexit`: how often a branch has to be taken
-- before that. With its own limits, 100 and 10, it compiles more than pays: a request runs most code only
-- once, and then less code in the caches is faster.
require("jit.opt").start("maxside=32", "hotexit=50")

-- Several filters may see a stream, of one sensor or of several. The first filter of a sensor marks the
-- stream under its sensor's id: with the span's id, or with "" if it does not capture. The sensor's other
-- filters find the mark, and leave the stream alone; filters of other sensors do not look at it.
local METADATA, SENSOR = "astra.capture", config.sensor_id:lower()

--- The time, in microseconds.
local function clock(handle)
  -- Looked up at each call, as Envoy defines the enum only after it has loaded the chunk.
  return tonumber(handle:timestampString(EnvoyTimestampResolution.MICROSECOND))
end

--- Ends an exchange: its span goes into the batch.
-- @param failure why it has no end of its own, or nil
local function finish(handle, record, now, failure)
  inflight.remove(record, now)
  exporter.add(handle, now, record, span.complete(handle, record, failure))
end

--- Ends the records that have to go, and sends the batch if it is due. Called on requests and responses, as
-- Envoy has no timer for Lua.
local function catch_up(handle, now)
  inflight.sweep(finish, handle, now)
  exporter.flush_if_due(handle, now)
end

--- A stream; its metadata; and this sensor's mark on it, or nil if none of its filters has seen the stream.
local function open(handle)
  local stream = handle:streamInfo()
  local metadata = stream:dynamicMetadata()
  local marks = metadata:get(METADATA)
  return stream, metadata, marks and marks[SENSOR]
end

--- Marks a stream with the span's id of a record, or with "" if there is no record.
local function mark(metadata, record)
  metadata:set(METADATA, SENSOR, record and record.span or "")
end

--- Begins the record of a stream, or returns nil if the stream is not captured. Before that, it catches up.
-- @param is_chosen whether chance lets it be captured
-- @param request_headers the handle's method that returns the request's headers; nil if Envoy lacks it
local function begin(handle, stream, is_chosen, request_headers)
  -- If chance leaves a request out, none of its headers is read.
  local header_map = is_chosen and request_headers and request_headers(handle)
  local path = header_map and header_map:get(":path") or ""
  local is_wanted = is_chosen and not (header_map and sampling.excluded(header_map, path))
  if not is_wanted and not exporter.is_pending() then
    return nil -- No span waits for an event that sends it, so even catching up is left to a later event.
  end
  local now = clock(handle)
  catch_up(handle, now)
  if is_wanted and sampling.within_limits(header_map, path, now) then
    local record = span.begin(header_map, stream, now)
    inflight.add(record, handle)
    report.count("captured")
    return record
  end
end

--- The record of an exchange that goes on in this stream after an internal redirect, or nil. Such a redirect
-- ends a stream inside of Envoy, and sends its request again in a new one, with a header that tells the old
-- URL. Clients can send that header, too, but only Envoy writes the filter state: if that is there, the
-- header is Envoy's.
local function redirected(handle, stream)
  local header_map = inflight.active_since(0) and handle:headers()
  local url = header_map and header_map:get("x-envoy-original-url")
  if url and stream:filterState():get("num_internal_redirects") then
    -- Both paths are read by `headers.read`, as those of records are: so all are cut in the same way.
    local address = stream:downstreamDirectRemoteAddress()
    local hop = span.hop(address, headers.read({ [":path"] = url:match("^%a+://[^/]*(.*)") }))
    return inflight.follow(hop, span.hop(address, headers.read(header_map)), handle)
  end
end

local function capture_request(handle)
  local stream, metadata, id = open(handle)
  if id then
    return -- Another filter of this sensor has seen the stream.
  end
  local record = redirected(handle, stream) or begin(handle, stream, sampling.chosen(), handle.headers)
  mark(metadata, record)
  -- Envoy redirects only requests that it has whole: then the record has the body, and `expected` is nil.
  if record and record.request.expected then
    message.read(handle, record.request, record)
  end
end

--- Whether a response may never end. Then its span is made once its headers are there.
local function is_stream(record)
  local status, content_type = record.response.status, record.response.content_type
  return status == 101
    or (record.method == "CONNECT" and status < 300)
    or content_type:find("application/grpc", 1, true) == 1
    or content_type:find("text/event-stream", 1, true) == 1
end

--- Takes a response into the record of its exchange: its headers, then its body as it passes, unless it is a
-- stream.
local function take_response(handle, record, header_map)
  local request, response = record.request, message.new(headers.read(header_map))
  record.response = response
  inflight.grown(record)
  if not is_stream(record) then
    message.read(handle, response, record)
  else
    response.omitted = "stream"
    if request.expected == 0 and request.total == 0 then
      request.omitted = "stream"
    end
  end
end

local function capture_response(handle)
  local is_chosen = sampling.chosen()
  if not is_chosen and not inflight.active_since(0) then
    return -- There is no record, and none begins here.
  end
  local stream, metadata, id = open(handle)
  -- If there is a mark but no record, the request is not captured, or another filter captures it (in a VM of
  -- its own), or a sweep has ended the record.
  local record = inflight.find(id)
  if not id then
    -- The request never came to this filter: something before it answered.
    record = begin(handle, stream, is_chosen, handle.requestHeaders) -- Envoy >= 1.40
    mark(metadata, record)
    if record and record.request.expected == 0 then
      record.request.expected = nil -- No body is declared, so it has ended, and does not count as unread.
    end
  end
  if not record then
    return
  end
  local header_map = handle:headers()
  local is_left_out = sampling.excluded_by_response(header_map)
  if not is_left_out then
    take_response(handle, record, header_map)
  end
  if record.ended then
    return -- A sweep has ended it while its body came.
  end
  local now = clock(handle)
  if is_left_out then
    report.count("skipped_content_type")
    inflight.remove(record, now)
  else
    finish(handle, record, now)
  end
  catch_up(handle, now)
end

--- A hook: a function that captures, which costs no more than a span if it fails.
local function guarded(capture)
  return function(handle)
    local done, reason = pcall(capture, handle)
    if not done then
      report.count("failed")
      report.warn(handle, clock(handle), "could not capture: " .. tostring(reason))
    end
  end
end

return { request = guarded(capture_request), response = guarded(capture_response) }
