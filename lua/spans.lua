--- Parts of a text to be masked.
-- They stand in lists, in order of `from`. Each is a table: from, to, and what stands there instead. If
-- nothing is to be masked, the list is nil: a list is never empty. These spans have nothing to do with those
-- of traces.

local buffer = require("string.buffer")

-- What stands behind the last span of a list.
local END = { from = math.huge, to = 0 }

local out = buffer.new()

local M = {}

--- Adds a span to the end of a list. Spans of the list that do not start before it become a part of it.
-- @param list or nil: then a new one is made
-- @param from or nil: then nothing is added
-- @param to less than `from` if the value is empty, as in `password=`: the mask is inserted there
-- @return the list
function M.add(list, from, to, instead)
  if not from then
    return list
  end
  list = list or {}
  while list[1] and list[#list].from >= from do
    to = math.max(to, table.remove(list).to)
  end
  list[#list + 1] = { from = from, to = to, instead = instead }
  return list
end

--- Two lists as one, in one walk over both.
function M.merged(one, other)
  if not (one and other) then
    return one or other
  end
  local all, at_one, at_other = {}, 1, 1
  for index = 1, #one + #other do
    local first, second = one[at_one] or END, other[at_other] or END
    if first.from <= second.from then
      all[index], at_one = first, at_one + 1
    else
      all[index], at_other = second, at_other + 1
    end
  end
  return all
end

--- A text with its spans masked. Of spans that overlap, only the mask of the first one is put.
function M.apply(text, list)
  if not list then
    return text
  end
  local copied = 1
  out:reset()
  for _, span in ipairs(list) do
    if span.from >= copied then
      out:put(text:sub(copied, span.from - 1), span.instead)
    end
    copied = math.max(copied, span.to + 1)
  end
  return out:put(text:sub(copied)):get()
end

return M
