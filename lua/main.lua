--- The two hooks that Envoy calls, by the loader.
-- A request travels: sampling -> headers -> body -> span -> batch. Request and response hook are two
-- coroutines of one VM; the span id in the stream's dynamic metadata ties them together. Whatever fails here
-- costs a span: requests pass untouched, as each hook runs in a pcall (which LuaJIT lets yield).

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

-- A stream has a mark for each sensor whose filters saw its request: the span's id, or "" where the first of
-- these filters skipped it. So of one sensor's filters one decides, and none decides for another sensor.
local METADATA, SENSOR = "astra.capture", config.sensor_id:lower()

--- Microseconds.
local function clock(handle)
  -- The enum is not there yet while Envoy loads the chunk.
  return tonumber(handle:timestampString(EnvoyTimestampResolution.MICROSECOND))
end

--- Whether a response may never end; its span leaves at its headers.
local function is_stream(record, content_type)
  local status = record.status
  return status == 101
    or (record.method == "CONNECT" and status >= 200 and status < 300)
    or content_type:find("^application/grpc")
    or content_type:find("^text/event%-stream")
end

local function finish(handle, record, now)
  inflight.remove(record)
  exporter.add(handle, now, span.render(handle, record, now))
end

local function abort(handle, record, now)
  record.is_aborted = true
  report.count("aborted")
  finish(handle, record, now)
end

--- What every event does besides its own work, as there is no timer.
local function catch_up(handle, now)
  inflight.sweep(abort, finish, handle, now)
  exporter.flush_if_due(handle, now)
end

--- What this sensor marked a stream with, or nil.
local function mark_of(metadata)
  local marks = metadata:get(METADATA)
  return marks and marks[SENSOR]
end

--- The record of a stream that is to be captured; any other is marked as seen.
-- @param request_headers the handle's method that gives them, or nil where it has none
local function begin(handle, stream, metadata, request_headers)
  local chosen = config.enabled and sampling.chosen()
  local header_map = chosen and request_headers and request_headers(handle)
  chosen = chosen and not (header_map and sampling.excluded(header_map))
  local record
  if chosen or exporter.is_pending() then
    local now = clock(handle)
    catch_up(handle, now)
    if chosen and sampling.within_rate(now) then
      record = span.begin(header_map, stream, now)
      inflight.add(record, handle)
      report.count("captured")
    end
  end
  metadata:set(METADATA, SENSOR, record and record.id or "")
  return record
end

--- The record that goes on in a stream which an internal redirect made of another, or nil.
-- Envoy alone writes the filter state, and the header there.
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
    return -- Envoy had the whole body before, and so has the record.
  end
  record = begin(handle, stream, metadata, handle.headers)
  if record then
    body.read(handle, record.request_body, record)
  end
end

--- Adds what a response says in its headers to a record.
-- A function of its own: what is a local where a hook waits for its body stays in memory for as long.
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
  -- Nothing is found for a request that is not captured, that another filter captures, or that was swept.
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
  read_response_headers(record, handle:headers())
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
