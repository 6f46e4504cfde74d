--- Counters and warnings.
-- Counters stand in Envoy's statistics, warnings in its log.
-- Counters are http.<prefix>.lua.astra_capture.<name>, where Envoy has the API (>= 1.38). They are written
-- when spans leave, so Envoy is called once per counter and batch. Warnings: at most one a second per VM.

local config = require("config")

local INTERVAL = 1e6 -- microseconds

local counts = {}
local last, missed = 0, 0

local M = {}

--- Adds to a counter: 1, or `count`.
function M.count(name, count)
  counts[name] = (counts[name] or 0) + (count or 1)
end

--- Adds what was counted to Envoy's statistics, where it has the API, and counts from 0 again.
function M.write_counts(handle)
  local stats = handle.stats and handle:stats()
  for name, count in pairs(stats and counts or {}) do
    stats:counter(name):add(count)
  end
  counts = {}
end

--- Logs a warning. If the last one was less than INTERVAL ago, it only counts as missed.
-- @param now microseconds
function M.warn(handle, now, message)
  if math.abs(now - last) < INTERVAL then
    missed = missed + 1
    return
  end
  handle:logWarn(
    ("astra capture (%s): %s (%d more since the last warning)"):format(config.direction, message, missed)
  )
  last, missed = now, 0
end

return M
