--- The search for secret names that all forms share.
-- Jumps from sign to sign by plain find, asks the form for the name there, and looks that up. Most names cost
-- no more than that. A form is a table of these; `at` is always the position of a sign.
--   sign: what stands next to each name;
--   name_at(document, at): the name, and where it starts and stops;
--   mask(document, at, stop): the span that masks its value, as from, to, instead; or nothing;
--   name_value(text, at): where its value starts and stops, if that may be a name: {"name": "password"};
--   container_end(text, at, name): where its value ends, if that may have names in it; or nil;
--   longer_name(text, start, stop): the name with the words before it (`Card Number`), or nil;
--   is_harmless(text, at, start, stop, facts): whether the value is no secret though its name is secret;
--   special(document, state, at, facts), or nil: handles names that have a meaning in this form only, and
--     returns where to go on; or nil where the name is like any other.

local named_values = require("named_values")
local names = require("names")
local spans = require("spans")
local structure = require("structure")

local find = string.find

local MAX_DEPTH = 8 -- of heads: names that names inside of their values may continue, as in card.number

--- The facts that make a name secret, or nothing. They are those of its own words; or of the name after its
-- head's (card.number); or, outside of heads, of the name after the words before it (Card Number).
local function secret_facts(form, text, facts, head, name, start, stop)
  if facts and facts.is_secret then
    return facts
  end
  local longer = head and head.name .. "." .. name or (facts.is_tail and form.longer_name(text, start, stop))
  local joined = longer and names.facts(longer)
  return joined and joined.is_secret and joined
end

--- The innermost head whose value `at` is in, or nil: `card`, in {"card": {"number": ...}}.
local function open_head(heads, at)
  while heads[1] and heads[#heads].to < at do
    heads[#heads] = nil
  end
  return heads[#heads]
end

--- Judges a name that says something, or that is in the value of a head. Masks its value if that is secret;
-- else notes what the name may say of other names and values.
-- @return where to go on
local function visit(form, state, document, at, name, start, stop, facts)
  local text, head = document.text, open_head(state.heads, at)
  if not facts and not head then
    return at
  end
  local secret = secret_facts(form, text, facts, head, name, start, stop)
  if secret and not form.is_harmless(text, at, start, stop, secret) then
    local from, to, instead = form.mask(document, at, stop)
    state.list = from and spans.add(state.list, from, to, instead) or state.list
    return to or at
  elseif facts and (facts.tells_name or facts.holds_value) then
    named_values.note(state, at, facts)
  end
  local may_continue = (head or facts.is_head) and #state.heads < MAX_DEPTH and #name < 128
  local to = may_continue and form.container_end(text, at, name)
  if to then
    table.insert(state.heads, { name = name, to = to })
  end
  return at
end

--- The secrets that a form finds in a text: a list of spans, or nil.
return function(text, form)
  local at = find(text, form.sign, 1, true)
  if not at then
    return nil
  end
  local document, state = structure.document(text), { heads = {}, telling = {}, roles = {}, holding = {} }
  while at do
    local name, start, stop = form.name_at(document, at)
    local facts = names.facts(name)
    local to = facts and form.special and form.special(document, state, at, facts)
    -- Most names that say something are mere roles, such as `value`: these take the short way.
    if facts and facts.is_role and not (to or state.heads[1]) then
      named_values.note(state, at, facts)
      to = at
    elseif not to then
      to = (facts or state.heads[1]) and visit(form, state, document, at, name, start, stop, facts) or at
    end
    at = find(text, form.sign, to + 1, true)
  end
  return spans.merged(state.list, named_values.find(form, text, state))
end
