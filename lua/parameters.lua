--- Secrets after "=".
-- Their name stands before the "=", as in parameters of URLs and forms, attributes, and lines of settings.
-- Also finds the parts of multipart bodies, as the head of a part names it with a "=" (name="password").

local ends = require("ends")
local markup = require("markup")
local multipart = require("multipart")
local names = require("names")
local spans = require("spans")
local structure = require("structure")

local find = string.find

local MAX_INPUT = 512 -- bytes of a tag that is searched for a value

local M = { sign = "=", name_at = ends.name_before, mask = ends.mask, told_name = ends.told_name }

--- The "<" and the ">" of the tag that `at` is in, or nil if it is in none. Positions must not go back from
-- call to call: the document remembers the last tag.
local function tag_around(document, at)
  local text, less, greater = document.text, document.less or 0, document.greater or 0
  while greater < at do
    less = find(text, "<", greater + 1, true) or #text + 1
    greater = find(text, ">", less, true) or #text + 1
  end
  document.less, document.greater = less, greater
  if less < at then
    return less, greater
  end
end

--- Masks all attributes of a tag, as any of them may hold the value, and the element's content:
-- <field name="password" value="...">...</field>
-- An <input> without a value is left as it is: it is a field of a form that nobody has filled in.
-- @param at the sign of its attribute; less, greater: where the tag starts and ends
-- @return up to where the text is dealt with, or nil for such an <input>
local function mask_tag(search, document, at, less, greater)
  local text = search.text
  local element, stop = markup.name_at(text, less)
  local is_small = element == "input" and greater < less + MAX_INPUT
  if is_small and not text:sub(less, greater):lower():find("value", 1, true) then
    return nil
  end
  local limit = structure.string_end(document, at) or #text
  local last = math.min(greater - (text:sub(greater - 1, greater - 1) == "/" and 2 or 1), limit)
  local from, to, instead = markup.mask_content(document, element, greater, limit)
  search.list = spans.add(spans.add(search.list, stop + 1, last, " " .. ends.MASK), from, to, instead)
  return to or last
end

--- Masks for a name that tells a name or holds a value, where that means more than in other places: in a tag
-- (<field name="password">), and in the head of a part (name="password").
-- @param search as in search.lua
-- @return up to where the text is dealt with, or nil if the name is like any other
function M.mask_role(search, document, at, name_stop, facts)
  local text = search.text
  local less, greater = tag_around(document, at)
  local from, to, instead
  if less and facts.tells_name then -- <field name="password" ...>
    return names.is_secret(ends.told_name(text, at)) and mask_tag(search, document, at, less, greater) or at
  elseif less and not names.is_secret((markup.name_at(text:sub(less, less + 64), 1))) then
    -- <option value="1">. Of an element's name, 64 bytes are read again for each `value=` of its tag.
    return at
  elseif less then -- <password value="1234">
    from, to, instead = ends.mask(document, at, name_stop)
  elseif facts.tells_name == "name" then -- the head of a part: name="password"
    from, to, instead = multipart.mask(document, at)
  end
  search.list = spans.add(search.list, from, to, instead)
  return to
end

return M
