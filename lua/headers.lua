--- Reads header maps.
-- One walk finds the values that the filter uses, and the allowlisted headers as JSON text.
-- Values are cut to their bounds before masks, escapes and trace ids read them. What else reads headers
-- bounds them on its own: sampling, endpoints, and peer for X-Forwarded-For.

local config = require("config")
local bounds = require("bounds")
local json = require("json")
local redaction = require("redaction")
local utf8 = require("utf8")

local clear = require("table.clear")

local cut, escape, repair = bounds.cut, json.escape, utf8.repair

local MAX_CACHED, MAX_VALUE = 256, 160 -- values; bytes

-- By name: how many bytes of its value are taken; nil for headers that nobody looks at.
local LIMITS = { [":path"] = config.max_path_bytes, [":authority"] = 512, [":method"] = 64, [":scheme"] = 64 }
local USED = ":status content-type content-length content-encoding x-forwarded-proto "
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

-- A host that is too long is left out: the "@" that ends user information may be in what would be cut off.
local HOSTS = { [":authority"] = true, ["x-forwarded-host"] = true }

-- JSON text by name and by value as shown, as most values repeat from request to request. A value as shown
-- has passed its mask, so no secret is remembered.
local cache, cached = {}, 0

-- What a walk has found. By name: values, and what is shown of recorded ones. In order: the names of recorded
-- headers, and their JSON text.
local values, shown, recorded, members = {}, {}, {}, {}
local left, is_cut, is_path_cut

--- A header as a member of a JSON object.
local function member(name, value)
  local key = name == ":authority" and "host" or name
  local text = ('"%s":"%s"'):format(escape(repair(key)), escape(repair(value)))
  if #value <= MAX_VALUE and name ~= "x-request-id" then
    if cached >= MAX_CACHED then
      cache, cached = {}, 0
    end
    cache[name] = cache[name] or {}
    cache[name][value], cached = text, cached + 1
  end
  return text
end

--- What fits of a value, or nil where not even an empty one does.
-- @param taken bytes of the same header so far, if it is repeated
local function bounded(name, value, taken)
  local is_recorded = MASKS[name] ~= nil
  local room = math.min(LIMITS[name] - taken, is_recorded and left or math.huge)
  if #value <= room then
    return value
  end
  is_cut = is_cut or is_recorded
  is_path_cut = is_path_cut or name == ":path"
  if room >= 0 then
    return HOSTS[name] and "" or cut(value, room)
  end
end

--- A value as it is shown. One that was shown before passes as it is: it has left the proxy already.
local function masked(name, value)
  local mask = MASKS[name]
  local is_known = cache[name] and cache[name][value]
  return mask and not is_known and mask(value) or value
end

--- Takes one line of a header. Lines of one name are joined by ",", as `headers:get()` does. Each is masked
-- on its own, and they are bounded together.
local function take(name, line)
  local before = values[name]
  local value = bounded(name, line, before and #before + 1 or 0)
  if not value then
    return
  end
  values[name] = before and before .. "," .. value or value
  if MASKS[name] ~= nil then
    left = left - #value - 1
    recorded[#recorded + 1] = not before and name or nil
    shown[name] = (before and shown[name] .. "," or "") .. masked(name, value)
  end
end

local M = {}

--- Reads a header map.
-- @param headers Envoy's header map
-- @return the values that the filter uses by name, not masked, until the next call
-- @return the allowlisted headers: a JSON object
-- @return whether some of these were cut or left out, as one was too long, or all of them together
-- @return whether the path was cut
function M.read(headers)
  redaction.begin_message()
  left, is_cut, is_path_cut = config.max_headers_bytes, false, false
  clear(values)
  clear(recorded)
  for name, line in pairs(headers) do
    if LIMITS[name] then
      take(name, line)
    end
  end
  for index, name in ipairs(recorded) do
    local value = shown[name]
    members[index] = cache[name] and cache[name][value] or member(name, value)
  end
  return values, "{" .. table.concat(members, ",", 1, #recorded) .. "}", is_cut, is_path_cut
end

-- Compiled, a loop that calls Envoy for each header takes three times as long.
jit.off(M.read)

return M
