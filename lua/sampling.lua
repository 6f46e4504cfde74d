--- Which requests are captured, decided before any other work.

local config = require("config")

local RATIO, RATE = config.sampling_ratio, config.max_spans_per_second
local COLLECTOR = config.direction == "outbound" and config.collector.authority

-- Paths as patterns.
local SKIPPED = {}
for path in config.skip_paths:gmatch("[^\n]+") do
  SKIPPED[#SKIPPED + 1] = "^" .. path:gsub("%p", "%%%0"):gsub("%%%*$", ".*") .. "$"
end

local second, taken = 0, 0

local M = {}

--- Whether chance lets a request be captured.
function M.chosen()
  return RATIO >= 1 or math.random() < RATIO
end

--- Whether this second's allowance of spans lets a request be captured; counts it.
-- @param now microseconds
function M.within_rate(now)
  local current = math.floor(now / 1e6)
  second, taken = current, (current == second and taken or 0) + 1
  return not RATE or taken <= RATE
end

local function is_skipped(target)
  local path = target:match("^[^?#]*")
  for _, skipped in ipairs(SKIPPED) do
    if path:find(skipped) then
      -- What a server might resolve to another path is never skipped: /static/../login, /static%2f..;/login.
      return not path:find("[^%w/._~-]") and not path:find("[./][./]")
    end
  end
end

--- Whether settings exclude a request: a skipped path, or an application's own call of the collector.
function M.excluded(headers)
  return (SKIPPED[1] and is_skipped(headers:get(":path") or ""))
    or (COLLECTOR and (headers:get(":authority") or ""):gsub(":%d+$", "") == COLLECTOR)
end

return M
