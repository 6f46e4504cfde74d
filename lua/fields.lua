--- Masks all secrets of a text.
-- It finds those that the text shows in any form, and those that only decoding shows.
-- The forms are applied one after the other, and each searches what the one before has masked. A form looks
-- for its own sign, so a text without that sign costs little.
-- A secret that escapes hide is found in the decoded text. Nobody can tell for sure where it ends in the text
-- as it stands, so the whole run around it is masked: `token%3DS%26b` of `a=token%3DS%26b&page=1`.

local ends = require("ends")
local escapes = require("escapes")
local lists = require("lists")
local markup = require("markup")
local members = require("members")
local names = require("names")
local parameters = require("parameters")
local search = require("search")
local spans = require("spans")
local values = require("values")

local find, match = string.find, string.match

local MASK = ends.MASK
local FORMS = { members, lists, parameters, markup }
local ROUNDS = 3 -- of decoding; a text that still changes in the last one counts as secret
-- Short runs are parameters or lines; long runs are what stands between quotes or tags.
local RUNS = { '[^&"<>\r\n]+', '[^"<>]+' }
-- WORK is how many bytes of a message may be searched once more, decoded, for secrets that escapes hide. A
-- run counts RUN bytes more than it has, and each byte of an unknown name counts NAME bytes, as that is the
-- time they take; so do secrets (search). Once a text is known to hide a secret, each sign beside a name
-- counts SIGN bytes, too. If less work is left than a run or text with escapes needs, it is masked unread.
local WORK, RUN, NAME, SIGN = 131072, 512, 2, 16

local left = WORK

local M = {}

--- Begins a message, whose texts share the work.
function M.begin_message()
  left = WORK
end

--- A text with the secrets masked that show without decoding.
local function mask_shown(text)
  text = spans.apply(text, values.find(text))
  for _, form in ipairs(FORMS) do
    text = search(text, form)
  end
  return text
end

--- A text with its escapes replaced until nothing changes; nil if it still changes in the last round.
local function fully_decoded(text)
  for _ = 1, ROUNDS do
    local plain = escapes.may_hide(text) and escapes.decoded(text) or text
    if plain == text then
      return text
    end
    text = plain
  end
end

--- Whether a text shows a secret once it is decoded, or cannot be decoded; and the decoded text, or nil.
local function hides_secret(text)
  local plain = fully_decoded(text)
  return not plain or (plain ~= text and mask_shown(plain) ~= plain), plain
end

--- Whether a text ends with a name that says something of its value, and with the sign behind it, as
-- `password="` and `<password value="` do. The value may stand behind the text then.
-- The text is reversed, as a pattern with only a "$" would start anew at each byte. `behind` is the position
-- after the sign there, so `#text + 2 - behind` is that of the sign in the text.
local function is_open(text)
  local behind = match(string.reverse(text), "^[\"'\\%s]*[:=]()")
  return behind and next(names.facts((ends.name_before(text, #text + 2 - behind))))
end

--- A run, masked if it hides a secret, or if no work is left to find that out. If it starts with a
-- parameter's name, that name stays.
-- A run that is open stays, even if it hides a secret: the value may stand behind it, in one of the longer
-- runs, which are judged later.
local function judged_run(run)
  if not escapes.may_hide(run) then
    return run
  elseif left < #run + RUN then
    return MASK
  end
  left = left - #run - RUN
  local is_hidden, plain = hides_secret(run)
  if not is_hidden or is_open(plain or "") then
    return run
  end
  local name = match(run, "^[^=%%&\\]*=") or ""
  -- The backslashes belong to the quote that ends the run.
  return name .. MASK .. match(string.reverse(run), "^\\*")
end

--- Masks what escapes hide: short runs if that is enough, else long ones, too, else all of the text.
local function mask_hidden(text)
  local bytes_before, asked_before = names.bytes_read, names.asked
  if not hides_secret(text) then
    return text
  end
  left = left - NAME * (names.bytes_read - bytes_before) - SIGN * (names.asked - asked_before)
  for _, run_of in ipairs(RUNS) do
    left = left - #text -- for the second `hides_secret` below, which searches all of it
    if left < RUN then
      return MASK
    end
    local masked = text:gsub(run_of, judged_run)
    if masked ~= text and not hides_secret(masked) then
      return masked
    end
    text = masked
  end
  return MASK
end

--- Masks the secrets of a text without NULs.
local function mask_text(text)
  local names_before = names.bytes_read
  local masked = mask_shown(text)
  if not escapes.may_hide(masked) then
    return masked
  elseif left < #text + NAME * (names.bytes_read - names_before) then
    return MASK -- The decoded text would take as long as this one took.
  end
  return mask_hidden(masked)
end

--- Masks the secrets of a text. If it has NULs, as UTF-16 does, it is searched without them, and one secret
-- is enough to mask all of it.
function M.mask(text)
  if not find(text, "\0", 1, true) then
    return mask_text(text)
  end
  local plain = text:gsub("%z", "")
  return mask_text(plain) == plain and text or MASK
end

--- The same for a body or URL, which may end within a tag. The cut tag is masked first; and once more at the
-- end, as a mask may cut a tag off, too.
function M.mask_document(text)
  return markup.mask_cut_tag(M.mask(markup.mask_cut_tag(text)))
end

return M
