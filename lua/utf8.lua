--- Valid UTF-8 from any bytes (RFC 3629): what OTLP asks of each text.

local byte, sub = string.byte, string.sub

local REPLACEMENT = "\239\191\189" -- U+FFFD

local scratch = require("string.buffer").new()

--- The length of the sequence that a byte >= 0x80 starts; 0 if it starts none; nil if the text ends before
-- the sequence does.
-- The bounds of the second byte exclude overlong forms, surrogates and what is above U+10FFFF.
local function sequence_length(text, at, lead)
  if lead < 0xC2 or lead > 0xF4 then
    return 0
  end
  local length = lead < 0xE0 and 2 or lead < 0xF0 and 3 or 4
  local low = lead == 0xE0 and 0xA0 or lead == 0xF0 and 0x90 or 0x80
  local high = lead == 0xED and 0x9F or lead == 0xF4 and 0x8F or 0xBF
  for index = at + 1, at + length - 1 do
    local code = byte(text, index)
    if not code then
      return nil
    elseif code < low or code > high then
      return 0
    end
    low, high = 0x80, 0xBF
  end
  return length
end

--- The first byte that is not ASCII, or nil. LuaJIT compiles this loop, and would not compile a pattern.
local function first_beyond_ascii(text)
  for at = 1, #text do
    if byte(text, at) >= 0x80 then
      return at
    end
  end
end

local M = {}

--- A text with U+FFFD in place of each byte that belongs to no sequence.
-- @param text any bytes
-- @param is_cut whether the text's end was cut off: then a sequence that the text ends in is left out
-- @return the text; how many bytes were replaced
function M.repair(text, is_cut)
  local at = first_beyond_ascii(text)
  if not at then
    return text, 0
  end
  local kept_from, size, replaced = 1, #text, 0
  scratch:reset()
  while at <= size do
    local code = byte(text, at)
    local length = code < 0x80 and 1 or sequence_length(text, at, code)
    if not length and is_cut then
      size = at - 1
    elseif not length or length == 0 then
      scratch:put(sub(text, kept_from, at - 1), REPLACEMENT)
      kept_from, length, replaced = at + 1, 1, replaced + 1
    end
    at = at + (length or 1)
  end
  if kept_from == 1 then
    return sub(text, 1, size), 0
  end
  return scratch:put(sub(text, kept_from, size)):get(), replaced
end

return M
