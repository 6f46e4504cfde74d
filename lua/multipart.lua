--- Secrets of multipart bodies.
-- The content of a part whose name is secret, up to the next boundary.

local ends = require("ends")
local names = require("names")
local structure = require("structure")

local find, match, sub = string.find, string.match, string.sub

local MAX_HEAD = 300 -- bytes: of a part's head, before and after its name

local M = {}

--- Masks the part whose head has the "=" at `at`, after `name`, if that name is secret.
-- @return the span: from, to, instead; or nothing
function M.mask(document, at)
  local text = document.text
  -- A "=" in the line that was read last is passed over, as that of `filename`.
  if at < (document.head_stop or 0) or structure.next_sign(document, "--", 1) > #text then
    return nil
  end
  -- All of the line is read as the name; in a JSON string, up to the escape of its end.
  local start = ends.value_start(text, at)
  local line = match(sub(text, start, start + MAX_HEAD), "^[^\r\n]*")
  line = sub(line, 1, (find(line, "\\[rn]") or 0) - 1)
  document.head_stop = start + #line
  -- The boundary is the last line before the "=" that starts with "--". In JSON, a line starts after a quote
  -- or the escape `\n`.
  local boundary = names.is_secret(line)
    and match("\n" .. sub(text, math.max(at - MAX_HEAD, 1), at), '^.*[\n"n](%-%-[^\r\n\\"]+)')
  if boundary then
    local to = (find(text, boundary, at, true) or #text + 1) - 1
    local part = sub(text, at + 1, to)
    -- The content is what follows the empty line; if there is none, all after the "=".
    local content = match(part, "\r?\n\r?\n()")
    local escaped = not content and (match(part, "\\n\\r\\n()") or match(part, "\\n\\n()"))
    return at + (content or escaped or 1), to, ends.MASK .. (escaped and "\\r\\n" or "\r\n")
  end
end

return M
