--- Patterns in settings.
-- A pattern has at most one "*", which stands for anything.

local M = {}

--- Makes a function that tells whether a text matches one of some patterns.
-- @param list a pattern per line
function M.matcher(list)
  local whole, open = {}, {} -- patterns without and with a "*"
  for pattern in list:gmatch("[^\n]+") do
    local start, rest = pattern:match("^([^*]*)%*(.*)$")
    if start then
      open[#open + 1] = { start = start, rest = rest }
    else
      whole[pattern] = true
    end
  end
  return function(text)
    local is_match = whole[text]
    for _, pattern in ipairs(open) do
      is_match = is_match
        or text:sub(1, #pattern.start) == pattern.start
          and text:sub(#text - #pattern.rest + 1) == pattern.rest
    end
    return is_match
  end
end

--- A matcher of content types, in any case and with any parameters.
function M.type_matcher(list)
  local is_match = M.matcher(list)
  return function(content_type)
    return is_match(content_type:lower():match("^%s*([^;%s]*)"))
  end
end

return M
