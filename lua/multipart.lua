--- Secrets of multipart bodies: the content of a part whose name is secret, up to the next boundary.

local ends = require("ends")
local names = require("names")
local structure = require("structure")

local find, match, sub = string.find, string.match, string.sub

local MAX_HEAD = 300 -- bytes: of a part's head, before and after its name

local M = {}

--- Masks the part whose head has the "=" at `at`, after `name`, if that name is secret.
-- All of the line is read as the name, so a further "=" in it is passed over (`head_stop`). The boundary is
-- the last line before that starts with "--". In JSON, a line starts after a quote or the escape `\n`.
-- @return the span: from, to, instead; or nothing
function M.mask(document, at)
  local text, first = document.text, math.max(at - MAX_HEAD, 1)
  if at < (document.head_stop or 0) or structure.next_sign(document, "--", first) > at then
    return nil
  end
  local start = ends.value_start(text, at)
  local line = sub(text, start, math.min(structure.next_sign(document, "\n", start), start + MAX_HEAD) - 1)
  line = sub(line, 1, (find(line, "\\[rn]") or 0) - 1)
  document.head_stop = start + #line
  local boundary = names.is_secret(line) and match("\n" .. sub(text, first, at), '^.*[\n"n](%-%-[^\r\n\\"]+)')
  if boundary then
    local to = (find(text, boundary, at, true) or #text + 1) - 1
    local part = sub(text, at + 1, to)
    local content = match(part, "\r?\n\r?\n()")
    local escaped = not content and (match(part, "\\n\\r\\n()") or match(part, "\\n\\n()"))
    return at + (content or escaped or 1), to, ends.MASK .. (escaped and "\\r\\n" or "\r\n")
  end
end

return M
