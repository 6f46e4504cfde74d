--- Exports spans.
-- They go to the collector, in one OTLP/HTTP request for many spans.
-- A batch leaves at its limit of spans, bytes or age. It leaves sooner if no exchange is in flight that
-- started within the last `max_delay_ms`, as then nothing shows that another span comes soon. So a lone
-- request's span leaves at once, and a busy worker batches. Fire and forget: the call is asynchronous and
-- always has a timeout; a collector that is gone costs spans, never requests.

local config = require("config")
local inflight = require("inflight")
local otlp = require("otlp")
local report = require("report")
local sampling = require("sampling")

local buffer = require("string.buffer")

local CLUSTER, LIMITS = config.collector.cluster, config.export
local MAX_DELAY = LIMITS.max_delay_ms * 1000

local HEADERS = {
  [":method"] = "POST",
  [":path"] = config.collector.path,
  [":authority"] = config.collector.authority,
  ["content-type"] = otlp.content_type,
  [sampling.MARK] = "export",
}
-- The export is no part of the captured trace, and the collector does not need the address of this pod.
local OPTIONS =
  { asynchronous = true, timeout_ms = LIMITS.timeout_ms, trace_sampled = false, send_xff = false }

local batch = buffer.new()
local count, oldest = 0, 0 -- of the batch: how many spans it has, and when the first one was added

-- What of the limit is left for spans. An empty export is not free, and in protobuf each of its two lengths
-- may grow by up to 4 bytes.
local MAX_SPANS_BYTES = LIMITS.max_batch_bytes - #otlp.request(batch) - 8
-- More bytes than a span has besides its attributes. Its name takes up to 384 of them.
local BESIDE_ATTRIBUTES = 1024

local M = {}

--- Sends the batch, and begins a new one.
local function flush(handle, now)
  local payload = otlp.request(batch)
  local sent, reason = pcall(handle.httpCall, handle, CLUSTER, HEADERS, payload, OPTIONS)
  report.count(sent and "exported" or "dropped_no_cluster", count)
  report.write_counts(handle)
  count = 0
  if not sent then
    report.warn(handle, now, "could not export to " .. CLUSTER .. ": " .. tostring(reason))
  end
end

--- Whether spans wait for an event to send them.
function M.is_pending()
  return count > 0
end

--- Sends the batch if it is due.
-- @param now microseconds
function M.flush_if_due(handle, now)
  local is_full = count >= LIMITS.max_batch_spans or #batch >= MAX_SPANS_BYTES
  local is_old = now - oldest >= MAX_DELAY or not inflight.active_since(now - MAX_DELAY)
  if count > 0 and (is_full or is_old) then
    flush(handle, now)
  end
end

--- Adds a span to the batch.
-- @param span as otlp.put_span takes it, with its attributes
function M.add(handle, now, span, attributes)
  if count > 0 and #batch + #attributes + BESIDE_ATTRIBUTES > MAX_SPANS_BYTES then
    flush(handle, now)
  end
  if count == 0 then
    oldest = now
  end
  otlp.put_span(batch, span, attributes)
  count = count + 1
end

return M
