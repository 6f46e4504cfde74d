--- All secrets of a text, whatever its form, and those that only show once it is decoded.
-- Each form looks for its own sign, so a text costs little in a form whose sign it does not have.
-- A secret that escapes hide is found in the decoded text. In the text as it stands, all of the run around it
-- is masked, as only a guess would tell where in the run the secret ends: of `a=token%3DS%26b&page=1`, that
-- is `token%3DS%26b`. What is escaped too often to be searched is masked in the same way.

local escapes = require("escapes")
local markup = require("markup")
local members = require("members")
local parameters = require("parameters")
local search = require("search")
local spans = require("spans")
local structure = require("structure")
local values = require("values")

local byte, find, sub = string.byte, string.find, string.sub

local BACKSLASH = byte("\\")
local MASK = "***"
local ROUNDS = 3 -- of searching: the text, and what decoding it once and twice gives
-- What ends a run: one whose escapes are all a URL's, as in a query; any other, as in markup and strings.
local NARROW, WIDE = structure.set('&= \t\r\n"<>'), structure.set('"<>')

local M = {}

--- The spans of a decoded text as spans of the text that it came from.
local function as_raw(text, map, list)
  local raw, from, to, is_escaped = nil, 1, 0, false -- the run at hand is text[from, to]
  for _, span in ipairs(list) do
    local start, stop = escapes.raw_position(map, span.from), escapes.raw_position(map, span.to + 1) - 1
    if stop > to then
      local separators = (map.is_narrow or span.is_deep) and NARROW or WIDE
      from, to = start, math.max(start, stop)
      while from > 1 and not separators[byte(text, from - 1)] do
        from = from - 1
      end
      while to < #text and not separators[byte(text, to + 1)] do
        to = to + 1
      end
      while to > stop and byte(text, to) == BACKSLASH do
        to = to - 1 -- the backslash belongs to the quote that ends the run
      end
      local run = sub(text, from, to)
      is_escaped = find(run, "[%%&]") or find(run, "\\u", 1, true)
    end
    if is_escaped then
      start, stop = math.min(start, from), math.max(stop, to)
    end
    raw = spans.add(raw, start, stop, is_escaped and MASK or span.instead)
    raw[#raw].is_deep = span.is_deep
  end
  return raw
end

--- The secrets of a text as it stands.
local function plain_secrets(text)
  local list = values.find(structure.document(text))
  list = spans.merged(list, search(text, members))
  list = spans.merged(list, search(text, parameters))
  return spans.merged(list, search(text, markup))
end

--- The secrets of a text, and of what decoding it gives, in up to `ROUNDS` rounds.
-- @param is_new whether there is something to find that the round before did not see. There is not where
--   decoding only gave the signs of further escapes: `%2570` became `%70`
local function secrets_of(text, round, is_new)
  local list = is_new and plain_secrets(text) or nil
  local decoded, map = escapes.decoded(text)
  if not decoded then
    return list
  end
  local hidden
  if map.is_narrow then
    decoded = decoded:gsub("%+", " ") -- as forms write spaces
  end
  if round < ROUNDS then
    hidden = secrets_of(decoded, round + 1, map.is_telling)
  else
    -- Too deep to be searched: each escape counts as a secret, in as narrow a run as possible (`is_deep`).
    for index = 2, #map.plain do
      hidden = spans.add(hidden, map.plain[index] - 1, map.plain[index] - 1, MASK)
      hidden[#hidden].is_deep = true
    end
  end
  return spans.merged(list, hidden and as_raw(text, map, hidden))
end

--- Masks the secrets of a header's value.
function M.mask_header(text)
  return spans.apply(text, secrets_of(text, 1, true))
end

--- Masks the secrets of a text. If it has NULs, as UTF-16 does, it is searched without them, and one secret
-- is enough to mask all of it.
function M.mask(text)
  if not find(text, "\0", 1, true) then
    return spans.apply(text, markup.cut_tag(text, secrets_of(text, 1, true)))
  end
  return secrets_of((text:gsub("%z", "")), 1, true) and MASK or text
end

return M
