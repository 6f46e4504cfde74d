--- Masks the secret fields of JSON: nested, of any type, with escaped keys, in JSON inside strings, line by
-- line (NDJSON), and cut off anywhere. Loops over bytes, which LuaJIT compiles, and does not compile patterns
-- (lab/encoding compares them). What is no JSON is left to `fields`, from where it is not.

local json = require("json")
local secrets = require("secrets")

local byte = string.byte

local QUOTE, BACKSLASH, COLON, LETTER_U = 34, 92, 58, 117
local BETWEEN = {}
for character in (" \t\r\n[]{},:+-.0123456789"):gmatch(".") do
  BETWEEN[byte(character)] = true
end
local SIGNS = { [COLON] = true, [37] = true, [38] = true, [60] = true, [61] = true } -- %&<=
local LITERALS = { ["true"] = true, ["false"] = true, null = true, e = true, E = true }
local DEPTH = { ["{"] = 1, ["["] = 1, ["}"] = -1, ["]"] = -1 }
local ESCAPED = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
-- {"name": "password", "value": ...}
local NAMING = { name = true, key = true, Name = true, Key = true, path = true, field = true }
local VALUE = { value = true, Value = true }

local M = {}

local function unescaped(letter, hex)
  if letter ~= "u" then
    return (ESCAPED[letter] or letter) .. hex
  end
  local code = tonumber(hex, 16) or 0
  return code < 128 and string.char(code) or "?"
end

--- Where the JSON string that opens at `at` closes, past the text where it was cut off.
-- @return the index; whether it has signs of a text with fields of its own
local function string_end(text, at)
  local signs = false
  repeat
    at = at + 1
    local code = byte(text, at)
    if code == BACKSLASH then
      -- Of all escapes only \u can hide a sign.
      at = at + 1
      signs = signs or byte(text, at) == LETTER_U
    elseif SIGNS[code] then
      signs = true
    end
  until code == QUOTE or not code
  return at, signs
end

--- Where the JSON value that starts at or after `at` ends; a number or literal ends before a delimiter.
local function value_end(text, at)
  local depth = 0
  at = text:match("^%s*()", at)
  if not text:find('^["{[%d-]', at) and not LITERALS[text:match("^%a*", at)] then
    return #text
  end
  while true do
    at = text:find('[]["{},\n]', at)
    if not at then
      return #text
    end
    local sign = text:sub(at, at)
    depth = depth + (DEPTH[sign] or 0)
    if sign == '"' then
      at = string_end(text, at)
    elseif depth < 0 or (depth == 0 and not DEPTH[sign]) then
      return at - 1
    end
    if depth == 0 then
      return at
    end
    at = at + 1
  end
end

--- Masks the secret fields of a JSON text.
-- @param mask function(text, depth) -> text: for texts inside strings
-- @return text; whether all of it was JSON, else it is as it was from where it was not
function M.mask(text, mask, depth)
  local out, copied, at, size = {}, 1, text:match("^\239?\187?\191?()"), #text
  local is_naming, named = false, false
  while at <= size do
    local code = byte(text, at)
    if BETWEEN[code] then
      at = at + 1
    elseif code == QUOTE then
      local close, signs = string_end(text, at)
      local from, to, instead = at + 1, close - 1, nil
      at = close + 1
      while (byte(text, at) or QUOTE) <= 32 do
        at = at + 1
      end
      local is_key = byte(text, at) == COLON
      if is_key or signs or is_naming then
        local plain = text:sub(from, to)
        if plain:find("\\", 1, true) then
          plain = plain:gsub("\\(.)(%x?%x?%x?%x?)", unescaped)
        end
        if is_key and (secrets.is_secret(plain) or (named and VALUE[plain])) then
          named = named and not VALUE[plain]
          instead = '"' .. secrets.MASK .. '"'
          if plain:find("[=:]") then
            instead = secrets.MASK .. '":' .. instead
          else
            from = at + 1
          end
          to = value_end(text, at + 1)
          -- What ends otherwise than a value does is not over.
          to = text:find("^%s*[]},]", to + 1) and to or size
          at = to + 1
        else
          if is_naming and not is_key then
            -- A long text is no name.
            named = named or (#plain < 99 and secrets.is_secret(plain))
          end
          local masked = signs and mask(plain, depth) or plain
          instead = masked ~= plain and json.escape(masked)
          is_naming = is_key and NAMING[plain]
        end
      end
      if instead then
        out[#out + 1] = text:sub(copied, from - 1) .. instead
        copied = to + 1
      end
    else
      local word = text:match("^%a*", at)
      if not (LITERALS[word] or (word ~= "" and at + #word > size)) then
        break
      end
      at = at + #word
    end
  end
  return table.concat(out) .. text:sub(copied), at > size
end

return M
