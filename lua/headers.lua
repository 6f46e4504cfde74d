--- Reads header maps.
-- One walk finds the values that the filter uses, and the allowlisted headers as JSON text.
-- Values are cut to their bounds before masks, escapes and trace ids read them. Three modules read headers on
-- their own, uncut: sampling; and endpoints and peer, which have bounds of their own.

local config = require("config")
local bounds = require("bounds")
local json = require("json")
local redaction = require("redaction")
local structure = require("structure")
local utf8 = require("utf8")

local buffer = require("string.buffer")
local clear = require("table.clear")

local MAX_KNOWN, MAX_KNOWN_BYTES = 256, 160 -- lines that are remembered; bytes of each

-- By name: how many bytes of its value are taken; nil for headers that nobody looks at.
local LIMITS = { [":path"] = config.max_path_bytes, [":authority"] = 512, [":method"] = 64, [":scheme"] = 64 }
local USED = ":status content-type content-length content-encoding x-forwarded-proto "
  .. "traceparent b3 x-b3-traceid x-b3-spanid x-request-id "
  .. "x-envoy-peer-metadata-id x-forwarded-for x-envoy-external-address x-real-ip"
for name in USED:gmatch("%S+") do
  LIMITS[name] = config.max_header_value_bytes
end

-- Of recorded headers, by name: KEYS has the key in JSON, with what stands around it (names need no escapes);
-- MASKS has the function that masks a value.
local KEYS, MASKS = {}, {}
for shown_name in config.headers:gmatch("[^\n]+") do
  -- Envoy keeps Host as :authority, and finds it there for `headers:get("host")`, which the guide uses.
  local name = shown_name == "host" and ":authority" or shown_name
  LIMITS[name] = LIMITS[name] or config.max_header_value_bytes
  KEYS[name] = '"' .. shown_name .. '":"'
  MASKS[name] = redaction.header(shown_name)
end

-- A host that is too long is left out: the "@" that ends user information may be in what would be cut off.
local HOSTS = structure.words(":authority x-forwarded-host")

-- Lines as they are shown, by name and line, as most repeat from request to request. Only those are
-- remembered that masking leaves as they are, so no secret is.
local known, known_count = {}, 0

-- What the walk over the header map finds: values by name; what is shown of recorded headers, by name; and
-- the names of recorded headers, in order.
local values, shown, recorded = {}, {}, {}
-- How many bytes of recorded headers may still come; whether some of them were cut; whether the path was cut.
local left, is_cut, is_path_cut

local object = buffer.new()

--- A line of a recorded header as it is shown: masked, as JSON string content.
local function shown_line(name, line)
  local text = known[name] and known[name][line]
  if text then
    return text
  end
  local masked = MASKS[name](line)
  text = json.escape(utf8.repair(masked))
  if masked == line and #line <= MAX_KNOWN_BYTES then
    if known_count == MAX_KNOWN then
      known, known_count = {}, 0
    end
    known[name] = known[name] or {}
    known[name][line], known_count = text, known_count + 1
  end
  return text
end

--- What fits of a line, or nil if not even an empty line fits. Notes in `is_cut` and `is_path_cut` what it
-- cuts.
-- @param taken bytes of the same header so far, if it is repeated
local function bounded(name, line, taken)
  local room = LIMITS[name] - taken
  if KEYS[name] then
    room = math.min(room, left)
  end
  if #line <= room then
    return line
  end
  is_cut = is_cut or KEYS[name] ~= nil
  is_path_cut = is_path_cut or name == ":path"
  if room >= 0 then
    return HOSTS[name] and "" or bounds.cut(line, room)
  end
end

--- Takes one line of a header. Lines of one name are joined by ",", as `headers:get()` does. Each is masked
-- on its own, and they are bounded together.
local function take(name, line)
  local before = values[name]
  line = bounded(name, line, before and #before + 1 or 0)
  if not line then
    return
  end
  values[name] = before and before .. "," .. line or line
  if KEYS[name] then
    left = left - #line - 1
    local text = shown_line(name, line)
    if before then
      shown[name] = shown[name] .. "," .. text
    else
      shown[name], recorded[#recorded + 1] = text, name
    end
  end
end

--- The recorded headers that the walk has found: a JSON object.
local function shown_object()
  object:put("{")
  for index, name in ipairs(recorded) do
    object:put(index > 1 and "," or "", KEYS[name], shown[name], '"')
  end
  return object:put("}"):get()
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
  return values, shown_object(), is_cut, is_path_cut
end

-- Compiled, a loop that calls Envoy for each header takes three times as long.
jit.off(M.read)

return M
