--- Secrets that show by themselves.
-- Under any name, these are tokens, private keys, payment cards, well-known keys, and what stands in a
-- certain place: user information of a URL or of a database's address, what follows "Bearer", the login of
-- curl (-u), the private members of a JSON Web Key. The mask of a token, key or card says what it hides:
-- ***jwt***.
-- No text is read byte by byte for them. Plain finds look for the "eyJ" or "eyAi" that tokens start with, for
-- the "-----BEGIN" of private keys, for the "_", "-" or "." in the prefix of other keys, and for the "//" of
-- URLs. A card number has 13 bytes or more, so it is enough to look at every 13th byte of a text: if that is
-- a digit or a separator, the run of them around it is read.

local config = require("config")
local spans = require("spans")
local structure = require("structure")

local set, skip, WORD = structure.set, structure.skip, structure.WORD
local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local BACKSLASH, DOT, PLUS, MINUS, PERCENT = byte("\\.+-%", 1, 5)
-- Patterns of secrets behind some signs. They return where the secret starts, and the position after it.
-- "Bearer": a token has a digit, as otherwise it may be a word of a sentence. JSON may escape the tab before
-- it: the mask covers that escape, too, as its letter looks like one of the token. In forms, "+" is a space
-- and ends the token (PLACES): so no byte is read twice in Bearer+a+Bearer+a.
local BEARER_TOKEN = "^%f[ \t\\][ \t]*()\\?[%a_./+-]*%d[%w._~+/=-]*()"
-- The "-u " or "--user " of curl: user:password, maybe in quotes or from a variable ($USER:...).
local LOGIN = '^()\\?["\'$%a][^%s:/]*:[^%s"\\]+()'
-- What follows the "//" of a URL: user:password, up to the "@" before the host.
local USER_INFORMATION = '()[^/?#<>"%s]+()@'
-- What follows the name of a member of a JSON Web Key.
local JWK_VALUE = '^\\*"%s*:%s*\\*"()[^"\\]+()'
-- Plain find stops at each byte that is the sign's first one. So "Bearer" and "bearer", which start with rare
-- bytes, together take less time than "earer" would; and "-u " takes less than " -u ".
local PLACES = {
  Bearer = BEARER_TOKEN,
  bearer = BEARER_TOKEN,
  BEARER = BEARER_TOKEN,
  ["Bearer+"] = "^()[%a_./-]*%d[%w._~/=%%-]*()",
  ["--user "] = LOGIN,
  -- The host of Slack's webhooks ends with this sign. JSON may escape slashes.
  ["k.com"] = "^\\?/services\\?/T%w+\\?/B%w+\\?/()%w+()",
  ["-u "] = LOGIN,
}
local KEY = "***key***"

-- Prefixes of keys, by the least length of such keys in bytes.
local PREFIXES = {
  -- AWS, Slack
  [20] = "AKIA ASIA xapp- xox",
  -- GitLab, Stripe, Google
  [24] = "glcbt- gldt- glft- glpat- glrt- rk_live_ sk_live_ ya29.",
  -- Google, New Relic, Docker, Hugging Face, Vault, Square, Stripe
  [28] = "GOCSPX- NRAK- dckr_pat_ hf_ hvs. sq0atp- whsec_",
  -- Google, Figma, GitHub, GitLab, Grafana, npm, PlanetScale, Replicate, Shopify
  [36] = "AIza figd_ gho_ ghp_ ghr_ ghs_ ghu_ glptt- glsa_ npm_ pscale_ r8_ shpat_ shpca_ shppa_ shpss_",
  -- Linear, Notion, HubSpot, Pulumi, Supabase, OpenAI, Anthropic, Square
  [43] = "lin_api_ lin_oauth_ ntn_ pat-eu1- pat-na1- pul- sbp_ sk- sq0csp-",
  -- Atlassian, Postman, SendGrid, DigitalOcean, GitHub, Grafana, GitLab, Groq, Vault, NVIDIA, Perplexity,
  -- PyPI, RubyGems, Sentry, xAI, Brevo
  [50] = [[ATATT PMAK- SG. doo_v1_ dop_v1_ dor_v1_ github_pat_ glc_ gloas- gsk_ hvb. nvapi- pplx- pypi-
    rubygems_ sntrys_ xai- xkeysib-]],
}
-- A card number has 13 to 19 digits, and with a separator between all of them up to 37 bytes. Of each
-- CARD_STEP bytes of a text, one is looked at (`cards`).
local CARD_STEP, MAX_CARD, MAX_DIGITS = 13, 37, 19

-- Keys are found by a sign: the first "_", "-" or "." of their prefix, or all of a prefix that has none.
-- KEYS tells what a sign may belong to, by the three bytes that end with it: "ub_" of github_pat_. An entry
-- has a prefix, the position in it where the sign stops, and the least length of the key. `other` is a
-- further entry with the same three bytes: "sk_" of sk_live_ and gsk_.
-- KEY_STARTS has the first three bytes of each prefix.
local KEY_SIGNS, KEYS, KEY_STARTS = { "_", "-", ".", "AKIA", "ASIA", "ATATT", "AIza", "xox" }, {}, {}
for least, prefixes in pairs(PREFIXES) do
  for prefix in prefixes:gmatch("%S+") do
    local sign_stop = match(prefix, "^%w*[_.-]?()") - 1
    local sign = sub(prefix, sign_stop - 2, sign_stop)
    KEYS[sign] = { prefix = prefix, sign_stop = sign_stop, least = least, other = KEYS[sign] }
    KEY_STARTS[sub(prefix, 1, 3)] = true
  end
end

local LETTERS = set("%w")
local SEPARATORS, NUMBER, LOGIN_ENDS = set("[ +-]"), set("[%d +-]"), set("[%s\"']")
local DIGITS = set("%d") -- By the byte of a digit, its value; false for other bytes.
for digit = 0, 9 do
  DIGITS[48 + digit] = digit
end

--- Whether what follows a prefix is words and no key: ASIA_PACIFIC_EXCLUDING_JAPAN,
-- sk-hynix-platinum-p41-2tb. Words have signs between them. A key that has signs, too, is random: in it, a
-- capital follows a small letter or digit, or digits and letters take turns, or there is a long number,
-- decimal or hexadecimal.
local function is_words(rest)
  local is_random = find(rest, "[%l%d]%u")
    or find(rest, "%d%a+%d%a+%d")
    or find(rest, "%d%d%d%d%d%d")
    or find(rest, "%x%x%x%x%x%x%x%x%x%x%x%x")
  return find(rest, "[_.-]%w") and not is_random
end

--- Whether a word starts at `at`: before it stands no byte of a word, or one that belongs to an escape, as in
-- \n and \u53f7.
local function starts_word(text, at)
  return not WORD[byte(text, at - 1)]
    or byte(text, at - 2) == BACKSLASH
    or (byte(text, at - 6) == BACKSLASH and find(text, "^u%x%x%x%x", at - 5))
end

--- The first and the last byte of the key whose sign stops at `at`, or nil. A key starts a word.
local function key_around(text, at)
  local key = KEYS[sub(text, at - 2, at)]
  while key do
    local start = at - key.sign_stop + 1
    if starts_word(text, start) and sub(text, start, start + #key.prefix - 1) == key.prefix then
      local stop = skip(text, start, WORD)
      if stop - start >= key.least and not is_words(sub(text, start + #key.prefix, stop - 1)) then
        return start, stop - 1
      end
    end
    key = key.other
  end
end

-- The finders. Each returns the spans of one kind of secret, or nil. Each has a loop of its own: one loop for
-- all, which took what it looks for as a function, made a small request 5% dearer.

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

--- JSON Web Tokens, signed or encrypted: three to five parts with "." between them, of which the second may
-- be empty. Two parts are enough if the second starts like JSON, too.
-- @param sign the header's first bytes without its "e", as plain find is slow for a first byte that texts are
--   full of
local function tokens_with(text, sign)
  local list
  local at = find(text, sign, 2, true)
  while at do
    local header_end = match(text, "^[%w_-]*()", at)
    local stop = match(text, "^%.[%w_-]*%.[%w_-]*%.?[%w_-]*%.?[%w_-]*()", header_end)
      or match(text, "^%.ey[JA][%w_-]*()", header_end)
    local is_token = stop and sub(text, at - 1, at) == "ey"
    list = is_token and spans.add(list, at - 1, stop - 1, "***jwt***") or list
    at = find(text, sign, header_end, true)
  end
  return list
end

--- In base64, a header that starts with `{"` starts with "eyJ", and one that starts with `{ "` with "eyAi".
local function tokens(text)
  return spans.merged(tokens_with(text, "yJ"), tokens_with(text, "yAi"))
end

--- Private keys: up to the end of the "-----END" line. Without one, up to the end of the text; but only up to
-- the next quote if other dashes follow, or a byte that is in no key.
local function private_keys(text)
  local list
  local at = find(text, "-----BEGIN", 1, true)
  while at do
    local stop = at + 9
    if find(sub(text, at, at + 64), "PRIVATE", 1, true) then
      -- The content starts after the dashes of the BEGIN line, and stops before those of the END line.
      local content = match(text, "^[^-]*%-*()", stop + 1)
      local ending = find(text, "-----", content, true) or #text + 1
      local is_key = find(text, "^%-+END", ending)
        or (ending > #text and not find(sub(text, content), "[^%w+/=,:\"'\\%s-]"))
      stop = (is_key and match(text, "^%-*[^-]*%-*()", ending) or match(text, '^[^"]*()', content)) - 1
      list = spans.add(list, at, stop, KEY)
    end
    at = find(text, "-----BEGIN", stop + 1, true)
  end
  return list
end

--- Whether the digits from `from` to before `stop` may be those of a card: 13 to 19, with a valid Luhn sum.
-- If a letter or a fraction follows, they belong to a hash, a time or an amount.
-- @param count how many digits they are
local function may_be_card(text, from, stop, count)
  if count < 13 or count > MAX_DIGITS or LETTERS[byte(text, stop)] or find(text, "^%.%d", stop) then
    return false
  end
  local sum, is_doubled = 0, false
  for at = stop - 1, from, -1 do
    local digit = DIGITS[byte(text, at)]
    if digit then
      local doubled = 2 * digit - (digit > 4 and 9 or 0) -- of 10 to 18, the sum of both digits
      sum, is_doubled = sum + (is_doubled and doubled or digit), not is_doubled
    end
  end
  return sum % 10 == 0
end

--- The last byte of the longest card number that starts at `from`, or nil. Its digits stand together, or in
-- groups of 3 to 7 with the same separator between all of them. The first group has 4 or more, as lists of
-- coordinates often have 3, and the last one may be shorter.
local function card_end(text, from)
  local start, count, separator, card = from, 0, nil, nil
  repeat
    local stop = skip(text, start, DIGITS)
    local size, following = stop - start, byte(text, stop)
    count = count + size
    local may_be_last = not separator or (size > 0 and size <= 7) -- The first group may have all digits.
    if may_be_last and may_be_card(text, from, stop, count) then
      card = stop - 1
    end
    local least = start == from and 4 or 3
    separator, start = separator or following, stop + 1
    local has_next = size >= least and size <= 7 and following == separator and SEPARATORS[separator]
  until count >= MAX_DIGITS or not has_next
  return card
end

--- Whether a card number may start at `at`. None starts with 0, 1 or 20, as times and ids do; none in a
-- word, a number or a fraction; none after the "+" of a telephone number. The letter of an escape (`\n`) is
-- no word.
local function may_start(text, at)
  -- Asked for each byte of a long number, so without a pattern.
  local digit, before, second = DIGITS[byte(text, at)], byte(text, at - 1), byte(text, at - 2)
  if not digit or digit < 2 or (digit == 2 and DIGITS[byte(text, at + 1)] == 0) then
    return false
  elseif LETTERS[before] then
    return starts_word(text, at)
  elseif before == PLUS then
    return LETTERS[second] -- After a word, the "+" is a space, as forms write it: card+4111...
  elseif before == PERCENT then
    -- If an escape follows the digits, too, they start with those of an escape: %224111...%22.
    return not find(text, "^[%d+-]+%%%x%x", at)
  end
  return before ~= DOT or not DIGITS[second]
end

--- The first and the last byte of a card number in groups of any size, 42424242-42424242; or nil. The run of
-- digits and separators before `run_end` has to be nothing else, as lists of numbers look like that, too. So
-- the number has the same separator between all groups, a usual first digit, and 16 digits or more:
-- telephone numbers have fewer.
local function lone_card(text, from, run_end)
  local size = run_end - from
  if size <= 16 or size > MAX_CARD + 2 then
    return nil
  end
  local start, number = match(sub(text, from, run_end - 1), "^[ +]?()([2-6].*%d)[ +]?$")
  if not number then
    return nil
  end
  local separators, groups = number:gsub("%d+", "")
  local count = #number - #separators
  start = from + start - 1
  local stop = start + #number
  local has_form = count >= 16 and separators == sub(separators, 1, 1):rep(groups - 1)
  if has_form and may_start(text, start) and may_be_card(text, start, stop, count) then
    return start, stop - 1
  end
end

--- Adds the span of a card number to a list. If it is a number of JSON, the mask needs quotes: such as the
-- name before it has, which may be escaped; or plain ones in a list. A minus before the number is masked
-- then, too.
local function add_card(document, list, from, to)
  local text = document.text
  -- Read from behind: an optional minus, the ":", and the quote of the name with its backslashes.
  local before = sub(text, math.max(from - 16, 1), from - 1):reverse()
  local quote = match(before, '^%-?%s*:%s*("\\*)')
    or (document.is_json and not structure.string_end(document, from) and '"')
  if quote and byte(before) == MINUS then
    from = from - 1
  end
  quote = (quote or ""):reverse()
  return spans.add(list, from, to, quote .. "***card***" .. quote)
end

--- The first and the last byte of the next card number, from `from` on, in a run of digits and separators; or
-- nil.
local function next_card(text, from, run_end)
  local start, stop = lone_card(text, from, run_end)
  while not start and run_end - from >= CARD_STEP do
    stop = may_start(text, from) and card_end(text, from)
    start, from = stop and from, from + 1
  end
  return start, stop
end

--- Payment card numbers, in runs of digits and separators.
local function cards(text)
  local document, list, run_end = nil, nil, 1 -- `run_end`: up to there, runs have been read.
  for at = CARD_STEP, #text, CARD_STEP do
    -- If this is a byte of a card number, the byte 6 before it or the byte 6 after it belongs to the number,
    -- too, as that has 13 or more.
    local is_number = NUMBER[byte(text, at)] and at > run_end
    if is_number and (NUMBER[byte(text, at + 6)] or NUMBER[byte(text, at - 6)]) then
      local from = at
      while from > run_end and NUMBER[byte(text, from - 1)] do
        from = from - 1
      end
      run_end = skip(text, at, NUMBER)
      local start, stop = next_card(text, from, run_end)
      while start do
        document = document or structure.document(text)
        list = add_card(document, list, start, stop)
        start, stop = next_card(text, stop + 1, run_end)
      end
    end
  end
  return list
end

--- Adds to a list the spans of secrets that only the sign before them shows. The user "git" is no secret:
-- ssh://git@github.com.
-- @param secret a pattern for what follows the sign: it returns where the secret starts, and the position
--   after it
local function add_behind(list, text, sign, secret)
  local found
  local at = find(text, sign, 1, true)
  while at do
    local from, stop = match(text, secret, at + #sign)
    -- The only escape that may stand before a token is that of a tab. Others begin a word: Bearer\n2nd.
    local is_word = secret == BEARER_TOKEN and from and find(text, "^\\[a-su-z]", from)
    local is_secret = from and not is_word and sub(text, from, stop) ~= "git@"
    found = is_secret and spans.add(found, from, stop - 1, "***") or found
    at = find(text, sign, at + #sign, true)
  end
  return spans.merged(list, found)
end

--- The spans of what stands before the "@" of a database's address: user:password@tcp(host:3306)/name. It is
-- read back from the "@", but not into what is masked already (up to `done`).
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

local FINDERS, wanted = { jwt = tokens, pem = private_keys, card = cards, key = keys }, {}
for kind in config.redaction.values:gmatch("%l+") do
  wanted[#wanted + 1] = FINDERS[kind]
end

local M = {}

--- The spans of the secrets of a text that show by their own form, or by their place; or nil.
function M.find(text)
  local list
  for _, find_values in ipairs(wanted) do
    list = spans.merged(list, find_values(text))
  end
  if find(text, "@", 1, true) then
    list = add_behind(list, text, "//", "^" .. USER_INFORMATION)
    list = add_behind(list, text, "/\\", "^\\*/" .. USER_INFORMATION) -- as JSON may escape it
    list = spans.merged(list, database_logins(text))
  end
  for sign, secret in pairs(PLACES) do
    list = add_behind(list, text, sign, secret)
  end
  if find(text, "kty", 1, true) then
    -- The private members (RFC 7518, section 6).
    for member in ("d p q dp dq qi k"):gmatch("%l+") do
      list = add_behind(list, text, '"' .. member, JWK_VALUE)
    end
  end
  return list
end

--- How many bytes stay of a text whose end was cut off: all before what may be the beginning of a key, token
-- or card number at its end. Up to six bytes of a number stay: those of a card only tell who issued it.
function M.last_whole(text)
  -- The last byte before the word, and before the digits and separators, that the text ends with.
  local word, number = #text, #text
  while WORD[byte(text, word)] do
    word = word - 1
  end
  while NUMBER[byte(text, number)] and number > #text - MAX_CARD do
    number = number - 1
  end
  local start = sub(text, word + 1, word + 3)
  if find(start, "^ey[JA]") or KEY_STARTS[start] then
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
