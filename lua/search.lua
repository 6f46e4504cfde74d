--- The search for secret names.
-- All forms share it. It jumps from sign to sign by plain find, asks the form for the name there, and looks
-- that up. Most names cost no more than that.
-- A form is a table of these; `at` is always the position of a sign:
--   sign: what stands next to each name;
--   name_at(text, at): the name, and its last byte;
--   mask(document, at, name_stop, name): the span that masks its value, as from, to, instead; or nothing;
--   told_name(text, at): its value, which may be a name: {"name": "password"};
--   contents_end(text, at, name): up to where its value may hold names; nil if it holds none. Optional;
--   mask_role(search, document, at, name_stop, facts): masks for a name that tells a name or holds a value,
--     if that means more in this form than elsewhere. Returns up to where the text is dealt with; nil if the
--     name is like any other. Optional.

local ends = require("ends")
local harmless = require("harmless")
local named_values = require("named_values")
local names = require("names")
local spans = require("spans")
local structure = require("structure")

local find = string.find

-- A name may be joined with its owner: the name of the object or element around it (card.number). An owner
-- has fewer bytes than MAX_OWNER. Up to MAX_DEPTH objects or elements are looked into, one in another.
local MAX_DEPTH, MAX_OWNER = 8, 128

--- The facts that make a name secret, or nil. They are the name's own; or those of the name after its owner
-- (card.number); or, if it has no owner, those of the name after the words before it (Card Number).
local function secret_facts(text, name, name_stop, facts, owner)
  if facts and facts.is_secret then
    return facts
  end
  local longer = owner and owner .. "." .. name
    or (facts and facts.is_tail and ends.with_words_before(text, name, name_stop))
  local joined = longer and names.facts(longer)
  return joined and joined.is_secret and joined or nil
end

--- The document of a search: made when it is needed, as most texts have no secret.
local function document_of(search)
  search.document = search.document or structure.document(search.text)
  return search.document
end

--- Finds what is to be masked from `from` to `to`: adds spans and notes to the search.
-- @param search a table: form; text; document, once it was needed; list, the spans so far; notes, the signs
--   of names that tell a name or hold a value, with their `count`, and whether one of them `holds_value`
-- @param owner the name of the object or element that is walked through, or nil
-- @param depth how many owners there are, one around another
-- @return up to where the text is dealt with: names up to there have been masked, noted or passed. It may be
--   behind `to`
local function walk(search, from, to, owner, depth)
  local form, text, notes, done = search.form, search.text, search.notes, from - 1
  local at = find(text, form.sign, from, true)
  while at and at <= to do
    local name, name_stop = form.name_at(text, at)
    local facts = names.facts(name)
    local secret = (facts or owner) and secret_facts(text, name, name_stop, facts, owner)
    -- Up to where the name and its value are dealt with; nil if the value may hold further names.
    local dealt_to
    if secret and not harmless.is_start(text, at, name, name_stop, secret) then
      local start, stop, instead = form.mask(document_of(search), at, name_stop, name)
      search.list, dealt_to = spans.add(search.list, start, stop, instead), stop or at
    elseif facts and (facts.tells_name or facts.holds_value) then
      dealt_to = form.mask_role and form.mask_role(search, document_of(search), at, name_stop, facts)
      if not dealt_to then
        local count = notes.count + 1 -- `#notes` would search for the end of the list each time.
        notes.count, notes[count] = count, at
        notes.holds_value = notes.holds_value or facts.holds_value
      end
    end
    -- If a phrase may start with this name, it owns the names in its value: {"card": {"number": 1}}. Inside
    -- of an owner, each object is one: in {"card": {"info": {"number": 1}}}, `info` owns `number`. But
    -- a secret name owns none: each name joined with it would be secret.
    local is_head = not secret and (owner or (facts and facts.is_head))
    is_head = is_head and depth < MAX_DEPTH and #name < MAX_OWNER
    local contents_end = is_head and not dealt_to and form.contents_end and form.contents_end(text, at, name)
    done = contents_end and walk(search, at + 1, contents_end, name, depth + 1) or dealt_to or at
    at = find(text, form.sign, done + 1, true)
  end
  return done
end

--- A text with the secrets masked that a form finds in it.
return function(text, form)
  if not find(text, form.sign, 1, true) then
    return text
  end
  local search = { form = form, text = text, notes = { count = 0 } }
  walk(search, 1, #text, nil, 0)
  local notes = search.notes
  local named = notes.holds_value and named_values.find(text, form, notes)
  return spans.apply(text, spans.merged(search.list, named))
end
