--- Secrets that show by themselves, under any name: tokens, private keys, payment cards, well-known keys.
-- No text is read byte by byte for them. Plain finds look for ".eyJ", by which a token's second part starts
-- (`{"` in base64), and for "-----BEGIN" of private keys. Every seventh byte is looked at for card numbers.
-- Keys with a well-known prefix are looked for only where values start. The mask says what it hides.

local config = require("config")
local spans = require("spans")
local structure = require("structure")

local set, skip = structure.set, structure.skip
local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local QUOTE, BACKSLASH, COLON, COMMA, PLUS, MINUS, SPACE, ONE, BYTE_ORDER_MARK = byte('"\\:,+- 1\239', 1, 9)
local KEY = "***key***"

-- Prefixes, each with the least length of the rest: AWS, Google, GitHub, GitLab, Slack, Stripe, OpenAI,
-- Anthropic, npm, PyPI, SendGrid, Shopify, DigitalOcean, Vault, Hugging Face, Docker, Grafana.
local PREFIXES = "AKIA:16 ASIA:16 AIza:35 ya29.:20 GOCSPX-:24 ghp_:36 gho_:36 ghu_:36 ghs_:36 ghr_:36 "
  .. "github_pat_:60 "
  .. "glpat-:20 gldt-:20 glrt-:20 xoxa-:10 xoxb-:10 xoxe-:10 xoxp-:10 xoxr-:10 xoxs-:10 xapp-:10 sk_live_:16 "
  .. "rk_live_:16 whsec_:24 sk-proj-:40 sk-svcacct-:40 sk-ant-:40 sk-:40 npm_:36 pypi-:50 SG.:60 shpat_:32 "
  .. "dop_v1_:64 hvs.:24 hf_:30 dckr_pat_:24 glsa_:32"

local IS_ON = { jwt = false, pem = false, card = false, key = false }
for kind in config.redaction.values:gmatch("%l+") do
  IS_ON[kind] = true
end

-- The first bytes of prefixes: most values start with none of them, and cost no more. Prefixes by their first
-- two bytes.
local is_first, by_start = set(""), {}
for key in (IS_ON.key and PREFIXES or ""):gmatch("[^ ]+") do
  local colon = find(key, ":", 1, true)
  local prefix, least = sub(key, 1, colon - 1), sub(key, colon + 1)
  local start = sub(prefix, 1, 2)
  is_first[byte(prefix)], by_start[start] = true, by_start[start] or {}
  table.insert(by_start[start], { prefix = prefix, least = tonumber(least) })
end

local DIGIT, DOUBLED = set(""), {} -- a digit by its byte; by digit, what a doubled one adds to Luhn's sum
for digit = 0, 9 do
  DIGIT[48 + digit], DOUBLED[digit] = digit, digit < 5 and 2 * digit or 2 * digit - 9
end
local SEPARATOR, NUMBER = set(" -+"), set("0123456789 -+")
local BASE64URL = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
local IN_FRONT = set("\\\"'") -- of a value: its quote, escaped or not

local M = { KEY = KEY }

--- Where a well-known key stops that starts at `at`, or nil.
local function key_end(text, at)
  for _, key in ipairs(by_start[sub(text, at, at + 1)] or {}) do
    if sub(text, at, at + #key.prefix - 1) == key.prefix then
      local stop = match(text, "^[%w_.-]*()", at + #key.prefix)
      if stop - at - #key.prefix >= key.least then
        return stop - 1
      end
    end
  end
end

--- Where the value of the sign at `at` stops and starts, if it is a well-known key; else nil comes first.
-- A space and quotes may stand before the value.
function M.key_after(text, at)
  local start = at + 1
  local code = byte(text, start)
  if code == SPACE or code == PLUS then -- as forms write it
    start = start + 1
    code = byte(text, start)
  end
  if IN_FRONT[code] then
    start = skip(text, start, IN_FRONT)
    code = byte(text, start)
  end
  if is_first[code] then
    return key_end(text, start), start
  end
end

--- The well-known keys that stand after a sign: "/" in paths, "[" in arrays.
local function keys_after(text, sign)
  local list
  local at = find(text, sign, 1, true)
  while at do
    local stop, start = M.key_after(text, at + #sign - 1)
    list = stop and spans.add(list, start, stop, KEY) or list
    -- In an array of strings only the first item follows the "[": go on with the next item, after the comma.
    local is_string = sign == "[" and IN_FRONT[byte(text, at + 1)]
    local item = skip(text, at + 1, IN_FRONT)
    local close = is_string and find(text, sub(text, item - 1, item - 1), item, true)
    local comma = close and byte(text, close + 1) == COMMA and skip(text, close + 2, SEPARATOR) - 1
    at = comma or find(text, sign, (stop or at) + 1, true)
  end
  return list
end

--- Keys where a header's tokens start.
function M.tokens(text)
  local list
  for _, sign in ipairs({ " ", ",", ";", "(" }) do
    list = spans.merged(list, keys_after(text, sign))
  end
  return list
end

local function json_web_tokens(text)
  local list
  local at = find(text, ".eyJ", 1, true)
  while at do
    local start, stop = at, match(text, "^%.[%w_-]+%.?[%w_-]*%.?[%w_-]*%.?[%w_-]*()", at)
    while BASE64URL[byte(text, start - 1)] do
      start = start - 1
    end
    local header = find(sub(text, start, at), "eyJ", 1, true)
    list = header and spans.add(list, start + header - 1, stop - 1, "***jwt***") or list
    at = find(text, ".eyJ", stop - 1, true)
  end
  return list
end

--- Private keys. A key stops after its "-----END" line, if all before that can be bytes of a key. Else it
-- stops with its string, or with the text.
local function private_keys(text)
  local list
  -- `ending`: where the next "-----END" stands; `run`: where bytes stop that a key can have.
  local ending, run, at = 0, 0, find(text, "-----BEGIN", 1, true)
  while at do
    local stop = at + 9
    if find(sub(text, at, at + 64), "PRIVATE", 1, true) then
      run = run > at and run or match(text, "^[%w+/=,:\"'\\%s-]*()", at)
      ending = ending > at and ending or find(text, "-----END", at, true) or #text
      local _, dashes = find(text, "-----", ending < run and ending + 8 or run, true)
      stop = ending < run and (dashes or #text) or #match(text, '^[^"]*', at) + at - 1
      list = spans.add(list, at, stop, KEY)
    end
    at = find(text, "-----BEGIN", stop + 1, true)
  end
  return list
end

--- Where the longest card number stops that starts with the digit at `from`, or nil.
-- A card number has 13 to 19 digits, and a valid Luhn sum. The digits stand together, or in groups of 3 to 7
-- with the same separator between all of them.
local function card_end(text, from)
  local found, separator
  local length, group, at = 0, 0, from
  local sum, doubled = 0, 0 -- Luhn's sums of the digits so far: the last one counted once, and doubled
  while length <= 19 do
    local code = byte(text, at)
    local digit = DIGIT[code]
    if digit then
      sum, doubled = doubled + digit, sum + DOUBLED[digit]
      length, group = length + 1, group + 1
    else
      if
        length >= 13
        and sum % 10 == 0
        and group > 0
        and not (separator and group > 7)
        and not find(text, "^%.%d", at)
      then
        found = at - 1
      end
      separator = separator or code
      if separator ~= code or not SEPARATOR[code] or group < 3 or group > 7 then
        return found
      end
      group = 0
    end
    at = at + 1
  end
  return found
end

--- Whether a card number may start at `at`. None starts with 0 or 1, as times and ids do; nor in a word or a
-- fraction; nor after the "+" of a telephone number. The letter of an escape (`\n`) is no word.
local function may_start(text, at)
  local code = byte(text, at)
  if not DIGIT[code] or code <= ONE then
    return false
  end
  local before = sub(text, math.max(at - 2, 1), at - 1)
  return find(before, "^\\%l$")
    or not (find(before, "%w$") or find(before, "^%d%.$") or find(before, "^[^%w]?%+$"))
end

--- The quote of the name before the number at `from`, if that is a member's value: {"card": 4111...}
-- @return the quote with its backslashes, or ""; where the number starts, with its minus if there is a quote
local function quote_before(text, from)
  local start = byte(text, from - 1) == MINUS and from - 1 or from
  local at = start - 1
  while byte(text, at) == SPACE do
    at = at - 1
  end
  local stop = at - 1
  at = stop
  while byte(text, stop + 1) == COLON and byte(text, stop) == QUOTE and byte(text, at - 1) == BACKSLASH do
    at = at - 1
  end
  if byte(text, stop + 1) == COLON and byte(text, stop) == QUOTE then
    return sub(text, at, stop), start
  end
  return "", from
end

--- Card numbers in the run of digits and separators around `at`.
-- @param floor where the run starts at the earliest: what is before was read already
-- @return the list; the first byte after the run
local function cards_around(document, list, at, floor)
  local text, from, stop = document.text, at, skip(document.text, at, NUMBER)
  while from > floor and NUMBER[byte(text, from - 1)] do
    from = from - 1
  end
  while stop - from >= 13 do
    local card = may_start(text, from) and card_end(text, from)
    if card then
      -- A mask instead of a number of JSON needs quotes, and a minus is masked with its number.
      local quote, start = quote_before(text, from)
      if quote == "" and document.is_json and not structure.string_end(document, from) then
        quote, start = '"', byte(text, from - 1) == MINUS and from - 1 or from
      end
      list = spans.add(list, start, card, quote .. "***card***" .. quote)
    end
    from = (card or from) + 1
  end
  return list, stop
end

--- Looks at every seventh byte, as a card number is longer. So one of these bytes is a digit of it, or a
-- separator with a digit after it; and six more bytes of it stand on one side of that.
local function cards(document)
  local text, list, floor = document.text, nil, 1
  local at, size = 7, #document.text
  while at <= size do
    local code = byte(text, at)
    if
      NUMBER[code]
      and (DIGIT[code] or DIGIT[byte(text, at + 1)])
      and (
        NUMBER[byte(text, at + 6)] and NUMBER[byte(text, at + 3)]
        or NUMBER[byte(text, at - 6)] and NUMBER[byte(text, at - 3)]
      )
    then
      list, floor = cards_around(document, list, at, floor)
      at = math.max(at, floor - 1)
    end
    at = at + 7
  end
  return list
end

--- User information of URLs, which is a name and a password: https://user:password@host
-- @param slashes what the authority follows: "//", or "/\/" where JSON escapes the slashes
local function user_information(text, slashes)
  local list
  local at = find(text, slashes, 1, true)
  while at do
    local from = at + #slashes
    local authority = match(text, '^[^/?#<>"%s]*', from)
    local last = match(authority, "^.*()@")
    list = last and spans.add(list, from, from + last - 2, "***") or list
    at = find(text, slashes, from + math.max(#authority - 1, 0), true)
  end
  return list
end

--- The secrets of a document that show by their own form, or by their place in a URL.
function M.find(document)
  local text = document.text
  local list = IS_ON.jwt and json_web_tokens(text) or nil
  list = spans.merged(list, IS_ON.pem and private_keys(text) or nil)
  list = spans.merged(list, IS_ON.card and cards(document) or nil)
  if find(text, "@", 1, true) then
    list = spans.merged(spans.merged(list, user_information(text, "//")), user_information(text, "/\\/"))
  end
  -- Well-known keys where no form finds a value to start: at the start of the text, of a path's segments, of
  -- an array's items, of elements and of lines.
  local stop, start = M.key_after(text, byte(text) == BYTE_ORDER_MARK and 3 or 0)
  list = spans.merged(list, stop and spans.add(nil, start, stop, KEY) or nil)
  for _, sign in ipairs({ "/", "[", ">", "\n", "\\n" }) do
    list = spans.merged(list, keys_after(text, sign))
  end
  return list
end

return M
