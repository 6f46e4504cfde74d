--- What escapes hide: a text with those of URLs (%70), JSON (\u0070) and markup (&#112; &lt;) replaced.
-- Jumps from one escape to the next by plain find. A map leads from each byte of the plain text to where it
-- came from, so that what is found in the plain text can be masked in the text with escapes.

local byte, char, find, match, sub = string.byte, string.char, string.find, string.match, string.sub

local PERCENT, AND, HASH = byte("%&#", 1, 3)
local ENTITIES = { lt = "<", gt = ">", amp = "&", quot = '"', apos = "'" }
local SIGNS = { "%", "&", "\\u00" }

local out = require("string.buffer").new()

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

--- What the reference of markup at `at` stands for (&#112; &#x70; &lt;), and the position after it; or nil.
local function reference(text, at)
  if byte(text, at + 1) ~= HASH then
    local name, stop = match(text, "^(%a%a%a?%a?);()", at + 1)
    return name and ENTITIES[name:lower()], stop
  end
  local digits, stop = match(text, "^[xX]0*(%x%x?%x?%x?);()", at + 2)
  if not digits then
    local decimal
    decimal, stop = match(text, "^0*(%d%d?%d?%d?);()", at + 2)
    digits = decimal and ("%x"):format(decimal)
  end
  return digits and utf8(digits), stop
end

--- What the escape at `at` stands for, and the position after it; or nil where there is none.
local function escape_at(text, at)
  local code = byte(text, at)
  if code == PERCENT then
    local digits, stop = match(text, "^(%x%x)()", at + 1)
    return digits and char(tonumber(digits, 16)), stop
  elseif code == AND then
    return reference(text, at)
  end
  local digits, stop = match(text, "^([0-7]%x)()", at + 4)
  return digits and utf8(digits), stop
end

--- A text with its escapes replaced, once.
-- @return nil where it has none; else the plain text, and a map:
--   plain, raw: lists of positions, in the plain text and in the one with escapes, of the first byte and of
--     the byte after each escape;
--   is_narrow: all escapes are a URL's;
--   is_telling: some escape stands for more than the "%" or "&" of a further escape (%2570). If none does,
--     there is nothing new to find in the plain text
function M.decoded(text)
  local next_at = {}
  for index, sign in ipairs(SIGNS) do
    next_at[index] = find(text, sign, 1, true) or math.huge
  end
  local at = math.min(next_at[1], next_at[2], next_at[3])
  if at == math.huge then
    return nil
  end
  local plain, raw, is_narrow, is_telling, copied, size = { 1 }, { 1 }, true, false, 1, 0
  out:reset()
  while at < math.huge do
    local decoded, stop = escape_at(text, at)
    if decoded then
      is_narrow = is_narrow and byte(text, at) == PERCENT
      is_telling = is_telling or (decoded ~= "%" and decoded ~= "&")
      out:put(sub(text, copied, at - 1), decoded)
      size = size + at - copied + #decoded
      copied = stop
      plain[#plain + 1], raw[#raw + 1] = size + 1, stop
    end
    for index, sign in ipairs(SIGNS) do
      if next_at[index] == at then
        next_at[index] = find(text, sign, at + 1, true) or math.huge
      end
    end
    at = math.min(next_at[1], next_at[2], next_at[3])
  end
  if copied > 1 then
    local map = { plain = plain, raw = raw, is_narrow = is_narrow, is_telling = is_telling }
    return out:put(sub(text, copied)):get(), map
  end
end

--- The position in the text with escapes of a byte of the plain text. If an escape stood for it, that is
-- where the escape starts.
function M.raw_position(map, position)
  local plain, low, high = map.plain, 1, #map.plain
  while low < high do
    local middle = math.floor((low + high + 1) / 2)
    if plain[middle] <= position then
      low = middle
    else
      high = middle - 1
    end
  end
  return map.raw[low] + position - plain[low]
end

--- A name with all \uXXXX of JSON replaced, whatever letter they stand for.
function M.of_json(name)
  return find(name, "\\u", 1, true) and name:gsub("\\u(%x%x%x%x)", utf8) or name
end

return M
