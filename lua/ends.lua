--- Where a secret's name starts and its value ends, whatever the form. Fails closed.
-- What follows a value shows whether it ends there. Where that is not clear, the rest of its JSON string or
-- element is masked, and in other texts all that follows. Loops over bytes; a value is read twice.

local structure = require("structure")

local after_blank, set, skip = structure.after_blank, structure.set, structure.skip
local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local BACKSLASH, COLON, EQUALS, COMMA, GREATER, SPACE, NEWLINE = byte("\\:=,> \n", 1, 7)
local MAX_NAME = 128 -- bytes of a value that may be a name, as in {"name": "password"}; no name is longer

-- What may stand between a name and its sign; what ends a name that has no quotes.
local GAP, NAME_ENDS = set(" \t\r\n\\\"'])*/"), set(" \t\r\n\\\"'`,;&?#{}()<>=:|/")
local BACKSLASHES, QUOTES, DIGITS, OPENERS = set("\\"), set("\"'"), set("0123456789"), set("{[")
local CLOSERS, MEMBER_STARTS, ESCAPED_WHITE, VALUE_ENDS =
  set(")]}"), set("\"'{[\\"), set("nrt"), set("\"'\\<>&\r\n")
local BARE_ENDS = set("\"'\\<>&= \t\r\n") -- of a value without quotes
local WORD = set("._+-$!") -- with letters and digits: bytes of words without quotes, as a value or a name
for code = 0, 255 do
  WORD[code] = WORD[code] or structure.LETTERS[code]
end

local M = { MASK = "***", GAP = GAP }

--- The name before the sign at `at`, without quotes; where it starts and stops.
function M.name_before(text, at)
  local stop, quote = at - 1, nil
  local code = byte(text, stop)
  while GAP[code] or (ESCAPED_WHITE[code] and byte(text, stop - 1) == BACKSLASH) do
    quote = QUOTES[code] and code or quote
    stop = stop - 1
    code = byte(text, stop)
  end
  local start = stop + 1
  while start > 1 and code ~= quote and (quote or not NAME_ENDS[code]) do
    start = start - 1
    code = byte(text, start - 1)
  end
  if byte(text, start - 1) == BACKSLASH and ESCAPED_WHITE[byte(text, start)] then
    start = start + 1 -- the `n` is no part of the name: "\npin: 1"
  end
  return sub(text, start, stop), start, stop
end

--- A name with up to two words before it, where single spaces stand between them: `Card Number`. A name in
-- quotes stays as it is.
function M.with_words_before(text, start, stop)
  for _ = 1, GAP[byte(text, stop + 1)] and byte(text, stop + 1) ~= SPACE and 0 or 2 do
    local word = start - 2
    while byte(text, start - 1) == SPACE and WORD[byte(text, word)] do
      word = word - 1
    end
    start = word < start - 2 and word + 1 or start
  end
  return sub(text, start, stop)
end

--- Where the value of the sign at `at` starts.
function M.value_start(text, at)
  repeat
    at = after_blank(text, at + 1)
    local code = byte(text, at)
  until code ~= COLON and code ~= EQUALS and code ~= GREATER
  return at
end

--- The quote at `at`, with the backslashes before it; or nothing.
function M.quote_at(text, at)
  local quote = skip(text, at, BACKSLASHES)
  return QUOTES[byte(text, quote)] and sub(text, at, quote) or ""
end

--- Whether what stands at `at` is the name of a next member: a quote or bracket, or a word and ":".
local function starts_member(text, at)
  local stop = skip(text, at, WORD)
  return MEMBER_STARTS[byte(text, at)] or (stop > at and byte(text, after_blank(text, stop)) == COLON)
end

--- Where the value stops that starts at `at` with a quote or bracket.
-- @return nil where that is not closed up to `limit`; false where the value starts with neither
function M.closing(text, at, limit)
  local open = skip(text, at, BACKSLASHES)
  local code = byte(text, open)
  if QUOTES[code] then
    return structure.closing_quote(text, open, limit)
  end
  return OPENERS[code] and structure.closing_bracket(text, open, limit)
end

--- Whether what follows `stop` shows that a value ends there: nothing, a closing bracket, or the next member.
-- @param is_closed whether the value stops with a quote or bracket
function M.is_over(text, stop, limit, is_closed)
  local at = after_blank(text, stop + 1)
  local code = byte(text, at)
  if at > limit or CLOSERS[code] then
    return true
  elseif code ~= COMMA then
    return is_closed and at > stop + 1 and not MEMBER_STARTS[code] and starts_member(text, at)
  end
  at = after_blank(text, at + 1)
  local is_word_next = (is_closed or DIGITS[byte(text, stop)]) and starts_member(text, at)
  return at > limit or is_word_next or MEMBER_STARTS[byte(text, at)]
end

--- Where a sign stands first from `at` on, or nil. Positions must not go back from call to call, as the
-- document remembers where the sign was found. So each byte is read once.
function M.next_sign(document, sign, at)
  if (document[sign] or 0) < at then
    document[sign] = find(document.text, sign, at, true) or math.huge
  end
  return document[sign] < math.huge and document[sign] or nil
end

--- Where the line's value stops, as in `password: S`; nil unless a member or the end of the text follows.
function M.line_end(document, at)
  local text, newline = document.text, M.next_sign(document, "\n", at)
  local following = newline and after_blank(text, newline)
  return following and (following > #text or starts_member(text, following)) and newline - 1 or nil
end

--- Where a word stops that starts at `at`.
function M.word_end(text, at)
  return skip(text, at, WORD) - 1
end

--- Whether the value of the sign at `at` is a whole number.
function M.is_number(text, at)
  return match(text, "^%d+%f[^%w._+-]", M.value_start(text, at)) ~= nil
end

--- Where the object or array stops that is the value of the sign at `at`; nil where the value is neither.
function M.object_end(text, at)
  local start = M.value_start(text, at)
  return OPENERS[byte(text, start)] and (structure.closing_bracket(text, start, #text) or #text) or nil
end

--- Where the value of the sign at `at` starts and stops, without quotes; of a long one, the beginning.
function M.name_value(text, at)
  local start = M.value_start(text, at)
  local quote = M.quote_at(text, start)
  start = start + #quote
  local stop = start
  local value_ends = quote == "" and BARE_ENDS or VALUE_ENDS
  while
    stop - start < MAX_NAME and (not value_ends[byte(text, stop) or NEWLINE] or find(text, "^\\+u%x", stop))
  do
    stop = stop + 1
  end
  return start, stop - 1
end

return M
