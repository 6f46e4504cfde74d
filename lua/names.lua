--- What the name of a field, header, parameter, element or part says of its value.
-- A name is split into words where its case changes, and at digits and punctuation. So apiKey, api_key and
-- API-KEYS have the same words, but for the plural. A phrase of the settings makes a name secret if it is
--   one to three words of the name in a row: `password` in userPassword, `api key` in x-api-key;
--   the end of a word: `token` in usertoken. Such a phrase needs five letters, or three and no vowel (`pwd`).
--   Shorter ones would be found by chance: `pin` in `spin`, `pass` in `compass`;
--   anywhere in the name's letters: `password` in pAsSwOrD. Such a phrase needs eight bytes, or a letter
--   beyond ASCII.
-- Words that `keep_fields` names together are passed over: `page token` in nextPageToken.
-- Names repeat, so facts about them are remembered, within bounds. Of a long name, start and end are read.

local config = require("config")
local escapes = require("escapes")
local structure = require("structure")

local clear = require("table.clear")

local words_of = structure.words
local byte, find, lower, sub = string.byte, string.find, string.lower, string.sub

local MAX_NAME = 256
-- Names that are remembered: as many as a large body has, of a usual length.
local MAX_KNOWN, MAX_KNOWN_NAME = 4096, 64
local MAX_WORDS = 3 -- of a phrase
-- Least bytes of a phrase that is found anywhere, and of one that is found at the end of a word.
local LONG, END = 8, 5
local LETTER_S, UPPER, LOWER = byte("s"), 1, 2

-- In {"name": "password", "value": ...}, `name` tells a name, and `value` holds that name's value.
local TELLS_NAME, HOLDS_VALUE =
  words_of("name names key id field path type header param label title attribute property variable"),
  words_of("value values val content contents string data text default example stringvalue")
for owner in ("parameter param attribute attr header field property setting variable option"):gmatch("%l+") do
  TELLS_NAME[owner .. "name"], TELLS_NAME[owner .. "key"], HOLDS_VALUE[owner .. "value"] = true, true, true
end
-- Where one of these is in a secret name, a number is a count, and no secret: {"tokens": 12}.
local MEASURES = words_of(
  "tokens sessions credentials passwords secrets count length limit size total attempts retries age timeout"
)

-- By byte: an upper or lower case letter, or false. Words end where the case changes. Bytes beyond ASCII
-- count as letters, too.
local KIND = {}
for code = 0, 255 do
  local letter = string.char(code)
  KIND[code] = find(letter, "[A-Z]") and UPPER or (code > 127 or find(letter, "[a-z]")) and LOWER
end

-- The letters of phrases, without spaces. Sets: whole phrases; their first words, such as `socialsecurity`;
-- their last words; phrases of `keep_fields`. Lists: phrases found at the end of a word, and anywhere.
local whole, heads, tails, ends, anywhere, kept = {}, {}, {}, {}, {}, {}
-- The first three bytes of each phrase and of its first words, or two where there are no more, as a number.
-- A name in which none of these stand cannot be secret.
local starts = {}

local function letters_of(text)
  return (text:gsub("[ %d]+", ""))
end

local function add_start(letters)
  local first, second, third = byte(letters, 1, 3)
  starts[third and (first * 256 + second) * 256 + third or first * 256 + (second or 0)] = true
end

for phrase in config.redaction.fields:gmatch("[^\n]+") do
  local letters = letters_of(phrase)
  whole[letters] = true
  add_start(letters)
  if #letters >= LONG or find(letters, "[\128-\255]") then
    anywhere[#anywhere + 1] = letters
  elseif #letters >= END or (#letters > 2 and not find(letters, "[aeiou]")) then
    ends[#ends + 1] = letters
  end
  -- Of "social security number": `social` and `securitynumber`, then `socialsecurity` and `number`.
  local space = find(phrase, " ", 1, true)
  while space do
    local head = letters_of(sub(phrase, 1, space))
    heads[head], tails[letters_of(sub(phrase, space))] = true, true
    add_start(head)
    space = find(phrase, " ", space + 1, true)
  end
end
for phrase in config.redaction.keep_fields:gmatch("[^\n]+") do
  kept[letters_of(phrase)] = true
end

--- Whether the letters of text[from, to] have the start of a phrase among them. Most have not, which saves
-- most names the rest of the work.
local function may_match(text, from, to)
  local before, last = 0, 0
  for at = from, to do
    local code = byte(text, at)
    local kind = KIND[code]
    if kind then
      code = kind == UPPER and code + 32 or code
      if starts[last * 256 + code] or starts[(before * 256 + last) * 256 + code] then
        return true
      end
      before, last = last, code
    end
  end
  return false
end

local words = {} -- of the name at hand

--- Splits a name into `words`.
-- @return how many there are
local function split(name)
  local count, start, before = 0, nil, nil
  for at = 1, #name + 1 do
    local kind = KIND[byte(name, at)]
    local is_hump = kind == UPPER and (before == LOWER or KIND[byte(name, at + 1)] == LOWER)
    if start and (not kind or is_hump) then
      count = count + 1
      words[count] = lower(sub(name, start, at - 1))
      start = nil
    end
    start = start or (kind and at)
    before = kind
  end
  return count
end

local function singular(word)
  return byte(word, -1) == LETTER_S and sub(word, 1, -2) or word
end

local function ends_in_phrase(run)
  for _, phrase in ipairs(ends) do
    if sub(run, -#phrase) == phrase then
      return true
    end
  end
  return false
end

--- Judges the word at `at`, with the words after it.
-- @return how many words from `at` on `keep_fields` names together, or 0
-- @return whether a phrase starts there, or ends the word at `at`
local function judged(at, count)
  local run, length, is_secret = "", 0, false
  for index = at, math.min(at + MAX_WORDS - 1, count) do
    run = run .. words[index]
    length = kept[run] and index - at + 1 or length
    is_secret = is_secret or whole[run] or whole[singular(run)] or false
  end
  is_secret = is_secret or ends_in_phrase(words[at]) or ends_in_phrase(singular(words[at]))
  return length, is_secret
end

--- What the words of a name say of its value.
-- @return whether it is secret; whether a number is a count; whether the last words may begin a phrase
local function analysed(name)
  local count = split(name)
  local letters, is_secret, is_count, at = "", false, false, 1
  while at <= count do
    local length, is_secret_here = judged(at, count)
    is_secret = is_secret or (length == 0 and is_secret_here)
    letters = letters .. (length == 0 and words[at] or " ")
    at = at + math.max(length, 1)
  end
  for _, phrase in ipairs(not is_secret and anywhere or {}) do
    is_secret = is_secret or find(letters, phrase, 1, true) ~= nil
  end
  for index = 1, count do
    is_count = is_count or MEASURES[words[index]] or false
  end
  local last = count > 0 and singular(words[count])
  return is_secret,
    is_count,
    last and (heads[last] or (count > 1 and heads[words[count - 1] .. last])) or false
end

local function facts_of(name)
  name = escapes.decoded(name):gsub("^\239\187\191", "") -- a byte order mark
  local plain = lower(name)
  local role = plain:gsub("^.*[:%[.]", ""):gsub("%A+", "") -- `key` of <a:key>, `name` of items[0][name]
  local tells_name, holds_value, is_tail = TELLS_NAME[role] and role, HOLDS_VALUE[role], tails[plain]
  local is_secret, is_count, is_head
  if may_match(name, 1, #name) then
    is_secret, is_count, is_head = analysed(name)
  end
  return (is_secret or is_head or is_tail or tells_name or holds_value)
    and {
      is_secret = is_secret or false,
      is_count = is_count,
      is_head = is_head,
      is_tail = is_tail,
      tells_name = tells_name,
      holds_value = holds_value,
      is_role = not (is_secret or is_head or is_tail),
    }
end

local known, known_count = {}, 0

local M = {}

--- What a name says.
-- @return false where it says nothing, else a table:
--   is_secret: its value is masked; is_count: but not if that is a number;
--   is_head: names inside of its value may complete a phrase with it (card.number);
--   is_tail: words before it may complete a phrase with it (Card Number);
--   tells_name: its value is a name; here stands by which word it says so, such as "key";
--   holds_value: its value is that of a name told elsewhere;
--   is_role: it tells a name or holds a value, and says nothing more
function M.facts(name)
  local facts = known[name]
  if facts ~= nil then
    return facts
  elseif #name > MAX_NAME then
    return facts_of(sub(name, 1, MAX_NAME / 2) .. " " .. sub(name, -MAX_NAME / 2)) or false
  elseif #name > MAX_KNOWN_NAME then
    return facts_of(name) or false
  elseif known_count >= MAX_KNOWN then
    clear(known)
    known_count = 0
  end
  known[name], known_count = facts_of(name) or false, known_count + 1
  return known[name]
end

--- Whether a name is that of something secret.
function M.is_secret(name)
  name = escapes.decoded(name)
  local facts = may_match(name, 1, #name) and M.facts(name)
  return facts and facts.is_secret or false
end

return M
