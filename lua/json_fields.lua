--- Masks the secret fields of JSON: nested, of any type, with escaped keys, in JSON inside strings, line by
-- line (NDJSON), and cut off anywhere. Loops over bytes: LuaJIT compiles them, and does not compile patterns.

local json = require("json")
local secrets = require("secrets")

local is_secret = secrets.is_secret
local concat = table.concat
local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local MASK = secrets.MASK
local QUOTE, BACKSLASH, COLON, LETTER_U = 34, 92, 58, 117

local function bytes(characters)
  local members = {}
  for index = 1, #characters do
    members[byte(characters, index)] = true
  end
  return members
end

local SPACE = bytes(" \t\r\n")
local BETWEEN = bytes(" \t\r\n[]{},:+-.0123456789")
local NESTED = bytes("=:<{[")
local LITERALS = { ["true"] = true, ["false"] = true, ["null"] = true, e = true, E = true }

local M = {}

local PLAIN = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function decoded(text)
  return (
    text:gsub("\\(.)(%x?%x?%x?%x?)", function(letter, hex)
      if letter ~= "u" then
        return (PLAIN[letter] or letter) .. hex
      end
      local code = tonumber(hex, 16) or 0
      return code < 128 and string.char(code) or "?"
    end)
  )
end

--- Where the JSON string that opens at `at` closes; one past the text where it was cut off.
-- @return the index; whether it has escapes; whether it has signs of a text with fields of its own
local function string_end(text, at)
  local size = #text
  local escaped, nested = false, false
  at = at + 1
  while at <= size do
    local code = byte(text, at)
    if code == QUOTE then
      return at, escaped, nested
    elseif code == BACKSLASH then
      -- Of all escapes only \u can hide a sign.
      at = at + 1
      escaped, nested = true, nested or byte(text, at) == LETTER_U
    elseif NESTED[code] then
      nested = true
    end
    at = at + 1
  end
  return size + 1, escaped, nested
end

--- Where the JSON value that starts at or after `at` ends; a number or literal ends before a delimiter.
local function value_end(text, at)
  local depth = 0
  at = match(text, "^%s*()", at)
  while true do
    at = find(text, '[]["{},\n]', at)
    if not at then
      return #text
    end
    local code = sub(text, at, at)
    if code == '"' then
      at = string_end(text, at)
    elseif code == "{" or code == "[" then
      depth = depth + 1
    elseif code == "}" or code == "]" then
      depth = depth - 1
    end
    if depth < 0 or (depth == 0 and (code == "," or code == "\n")) then
      return at - 1
    elseif depth == 0 then
      return at
    end
    at = at + 1
  end
end

--- Masks the secret fields of a JSON text.
-- @param mask function(text) -> text: for texts inside strings
-- @return text; whether all of it was JSON, else it is as it was from where it was not
function M.mask(text, mask)
  local out, copied, at, size = {}, 1, match(text, "^\239?\187?\191?()"), #text
  while at <= size do
    local code = byte(text, at)
    if BETWEEN[code] then
      at = at + 1
    elseif code == QUOTE then
      local close, escaped, nested = string_end(text, at)
      local after = close + 1
      while SPACE[byte(text, after)] do
        after = after + 1
      end
      local is_key = byte(text, after) == COLON
      local from, to, by
      if is_key or nested then
        local plain = sub(text, at + 1, close - 1)
        plain = escaped and decoded(plain) or plain
        if not is_key then
          by = mask(plain)
          from, to, by = at + 1, close - 1, by ~= plain and json.escape(by)
        elseif is_secret(plain) then
          from, to, by = after + 1, value_end(text, after + 1), '"' .. MASK .. '"'
        end
      end
      at = is_key and after + 1 or close + 1
      if by then
        out[#out + 1] = sub(text, copied, from - 1) .. by
        copied = to + 1
        at = math.max(at, copied)
      end
    else
      local word = match(text, "^%a+", at) or ""
      if not LITERALS[word] and (word == "" or at + #word <= size) then
        out[#out + 1] = sub(text, copied)
        return concat(out), false
      end
      at = at + #word
    end
  end
  return copied == 1 and text or concat(out) .. sub(text, copied), true
end

return M
