--- Secrets in lists.
-- The first item is the name: [["password", "..."]], as headers and maps are written. In a list that stands
-- alone, ["password", "email"], a secret word is no name.
-- A name is found only if no white space stands before it, nor before the comma behind it.

local ends = require("ends")

local M = { sign = '["', told_name = ends.told_name }

function M.name_at(text, at)
  local name = ends.told_name(text, at)
  return name, at + #name + 1
end

--- Masks the second item of the list at `at`, if that list is an item of another one.
function M.mask(document, at, name_stop)
  local text = document.text
  local is_item = text:sub(at - 2, at):find("[%[,] ?%[")
  if is_item and text:sub(name_stop + 1, name_stop + 2) == '",' then
    return ends.mask(document, name_stop + 2, name_stop)
  end
end

return M
