--- Decodes the escapes of URLs (%70, %u0070), of JSON (\u0070) and of markup (&#112; &#x70; &lt;).

local char, find, format, gsub = string.char, string.find, string.format, string.gsub

local ENTITIES =
  { lt = "<", gt = ">", amp = "&", quot = '"', apos = "'", LT = "<", GT = ">", AMP = "&", QUOT = '"' }

-- Bytes by two hexadecimal digits.
local BYTES = setmetatable({}, {
  __index = function(bytes, digits)
    bytes[digits] = char(tonumber(digits, 16))
    return bytes[digits]
  end,
})

local M = {}

--- UTF-8 of a code point, in hexadecimal digits.
local function utf8(digits)
  local code = tonumber(digits, 16)
  if code < 0x80 then
    return char(code)
  elseif code < 0x800 then
    return char(0xC0 + math.floor(code / 64), 0x80 + code % 64)
  end
  return char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

local function utf8_of_decimal(digits)
  return utf8(format("%x", digits))
end

--- Whether a text has escapes that may hide a sign or an ASCII letter. An escape of JSON for another letter,
-- as \u00e9, does not count: many harmless texts have it.
function M.may_hide(text)
  return find(text, "%", 1, true)
    or (find(text, "&", 1, true) and find(text, ";", 1, true))
    or (find(text, "\\u00", 1, true) and find(text, "\\u00[0-7]"))
end

--- A text with its escapes replaced, once.
function M.decoded(text)
  if find(text, "%", 1, true) then
    text = gsub(gsub(text, "%+", " "), "%%(%x%x)", BYTES) -- forms write a space as "+"
  end
  if find(text, "&", 1, true) then
    text = gsub(text, "&(%a%a%a?%a?);", ENTITIES)
    text = gsub(text, "&#[xX]0*(%x%x?%x?%x?);", utf8)
    text = gsub(text, "&#0*(%d%d?%d?%d?);", utf8_of_decimal)
  end
  if find(text, "\\u", 1, true) or find(text, "%u", 1, true) then
    text = gsub(text, "[\\%%]u(%x%x%x%x)", utf8)
  end
  return text
end

return M
