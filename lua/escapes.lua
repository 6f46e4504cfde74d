--- Decodes escapes.
-- These are the escapes of URLs, JSON and markup:
-- %70 and %u0070; \u0070; &#112;, &#x70; and &lt;. The wide colon of Chinese and Japanese counts as one, too.
-- Texts are full of them, and LuaJIT compiles no patterns: they are found by plain find, and read by tables.

local buffer = require("string.buffer")

local byte, char, find, sub = string.byte, string.char, string.find, string.sub

local COLON = "\239\188\154" -- U+FF1A, the wide one
local ENTITIES = { lt = "<", gt = ">", amp = "&", quot = '"', apos = "'" } -- HTML also has &LT; and others

-- Bytes by two hexadecimal digits.
local BYTES, DIGITS = {}, "0123456789abcdefABCDEF"
for high in DIGITS:gmatch(".") do
  for low in DIGITS:gmatch(".") do
    BYTES[high .. low] = char(tonumber(high .. low, 16))
  end
end

local out = buffer.new()

local M = {}

--- UTF-8 of a code point of at most 16 bits.
local function utf8_of(code)
  if code < 0x80 then
    return char(code)
  elseif code < 0x800 then
    return char(0xC0 + math.floor(code / 64), 0x80 + code % 64)
  end
  return char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

-- Each of the next three functions reads the escape at `at`. It returns what the escape stands for, or nil if
-- no escape is there; and the escape's last byte.

--- Of %70.
local function byte_at(text, at)
  return BYTES[sub(text, at + 1, at + 2)], at + 2
end

--- Of \u0070 and %u0070.
local function unicode_at(text, at)
  local high, low = BYTES[sub(text, at + 2, at + 3)], BYTES[sub(text, at + 4, at + 5)]
  return high and low and utf8_of(byte(high) * 256 + byte(low)), at + 5
end

--- Of &lt; &#112; &#x70;
local function reference_at(text, at)
  local hash, name, stop = text:match("^&(#?)(%w+)();", at)
  if hash == "" then
    return ENTITIES[name:lower()], stop
  end
  local code = hash and tonumber("0" .. name) -- It reads 112 as 0112, and x70 as 0x70.
  return code and code < 2 ^ 16 and utf8_of(code), stop
end

--- A text with each escape replaced that starts with a sign.
-- @param escape_at one of the functions above, which reads such escapes
local function replaced(text, sign, escape_at)
  local copied, at = 1, find(text, sign, 1, true)
  while at do
    local instead, stop = escape_at(text, at)
    if instead then
      out:put(sub(text, copied, at - 1), instead)
      at, copied = stop, stop + 1
    end
    at = find(text, sign, at + 1, true)
  end
  return copied > 1 and out:put(sub(text, copied)):get() or text
end

--- Whether a text may have escapes that hide a sign or an ASCII letter. An escape of JSON for another letter,
-- as \u00e9, does not count: many harmless texts have such escapes.
function M.may_hide(text)
  return find(text, "%", 1, true)
    or (find(text, "&", 1, true) and find(text, ";", 1, true))
    or (find(text, "\\", 1, true) and find(text, "u00", 1, true) and find(text, "\\u00[0-7]"))
    or find(text, COLON, 1, true)
    or find(text, "\\uff1a", 1, true) -- the same, as JSON may escape it
end

--- A text with its escapes replaced once: %2541 becomes %41.
function M.decoded(text)
  if find(text, "%", 1, true) then
    text = find(text, "+", 1, true) and text:gsub("%+", " ") or text -- as forms write a space
    text = replaced(text, "%", byte_at)
  end
  if find(text, ";", 1, true) then
    text = replaced(replaced(text, "&", reference_at), "&", reference_at) -- &amp;#112; in one round
  end
  text = replaced(replaced(text, "\\u", unicode_at), "%u", unicode_at)
  return find(text, COLON, 1, true) and text:gsub(COLON, ":") or text
end

return M
