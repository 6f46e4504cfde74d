--- One walk over a header map: the values that the filter uses, and allowlisted headers as JSON text.
-- Values are cut to their bounds before anything looks at them: a mask, an escape, who reads an id or a peer.

local config = require("config")
local bounds = require("bounds")
local json = require("json")
local redaction = require("redaction")

local clear = require("table.clear")

local cut, escape = bounds.cut, json.escape

local MAX_CACHED, MAX_VALUE = 256, 160

-- By name: how many bytes of its value are taken; nil for headers that nobody looks at.
local LIMITS = { [":path"] = config.max_path_bytes }
local USED = ":method :authority :scheme :status content-type content-encoding x-forwarded-proto "
  .. "traceparent b3 x-b3-traceid x-b3-spanid x-request-id "
  .. "x-envoy-peer-metadata-id x-forwarded-for x-envoy-external-address x-real-ip"
for name in USED:gmatch("%S+") do
  LIMITS[name] = config.max_header_value_bytes
end

-- By name: the mask, or false; nil for headers that are not recorded.
local MASKS = {}
for name in config.headers:gmatch("[^\n]+") do
  LIMITS[name] = config.max_header_value_bytes
  MASKS[name] = redaction.header(name) or false
end
-- Envoy keeps Host as :authority, and finds it there for `headers:get("host")`, which the guide uses.
MASKS[":authority"] = MASKS.host

-- Where "@" ends user information, and a longer value is no host.
local HOSTS = { [":authority"] = true, ["x-forwarded-host"] = true }

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
-- A repeated header's values are joined by ",", as `headers:get()` does, and bounded together; each is masked
-- on its own.
-- @param headers Envoy's header map
-- @return the values that the filter uses by name, not masked, until the next call
-- @return the allowlisted headers: a JSON object, escaped for a string
-- @return whether values of these were cut, or left out, for one is too long or all are
-- @return whether the path was cut
function M.read(headers)
  local count, left = 0, config.max_headers_bytes
  local is_cut, is_path_cut = false, false
  clear(values)
  clear(masked)
  for name, value in pairs(headers) do
    local room = LIMITS[name]
    if room then
      local before, mask = values[name], MASKS[name]
      room = before and room - #before - 1 or room
      if mask ~= nil and left < room then
        room = left
      end
      if #value > room then
        value = room > 0 and not HOSTS[name] and cut(value, room) or ""
        is_cut = is_cut or mask ~= nil
        is_path_cut = is_path_cut or name == ":path"
      end
      if room >= 0 then
        values[name] = before and before .. "," .. value or value
        if mask ~= nil then
          left = left - #value - 1
          if not before then
            count = count + 1
            members[count] = name
          end
          if mask then
            masked[name] = (before and masked[name] .. "," or "") .. mask(value)
          end
        end
      end
    end
  end
  for index = 1, count do
    local name = members[index]
    local value = masked[name] or values[name]
    members[index] = cache[name] and cache[name][value] or member(name, value)
  end
  return values, "{" .. table.concat(members, ",", 1, count) .. "}", is_cut, is_path_cut
end

-- Compiled, a loop that calls Envoy for each header takes three times as long.
jit.off(M.read)

return M
