--- Which requests are captured, decided before any other work.

local config = require("config")

local RATIO, RATE = config.sampling_ratio, config.max_spans_per_second
local COLLECTOR = config.direction == "outbound" and config.collector.authority

-- By path, or by what a path begins with: a list of both.
local SKIPPED, SKIPPED_PREFIXES = {}, {}
for path in config.skip_paths:gmatch("[^\n]+") do
  if path:sub(-1) == "*" then
    SKIPPED_PREFIXES[#SKIPPED_PREFIXES + 1] = path:sub(1, -2)
  else
    SKIPPED[path] = true
  end
end

local HAS_SKIPPED = config.skip_paths ~= ""

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
  local skipped = SKIPPED[path]
  for _, prefix in ipairs(SKIPPED_PREFIXES) do
    skipped = skipped or path:sub(1, #prefix) == prefix
  end
  -- What a server might resolve to another path is never skipped: /static/../login, /static%2f..;/login.
  return skipped and not path:find("[^%w/._~-]") and not path:find("[./][./]")
end

--- Whether a host with or without a port is the collector's.
local function is_collector(host)
  return host == COLLECTOR
    or (host:sub(1, #COLLECTOR + 1) == COLLECTOR .. ":" and not host:find("%D", #COLLECTOR + 2))
end

--- Whether settings exclude a request: a skipped path, or an application's own call of the collector.
function M.excluded(headers)
  return (HAS_SKIPPED and is_skipped(headers:get(":path") or ""))
    or (COLLECTOR and is_collector(headers:get(":authority") or ""))
end

return M
