--- One walk over a header map: every value by name, and the allowlisted headers as JSON text.

local config = require("config")
local json = require("json")
local redaction = require("redaction")

local clear = require("table.clear")

local escape = json.escape

local MAX_CACHED, MAX_VALUE = 256, 160

-- By name: the mask, or false; nil for headers that are not recorded.
local MASKS = {}
for name in config.headers:gmatch("[^\n]+") do
  MASKS[name] = redaction.header(name) or false
end
-- Envoy keeps Host as :authority, and finds it there for `headers:get("host")`, which the guide uses.
MASKS[":authority"] = MASKS.host

-- By name and value, as shown: most values repeat from request to request. What masks hide is not remembered.
local cache, cached = {}, 0

local members, values, masked = {}, {}, {}

--- A member of a JSON object that stands inside a JSON string: quotes and escapes are escaped once more.
local function member(name, value)
  local key = name == ":authority" and "host" or name
  local text = ('\\"%s\\":\\"%s\\"'):format(escape(escape(key)), escape(escape(value)))
  if #value <= MAX_VALUE and name ~= "x-request-id" then
    if cached >= MAX_CACHED then
      cache, cached = {}, 0
    end
    cache[name] = cache[name] or {}
    cache[name][value], cached = text, cached + 1
  end
  return text
end

local M = {}

--- Reads a header map.
-- A repeated header's values are joined by ",", as `headers:get()` does; each is masked on its own.
-- @param headers Envoy's header map
-- @return every header's value by name, not masked, until the next call; the allowlisted ones: a JSON object,
--   escaped for a string
function M.read(headers)
  local count = 0
  clear(values)
  clear(masked)
  for name, value in pairs(headers) do
    local before, mask = values[name], MASKS[name]
    values[name] = before and before .. "," .. value or value
    if mask ~= nil then
      if not before then
        count = count + 1
        members[count] = name
      end
      if mask then
        masked[name] = (before and masked[name] .. "," or "") .. mask(value)
      end
    end
  end
  for index = 1, count do
    local name = members[index]
    local value = masked[name] or values[name]
    members[index] = cache[name] and cache[name][value] or member(name, value)
  end
  return values, "{" .. table.concat(members, ",", 1, count) .. "}"
end

-- Compiled, a loop that calls Envoy for each header takes three times as long.
jit.off(M.read)

return M
