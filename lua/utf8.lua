--- Valid UTF-8 from any bytes.
-- It is what OTLP asks of each text (RFC 3629).

local buffer = require("string.buffer")
local ffi = require("ffi")

local WORDS = ffi.typeof("const int32_t *")
local REPLACEMENT = "\239\191\189" -- U+FFFD

local scratch = buffer.new()

--- The length of the sequence that starts at a position; 0 if none starts there; nil if the text ends before
-- the sequence does.
-- The bounds of the second byte exclude overlong forms, surrogates and what is above U+10FFFF.
local function sequence_length(text, at)
  local lead = text:byte(at)
  if lead < 0x80 then
    return 1
  elseif lead < 0xC2 or lead > 0xF4 then
    return 0
  end
  local length = lead < 0xE0 and 2 or lead < 0xF0 and 3 or 4
  local low = lead == 0xE0 and 0xA0 or lead == 0xF0 and 0x90 or 0x80
  local high = lead == 0xED and 0x9F or lead == 0xF4 and 0x8F or 0xBF
  for index = at + 1, at + length - 1 do
    local code = text:byte(index)
    if not code then
      return nil
    elseif code < low or code > high then
      return 0
    end
    low, high = 0x80, 0xBF
  end
  return length
end

--- A position before which all bytes are ASCII. It looks at four bytes at once, as most texts have no others.
local function after_ascii(text)
  local words, count = ffi.cast(WORDS, text), math.floor(#text / 4)
  for index = 0, count - 1 do
    if bit.band(words[index], 0x80808080) ~= 0 then
      return 4 * index + 1
    end
  end
  return 4 * count + 1
end

local M = {}

--- A text with U+FFFD in place of each byte that belongs to no sequence.
-- @param text any bytes
-- @param is_cut whether the text's end was cut off: then a sequence that does not end in the text is left out
-- @return the text; how many bytes were replaced
function M.repair(text, is_cut)
  local kept_from, at, size, replaced = 1, after_ascii(text), #text, 0
  while at <= size do
    local length = sequence_length(text, at)
    if not length and is_cut then
      size = at - 1 -- The loop ends.
    elseif not length or length == 0 then
      scratch:put(text:sub(kept_from, at - 1), REPLACEMENT)
      kept_from, length, replaced = at + 1, 1, replaced + 1
    end
    at = at + (length or 1)
  end
  if kept_from == 1 and size == #text then
    return text, 0 -- Most texts are valid, and to copy one takes time.
  end
  text = text:sub(kept_from, size)
  return replaced > 0 and scratch:put(text):get() or text, replaced
end

return M
