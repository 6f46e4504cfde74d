--- Names that are values.
-- In {"name": "password", "value": ...}, in either order, `name` tells a name and `value` holds a value. The
-- search notes the sign of each such name, except in attributes and in the heads of parts (parameters). If
-- the name that is told is secret, the values that belong to it are masked:
--   inside of an object, all values that the object's own names hold;
--   outside of objects, as in XML and forms, the values next to it. The first and the last note tell on which
--     side these are: after it, if the first is a name and the last a value (name=pin&value=1); before it, if
--     the first is a value and the last a name (value=1&name=pin); else on both.

local names = require("names")
local spans = require("spans")
local structure = require("structure")

--- The notes of a text, in order; nil if no name of a secret is told. A note is a table:
--   at: the position of its sign;
--   word: the word by which its name tells a name, as "key"; nil if it holds a value;
--   is_secret: whether it tells the name of a secret;
--   object: the object that it is in, nil outside of all;
--   is_chosen: whether its value belongs to the name of a secret (`choose`).
local function notes_of(text, form, signs)
  local words, secrets, read_to = {}, {}, 0
  for index, at in ipairs(signs) do
    local word = names.facts((form.name_at(text, at))).tells_name
    -- A sign in the first word of a told name is read with that: of "k:a,k:b", each would read all that
    -- follow. Behind a space, names are told anew: "title": "key: password, value: 1".
    local told = word and at > read_to and form.told_name(text, at) or ""
    read_to = math.max(read_to, at + #told:match("^[^ ]*"))
    -- A type with dots is that of an event, {"type": "session.expired", "data": ...}, unless behind its last
    -- dot stands the name of a secret.
    local last = word == "type" and told:match("%a%.(%a[^.]*)$")
    local is_event = last and not names.is_secret(last)
    words[index], secrets[index] = word, not is_event and names.is_secret(told) or nil
  end
  if not next(secrets) then
    return
  end
  local notes, objects = {}, structure.objects_at(text, signs)
  for index, at in ipairs(signs) do
    notes[index] = { at = at, word = words[index], is_secret = secrets[index], object = objects[at] }
  end
  return notes
end

--- Chooses the values that follow the name of a secret on the way from row[first] to row[last]. If several
-- names stand together, the values that follow belong to all of them, and one name of a secret is enough.
local function choose_after(row, first, last, step)
  local is_near -- whether a value that comes now belongs to the name of a secret
  for index = first, last, step do
    local note = row[index]
    if note.word then
      is_near = note.is_secret or (is_near and row[index - step].word)
    else
      note.is_chosen = note.is_chosen or is_near
    end
  end
end

--- Chooses the values next to names of secrets, outside of objects.
-- @param word only names that it tells count: so a name that is told by `id` does not end the values of one
--   that is told by `name`
local function choose_beside(notes, word)
  local row = {}
  for _, note in ipairs(notes) do
    if not note.object and (not note.word or note.word == word) then
      row[#row + 1] = note
    end
  end
  local first, last = row[1].word, row[#row].word -- nil for a value
  if first or not last then
    choose_after(row, 1, #row, 1)
  end
  if last or not first then
    choose_after(row, #row, 1, -1)
  end
end

--- Chooses the values that belong to names of secrets. Outside of objects, each word that tells one is a walk
-- over all notes.
-- @param most how many notes may be read
-- @return true if that is not enough; then all values are to be masked
local function choose(notes, most)
  local objects, words, walks = {}, {}, 3 -- objects with the name of a secret; words that tell one outside
  for _, note in ipairs(notes) do
    if note.is_secret and note.object then
      objects[note.object] = true
    elseif note.is_secret and not words[note.word] then
      words[note.word], walks = true, walks + 1
    end
  end
  if #notes * walks > most then
    return true
  end
  for _, note in ipairs(notes) do
    note.is_chosen = not note.word and objects[note.object]
  end
  for word in pairs(words) do
    choose_beside(notes, word)
  end
end

--- The spans of the values that belong to names of secrets, or nil.
-- @param signs of names that tell a name or hold a value: positions in order
return function(text, form, signs)
  local notes = notes_of(text, form, signs)
  if not notes then
    return
  end
  if choose(notes, 16384 + #text / 4) then -- in 64 KB, 8,192 notes if one word tells secrets
    return spans.add(nil, signs[1] + 1, #text, "***")
  end
  -- A new document, as the search has read its own to the end, and positions may not go back there. Up to
  -- `done` the text is masked already.
  local document, list, done = structure.document(text), nil, 0
  for _, note in ipairs(notes) do
    if note.is_chosen and note.at > done then
      local name, name_stop = form.name_at(text, note.at)
      local from, to, instead = form.mask(document, note.at, name_stop, name)
      list, done = spans.add(list, from, to, instead), to or done
    end
  end
  return list
end
