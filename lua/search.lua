--- The search for secret names.
-- All forms share it. It jumps from sign to sign by plain find, asks the form for the name there, and looks
-- that up. Most names cost no more than that.
-- A form is a table of these; `at` is always the position of a sign:
--   sign: what stands next to each name;
--   name_at(text, at): the name, and its last byte;
--   mask(document, at, name_stop, name): the span that masks its value, as from, to, instead; or nothing;
--   told_name(text, at): its value, which may be a name: {"name": "password"};
--   contents_end(text, at, name, is_head, search): up to where its value may hold names; nil if it holds
--     none. `is_head`: whether a phrase may start with the name. Optional;
--   mask_role(search, document, at, name_stop, facts): masks for a name that tells a name or holds a value,
--     if that means more in this form than elsewhere. Returns up to where the text is dealt with; nil if the
--     name is like any other. Optional.

local ends = require("ends")
local harmless = require("harmless")
local named_values = require("named_values")
local names = require("names")
local spans = require("spans")
local structure = require("structure")

local find, sub = string.find, string.sub

-- A name may be joined with its owner: the name of the object or element around it (card.number). Up to
-- MAX_DEPTH objects or elements are looked into, one in another.
local MAX_DEPTH = 8

-- A stack of the owners around the current sign: the ends of their names that begin a phrase, and where their
-- values end. The outermost owner is at 1, the innermost at the current depth; entries beyond it are left
-- over. It is shared by all texts, as new tables for each would take longer.
local owners, owner_ends = {}, {}

--- Whether the value of a name is to be masked. The name may be secret by itself; or joined with its owner
-- (card.number); or, if it has no owner, joined with the words before it (Card Number).
-- @param facts the name's own, as `names.facts` returns them
-- @param owner the end of the innermost owner's name, "" if it starts no phrase, or nil
local function is_secret(text, at, name, name_stop, facts, owner)
  local decisive = facts
  if not facts.is_secret then
    -- The namespace of an element does not count: <ns:card><ns:number>. Most names have none, and a pattern
    -- for each name would take as long as all the rest.
    local own = find(name, ":", 1, true) and sub(text, at, at) == "<" and name:gsub("^.*:", "") or name
    local longer = owner and owner ~= "" and owner .. "." .. own
      or (not owner and facts.is_tail and ends.with_words_before(text, name, name_stop))
    decisive = longer and names.facts(longer) or facts
  end
  return decisive.is_secret and not harmless.by_start(text, at, name, name_stop, decisive)
end

--- The document of a search: made when it is needed, as most texts have no secret.
local function document_of(search)
  search.document = search.document or structure.document(search.text)
  return search.document
end

--- Notes the sign of a name that tells a name or holds a value.
local function note(noted, at, facts)
  local count = noted.count + 1 -- `#noted` would search for the end of the list each time.
  noted.count, noted[count] = count, at
  noted.holds_value = noted.holds_value or facts.holds_value
end

--- Goes from sign to sign. Adds spans to the search, and notes names that tell a name or hold a value.
-- @param search a table: form; text; document, once it was needed; list, the spans so far; noted, the signs
--   of the names that were noted, with their `count`, and whether one of them `holds_value`; misses, the
--   elements or objects whose end was looked for in vain
-- @param at the first sign
local function walk(search, at)
  local form, text, depth = search.form, search.text, 0
  local owner -- the end of the name of the innermost one around `at`, "" if it starts no phrase, or nil
  while at do
    while owner and at > owner_ends[depth] do
      depth = depth - 1
      owner = owners[depth]
    end
    local name, name_stop = form.name_at(text, at)
    local facts = names.facts(name)
    local stop -- up to where the name and its value are dealt with; nil if the value may hold further names
    local must_mask = is_secret(text, at, name, name_stop, facts, owner)
    -- A secret name has no other role: in `id=pin&value=1&token.id=2`, `token.id` tells no name. By a phrase
    -- of the user, it still has it, as `name` then does.
    if (facts.is_extra or not must_mask) and (facts.tells_name or facts.holds_value) then
      stop = form.mask_role and form.mask_role(search, document_of(search), at, name_stop, facts)
      if not stop then
        note(search.noted, at, facts)
      end
    end
    if must_mask and (not stop or stop == at) then
      local from, to, instead = form.mask(document_of(search), at, name_stop, name)
      search.list, stop = spans.add(search.list, from, to, instead), to or at
    end
    -- If a phrase may start with this name, it owns the names in its value: {"card": {"number": 1}}. Inside
    -- of an owner, every object is an owner: in {"card": {"info": {"number": 1}}}, `info` owns `number`.
    -- A secret name is none, as every name joined with it would be secret. Nor is an empty name: in a row of
    -- many ":", each would look for its value behind all others.
    local is_head = facts.is_head
    local may_own = (owner or is_head) and depth < MAX_DEPTH and name ~= "" and not facts.is_secret
    local contents_end = may_own and not stop and form.contents_end
    local owned_to = contents_end and contents_end(text, at, name, is_head, search)
    if owned_to then
      depth = depth + 1
      owner = is_head or ""
      owners[depth], owner_ends[depth] = owner, owned_to
    end
    at = find(text, form.sign, (stop or at) + 1, true)
  end
end

--- A text with the secrets masked that a form finds in it.
return function(text, form)
  local at = find(text, form.sign, 1, true)
  if not at then
    return text
  end
  -- With room for what may come: a table that grows is laid out anew.
  local noted = { nil, nil, nil, count = 0, holds_value = false }
  local search = { form = form, text = text, noted = noted, misses = 0, list = nil, document = nil }
  walk(search, at)
  local named = noted.holds_value and named_values(text, form, noted)
  local list = spans.merged(search.list, named)
  if list then
    -- To mask a secret counts as to read 24 bytes of a name, as it takes about that long.
    names.bytes_read = names.bytes_read + 24 * #list
  end
  return spans.apply(text, list)
end
