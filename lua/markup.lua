--- Secrets of XML and HTML: elements, values that an element before or after them names, cut-off tags.
-- Attributes with secret names are parameters' work, as they have a "=".

local ends = require("ends")
local spans = require("spans")
local structure = require("structure")

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local SLASH, LESS = byte("/<", 1, 2)
local SPACES, TAG = structure.set(" "), structure.set("")
for code = 0, 255 do
  TAG[code] = code >= 128 or structure.LETTERS[code] or find("_:.-", string.char(code), 1, true) ~= nil
end
local VOID = { input = true, meta = true, param = true } -- elements of HTML that have no end tag

local function nothing() end

local M = { sign = "<", is_harmless = nothing, longer_name = nothing }

--- The name of the element whose tag starts at `at`, and where it starts and stops; nothing for an end tag.
function M.name_at(document, at)
  local start = structure.skip(document.text, at + 1, SPACES)
  local escaped, stop = start, start
  while escaped do
    stop = structure.skip(document.text, escaped, TAG)
    escaped = match(document.text, "^\\+u%x%x%x%x()", stop) -- a letter that JSON escapes: \u0070
  end
  return sub(document.text, start, stop - 1), start, stop - 1
end

--- Where the tag ends that is open at `at`, or nil. Positions must not go back from call to call.
function M.tag_end(document, at)
  return ends.next_sign(document, ">", at)
end

--- Where the first tag from `at` on stands that begins with `start`, or nil.
-- @param start "<" or "</" and the whole name of an element: "<pin" is not found in "<pinned>"
local function tag(text, start, at)
  repeat
    at = find(text, start, at, true)
    local stop = at and at + #start
    at = stop
  until not stop or not TAG[byte(text, stop)]
  return at and at - #start
end

--- Masks the content of the element whose tag starts at `at`; nothing where it has none.
-- The content stops before the first end tag of its name. That may be the wrong one where the content has an
-- element of the same name, or a comment or CDATA ("<!"): then the rest of the text is masked.
function M.mask(document, at)
  local text, element, _, stop = document.text, M.name_at(document, at)
  local greater = M.tag_end(document, stop)
  if not greater or byte(text, greater - 1) == SLASH or VOID[element] then
    return nil
  end
  local close = tag(text, "</" .. element, greater)
  local content = close and sub(text, greater, close - 1)
  local is_plain = content and not find(content, "<!", 1, true) and not tag(content, "<" .. element, 1)
  return greater + 1, is_plain and close - 1 or #text, ends.MASK
end

--- Where the text of the element starts and stops whose tag starts at `at`; of a long one, the beginning.
function M.name_value(text, at)
  local greater = find(text, ">", at, true) or #text
  local less = find(text, "<", greater, true) or #text + 1
  return greater + 1, math.min(less - 1, greater + 128)
end

function M.container_end(text, at, element)
  return find(text, "</" .. element .. ">", at, true) or #text
end

--- Masks a tag that the end of the text cuts off, all but its element's name: nobody knows which attributes
-- it would have had.
-- @param list the spans so far, or nil
-- @return the list
function M.cut_tag(text, list)
  local document, less = structure.document(text), #text
  if not document.is_markup then
    return list
  end
  while byte(text, less) ~= LESS do
    less = less - 1
  end
  local last = list and list[#list]
  local is_cut = not find(text, ">", less, true) and byte(text, less + 1) ~= SLASH
  local _, start, stop = M.name_at(document, less)
  if is_cut and structure.LETTERS[byte(text, start)] and not (last and last.to > less) then
    return spans.add(list, stop + 1, #text, " " .. ends.MASK)
  end
  return list
end

return M
