--- Secrets that show by themselves.
-- Under any name, these are tokens, private keys, payment cards, well-known keys, and what stands in a
-- certain place: user information of a URL or a database's address, and what follows "Bearer" or `curl -u`.
-- No text is read byte by byte for them. Plain finds look for the "eyJ" of tokens (`{"` in base64), for the
-- "-----BEGIN" of private keys, for the "_", "-" or "." in the prefix of other keys, and for the "//" of
-- URLs. A card number is so long that one of every 13 bytes is a part of it: there, the run of such bytes is
-- read. The mask says what it hides.

local config = require("config")
local spans = require("spans")
local structure = require("structure")

local set, skip = structure.set, structure.skip
local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local BACKSLASH, DOT, PLUS, MINUS, PERCENT, ONE = byte("\\.+-%1", 1, 6)
-- What stands behind "Bearer": something with a digit, so no word. What stands behind the "-u" or "--user" of
-- curl. What stands behind the "//" of a URL: a name and a password, before the host.
local BEARER_TOKEN = "^[%a_./+-]*%d[%w._~+/=-]+()"
local LOGIN = '^\\?["\'$%a][^%s:/]*:[^%s"\\]+()'
local USER_INFORMATION = '^[^/?#<>"%s]+()@'
local KEY, CARD, TOKEN = "***key***", "***card***", "***jwt***"

-- Prefixes of keys, by the least length of such keys.
local PREFIXES = {
  [20] = "AKIA ASIA xapp- xox", -- AWS, Slack
  [24] = "gldt- glpat- glrt- rk_live_ sk_live_ ya29.", -- GitLab, Stripe, Google
  [28] = "GOCSPX- dckr_pat_ hf_ hvs. whsec_", -- Google, Docker, Hugging Face, Vault, Stripe
  [36] = "AIza gho_ ghp_ ghr_ ghs_ ghu_ glsa_ npm_ shpat_", -- Google, GitHub, Grafana, npm, Shopify
  [43] = "sk-", -- OpenAI, Anthropic
  [50] = "SG. dop_v1_ github_pat_ pypi-", -- SendGrid, DigitalOcean, GitHub, PyPI
}
local CARD_STEP, MAX_CARD = 13, 24 -- bytes: no card number has less or, with its separators, more

-- Keys are found by a sign: the first "_", "-" or "." of the prefix, or all of a prefix that has none. No two
-- prefixes share the three bytes that end with their sign. By these: the prefix, where in it the sign stops,
-- and the least length of the key. KEY_STARTS are the first three bytes of the prefixes.
local KEY_SIGNS, KEYS, KEY_STARTS = { "_", "-", ".", "AKIA", "ASIA", "AIza", "xox" }, {}, {}
for least, prefixes in pairs(PREFIXES) do
  for prefix in prefixes:gmatch("%S+") do
    local sign_stop = match(prefix, "^%w*[_.-]?()") - 1
    KEYS[sub(prefix, sign_stop - 2, sign_stop)] = { prefix = prefix, sign_stop = sign_stop, least = least }
    KEY_STARTS[sub(prefix, 1, 3)] = true
  end
end

local KEY_BYTES = structure.WORD
local LETTERS = set("%w")
local SEPARATORS, NUMBER, LOGIN_ENDS = set("[ +-]"), set("[%d +-]"), set("[%s\"']")
local DIGITS, DOUBLED = set("%d"), {} -- a digit by its byte; by digit, what a doubled one adds to Luhn's sum
for digit = 0, 9 do
  DIGITS[48 + digit], DOUBLED[digit] = digit, digit < 5 and 2 * digit or 2 * digit - 9
end

--- Where the key starts and stops whose sign stops at `at`; nil where none does. It starts a word; but the
-- letter of an escape (`\n`) may stand before it.
local function key_around(text, at)
  local key = KEYS[sub(text, at - 2, at)]
  local start = key and at - key.sign_stop + 1
  local starts_word = key and (not KEY_BYTES[byte(text, start - 1)] or byte(text, start - 2) == BACKSLASH)
  if starts_word and sub(text, start, start + #key.prefix - 1) == key.prefix then
    local stop = skip(text, start, KEY_BYTES)
    if stop - start >= key.least then
      return start, stop - 1
    end
  end
end

--- Keys with a well-known prefix.
local function keys(text)
  local list
  for _, sign in ipairs(KEY_SIGNS) do
    local found
    local at = find(text, sign, 1, true)
    while at do
      local start, stop = key_around(text, at + #sign - 1)
      found = spans.add(found, start, stop, KEY)
      at = find(text, sign, (stop or at) + 1, true)
    end
    list = spans.merged(list, found)
  end
  return list
end

--- JSON Web Tokens, signed or encrypted: three to five parts, of which the second may be empty; or two, if
-- the second starts like JSON, too.
local function tokens(text)
  local list
  local at = find(text, "yJ", 2, true) -- "y" is rarer than "e"
  while at do
    local header_end = match(text, "^[%w_-]*()", at)
    local stop = match(text, "^%.[%w_-]*%.[%w_-]*%.?[%w_-]*%.?[%w_-]*()", header_end)
      or match(text, "^%.eyJ[%w_-]*()", header_end)
    local is_token = stop and sub(text, at - 1, at) == "ey"
    list = is_token and spans.add(list, at - 1, stop - 1, TOKEN) or list
    at = find(text, "yJ", is_token and stop or header_end, true)
  end
  return list
end

--- Private keys: up to the end of the "-----END" line. If bytes come before it that no key has, up to the end
-- of the string. If the text ends before it, up to there.
local function private_keys(text)
  local list
  local at = find(text, "-----BEGIN", 1, true)
  while at do
    local stop = at + 9
    if find(sub(text, at, at + 64), "PRIVATE", 1, true) then
      local content = match(text, "^[^-]*%-*()", stop + 1)
      local ending = find(text, "-----", content, true) or #text + 1
      local is_key = not find(sub(text, content, ending - 1), "[^%w+/=,:\"'\\%s-]")
      stop = (is_key and match(text, "^%-*[^-]*%-*()", ending) or match(text, '^[^"]*()', content)) - 1
      list = spans.add(list, at, stop, KEY)
    end
    at = find(text, "-----BEGIN", stop + 1, true)
  end
  return list
end

--- Whether the digits of text[from, to] may be those of a card: 13 to 19, with a valid Luhn sum.
local function is_card(text, from, to)
  local sum, count, is_doubled = 0, 0, false
  for at = to, math.max(from, to - MAX_CARD), -1 do
    local digit = DIGITS[byte(text, at)]
    if digit then
      sum = sum + (is_doubled and DOUBLED[digit] or digit)
      count, is_doubled = count + 1, not is_doubled
    end
  end
  return count >= 13 and count <= 19 and sum % 10 == 0
end

--- Where the longest card number stops that starts at `from`, or nil. Its digits stand together, or in groups
-- of 3 to 7 with the same separator between all of them; the last group may be shorter. If a letter or a
-- fraction follows, it is a hash, a time or an amount.
local function card_end(text, from)
  local start, separator, card = from, nil, nil
  while start - from < MAX_CARD do
    local stop = skip(text, start, DIGITS)
    local size, following = stop - start, byte(text, stop)
    local may_be_last = not separator or (size > 0 and size <= 7) -- The first one may have all digits.
    local is_end = not LETTERS[following] and not find(text, "^%.%d", stop)
    if may_be_last and is_end and is_card(text, from, stop - 1) then
      card = stop - 1
    end
    separator = separator or following
    if size < 3 or size > 7 or following ~= separator or not SEPARATORS[separator] then
      break -- No group follows.
    end
    start = stop + 1
  end
  return card
end

--- Whether a card number may start at `at`. None starts with 0 or 1, as times and ids do; nor in a word or a
-- fraction; nor after the "+" of a telephone number. The letter of an escape (`\n`) is no word.
local function may_start(text, at)
  local code, before, second = byte(text, at), byte(text, at - 1), byte(text, at - 2)
  if not DIGITS[code] or code <= ONE then
    return false
  elseif LETTERS[before] then
    return second == BACKSLASH
  elseif before == PLUS then
    return LETTERS[second] -- a space, as forms write it
  elseif before == PERCENT then
    return not find(text, "^%d+%%%x%x", at) -- Before another escape, the digit is one of an escape: %2217%22
  end
  return before ~= DOT or not DIGITS[second]
end

--- Adds a card number to a list. A mask in place of a number of JSON needs quotes: those of the name before
-- it, which may be escaped. There, a minus is masked with its number.
local function add_card(document, list, from, to)
  local text = document.text
  local before = sub(text, math.max(from - 16, 1), from - 1):reverse()
  local quote = match(before, '^%-?%s*:%s*("\\*)')
    or (document.is_json and not structure.string_end(document, from) and '"')
  if quote and byte(before) == MINUS then
    from = from - 1
  end
  quote = (quote or ""):reverse()
  return spans.add(list, from, to, quote .. CARD .. quote)
end

--- Payment card numbers, in runs of digits and separators.
local function cards(text)
  local document, list, run_end = nil, nil, 1
  for at = CARD_STEP, #text, CARD_STEP do
    -- If this is a byte of a card number, which has 13 or more, the byte 6 before it or the one 6 after it is
    -- another.
    local is_number = NUMBER[byte(text, at)] and at > run_end
    if is_number and (NUMBER[byte(text, at + 6)] or NUMBER[byte(text, at - 6)]) then
      local from = at
      while from > run_end and NUMBER[byte(text, from - 1)] do
        from = from - 1
      end
      run_end = skip(text, at, NUMBER)
      while run_end - from >= 13 do
        local card = may_start(text, from) and card_end(text, from)
        if card then
          document = document or structure.document(text)
          list = add_card(document, list, from, card)
        end
        from = (card or from) + 1
      end
    end
  end
  return list
end

--- What stands behind a sign and is no value by its own form.
-- @param secret a pattern: the secret, and where it stops
local function behind(text, sign, secret)
  local list
  local at = find(text, sign, 1, true)
  while at do
    local from = at + #sign
    local stop = match(text, secret, from)
    list = stop and spans.add(list, from, stop - 1, "***") or list
    at = find(text, sign, from, true)
  end
  return list
end

--- What stands before the "@" of a database's address: user:password@tcp(host:3306)/name
local function database_logins(text)
  local list, done = nil, 0
  local at = find(text, "@tcp(", 1, true)
  while at do
    local from = at
    while from > done + 1 and not LOGIN_ENDS[byte(text, from - 1)] do
      from = from - 1
    end
    list = from < at and spans.add(list, from, at - 1, "***") or list
    at, done = find(text, "@tcp(", at + 1, true), at
  end
  return list
end

local FINDERS, finders = { jwt = tokens, pem = private_keys, card = cards, key = keys }, {}
for kind in config.redaction.values:gmatch("%l+") do
  finders[#finders + 1] = FINDERS[kind]
end

local M = {}

--- The secrets of a text that show by their own form, or by their place.
function M.find(text)
  local list
  for _, find_values in ipairs(finders) do
    list = spans.merged(list, find_values(text))
  end
  if find(text, "@", 1, true) then
    list = spans.merged(list, behind(text, "//", USER_INFORMATION))
    list = spans.merged(list, behind(text, "/\\/", USER_INFORMATION)) -- as JSON may escape it
    list = spans.merged(list, database_logins(text))
  end
  -- Plain find stops wherever the first byte of a sign stands. So two finds of rare bytes take less time than
  -- one for "earer ", and one for "-u " takes less than one for " -u ".
  list = spans.merged(list, behind(text, "Bearer ", BEARER_TOKEN))
  list = spans.merged(list, behind(text, "bearer ", BEARER_TOKEN))
  list = spans.merged(list, behind(text, "--user ", LOGIN))
  return spans.merged(list, behind(text, "-u ", LOGIN))
end

--- Where a text that was cut off has to end, so that it does not end with the beginning of a key, token or
-- card number. Up to six bytes of a number stay: of a card, they tell no more than who issued it.
function M.last_whole(text)
  local word, number = #text, #text
  while KEY_BYTES[byte(text, word)] do
    word = word - 1
  end
  while NUMBER[byte(text, number)] and number > #text - MAX_CARD do
    number = number - 1
  end
  local start = sub(text, word + 1, word + 3)
  if start == "eyJ" or KEY_STARTS[start] then
    return word
  end
  for at = number + 1, #text - 6 do
    if may_start(text, at) then
      return at - 1
    end
  end
  return #text
end

return M
