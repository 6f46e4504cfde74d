--- Endpoints and their budgets.
-- It knows how many spans each has had in this minute.
-- An endpoint is a method, a host and a path without its query, in which "*" stands for what may be an id.
-- They are remembered until the minute ends: always the MAX_RECENT last used, and at most twice as many. A
-- request whose endpoint has too long a name has none: if names were cut, a client could hide a path behind
-- a long beginning.

local MAX_RECENT = 512
local MAX_NAME = 512 -- bytes
local MINUTE = 60e6 -- microseconds
-- A segment with letters and digits is an id if it has at least so many characters: LONG_HEX if its letters
-- are hexadecimal digits, else LONG_MIX.
local LONG_HEX, LONG_MIX = 8, 16

-- Endpoints by name, and how many `recent` has. If it is full, it takes the place of `older`, which is
-- forgotten. What is found in `older` is recent again.
local recent, older, count = {}, {}, 0
local minute = 0

local M = {}

--- "/*" for a segment of a path that looks like an id: 42, 2024-11-28, 5f0a3c1e. Else false, with which
-- `gsub` leaves the segment as it is: v1, page2.
-- So is a segment with a sign that is in no id: what a client adds to an id is seen.
-- @param segment has a digit
local function generic(segment)
  local is_long = #segment >= LONG_MIX or (#segment >= LONG_HEX and not segment:find("[g-zG-Z._]"))
  return (is_long or not segment:find("%a")) and not segment:find("[^%w._-]") and "/*"
end

--- The endpoint with a name, which is recent then.
local function remembered(name)
  local endpoint = recent[name] or older[name] or { spans = 0 }
  if not recent[name] then
    if count == MAX_RECENT then
      recent, older, count = {}, recent, 0
    end
    recent[name], count = endpoint, count + 1
  end
  return endpoint
end

--- The endpoint of a request, or nil if it has none.
-- @param now microseconds
-- @return a table: `spans` is how many spans it had in this minute; the caller counts them
function M.of(headers, now)
  local method, host = headers:get(":method") or "", headers:get(":authority") or ""
  local path = (headers:get(":path") or ""):match("^[^?]*")
  if #method + #host + #path > MAX_NAME then
    return nil
  end
  local current = math.floor(now / MINUTE)
  if current ~= minute then
    minute, recent, older, count = current, {}, {}, 0
  end
  path = path:gsub("/([^/]*%d[^/]*)", generic)
  return remembered(method .. "\n" .. host .. "\n" .. path)
end

return M
