--- Endpoints and their budgets.
-- It knows how many spans each has had in this minute.
-- An endpoint is a method, a host and a path without its query, in which "*" stands for what may be an id.
-- They are remembered until the minute ends: always the MAX_RECENT last used, and at most twice as many. A
-- request whose endpoint has too long a name has none: if names were cut, a client could hide a path behind
-- a long beginning.

local MAX_RECENT = 512
local MAX_NAME = 512 -- bytes
local MINUTE = 60e6 -- microseconds
-- A segment with letters and digits is an id if it has at least so many characters: LONG if its letters are
-- hexadecimal digits, else LONG_MIX, and then one piece between its signs is LONG, too.
local LONG, LONG_MIX = 8, 16

-- Endpoints by name, and how many `recent` has. If it is full, it takes the place of `older`, which is
-- forgotten. What is found in `older` is recent again.
local recent, older, count = {}, {}, 0
local minute = 0

local M = {}

--- "/" and a segment of a path, with "*" for what looks like an id: for all of 42, 2024-11-28 and 5f0a3c1e;
-- for the digits of 42:cancel, 42.json, Orders(42) and ORD-1234; for nothing of v1 and page-2. An id has only
-- letters, digits and "._-", so what a client adds to one (42'or) makes another endpoint.
-- @param segment without its "/"; it has a digit
local function generic(segment)
  -- The patterns say what all bytes are, from "^" on: to look for another byte, the matcher would start anew
  -- at each one, which takes it three times as long.
  local is_id = segment:find("^%A*$") or (#segment >= LONG and segment:find("^[^g-zG-Z._]*$"))
  if not is_id and #segment >= LONG_MIX then
    -- A name with a version has no digit before a letter, but in the version itself: acme.v1alpha1.Orders.
    for piece in segment:gmatch("%w+") do
      is_id = is_id or (#piece >= LONG and piece:find("%d%a") and not piece:find("^v%d"))
    end
  end
  if is_id and segment:find("^[%w._-]*$") then
    return "/*"
  end
  -- 42:cancel and 42.json; Orders(42); ORD-1234
  return "/"
    .. segment:gsub("^%d+([:.]%a%w*)$", "*%1"):gsub("^(%a+%()%d+%)$", "%1*)"):gsub("^(.*%D)%d%d%d%d+$", "%1*")
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
-- @param path with its query
-- @param now microseconds
-- @return a table: `spans` is how many spans it had in this minute; the caller counts them
function M.of(headers, path, now)
  local method, host = headers:get(":method") or "", headers:get(":authority") or ""
  path = path:match("^[^?]*")
  if #method + #host + #path > MAX_NAME then
    return nil
  end
  local current = math.floor(now / MINUTE)
  if current ~= minute then
    minute, recent, older, count = current, {}, {}, 0
  end
  path = path:gsub("/%d+%f[/%z]", "/*") -- Most ids are numbers, and need no call of a function.
  if not path:find("^%D*$") then
    path = path:gsub("/([^/]*%d[^/]*)", generic)
  end
  return remembered(method .. "\n" .. host .. "\n" .. path)
end

return M
