--- Which requests are captured, decided before any other work.

local config = require("config")

local RATIO, RATE = config.sampling_ratio, config.max_spans_per_second
local OUTBOUND, EXPORT_PATH = config.direction == "outbound", config.collector.path

-- The hosts by which an application may call the collector.
local COLLECTORS = {}
for host in config.collector.hosts:gmatch("[^\n]+") do
  COLLECTORS[host] = true
end

-- Paths that are not captured: whole ones, as a set; and beginnings of paths (`/static*`), as a list.
local SKIPPED, SKIPPED_PREFIXES = {}, {}
for path in config.skip_paths:gmatch("[^\n]+") do
  if path:sub(-1) == "*" then
    SKIPPED_PREFIXES[#SKIPPED_PREFIXES + 1] = path:sub(1, -2)
  else
    SKIPPED[path] = true
  end
end

local second, taken = 0, 0

local M = {}

--- The header that marks an export, for every filter of ours in any proxy.
M.MARK = "x-astra-capture"

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

--- Whether a request is an export, which no filter may capture: each capture would be one more export.
-- An export of any filter of ours has the mark, whichever proxies and names it passes. A client can write the
-- mark too; so it hides nothing but a POST to the very path of the exports. Outbound, what an application
-- itself sends to the collector counts as well.
local function is_export(headers, path)
  if path == EXPORT_PATH or path == "/v1/traces" then
    if headers:get(M.MARK) and headers:get(":method") == "POST" then
      return true
    end
  end
  if not OUTBOUND or path ~= EXPORT_PATH then
    return false
  end
  local host = (headers:get(":authority") or ""):lower():gsub(":%d+$", ""):gsub("%.$", "")
  return COLLECTORS[host]
end

--- Whether a request is left out: an export, or a skipped path.
function M.excluded(headers)
  local path = headers:get(":path") or ""
  return is_export(headers, path) or is_skipped(path)
end

return M
