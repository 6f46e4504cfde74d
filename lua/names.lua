--- What a name says of its value.
-- The name of a field, header, parameter, element or part.
-- A name is split into words where its case changes, and at digits and punctuation. So apiKey, api_key and
-- API-KEYS have the same words, but for the plural. A phrase of the settings makes a name secret if it is
--   one to three words of the name in a row: `password` in userPassword, `api key` in x-api-key;
--   the end of a word: `token` in usertoken. Such a phrase needs five letters, or three and no vowel (`pwd`),
--   as shorter ones stand there by chance: `pin` in `spin`, `pass` in `compass`. After one of a few short
--   words (OWNERS), any phrase will do: `pin` in `mypin`;
--   the beginning of a word, before one of a few others (KINDS): `otp` in otpcode, `session` in sessionkey;
--   anywhere in the name's letters: `password` in pAsSwOrD. Such a phrase needs eight bytes, or a letter
--   beyond ASCII.
-- Two things make such a name harmless again: words that `keep_fields` names together do not count, as
-- `page token` in nextPageToken; and the last word may say that the name only tells about a secret, as `at`
-- in password_changed_at (ABOUT). The second holds for the default phrases only. A phrase of `extra_fields`,
-- the user's own, may stand for data about a person, as `patient` does: patientName is secret.
-- Names repeat, so what is known of them is remembered, within bounds. Of a long name, only the start and the
-- end are read.
-- Terms: a name tells a name if its value is one, as `name` does in {"name": "password"}; it holds a value if
-- that is the value of a name told elsewhere, as `value` does in {"name": "password", "value": "..."}.

local config = require("config")
local escapes = require("escapes")
local structure = require("structure")

local clear = require("table.clear")

local words_of = structure.words
local byte, find, lower, match, sub = string.byte, string.find, string.lower, string.match, string.sub

-- A name longer than MAX_NAME is not remembered. Of one longer than twice MAX_PART, only both ends are read,
-- so many bytes each.
local MAX_NAME, MAX_PART = 64, 128
local MAX_KNOWN = 16384 -- names that are remembered: as many as a large body has
local MAX_WORDS = 3 -- of a phrase
-- Bytes of a phrase at the end of a word: 7 and the "s" of its plural. A longer phrase is found anywhere.
local MAX_END = 8

-- TELLS_NAME has names that tell a name; the loop below adds joined ones: headername, configkey, itemid.
-- HOLDS_VALUE has names that hold a value; so does any name whose last word is `value` or `string`: newValue.
local NAMERS = "parameter param attribute attr header field property prop setting variable option column"
local TELLS_NAME = words_of(
  "name names key keys columns fields headers id path loc type kind label title k var envvar " .. NAMERS
)
local HOLDS_VALUE =
  words_of([[values val vals v content contents data text default example old new before after from to
  previous current input raw rows stringdata]])
local COMPOUNDS = NAMERS
  .. " config display item meta output friendly var env key tag arg argument input entry"
for namer in COMPOUNDS:gmatch("%l+") do
  for word in ("name key id"):gmatch("%l+") do
    TELLS_NAME[namer .. word] = true
  end
end
-- If one of these words is in a name, its number is a count, and no secret: {"tokens": 12}.
local MEASURES = words_of([[tokens sessions credentials passwords secrets count size total attempts retries
  age timeout lifetime lifespan ttl validity period interval remaining days hours minutes seconds characters
  per]])
-- After a secret word, the last word of a name that says something about the secret: password_changed_at.
local ABOUT = words_of([[at in enabled required type status mode endpoint policy expires expiry strength
  algorithm alg duration consent time name username label ref arn href kid issuer supported changed updated
  created completed used count length limit timeout version format title subject description date start end
  method methods provider scheme realm scope path response iframe placeholder error result behavior binding
  spec usage scopes pattern maximum minimum policies algorithms banner button dialog icon modal exception
  mechanism source domain alias typename]])
-- After one of these, the end of a word may be any phrase: mypin, smsotp.
local OWNERS = words_of("my user admin root bind client login account card sms db app mail email new old")
-- Before one of these, the beginning of a word may be any phrase: sessionkey, otpcode.
local KINDS = words_of("key value id code number data hash header")

-- Sets of phrases, without spaces, and of their plurals:
--   phrases: all of the settings `fields` and `extra_fields`; extra: those of `extra_fields`;
--   kept: those of `keep_fields`;
--   ends: those that are also found at the end of a word;
--   heads: the first words of phrases, as `socialsecurity`;
--   tails: their last words. `is` counts as one, so that the words before it are read: "My password is: ...".
-- anywhere: lists of those that are found anywhere, by their first two bytes.
local phrases, extra, ends, heads, tails, kept, anywhere = {}, {}, {}, {}, { is = true }, {}, {}
local NONE = {}

--- Adds the letters of a phrase to a set, and those of its plurals. A plural may have its "s" inside, too:
-- `cards number`, as in cards[0].number.
-- @return the letters
local function add(set, phrase)
  local letters, plural = phrase:gsub("[ %d]+", ""), phrase:gsub(" ", "s "):gsub("[ %d]+", "")
  set[letters], set[letters .. "s"], set[plural], set[plural .. "s"] = true, true, true, true
  return letters
end

for phrase in (config.redaction.fields .. "\n" .. config.redaction.extra_fields):gmatch("[^\n]+") do
  local letters = add(phrases, phrase)
  if #letters >= 8 or find(letters, "[\128-\255]") then
    local start = sub(letters, 1, 2)
    anywhere[start] = anywhere[start] or {}
    table.insert(anywhere[start], letters)
  elseif #letters >= 5 or (#letters >= 3 and not find(letters, "[aeiou]")) then
    add(ends, letters)
  end
  -- Of "social security number", `social` and `socialsecurity` are heads, and `securitynumber` and `number`
  -- are tails.
  for space in phrase:gmatch("() ") do
    add(heads, sub(phrase, 1, space - 1))
    add(tails, sub(phrase, space + 1))
  end
end
for phrase in config.redaction.extra_fields:gmatch("[^\n]+") do
  add(extra, phrase)
end
for phrase in config.redaction.keep_fields:gmatch("[^\n]+") do
  add(kept, phrase)
  -- Its first two words may be an owner's name: as `card` alone, it would not be known in gift_card.number.
  add(heads, match(phrase, "^%S+ ?%S*"))
end

local IS_LETTER = structure.set("[%l\128-\255]") -- of lower case; those beyond ASCII count, too

--- The last byte of the word of a name that starts at `at`. A word ends
--   before a byte that is no letter;
--   before a capital that follows a small letter: api|Key;
--   before a capital that a small letter follows: API|Key.
-- @param plain the name in lower case: a byte that differs there is a capital
local function word_stop(name, plain, at)
  local is_capital = byte(name, at) ~= byte(plain, at)
  while IS_LETTER[byte(plain, at + 1)] do
    local was_capital = is_capital
    is_capital = byte(name, at + 1) ~= byte(plain, at + 1)
    if is_capital and (not was_capital or IS_LETTER[byte(name, at + 2)]) then
      return at
    end
    at = at + 1
  end
  return at
end

-- Two tables that are used again for each name: its words, and those of them that `keep_fields` leaves. New
-- tables would take as long as all the rest.
local words_read, words_left = {}, {}

--- The words of a name, in lower case, and all of it in lower case. The next call overwrites the words.
local function split(name)
  local words, plain, at = words_read, lower(name), 1
  clear(words)
  while at <= #name do
    if IS_LETTER[byte(plain, at)] then
      local stop = word_stop(name, plain, at)
      words[#words + 1], at = sub(plain, at, stop), stop
    end
    at = at + 1
  end
  return words, plain
end

--- How many words the longest phrase of a set has that starts with the word at `at`; nil if there is none.
local function phrase_at(words, at, set)
  local run, count = words[at], set[words[at]] and 1
  for index = at + 1, math.min(at + MAX_WORDS - 1, #words) do
    run = run .. words[index]
    count = set[run] and index - at + 1 or count
  end
  return count
end

--- Whether a word ends in a phrase, one of `ends` after any letters, any other after one of OWNERS; or is a
-- phrase before one of KINDS. The end that is looked up has two bytes or more, and is not the whole word.
local function is_compound(word)
  for start = math.max(#word - MAX_END + 1, 2), #word - 1 do
    local last = sub(word, start)
    if
      ends[last]
      or (phrases[last] and OWNERS[sub(word, 1, start - 1)])
      or (KINDS[last] and phrases[sub(word, 1, start - 1)])
    then
      return true
    end
  end
end

--- Whether one of the phrases that may stand anywhere is in the letters of a name.
local function has_phrase(letters)
  for at = 1, #letters do
    for _, phrase in ipairs(anywhere[sub(letters, at, at + 1)] or NONE) do
      if sub(letters, at, at + #phrase - 1) == phrase then
        return true
      end
    end
  end
end

--- Whether a name with these words is secret.
local function are_secret(words)
  for at, word in ipairs(words) do
    if phrase_at(words, at, phrases) or is_compound(word) then
      return true
    end
  end
  return has_phrase(table.concat(words))
end

--- Whether a name with these words is secret only by those that `keep_fields` names together. A space stands
-- in their place: no phrase has a space, so none goes across it.
local function is_kept(words)
  local rest, at, has_kept = words_left, 1, false
  clear(rest)
  while words[at] do
    local count = phrase_at(words, at, kept)
    has_kept = has_kept or count
    rest[#rest + 1] = count and " " or words[at]
    at = at + (count or 1)
  end
  return has_kept and not are_secret(rest)
end

local function has_measure(words)
  for _, word in ipairs(words) do
    if MEASURES[word] then
      return true
    end
  end
end

--- Whether a phrase of the user is in a name.
local function has_extra(words)
  for at in ipairs(words) do
    if phrase_at(words, at, extra) then
      return true
    end
  end
end

--- The part of a name that is looked up in TELLS_NAME and HOLDS_VALUE: its letters after the last ":", "[" or
-- ".". That is `key` of <a:key>, and `name` of items[0][name] and of name[0]. Of userName it is `username`,
-- which is in neither set: so userName is like any other name.
-- @param plain the name in lower case
-- @param last its last word; if that is in neither set, the answer is nil at once
local function role_of(plain, last)
  return (TELLS_NAME[last] or HOLDS_VALUE[last])
    and match(plain, "^.*%a"):gsub("^.*[:%[.]", ""):gsub("%A+", "")
end

-- What `facts_of` returns, by a short spelling of it: so all names that say the same share one table.
local shared = { [""] = NONE }

--- What a name says, as `M.facts` returns it.
local function facts_of(name)
  if byte(name) == 239 then -- It may start with a byte order mark.
    name = name:gsub("^\239\187\191", "")
  end
  local words, plain = split(name)
  local last, before_last = words[#words] or "", words[#words - 1] or ""
  local role = role_of(plain, last)
  local tells_name = TELLS_NAME[role] and role
  local holds_value = HOLDS_VALUE[role] or last == "value" or last == "string"
  -- A name is secret if its words are, and still are without those that `keep_fields` names. If its last word
  -- only tells about a secret, and no phrase of the user is in it, it has to be secret without that word,
  -- too.
  local is_secret = are_secret(words) and not is_kept(words)
  local is_extra = is_secret and has_extra(words_left) -- which `is_kept` has filled
  if is_secret and not is_extra and ABOUT[last] then
    is_secret = not are_secret({ unpack(words, 1, #words - 1) })
  end
  local is_count = not is_extra and has_measure(words)
  -- A name that ends with a phrase begins none. It is secret, or it is kept, which the phrase alone is not.
  local is_head = heads[before_last .. last] and before_last .. " " .. last
    or (heads[last] and not phrases[last] and last)
  local is_tail = tails[plain]
  local said = (tells_name or "")
    .. (holds_value and "=" or "")
    .. (is_secret and ":" or "")
    .. (is_extra and "!" or "")
    .. (is_count and "#" or "")
    .. (is_head and "<" .. is_head or "")
    .. (is_tail and ">" or "")
  if not shared[said] then
    shared[said] = {
      is_secret = is_secret,
      is_extra = is_extra,
      is_count = is_count,
      is_head = is_head,
      is_tail = is_tail,
      tells_name = tells_name,
      holds_value = holds_value,
    }
  end
  return shared[said]
end

--- The start and the end of a long name. The words that are cut in two are left out: they may look like other
-- words, as `pan` of span.
local function without_middle(name)
  local first, last = sub(name, 1, MAX_PART + 1), sub(name, -MAX_PART - 1)
  return (match(first, "^(.*)%A%a+$") or first) .. " " .. (match(last, "^%a+(%A.*)$") or last)
end

local known, count = {}, 0

local M = { asked = 0, bytes_read = 0 }

--- What a name says. Counts in `asked` how often that was asked, and in `bytes_read` the bytes of names that
-- it did not remember; what else takes as long counts there, too (search).
-- @return a table, which is empty if it says nothing:
--   is_secret: its value is masked; is_extra: by a phrase of the user's own, so that few values are harmless;
--   is_count: a number there is a count, and is not masked;
--   is_head: names inside of its value may complete a phrase with it (card.number); here stand the words at
--     its end with which they may do so, such as "card";
--   is_tail: words before it may complete a phrase with it (Card Number);
--   tells_name: its value is a name; here stands by which word it says so, such as "key";
--   holds_value: its value is that of a name told elsewhere
function M.facts(name)
  M.asked = M.asked + 1
  local facts = known[name]
  if facts then
    return facts
  end
  M.bytes_read = M.bytes_read + #name
  local short = #name > 2 * MAX_PART and without_middle(name) or name
  local plain = escapes.decoded(short)
  if plain == short or escapes.may_hide(plain) then -- It has no escapes, or still has some.
    facts = facts_of(plain)
  else
    -- Its decoded form is asked for: the search of the decoded text asks for that, too, and finds it
    -- remembered. Decoding leaves a backslash where an escape is escaped itself (\\u0070): it goes.
    facts = M.facts((plain:gsub("\\", "")))
  end
  if #name <= MAX_NAME then
    if count >= MAX_KNOWN then
      clear(known)
      count = 0
    end
    known[name], count = facts, count + 1
  end
  return facts
end

--- Whether the value of a name is secret.
function M.is_secret(name)
  return M.facts(name).is_secret
end

return M
