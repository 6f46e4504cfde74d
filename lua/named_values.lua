--- Names that are values.
-- In {"name": "password", "value": ...}, in either order, `name` tells a name and `value` holds a value. The
-- search notes the sign of each such name, but for attributes and the heads of parts (parameters). If the
-- name that is told is secret, the values that belong to it are masked:
--   inside of an object, all values that the object's own names hold;
--   outside of objects, as in XML and forms, the values next to it. They are those after it, if the first
--     note is a name and the last one a value: name=pin&value=1. They are those before it, if the first note
--     is a value and the last one a name: value=1&name=pin. Else they are both.

local names = require("names")
local spans = require("spans")
local structure = require("structure")

local M = {}

--- Chooses the values next to names of secrets, among notes that stand outside of objects.
-- @param words by index of a note: a word if the note is a name, nil if it is a value
-- @param secrets by index of a note: true if it tells a secret name, else nil
-- @param row the indexes of the notes to look at, in order: those of values, and of names told by one word
-- @param chosen by index of a note: whether its value is chosen; is added to
local function choose_beside(words, secrets, row, chosen)
  -- Chooses the values that follow a secret name on the way from row[first] to row[last]. If several names
  -- stand together, the values that follow belong to all of them, and one secret name is enough.
  local function choose(first, last, step)
    local is_near, was_value
    for place = first, last, step do
      local index = row[place]
      if words[index] then
        is_near = secrets[index] or (is_near and not was_value)
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
-- @param words, secrets as above
-- @param objects by position: the object that it is in, nil outside of all
local function chosen_values(notes, words, secrets, objects)
  -- The objects that have the name of a secret; and outside of objects a row for each word that tells one. So
  -- names that are told by `id` do not end the values of a name that is told by `name`.
  local chosen, is_named, rows = {}, {}, {}
  for index in pairs(secrets) do
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
    choose_beside(words, secrets, row, chosen)
  end
  return chosen
end

--- The spans of the values that belong to names of secrets, or nil.
-- @param notes positions in order: the signs of names that tell a name or hold a value
function M.find(text, form, notes)
  -- By index of a note: the word by which it tells a name, as "key", nil if it holds a value; whether the
  -- name that it tells is secret.
  local words, secrets = {}, {}
  for index, at in ipairs(notes) do
    local word = names.facts((form.name_at(text, at))).tells_name
    words[index] = word
    secrets[index] = word and names.is_secret(form.told_name(text, at)) or nil
  end
  if not next(secrets) then
    return
  end
  local chosen = chosen_values(notes, words, secrets, structure.objects_at(text, notes))
  -- A new document, as positions may not go back in the one of the search. `done`: up to there it is masked.
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
