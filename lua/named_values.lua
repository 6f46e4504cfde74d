--- Names that are values.
-- In {"name": "password", "value": ...}, in either order, `name` tells a name and `value` holds a value. The
-- search notes where both stand, but for attributes and the heads of parts (parameters). If the name that is
-- told is secret, the values that belong to it are masked:
--   inside of an object, all values of the object;
--   outside of objects, as in XML and forms, the values next to it. These are the values after it, if the
--     first note is a name and the last one a value; the values before it, if the first note is a value and
--     the last one a name; else both.

local names = require("names")
local spans = require("spans")
local structure = require("structure")

local M = {}

--- Chooses the values next to names of secrets, of notes that stand outside of objects.
-- @param row indexes of these notes, in order: those of values, and of names that are told by the same word
-- @param chosen by index of a note; is added to
local function choose_beside(words, is_secret, row, chosen)
  -- Chooses the values that follow a secret name, from row[first] to row[last]. Names without a value between
  -- them share the values that follow: one that is not secret does not end what a secret one began.
  local function choose(first, last, step)
    local is_near, was_value
    for place = first, last, step do
      local index = row[place]
      if words[index] then
        is_near = is_secret[index] or (is_near and not was_value)
      else
        chosen[index] = chosen[index] or is_near
      end
      was_value = not words[index]
    end
  end
  local is_name_first, is_name_last = words[row[1]], words[row[#row]]
  if is_name_first or not is_name_last then
    choose(1, #row, 1)
  end
  if is_name_last or not is_name_first then
    choose(#row, 1, -1)
  end
end

--- Which values belong to names of secrets: by index of their notes.
-- @param objects by position: the object that it is in, nil outside of all
local function chosen_values(notes, words, is_secret, objects)
  local chosen, is_named, rows = {}, {}, {}
  for index in pairs(is_secret) do
    local object = objects[notes[index]]
    if object then
      is_named[object] = true
    else
      rows[words[index]] = {}
    end
  end
  for index, at in ipairs(notes) do
    local word, object = words[index], objects[at]
    if object then
      chosen[index] = not word and is_named[object]
    else
      for row_word, row in pairs(rows) do
        row[#row + 1] = (not word or word == row_word) and index or nil -- nil adds nothing
      end
    end
  end
  for _, row in pairs(rows) do
    choose_beside(words, is_secret, row, chosen)
  end
  return chosen
end

--- The spans of the values that belong to names of secrets, or nil.
-- @param notes positions of names that tell a name or hold a value, in order
function M.find(text, form, notes)
  -- By index of a note: the word by which its name tells another name, nil where it holds a value; whether
  -- the name that it tells is secret.
  local words, is_secret = {}, {}
  for index, at in ipairs(notes) do
    local word = names.facts((form.name_at(text, at))).tells_name
    words[index] = word
    is_secret[index] = word and names.is_secret(form.told_name(text, at)) or nil
  end
  if not next(is_secret) then
    return
  end
  local chosen = chosen_values(notes, words, is_secret, structure.objects_at(text, notes))
  -- A new document, as positions start anew.
  local document, list, done = structure.document(text), nil, 0
  for index, at in ipairs(notes) do
    if chosen[index] and at > done then
      local name, name_stop = form.name_at(text, at)
      local from, to, instead = form.mask(document, at, name_stop, name)
      list, done = spans.add(list, from, to, instead), to or done
    end
  end
  return list
end

return M
