--- Secrets whose name is followed by "=": parameters of URLs and forms, attributes, lines of settings.
-- Finds the parts of multipart bodies, too: the head of a part tells its name by "=" (name="password").

local ends = require("ends")
local markup = require("markup")
local multipart = require("multipart")
local names = require("names")
local spans = require("spans")
local structure = require("structure")

local byte, find = string.byte, string.find

local NEVER = math.huge
local AND, LESS, GREATER, SLASH, EQUALS = byte("&<>/=", 1, 5)
local SEPARATORS, NAME_ENDS = structure.set(";?#\r\n"), structure.set("&;?#\r\n \t\"'<>")
local AFTER_VALUE = structure.set(" \t\r\n/>?&;)")

local M = {
  sign = "=",
  longer_name = ends.with_words_before,
  container_end = function() end,
}

function M.name_at(document, at)
  return ends.name_before(document.text, at)
end

function M.name_value(text, at)
  local start, stop = ends.name_value(text, at)
  return start, math.min(stop, (find(text, "&", start, true) or stop + 1) - 1)
end

function M.is_harmless(text, at, _, _, facts)
  return facts.is_count and ends.is_number(text, at)
end

--- Where the tag starts that `at` is in, or nil outside of tags. Positions must not go back from call to
-- call, as the document remembers how far it was read.
local function open_tag(document, at)
  local text, less, greater = document.text, document.less or 0, document.after or 0
  while less <= at do
    document.tag, less = less, find(text, "<", less + 1, true) or NEVER
  end
  while greater < at do
    document.ended, greater = greater, find(text, ">", greater + 1, true) or NEVER
  end
  document.less, document.after = less, greater
  return document.tag > document.ended and document.tag or nil
end

--- Whether a parameter starts at `at`, that is, a name and "=".
-- @return whether it does; up to where the text was read for that
local function starts_parameter(text, at)
  at = structure.after_blank(text, at)
  local stop = at
  while byte(text, stop) and byte(text, stop) ~= EQUALS and not NAME_ENDS[byte(text, stop)] do
    stop = stop + 1
  end
  return stop > at and byte(text, stop) == EQUALS, stop
end

--- Where the parameter or attribute ends whose value starts at `at`. A ";", "#", "?" or line break may be a
-- part of the secret, so it ends the value only where another parameter starts after it.
local function value_end(document, at, limit, is_tag)
  local text, is_markup = document.text, document.is_markup
  local is_next, looked = false, 0
  for stop = at, limit do
    local code = byte(text, stop)
    local is_end = code == AND or (is_markup and (code == LESS or (is_tag and code == GREATER)))
    if SEPARATORS[code] and not is_markup and stop >= looked then
      is_next, looked = starts_parameter(text, stop + 1)
    end
    if is_end or is_next then
      return stop - 1
    end
  end
  return limit
end

function M.mask(document, at)
  local text = document.text
  local limit = structure.string_end(document, at) or #text
  local start = ends.value_start(text, at)
  local quote, to = ends.quote_at(text, start), ends.closing(text, start, limit)
  if to == false or start > limit then
    return at + 1, value_end(document, at + 1, limit, open_tag(document, at)), ends.MASK
  elseif not to or not (AFTER_VALUE[byte(text, to + 1)] or ends.is_over(text, to, limit, true)) then
    to = limit
  end
  return at + 1, to, quote .. ends.MASK .. quote
end

--- Masks all attributes of a tag, as any of them may hold the value, and the element's content:
-- <field name="password" value="...">...</field>
local function mask_tag(document, state, less)
  local text, _, _, stop = document.text, markup.name_at(document, less)
  local greater = markup.tag_end(document, stop) or #text + 1
  local is_empty = byte(text, greater - 1) == SLASH
  state.list = spans.add(state.list, stop + 1, greater - (is_empty and 2 or 1), " " .. ends.MASK)
  local from, to, instead = markup.mask(document, less)
  state.list = from and spans.add(state.list, from, to, instead) or state.list
  return to or greater
end

--- Handles names that have a meaning only in tags, as in <field name="password">, and in heads of parts.
-- @return where to go on; nil where the name is like any other
function M.special(document, state, at, facts)
  local less = open_tag(document, at)
  local from, to, instead
  if less and facts.tells_name then
    local is_secret = names.is_secret_between(document.text, ends.name_value(document.text, at))
    return is_secret and mask_tag(document, state, less) or at
  elseif less and facts.holds_value then
    local element = names.facts((markup.name_at(document, less)))
    if not (element and element.is_secret) then
      return at
    end
    from, to, instead = M.mask(document, at)
  elseif facts.tells_name then
    from, to, instead = multipart.mask(document, at)
  end
  state.list = from and spans.add(state.list, from, to, instead) or state.list
  return to
end

return M
