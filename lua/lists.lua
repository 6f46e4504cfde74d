--- Secrets in lists.
-- The first item is the name: [["password", "..."]], as headers and maps are written. In a list that stands
-- alone, ["password", "email"], a secret word is no name.

local ends = require("ends")
local structure = require("structure")

local BACKSLASHES = structure.set("\\")
local MAX_INDENT = 64 -- bytes

local M = { sign = "[", told_name = ends.told_name }

--- The first item of the list at `at`, if that is a string, and its last byte; else "". In JSON in a string,
-- each quote has backslashes before it: as many before the closing one as before the opening one.
function M.name_at(text, at)
  local start = structure.after_blank(text, at + 1)
  local open = structure.skip(text, start, BACKSLASHES)
  local close = text:sub(open, open) == '"' and text:find('"', open + 1, true) or open
  local stop = close - 1 - (open - start)
  return text:sub(open + 1, stop), stop
end

--- Masks the second item of the list at `at`, if that list is an item of another one.
function M.mask(document, at, name_stop)
  local text = document.text
  local comma = text:match('^\\*"%s*(),', name_stop + 1)
  -- Before an item of a list, a "[" or a "," stands; between them, white space or escapes of it.
  local before = text:sub(math.max(at - MAX_INDENT, 1), at - 1)
  if comma and before:find("[,[][%s\\nrt]*$") then
    return ends.mask(document, comma, name_stop)
  end
end

return M
