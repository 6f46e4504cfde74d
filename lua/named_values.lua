--- Values whose name is a value, too: {"name": "password", "value": ...}, in either order.
-- Here, `name` tells a name and `value` holds a value. The search notes the positions of the signs of both
-- kinds, in order. Where the name that is told is secret, the values that belong to it are masked:
--   inside of an object, all values of the object;
--   outside of objects, as in XML and forms, the value next to it. If names and values take turns, it is
--   clear on which side. If they do not, the values on both sides are, up to the names next to this one.

local names = require("names")
local spans = require("spans")
local structure = require("structure")

local M = {}

--- Notes where a name stands that tells a name or holds a value.
function M.note(state, at, facts)
  if facts.tells_name then
    local count = #state.telling + 1
    state.telling[count], state.roles[count] = at, facts.tells_name
  else
    state.holding[#state.holding + 1] = at
  end
end

local function in_order(one, other)
  local all, at_one, at_other = {}, 1, 1
  while one[at_one] or other[at_other] do
    if (one[at_one] or math.huge) < (other[at_other] or math.huge) then
      all[#all + 1], at_one = one[at_one], at_one + 1
    else
      all[#all + 1], at_other = other[at_other], at_other + 1
    end
  end
  return all
end

--- Whether two lists of positions take turns, the first one first.
local function take_turns(first, second)
  for index, at in ipairs(first) do
    local following = second[index] or 0
    if following < at or following > (first[index + 1] or math.huge) then
      return false
    end
  end
  return #first == #second
end

--- Chooses, of the values outside of objects, those next to a name that tells a secret one.
-- @param chosen by position of a value; is added to
-- @param siblings the positions, outside of objects, of all names that tell a name by the same word (`key`)
-- @param is_secret by position of such a name: whether the name that it tells is secret
local function choose_beside(chosen, siblings, is_secret, values)
  local is_name_first, is_value_first = take_turns(siblings, values), take_turns(values, siblings)
  local index = 0
  for _, at in ipairs(values) do
    while siblings[index + 1] and siblings[index + 1] < at do
      index = index + 1
    end
    local is_after = is_secret[siblings[index]] and not is_value_first
    local is_before = is_secret[siblings[index + 1]] and not is_name_first
    chosen[at] = chosen[at] or is_after or is_before
  end
end

--- Which of the values belong to a secret name: by position.
-- @param objects by position: which object it is in, 0 outside of all
local function chosen_values(state, is_secret, objects)
  local chosen, is_named, siblings, loose = {}, {}, {}, {}
  for index, at in ipairs(state.telling) do
    local role, object = state.roles[index], objects[at]
    is_named[object] = is_named[object] or is_secret[at]
    siblings[role] = siblings[role] or {}
    if object == 0 then
      table.insert(siblings[role], at)
    end
  end
  for _, at in ipairs(state.holding) do
    chosen[at] = objects[at] > 0 and is_named[objects[at]]
    if objects[at] == 0 then
      table.insert(loose, at)
    end
  end
  for _, positions in pairs(siblings) do
    choose_beside(chosen, positions, is_secret, loose)
  end
  return chosen
end

--- The spans of the values that belong to secret names, or nil.
-- @param state what `note` was given: `telling`, `roles` (the words that tell, by index), `holding`
function M.find(form, text, state)
  if not (state.holding[1] and state.telling[1]) then
    return nil
  end
  local is_secret = {}
  for _, at in ipairs(state.telling) do
    is_secret[at] = names.is_secret_between(text, form.name_value(text, at)) or nil
  end
  if not next(is_secret) then
    return nil
  end
  local chosen =
    chosen_values(state, is_secret, structure.objects_at(text, in_order(state.telling, state.holding)))
  local document, list, last = structure.document(text), nil, 0
  for _, at in ipairs(state.holding) do
    if chosen[at] and at > last then
      local _, _, stop = form.name_at(document, at)
      local from, to, instead = form.mask(document, at, stop)
      list, last = from and spans.add(list, from, to, instead) or list, to or last
    end
  end
  return list
end

return M
