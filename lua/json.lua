--- JSON string content: escapes and repairs UTF-8 in one pass.
-- Takes any bytes. Writes what is legal between the quotes of a JSON string (RFC 8259) and valid UTF-8
-- (RFC 3629): a byte that belongs to no sequence becomes U+FFFD.

local byte, sub = string.byte, string.sub
local buffer = require("string.buffer")

local REPLACEMENT = "\239\191\189"
local ESCAPES = {}
for code = 0, 31 do
  ESCAPES[code] = ("\\u%04x"):format(code)
end
for letter, plain in ('b\bf\fn\nr\rt\t""\\\\'):gmatch("(.)(.)") do
  ESCAPES[byte(plain)] = "\\" .. letter
end

local scratch = buffer.new()

local M = {}

--- Length of the sequence that a byte >= 0x80 starts, or 0 where there is none.
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
    if not code or code < low or code > high then
      return 0
    end
    low, high = 0x80, 0xBF
  end
  return length
end

--- Appends `text` to the string.buffer `out`.
-- A loop over bytes, as LuaJIT compiles it and does not compile patterns.
-- @return how many bytes were replaced, whether the text has a NUL byte
function M.put(out, text)
  local from, at, size = 1, 1, #text
  local replaced, has_nul = 0, false
  while at <= size do
    local code = byte(text, at)
    local length, instead = 1, nil
    if code >= 0x80 then
      length = sequence_length(text, at, code)
      if length == 0 then
        length, instead, replaced = 1, REPLACEMENT, replaced + 1
      end
    elseif code < 0x20 or code == 34 or code == 92 then
      instead = ESCAPES[code]
      has_nul = has_nul or code == 0
    end
    if instead then
      out:put(sub(text, from, at - 1), instead)
      from = at + 1
    end
    at = at + length
  end
  out:put(sub(text, from, size))
  return replaced, has_nul
end

--- `text` as JSON string content.
function M.escape(text)
  -- Most header values are plain: one C call tells.
  if not text:find("[^ !#-[%]^-~]") then
    return text
  end
  scratch:reset()
  M.put(scratch, text)
  return scratch:get()
end

--- `text` without the UTF-8 sequence that a cut at a byte limit left unfinished at its end.
function M.cut(text)
  local last = sub(text, -3):match("[\194-\244][\128-\191]*$")
  for _, rest in ipairs(last and { "\128\128\128", "\191\191\191" } or {}) do
    if sequence_length(last .. rest, 1, byte(last)) > #last then
      return sub(text, 1, -#last - 1)
    end
  end
  return text
end

return M
