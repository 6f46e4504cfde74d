--- Which requests are captured, decided before any other work.

local config = require("config")

local RATIO = config.sampling_ratio
local RATE = config.max_spans_per_second
local COLLECTOR = config.direction == "outbound" and config.collector.authority

-- A path, or a prefix where any rest may follow.
local SKIPPED, WITH_REST = {}, {}
for index, path in ipairs(config.skip_paths) do
  SKIPPED[index], WITH_REST[index] = path:match("^([^*]*)"), path:sub(-1) == "*"
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
  if not RATE then
    return true
  end
  local current = math.floor(now / 1e6)
  if current ~= second then
    second, taken = current, 0
  end
  taken = taken + 1
  return taken <= RATE
end

local function is_skipped(path)
  for index = 1, #SKIPPED do
    local skipped = SKIPPED[index]
    local whole = path:sub(1, #skipped) == skipped and path:match("^[^?#]*")
    if whole and (whole == skipped or WITH_REST[index]) then
      -- What a server might resolve to another path is never skipped: /static/../login, /static%2f..;/login.
      return not (whole:find("[^%w/._~-]") or whole:find("..", 1, true) or whole:find("//", 1, true))
    end
  end
  return false
end

--- Whether settings exclude a request: a skipped path, or an application's own call of the collector.
function M.excluded(headers)
  if #SKIPPED > 0 and is_skipped(headers:get(":path") or "") then
    return true
  end
  return COLLECTOR and (headers:get(":authority") or ""):gsub(":%d+$", "") == COLLECTOR
end

return M
