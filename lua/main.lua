--- The two hooks that Envoy calls, by the loader.
-- A request travels: sampling -> headers -> body -> span -> batch. Request and response hook are two
-- coroutines of one VM; the span id in the stream's dynamic metadata ties them together. Whatever fails here
-- costs a span: requests pass untouched, as each hook runs in a pcall (which LuaJIT lets yield).

local body = require("body")
local counters = require("counters")
local exporter = require("exporter")
local headers = require("headers")
local inflight = require("inflight")
local log = require("log")
local request = require("request")
local sampling = require("sampling")
local span = require("span")

local clear = require("table.clear")

-- Handlers are short and branch often: compiling each of their branches costs more than it saves.
require("jit.opt").start("maxside=4")

-- One key for every capture filter of a stream: the first to mark it captures it.
local METADATA, MARK = "astra.capture", "span_id"
local NOT_CAPTURED = ""

local values = {}

--- @return microseconds, the same in nanoseconds as text (a Lua number cannot hold them)
local function clock(handle)
  -- The enum is not there yet while Envoy loads the chunk.
  local text = handle:timestampString(EnvoyTimestampResolution.MICROSECOND)
  return tonumber(text), text .. "000"
end

--- Whether a response may never end; its span leaves at its headers.
local function is_stream(record, content_type)
  local status = record.status
  return status == 101
    or (record.is_connect and status >= 200 and status < 300)
    or content_type:find("^application/grpc")
    or content_type:find("^text/event%-stream")
end

local function begin(handle, header_map, stream, metadata, now, text)
  local record = request.record(header_map, stream, now, text)
  inflight.add(record, handle)
  metadata:set(METADATA, MARK, record.id)
  counters.add("captured")
  return record
end

local function finish(handle, record, now, text)
  inflight.remove(record)
  -- The clock is the wall's, and may have been set back.
  exporter.add(handle, now, span.render(handle, record, now < record.started and record.start or text))
end

local function abort(handle, record, now, text)
  record.aborted = true
  finish(handle, record, now, text)
end

--- What every event does besides its own work, as there is no timer.
local function catch_up(handle, now, text)
  inflight.sweep(abort, handle, now, text)
  exporter.flush_if_due(handle, now)
end

local function capture_request(handle)
  local stream = handle:streamInfo()
  local metadata = stream:dynamicMetadata()
  if metadata:get(METADATA) then
    return
  end
  local header_map = sampling.chosen() and handle:headers()
  local chosen = header_map and not sampling.excluded(header_map)
  local now, text
  if chosen or exporter.is_pending() then
    now, text = clock(handle)
    catch_up(handle, now, text)
  end
  if not chosen or not sampling.within_rate(now) then
    metadata:set(METADATA, MARK, NOT_CAPTURED)
    return
  end
  local record = begin(handle, header_map, stream, metadata, now, text)
  body.read(handle, record.request_body, record)
end

--- The record of a response whose request never came to this filter: something before it answered.
local function begin_at_response(handle, stream, metadata)
  local header_map = handle.requestHeaders and handle:requestHeaders() -- Envoy >= 1.40
  if not sampling.chosen() or (header_map and sampling.excluded(header_map)) then
    return nil
  end
  local now, text = clock(handle)
  if sampling.within_rate(now) then
    local record = begin(handle, header_map, stream, metadata, now, text)
    record.request_body.complete = true
    return record
  end
end

local function capture_response(handle)
  local stream = handle:streamInfo()
  local metadata = stream:dynamicMetadata()
  local mark = metadata:get(METADATA)
  local record
  if mark then
    -- Nothing is found for a request that is not captured, that another filter captures, or that was swept.
    record = inflight.find(mark[MARK])
  else
    record = begin_at_response(handle, stream, metadata)
  end
  if not record then
    return
  end
  clear(values)
  record.response_headers = headers.read(handle:headers(), values)
  record.status = tonumber(values[":status"]) or 0
  local response_body = body.new(values["content-type"], values["content-encoding"])
  record.response_body = response_body
  if is_stream(record, response_body.content_type:lower()) then
    response_body.stream = true
  else
    body.read(handle, response_body, record)
  end
  if not record.finished then
    local now, text = clock(handle)
    finish(handle, record, now, text)
    catch_up(handle, now, text)
  end
end

local function guarded(capture)
  return function(handle)
    local done, reason = pcall(capture, handle)
    if not done then
      log.warn(handle, handle:timestamp() * 1000, "could not capture: " .. tostring(reason))
    end
  end
end

return { request = guarded(capture_request), response = guarded(capture_response) }
