--- Where a text has strings and objects, and where what starts in it ends.
-- Asked only where a name was secret. Quotes may be escaped, as they are in JSON that is a string of other
-- JSON: \"name\". Loops over bytes, which LuaJIT compiles. Takes any bytes.

local byte, find = string.byte, string.find

local QUOTE, APOSTROPHE, BACKSLASH, OPEN, CLOSE, LESS, BYTE_ORDER_MARK = byte("\"'\\{}<\239", 1, 7)

local M = {}

--- The set of the bytes of a text. It is an array over all bytes, as that is looked up faster than a hash.
function M.set(characters)
  local members = {}
  for code = 0, 255 do
    members[code] = find(characters, string.char(code), 1, true) ~= nil
  end
  return members
end

--- The words of a list, which white space parts, as a set.
function M.words(list)
  local members = {}
  for word in list:gmatch("%S+") do
    members[word] = true
  end
  return members
end

M.LETTERS = M.set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
local WHITE, ESCAPED_WHITE, JSON_STARTS = M.set(" \t\r\n"), M.set("nrt"), M.set('{["')
-- Bytes that JSON may have outside of its strings: with any other, a text is no JSON.
local BETWEEN = M.set(" \t\r\n[]{},:+-.0123456789Eaeflnrstu")
local DEPTH = { [byte("{")] = 1, [byte("[")] = 1, [byte("}")] = -1, [byte("]")] = -1 }

--- Where the first byte from `at` on stands that is not in a set.
function M.skip(text, at, members)
  while members[byte(text, at)] do
    at = at + 1
  end
  return at
end

--- How many backslashes stand before `at`.
local function escapes_before(text, at)
  local from = at
  while byte(text, from - 1) == BACKSLASH do
    from = from - 1
  end
  return at - from
end

--- Where the string closes that the quote at `at` opens, or nil if it does not up to `limit`. A quote that is
-- escaped more often than the opening one is a part of the string.
function M.closing_quote(text, at, limit)
  local sign, level = byte(text, at), escapes_before(text, at) + 1
  for stop = at + 1, limit do
    if byte(text, stop) == sign and math.floor(escapes_before(text, stop) / level) % 2 == 0 then
      return stop
    end
  end
end

--- Where the bracket at `at` is closed, or nil if it is not up to `limit`.
function M.closing_bracket(text, at, limit)
  local depth = 0
  while at <= limit do
    local code = byte(text, at)
    depth = depth + (DEPTH[code] or 0)
    if DEPTH[code] and depth <= 0 then
      return at
    elseif code == QUOTE or code == APOSTROPHE then
      at = M.closing_quote(text, at, limit) or limit
    end
    at = at + 1
  end
end

--- Where the first byte from `at` on stands that is neither white space nor an escape of it, such as `\n`.
function M.after_blank(text, at)
  while true do
    local stop = at
    while byte(text, stop) == BACKSLASH do
      stop = stop + 1
    end
    local blank = stop == at and WHITE or ESCAPED_WHITE
    if not blank[byte(text, stop)] then
      return at
    end
    at = stop + 1
  end
end

--- A text with what is known of its form. Whether it is JSON or markup is a guess from its first sign.
-- For `string_end`: the quotes of the last string (`opened`, `closed`), and how far was read (`checked`).
function M.document(text)
  local sign = byte(text, M.skip(text, byte(text, 1) == BYTE_ORDER_MARK and 4 or 1, WHITE))
  return {
    text = text,
    is_json = JSON_STARTS[sign] or false,
    is_markup = sign == LESS,
    opened = 0,
    closed = 0,
    checked = 0,
  }
end

--- Where the JSON string that `at` is in ends, or nil. Positions must not go back from call to call.
-- Once a byte shows that the text is no JSON, `is_json` becomes false, and all answers are nil.
function M.string_end(document, at)
  local text, index = document.text, math.max(document.closed, document.checked) + 1
  while document.is_json and index < at do
    document.checked = index
    if byte(text, index) == QUOTE then
      document.opened, document.closed = index, M.closing_quote(text, index, #text) or #text + 1
      index = document.closed
    end
    document.is_json, index = index == document.closed or BETWEEN[byte(text, index)], index + 1
  end
  return document.is_json and document.opened < at and at <= document.closed and document.closed - 1 or nil
end

--- Which object each of some positions is in: the object's number by position, or 0 outside of all objects.
-- Objects in the text of a string count, too; they end with their string.
-- @param positions in order
function M.objects_at(text, positions)
  local objects, depth, count, index, level = {}, 0, 0, 1, 0
  -- Of the open objects, by depth: their numbers, and in how many strings they are.
  local numbers, levels = { [0] = 0 }, { [0] = 0 }
  for at = 1, positions[#positions] do
    local code = byte(text, at)
    if at == positions[index] then
      objects[at], index = numbers[depth], index + 1
    elseif code == QUOTE then
      -- A quote of level 0, 1, 2 ... has 0, 1, 3 ... backslashes before it.
      local own = math.floor(math.log(escapes_before(text, at) + 1) / math.log(2) + 0.5)
      level = own < level and own or own + 1
      while levels[depth] > level do
        depth = depth - 1
      end
    elseif code == OPEN then
      depth, count = depth + 1, count + 1
      numbers[depth], levels[depth] = count, level
    elseif code == CLOSE and depth > 0 and levels[depth] == level then
      depth = depth - 1
    end
  end
  return objects
end

return M
