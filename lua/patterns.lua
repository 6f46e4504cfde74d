--- Patterns in settings.
-- A pattern has at most one "*", which stands for anything: at the end of a path, at the start of a host, or
-- right after the "/" of a content type (application/*+json). So no text can match by the same bytes what
-- stands before the "*" and what stands after it, and the matcher need not check that.

local M = {}

--- Makes a function that tells whether a text matches one of some patterns: true if so, else nil.
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
    for _, pattern in ipairs(open) do
      local start, rest = pattern.start, pattern.rest
      if text:sub(1, #start) == start and text:sub(#text - #rest + 1) == rest then
        return true
      end
    end
    return whole[text]
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
