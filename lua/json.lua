--- JSON string content: escapes and repairs UTF-8 in one pass.
-- Takes any bytes. Writes what is legal between the quotes of a JSON string (RFC 8259) and valid UTF-8
-- (RFC 3629): a byte that belongs to no sequence becomes U+FFFD.

local byte = string.byte

local INVALID = "\239\191\189"
local ESCAPES = {}
for code = 0, 127 do
  ESCAPES[code] = code < 32 and ("\\u%04x"):format(code)
end
for letter, plain in ('n\nr\rt\t""\\\\'):gmatch("(.)(.)") do
  ESCAPES[byte(plain)] = "\\" .. letter
end

local scratch = require("string.buffer").new()

local M = {}

--- Length of the sequence that a byte >= 0x80 starts; 0 where there is none; nil where the text ends in it.
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

--- Any text as JSON string content.
-- A loop over bytes, as LuaJIT compiles it and does not compile patterns (lab/encoding).
-- @param is_cut whether a sequence that the text ends in was cut off, and is left out
-- @return the content: a buffer, until the next call; how many bytes were replaced
function M.encode(text, is_cut)
  local from, at, size, replaced = 1, 1, #text, 0
  scratch:reset()
  while at <= size do
    local code = byte(text, at)
    local length, instead = 1, nil
    if code >= 0x80 then
      length = sequence_length(text, at, code)
      if not length and is_cut then
        size = at - 1
      elseif (length or 0) == 0 then
        length, instead, replaced = 1, INVALID, replaced + 1
      end
    else
      instead = ESCAPES[code]
    end
    if instead then
      scratch:put(text:sub(from, at - 1), instead)
      from = at + 1
    end
    at = at + (length or 1)
  end
  return scratch:put(text:sub(from, size)), replaced
end

--- The same for a short text, which most often is plain: one C call tells.
function M.escape(text)
  return text:find("[^ !#-[%]^-~]") and M.encode(text):get() or text
end

return M
