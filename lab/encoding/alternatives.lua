--- Other ways to do what lua/json.lua and lua/fields.lua do, to be compared with them: lab/encoding.
-- Returns functions text -> text by name. All but `gsub` give the same text as the script.

local is_secret = ...

local byte = string.byte
local buffer = require("string.buffer")
local ffi = require("ffi")

local ESCAPES = {}
for code = 0, 31 do
  ESCAPES[code] = ("\\u%04x"):format(code)
end
for letter, plain in ('n\nr\rt\t""\\\\'):gmatch("(.)(.)") do
  ESCAPES[byte(plain)] = "\\" .. letter
end
local BY_CHARACTER = {}
for code, escaped in pairs(ESCAPES) do
  BY_CHARACTER[string.char(code)] = escaped
end

local M = {}

--- The usual way, as in rxi/json.lua and lunajson. Repairs no UTF-8.
function M.gsub(text)
  return (text:gsub('[%z\1-\31"\\]', BY_CHARACTER))
end

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

--- What one byte or sequence becomes, and its length.
local function step(text, at)
  local code = byte(text, at)
  if code < 0x80 then
    return ESCAPES[code], 1
  end
  local length = sequence_length(text, at, code)
  return length == 0 and "\239\191\189" or nil, math.max(length, 1)
end

--- The same loop as the script's, into a table.
function M.table_concat(text)
  local out, from, at = {}, 1, 1
  while at <= #text do
    local instead, length = step(text, at)
    if instead then
      out[#out + 1] = text:sub(from, at - 1)
      out[#out + 1] = instead
      from = at + 1
    end
    at = at + length
  end
  out[#out + 1] = text:sub(from)
  return table.concat(out)
end

local scratch = buffer.new()

--- Through a pointer: the fastest, and a wrong index would be a crash of the proxy.
function M.ffi(text)
  local pointer = scratch:reset():reserve(#text * 6)
  local size, at = 0, 1
  while at <= #text do
    local instead, length = step(text, at)
    if instead then
      ffi.copy(pointer + size, instead, #instead)
      size = size + #instead
    else
      for index = at, at + length - 1 do
        pointer[size] = byte(text, index)
        size = size + 1
      end
    end
    at = at + length
  end
  return scratch:commit(size):get()
end

local function string_end(text, at)
  local slashes
  repeat
    at = text:find('"', at + 1, true)
    slashes = 0
    while at and byte(text, at - 1 - slashes) == 92 do
      slashes = slashes + 1
    end
  until slashes % 2 == 0
  return at or #text + 1
end

--- JSON's secret strings, from quote to quote by patterns. Knows no other values and no nested texts.
function M.mask_by_patterns(text)
  local out, copied, at = {}, 1, 1
  while true do
    at = text:find('"', text:match("^[%s%d%[%]{}:,.+-]*()", at), true)
    if not at then
      return table.concat(out) .. text:sub(copied)
    end
    local close = string_end(text, at)
    local value = text:match('^%s*:%s*()"', close + 1)
    if value and is_secret(text:sub(at + 1, close - 1)) then
      local value_end = string_end(text, value)
      out[#out + 1] = text:sub(copied, value) .. "***"
      copied, close = value_end, value_end
    end
    at = close + 1
  end
end

return M
