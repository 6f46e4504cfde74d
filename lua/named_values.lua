--- Values whose name is a value, too.
-- {"name": "password", "value": ...}, in either order.
-- Here, `name` tells a name and `value` holds a value. The search notes where both stand. If the name that
-- is told is secret, the values that belong to it are masked:
--   inside of an object, all values of the object;
--   outside of objects, as in XML and forms, the values next to it. These are the values after it, if the
--     first note is a name and the last one a value; the values before it, if the first note is a value and
--     the last one a name; else both.

local names = require("names")
local spans = require("spans")
local structure = require("structure")

local M = {}

--- Which notes tell the name of a secret: by index; or nil where none does, or where no note holds a value.
local function secret_notes(text, form, notes)
  local is_secret, has_value = {}, false
  for _, facts in ipairs(notes.facts) do
    has_value = has_value or facts.holds_value
  end
  for index, at in ipairs(has_value and notes or {}) do
    is_secret[index] = notes.facts[index].tells_name and names.is_secret(form.told_name(text, at)) or nil
  end
  return next(is_secret) and is_secret
end

--- Chooses the values next to names of secrets, of notes that stand outside of objects.
-- @param row indexes of these notes, in order: those of values, and of names that are told by the same word
-- @param chosen by index of a note; is added to
local function choose_beside(notes, is_secret, row, chosen)
  local is_near, was_value
  local function read(index)
    local is_value = not notes.facts[index].tells_name
    if is_value then
      chosen[index] = chosen[index] or is_near
    else
      is_near = is_secret[index] or (is_near and not was_value)
    end
    was_value = is_value
  end
  local is_name_first, is_name_last = notes.facts[row[1]].tells_name, notes.facts[row[#row]].tells_name
  for place = 1, (is_name_first or not is_name_last) and #row or 0 do
    read(row[place])
  end
  is_near = false
  for place = #row, (is_name_last or not is_name_first) and 1 or #row + 1, -1 do
    read(row[place])
  end
end

--- Which values belong to names of secrets: by index of their notes.
-- @param objects by position: the object that it is in, nil outside of all
local function chosen_values(notes, is_secret, objects)
  local chosen, is_named, rows = {}, {}, {}
  for index in pairs(is_secret) do
    local object = objects[notes[index]]
    if object then
      is_named[object] = true
    else
      rows[notes.facts[index].tells_name] = {}
    end
  end
  for index, at in ipairs(notes) do
    local word, object = notes.facts[index].tells_name, objects[at]
    chosen[index] = object and not word and is_named[object]
    for row_word, row in pairs(object and {} or rows) do
      row[#row + 1] = (word or row_word) == row_word and index or nil
    end
  end
  for _, row in pairs(rows) do
    choose_beside(notes, is_secret, row, chosen)
  end
  return chosen
end

--- The spans of the values that belong to names of secrets, or nil.
-- @param notes positions of names that tell a name or hold a value, in order; `facts`: what is known of each
function M.find(text, form, notes)
  local is_secret = secret_notes(text, form, notes)
  if not is_secret then
    return nil
  end
  local chosen = chosen_values(notes, is_secret, structure.objects_at(text, notes))
  local document, list, done = structure.document(text), nil, 0
  for index, at in ipairs(notes) do
    if chosen[index] and at > done then
      local _, name_stop = form.name_at(text, at)
      local from, to, instead = form.mask(document, at, name_stop)
      list, done = spans.add(list, from, to, instead), to or done
    end
  end
  return list
end

return M
