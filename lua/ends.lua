--- Masks the values of secret names.
-- It reads the name before a ":" or "=", finds the end of the value after it, and masks the value.
-- Fails closed: a value ends only where what follows shows it, such as a next name, a closing bracket, or the
-- end of its string or element. If nothing shows it, the rest of its JSON string or element is masked, and in
-- other texts all that follows.
-- Unless a function says otherwise, `at` is the position of the sign: the ":" or "=".

local harmless = require("harmless")
local names = require("names")
local spans = require("spans")
local structure = require("structure")

local after_blank, set, skip = structure.after_blank, structure.set, structure.skip
local byte, find, gmatch, match, sub = string.byte, string.find, string.gmatch, string.match, string.sub

local QUOTE, BACKSLASH, COLON, EQUALS, COMMA, SLASH, SPACE, OPEN_BRACKET, LESS = byte('"\\:=,/ [<', 1, 9)
local SPACES, WORD = structure.SPACES, structure.WORD
-- GAP may stand between a name and its sign, as in `"pin" :`, `**pin**:`, `[pin]=` and `Card No. #:`.
-- NAME_ENDS stand before the first byte of a name that has no quotes.
local GAP, NAME_ENDS = set("[] \t\r\n\\\"'`)*/._#]"), set("[ \t\r\n\\\"'`,;&?#{}()<>=:|/]")
-- OPENERS start a value that is an object or list. ESCAPED_WHITE has the letters of the escapes `\n`, `\r`,
-- `\t`.
local QUOTES, OPENERS, ESCAPED_WHITE = set("[\"']"), set("[{[]"), set("[nrt]")
-- A value in quotes or brackets is over if one of AFTER_VALUE follows it. One of CLOSERS ends a value without
-- quotes if white space or one of AFTER_CLOSERS follows: only then does it close what is around the value.
local AFTER_VALUE, AFTER_CLOSERS = set("[])}<>/?&;]"), set("[],;<\"'\\)}]")
-- SURE_BREAKS end a value without quotes, whatever follows. UNICODE may follow a backslash of \u0070,
-- \\u0070.
local CLOSERS, SURE_BREAKS, UNICODE = set("[])}]"), set("[&<]"), set("[u\\]")
-- The bytes of what has no quotes in JSON: numbers, constants.
local UNQUOTED = set('[^]%s{}[,"]')
-- A value that an earlier search has masked, if what may follow a value follows. Otherwise, the mask may be
-- only the start of the value.
local MASKED = "^(\\*[\"']?)%*%*%*%1()[ \t]*%f[];,)}<>\r\n%z]"
-- What may follow a comma between members: the start of an item, or the quote of a name. Or a closing
-- bracket, as some write a comma behind the last item, too.
local ITEM_STARTS = set("[]\"'{}[\\]")
-- The next item of a list, if it is a number or constant: a comma or bracket follows it, maybe after white
-- space.
local PLAIN_ITEM = "^[%w.+-]+%f[^%w.+-][%s\\nrt]*[],]"
-- A name and its sign: of a member, and of a parameter. Only one quote may stand before a member: each of
-- many may be a break, and would read all the others.
local NAME_SIGN, NAME_EQUALS = "^[\"']?[%w._$\128-\255-]+[\"']*%s*[:=]", "^[^&;?#\r\n%s\"'<>=]+[ \t]*="
-- A value may be a name itself: {"name": "password"}. QUOTING is around it, QUOTED are its bytes between
-- quotes, and BARE its bytes where it has no quotes.
local QUOTING, QUOTED, BARE = set("[\\\"']"), set("[^\"'<>&\r\n]"), set("[^\"'<>&= \t\r\n]")
-- A key of an object may be a token if it has digits, and with its quotes is longer than this.
local MAX_KEY = 18
-- So many bytes are read of the line before a name, and of a value that may be a name. Under a name that is
-- longer, an object is masked as a whole.
local MAX_NEAR = 128
-- How many bytes of unknown names `secret_members` may read for a text. Joined names are too long to be
-- remembered, so each of them takes time: 13 ms for so many.
local MAX_JOINED = 8192
-- Tags between a name and its value: <b>PIN:</b> 1234, <td><b>PIN:</b></td><td>1234</td>. No tag that starts
-- with "i" opens a cell, as it may be an input. No end tag has a "=": of many </pin=>, each would read all
-- that follow.
local END_TAG, START_TAG = "^</[^<>=]*>%s*()", "^<[^/>i][^<>]*>%s*()"

-- So many objects that do not end are read up to the end of the text; after them, so many bytes of each.
local MAX_MISSES, MAX_AHEAD = 2, 4096

local M = { MASK = "***" }

--- The first byte of the name whose last byte is at `stop`. It goes back: to a quote of the kind that stands
-- after the name, or if there is none, to a byte of NAME_ENDS. The backslash of \u0070 is a part of the name.
-- @param quote the one after the name, or nil
local function name_start(text, stop, quote)
  -- `code` is always the byte before `start`.
  local start, code, is_escape = stop + 1, byte(text, stop), false
  while start > 1 and code ~= quote and (quote or is_escape or not NAME_ENDS[code]) do
    start = start - 1
    code = byte(text, start - 1)
    is_escape = code == BACKSLASH and UNICODE[byte(text, start)]
  end
  if quote and code ~= quote then
    return name_start(text, stop, nil) -- The quote opens a value, as in '::1', or stands alone.
  end
  -- The `n` of an escape is no part of the name: "\npin: 1"
  return code == BACKSLASH and ESCAPED_WHITE[byte(text, start)] and start + 1 or start
end

--- The name before the sign at `at`, without quotes; and the position of its last byte.
function M.name_before(text, at)
  if byte(text, at - 1) == QUOTE then -- Most names are plain words in quotes, right before the sign.
    local open = at - 2
    while WORD[byte(text, open)] do
      open = open - 1
    end
    if open < at - 2 and byte(text, open) == QUOTE then
      return sub(text, open + 1, at - 2), at - 2
    end
  end
  local stop, quote = at - 1, nil
  local code = byte(text, stop)
  while GAP[code] or (ESCAPED_WHITE[code] and byte(text, stop - 1) == BACKSLASH) do
    quote = QUOTES[code] and code or quote
    stop = stop - 1
    code = byte(text, stop)
  end
  local start = name_start(text, stop, quote)
  -- A remark may stand behind the name. It ends with -ed or -nal: Password (required), PIN (optional).
  if byte(text, start - 2) == SPACE and find(text, "^%(%l+[^e][en][da]l?%)", start - 1) then
    return M.name_before(text, start - 1)
  end
  return sub(text, start, stop), stop
end

--- A name with up to two words before it, if single spaces or hyphens stand between them: `Card Number`,
-- `one-time code`. Up to 50 bytes before the name are read. They are reversed, so that the pattern can begin
-- at the name.
function M.with_words_before(text, name, stop)
  local start = stop - #name + 1
  if byte(text, start - 1) ~= SPACE then
    return name
  end
  local before = sub(text, math.max(start - 50, 1), stop):reverse()
  -- Before a name in ASCII, words are in ASCII: in “api key, the quote belongs to no word. A backslash starts
  -- the escape of a letter: Kh\u1ea9u.
  local word = find(name, "[\\\128-\255]") and "[%w\\\128-\255]*" or "%w*"
  return match(before, "^" .. word .. "[ -]?" .. word .. "[ -]?" .. word):reverse()
end

--- The value of the sign at `at`, as a name: without quotes, and if it is long only its beginning. If it is a
-- list that names a secret, that name: {"columns": ["user", "password"], "rows": ...}.
function M.told_name(text, at)
  local value = structure.value_start(text, at)
  if byte(text, value) == OPEN_BRACKET then
    -- Up to the next sign, as a list of names has none: so no byte is read for two signs.
    for item in gmatch(match(text, "[^%]{:=]*", value), "[^,\"']+") do
      if names.is_secret(item) then
        return item
      end
    end
  end
  local start = skip(text, value, QUOTING)
  start = byte(text, start - 1) == BACKSLASH and start - 1 or start -- The backslash may be that of \u0070.
  local stop, told = start, QUOTES[byte(text, start - 1)] and QUOTED or BARE
  -- A value without quotes ends before the escape of white space: "name: password\nvalue: x".
  while
    stop - start < MAX_NEAR
    and told[byte(text, stop)]
    and not (told == BARE and byte(text, stop) == BACKSLASH and ESCAPED_WHITE[byte(text, stop + 1)])
  do
    stop = stop + 1
  end
  -- In YAML, what follows may be the name of a member in the next line: no value.
  local is_nested = start == value and byte(text, stop - 1) == COLON
  return is_nested and "" or sub(text, start, stop - 1)
end

--- The last byte of the object or array that is the value of the sign at `at`; nil if the value is neither.
function M.contents_end(text, at, _, _, search)
  local start = structure.value_start(text, at)
  if not OPENERS[byte(text, start)] then
    return nil
  end
  local limit = search.misses < MAX_MISSES and #text or math.min(start + MAX_AHEAD, #text)
  local close = structure.closing_bracket(text, start, limit)
  search.misses = search.misses + (close and 0 or 1)
  return close or #text
end

--- The spans of what may be secret in the value of a secret name, which is an object or a list of objects:
-- {"token": {"type": "x", "value": "***"}}. A value belongs to the key right before it.
-- Also masked are: what is no JSON; a key that looks like a token, as the keys of a map may be tokens; and
-- every value, once too many unknown names were read.
-- It goes from token to token. A token is a string; or a run without quotes, such as a number; or one bracket
-- or comma: then that run is empty, and `stop` is before `at`.
local function secret_members(document, value, name)
  local list, key, at = nil, "", 1
  document.read_to = document.read_to or names.bytes_read + MAX_JOINED
  while at <= #value do
    local sign = byte(value, at)
    local stop = sign == QUOTE and (structure.closing_quote(value, at, #value) or #value)
      or skip(value, at, UNQUOTED) - 1
    local token, after = sub(value, at, stop), after_blank(value, math.max(at, stop) + 1)
    local is_key = byte(value, after) == COLON
    local is_secret = #token > MAX_KEY and find(token, "%d")
    if not is_key then
      is_secret = names.bytes_read > document.read_to or not harmless.as_member(name, key, token)
    end
    if is_secret then
      list = spans.add(list, at, stop, '"***"')
    end
    key, at = is_key and token or "", is_key and after_blank(value, after + 1) or after
  end
  return list
end

--- Whether what follows a comma is a next member: a name and its sign, or an item of a list.
local function starts_member(text, at)
  return ITEM_STARTS[byte(text, at)] or find(text, NAME_SIGN, at)
end

--- The last byte of the value that starts at `start` with a quote or bracket: the closing quote or bracket,
-- if what follows it shows that the value is over; else the limit.
-- @param sign the byte of the sign before the value; a comma in a list
-- @param quote the opening one with its backslashes; "" if the value starts with a bracket
local function closed_end(text, sign, start, quote, limit)
  local close = quote == "" and structure.closing_bracket(text, start, limit)
    or (quote ~= "" and structure.closing_quote(text, start + #quote - 1, limit))
  if not close or close > limit then
    return limit
  end
  local at = after_blank(text, close + 1)
  local is_over = at > limit or AFTER_VALUE[byte(text, at)]
  if byte(text, at) == COMMA then
    at = after_blank(text, at + 1)
    is_over = at > limit or starts_member(text, at) or (sign == COMMA and find(text, PLAIN_ITEM, at))
  elseif at > close + 1 then
    -- In a line behind a quoted value, a word, an item of a list or a section may follow, too; after "#", a
    -- comment. The break of the line may be escaped.
    local is_line = sign == EQUALS or (quote ~= "" and find(sub(text, close, at), "[\n\\#]"))
    is_over = is_over or find(text, NAME_SIGN, at) or (is_line and find(text, "^[%w_:#[-]", at))
  end
  return is_over and close or limit
end

--- Whether a break may end a value without quotes. What has to follow depends on the kind of break; a next
-- name is enough for each kind.
-- @param from the position of the break
-- @param to the last byte of the white space behind it
-- @param next_name a pattern
local function may_end(text, from, to, next_name)
  local code = byte(text, from)
  if code == COMMA then
    return starts_member(text, to + 1)
  end
  return SURE_BREAKS[code]
    -- The end of the text counts as a comma. Behind arguments of GraphQL, "{" may stand.
    or CLOSERS[code] and (to > from or AFTER_CLOSERS[byte(text, to + 1) or COMMA] or find(text, "^%){", from))
    or find(text, next_name, match(text, "^%- ()", to + 1) or to + 1) -- In YAML, a dash may stand before it.
    or (QUOTES[code] and find(text, "^/?[<>]", to + 1)) -- the quote of an attribute
end

--- Whether a value goes on behind a break, as in YAML: if the next line is indented deeper than the line of
-- the name. The dash before an item of a list counts as indent.
-- @param from, to as in `may_end`
local function goes_on(text, from, to, name_stop)
  local indent = byte(text, from) ~= COMMA and match(sub(text, from, to + 1), "^.*\n([ \t-]*)")
  local line = indent and "\n" .. sub(text, math.max(name_stop - MAX_NEAR, 1), name_stop)
  return line and #indent > #match(line, "^.*\n([ \t-]*)")
end

--- The last byte of the value without quotes and brackets that starts at `at`. The document remembers where
-- the next break is, so that no byte is searched for one twice.
-- @param breaks a pattern: a byte that may end the value
-- @param next_name a pattern: what may follow the value
-- @param name_stop the last byte of the name
local function bare_end(document, at, limit, breaks, next_name, name_stop)
  local text = document.text
  while true do
    local from = structure.next_sign(document, breaks, at, true)
    if from > limit then
      return limit
    end
    local to = skip(text, from + 1, SPACES) - 1 -- the white space behind it
    if may_end(text, from, to, next_name) and not goes_on(text, from, to, name_stop) then
      return from - 1
    end
    at = to + 1
  end
end

--- The first byte behind all tags of one kind that stand in a row from `at` on.
-- @param kind END_TAG or START_TAG
local function after_tags(tags, at, kind)
  local stop = match(tags, kind, at)
  return stop and after_tags(tags, stop, kind) or at
end

--- The last byte of the value that starts at `start`.
-- @param quote the one that opens it, with its backslashes; "" if it has none
local function value_end(document, at, start, quote, name_stop)
  local text, is_markup, sign = document.text, document.is_markup, byte(document.text, at)
  local is_member = sign ~= EQUALS
  -- Where the value ends at the latest: with its string, before the next end tag, or with the text.
  local limit = structure.string_end(document, at)
    or (is_markup and structure.next_sign(document, "</", at) - 1)
    or #text
  local _, masked = match(text, MASKED, start)
  -- In markup, tags may stand before the value: end tags, and then the start tags of a next cell. 1024 bytes
  -- of them are read; but not behind a ":" that is in a tag itself: of many </pin:>, each would read all.
  local tags = is_markup
      and byte(text, start) == LESS
      and not (is_member and find(sub(text, at, start), ">"))
      and sub(text, start, start + 1024)
    or ""
  local after_end = after_tags(tags, 1, END_TAG)
  local cell = after_tags(tags, after_end, START_TAG)
  if after_end > 1 and find(tags, "^[^<]", cell) then
    return structure.next_sign(document, "<", start + cell - 1) - 1
  elseif masked then
    return masked - 1 -- An earlier search has masked it.
  elseif quote ~= "" or OPENERS[byte(text, start)] then
    return closed_end(text, sign, start, quote, limit)
  elseif find(tags, "^<%a") or (is_member and byte(text, start) == SLASH) then
    return limit -- The value is in an element (PIN=<b>1234</b>), or behind what may be a comment.
  elseif not is_member then
    -- A parameter. It is read from behind the "=", as it may be empty: then a break stands right there.
    local breaks = is_markup and "[&<\"']" or "[&;?#\r\n]"
    return bare_end(document, at + 1, limit, breaks, NAME_EQUALS, name_stop)
  end
  local breaks = is_markup and "[,)%]}\"'\r\n]" or "[,)%]}\r\n]"
  return bare_end(document, start, limit, breaks, NAME_SIGN, name_stop)
end

--- Masks the value of the sign at `at`, with its quotes. If the value has none, the mask gets those of the
-- name: {"pin": 1234} becomes {"pin": "***"}. In an object of JSON under a secret name, only members are
-- masked.
-- @param name_stop the last byte of the name
-- @param name the name before the sign, or nil; it need not be secret by itself
-- @return the span: from, to, instead; or nothing if the value is no secret
function M.mask(document, at, name_stop, name)
  local text = document.text
  local start = structure.value_start(text, at)
  local quote = QUOTING[byte(text, start)] and match(text, "^\\*[\"']", start) or "" -- with its backslashes
  local to = value_end(document, at, start, quote, name_stop)
  local value = sub(text, start, to) -- with its quotes
  name = name or ""
  if harmless.by_value(value, name) then
    return
  end
  local is_object = byte(text, name_stop + 1) == QUOTE and find(value, "^%[?%s*{.*[]}]$")
  if is_object and #name < MAX_NEAR and names.is_secret(name) then
    return start, to, spans.apply(value, secret_members(document, value, name))
  end
  if quote == "" then -- Then it is the name's.
    quote = match(sub(text, name_stop + 1, at), "^[^\\\"']*(\\*[\"'])") or ""
  end
  return at + 1, to, quote .. M.MASK .. quote -- With the value, the space before it goes.
end

return M
