--- The structure of a text.
-- It tells where strings, brackets and objects start and end, and makes sets of bytes and of words.
-- Most of it is called only where a name says something. Quotes may be escaped, as they are in JSON that is a
-- string of other JSON: \"name\". Takes any bytes.

local byte, char, find, match = string.byte, string.char, string.find, string.match

local QUOTE, APOSTROPHE, BACKSLASH, OPEN, CLOSE, LESS, COMMA = byte("\"'\\{}<,", 1, 7)

local M = {}

--- The set of the bytes that a pattern matches. It is an array over all bytes, which is looked up faster than
-- a hash. At 0 and behind the end of a text, `byte` returns nil, which is in no set: so loops end there.
function M.set(pattern)
  local members = {}
  for code = 0, 255 do
    members[code] = find(char(code), pattern) ~= nil
  end
  return members
end

-- LuaJIT would compile this loop for each pattern, and each pattern is used only once.
jit.off(M.set)

--- A set of words.
-- @param list the words, with white space between them
function M.words(list)
  local members = {}
  for word in list:gmatch("%S+") do
    members[word] = true
  end
  return members
end

M.WORD, M.SPACES = M.set("[%w_.-]"), M.set("%s")
-- ESCAPED_WHITE has the letters of the escapes `\n`, `\r` and `\t`. SIGNS may follow one another: `:=`, `=>`.
local WHITE, BACKSLASHES, ESCAPED_WHITE = M.set("[ \t\r\n]"), M.set("\\"), M.set("[nrt]")
local SIGNS = M.set("[:=>]")
-- What JSON may start with; what may stand between its strings, with "*" of masks; what may follow a string.
-- A text that has another byte there is no JSON.
local JSON_STARTS = M.set('[{["]')
local BETWEEN = M.set("[] \t\r\n[{},:+.%dEaeflnrstu*-]")
local AFTER_STRING = M.set("[] \t\r\n,:}]")
local DEPTH = { [byte("{")] = 1, [byte("[")] = 1, [byte("}")] = -1, [byte("]")] = -1 }

--- The position of the first byte from `at` on that is not in a set.
function M.skip(text, at, members)
  while members[byte(text, at)] do
    at = at + 1
  end
  return at
end

--- The position of the first byte from `at` on that is neither white space nor an escape of it. Such an
-- escape may have several backslashes: `\n`, and `\\n` in JSON inside of JSON.
function M.after_blank(text, at)
  local stop = at
  repeat
    at = M.skip(text, stop, WHITE)
    stop = M.skip(text, at, BACKSLASHES)
    stop = stop > at and ESCAPED_WHITE[byte(text, stop)] and stop + 1 or at
  until stop == at
  return at
end

--- The first byte of the value after the sign at `at`, which may be `:`, `=`, `:=`, `=>`.
function M.value_start(text, at)
  repeat
    at = M.after_blank(text, at + 1)
  until not SIGNS[byte(text, at)]
  return at
end

--- How many backslashes stand before `at`.
local function backslashes_before(text, at)
  local from = at
  while byte(text, from - 1) == BACKSLASH do
    from = from - 1
  end
  return at - from
end

--- The quote that closes the string that the quote at `at` opens, or nil. A quote that is escaped more often
-- than the opening one is a part of the string.
-- In JSON inside of JSON, quotes have backslashes before them. If the quotes of a string have N, it writes
-- each backslash of its own as N + 1 bytes (`level`). So the division tells how many of its own backslashes
-- stand before a quote. If their number is even, they escape each other. If it is odd, the last one escapes
-- the quote. In \"a\\\"b\", `level` is 2, and the quote in the middle has 3 backslashes before it: 3 / 2 is 1
-- backslash of its own, so this quote closes nothing.
-- @param limit it is not looked for behind this byte, but one that stands there may be returned
function M.closing_quote(text, at, limit)
  local sign, level = text:sub(at, at), backslashes_before(text, at) + 1
  local close = at
  repeat
    close = find(text, sign, close + 1, true)
  until not close or close > limit or math.floor(backslashes_before(text, close) / level) % 2 == 0
  return close
end

--- The bracket that closes the one at `at`, or nil if none does up to `limit`. Brackets of both kinds count
-- alike, and those in strings do not count. A string that does not end goes up to `limit`.
function M.closing_bracket(text, at, limit)
  local depth = 0
  while at <= limit do
    local code = byte(text, at)
    depth = depth + (DEPTH[code] or 0)
    if depth <= 0 then
      return at
    elseif code == QUOTE or code == APOSTROPHE then
      at = M.closing_quote(text, at, limit) or limit
    end
    at = at + 1
  end
end

--- A text with what is known of its form. Whether it is JSON or markup is a guess from its first sign.
-- `opened` and `closed` are the quotes of the string that `string_end` read last. next_sign, multipart,
-- parameters, markup and ends keep in it what they remember of the text, each under keys of its own.
function M.document(text)
  local sign = byte(text, match(text, "^\239?\187?\191?%s*()"))
  return { text = text, is_json = JSON_STARTS[sign], is_markup = sign == LESS, opened = 0, closed = 0 }
end

--- The last byte of the JSON string that `at` is in, before its quote; or nil. Positions must not go back
-- from call to call. Once a byte shows that the text is no JSON, `is_json` becomes false, and the answer
-- stays nil.
function M.string_end(document, at)
  local text, opened, closed = document.text, document.opened, document.closed
  while document.is_json and closed < at do
    opened = M.skip(text, closed + 1, BETWEEN)
    closed = M.closing_quote(text, opened, #text) or #text + 1
    -- If nothing follows a string, as it is the last thing of the text, that counts as a comma.
    local is_string = byte(text, opened) == QUOTE and AFTER_STRING[byte(text, closed + 1) or COMMA]
    document.is_json = is_string or opened > #text
  end
  document.opened, document.closed = opened, closed
  return document.is_json and opened < at and closed - 1 or nil
end

--- The position of the next sign, from `at` on; or the one after the text, if there is none. Positions must
-- not go back from call to call: the document remembers the answer under the sign, so that each byte is read
-- once.
-- @param is_pattern whether the sign is a pattern
function M.next_sign(document, sign, at, is_pattern)
  if (document[sign] or 0) < at then
    document[sign] = find(document.text, sign, at, not is_pattern) or #document.text + 1
  end
  return document[sign]
end

--- Which object each of some positions is in.
-- Braces in strings count, too: a string may be JSON.
-- @param positions in order; at none of them stands a brace
-- @return a table: by position, where its innermost object starts. It has no entry for a position outside of
--   all objects, and is empty if the braces do not match.
function M.objects_at(text, positions)
  -- The objects around `at`, outermost first. `false` comes ahead of them, and is closed only where no object
  -- is left to close.
  local objects, open, index = {}, { false }, 1
  for at = 1, #text do
    local code = byte(text, at)
    if at == positions[index] then
      objects[at], index = open[#open] or nil, index + 1
    elseif code == OPEN then
      open[#open + 1] = at
    elseif code == CLOSE then
      open[#open] = nil
      if #open == 0 then
        return {}
      end
    end
  end
  return #open == 1 and objects or {}
end

return M
