--- The search for secret names that all forms share, and for values that something names.
-- Jumps from sign to sign of the form by plain find, asks it for the name there, and looks that up: that is
-- all that most names cost. A form says
--   sign; name_at(document, at): the name, where it starts and stops;
--   mask(document, at, stop): what is masked of its value: from, to, instead; or nothing;
--   container_end(text, at, name): where the value ends if there are names in it, or nil;
--   longer_name(text, start, stop): the name with the words before it, or nil;
--   is_harmless(text, at, ...): whether a secret name has no secret there;
--   special(document, at, facts): the spans of a name that says something in this form only, or nothing.

local names = require("names")
local spans = require("spans")
local structure = require("structure")
local values = require("values")

local find, match = string.find, string.match

local MAX_DEPTH = 8 -- of objects in one whose name others may continue: {"card": {"number": ...}}

--- What makes a name secret: its own words, or with those of the object that it is in, or those before it.
local function secret_facts(form, text, facts, head, name, start, stop)
  if facts and facts.is_secret then
    return facts
  end
  local longer = head and head.name .. "." .. name or (facts.is_tail and form.longer_name(text, start, stop))
  local joined = longer and names.facts(longer)
  return joined and joined.is_secret and joined
end

--- The name whose object `at` is in, if others may continue it.
local function open_head(heads, at)
  while heads[1] and heads[#heads].to < at do
    heads[#heads] = nil
  end
  return heads[#heads]
end

--- A name that says something, or that is in an object whose name does.
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
    local positions = facts.tells_name and state.telling or state.holding
    positions[#positions + 1] = at
  end
  local may_continue = (head or facts.is_head) and #state.heads < MAX_DEPTH and #name < 128
  local to = may_continue and form.container_end(text, at, name)
  if to then
    table.insert(state.heads, { name = match(name, "^(.*)s$") or name, to = to }) -- cards[0].number
  end
  return at
end

--- Values that something names: {"name": "password", "value": ...}. It is the next one, or the one before
-- where values come first.
-- @param telling, holding positions of signs, in order
local function named_values(form, text, telling, holding)
  local document, list, index, last = structure.document(text), nil, 1, 0
  for _, at in ipairs(holding[1] and telling or {}) do
    while holding[index] and holding[index] < at do
      index = index + 1
    end
    local value = holding[1] < telling[1] and holding[index - 1] or holding[index]
    if value and value > last and names.is_secret_between(text, form.name_value(text, at)) then
      local _, _, stop = form.name_at(document, value)
      local from, to, instead = form.mask(document, value, stop)
      list, last = from and spans.add(list, from, to, instead) or list, to or last
    end
  end
  return list
end

--- The secrets of a text in a form.
return function(text, form)
  local at = find(text, form.sign, 1, true)
  if not at then
    return nil
  end
  local document, state = structure.document(text), { heads = {}, telling = {}, holding = {} }
  while at do
    local name, start, stop = form.name_at(document, at)
    local facts = names.facts(name)
    local to = facts and form.special and form.special(document, state, at, facts)
    if not to then
      to = (facts or state.heads[1]) and visit(form, state, document, at, name, start, stop, facts) or at
    end
    local key, from = values.key_after(text, at)
    if key and to == at then
      state.list, to = spans.add(state.list, from, key, values.KEY), key
    end
    at = find(text, form.sign, to + 1, true)
  end
  return spans.merged(state.list, named_values(form, text, state.telling, state.holding))
end
