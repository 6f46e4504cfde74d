--- Secrets of multipart bodies.
-- A secret is the content of a part whose name is secret, up to the next boundary.

local ends = require("ends")
local names = require("names")
local structure = require("structure")

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local MAX_HEAD = 300 -- bytes of a part's head that are read before the "=" and after it
-- LINE_STARTS may stand right before a line. In a string of JSON, that is a quote, or the `n` of its escape;
-- before the first line, also the last byte of a byte order mark (\191), or the end of what is around the
-- body. LINE_ENDS stand right behind a "--" that is all of its line: such a line is no boundary.
local LINE_STARTS, LINE_ENDS = structure.set('[\n"n>={\191]'), structure.set('[\r\n\\"]')

local M = {}

--- The first byte of the boundary before `at`, or nil: of the last line there that starts with "--".
-- Positions must not go back from call to call, as the document remembers the boundary, and where to look
-- next.
local function boundary_before(document, at)
  local text, dashes = document.text, structure.next_sign(document, "--", document.after_dashes or 1)
  while dashes < at do
    local is_start = dashes == 1 or LINE_STARTS[byte(text, dashes - 1)]
    if is_start and not LINE_ENDS[byte(text, dashes + 2)] then
      document.boundary = dashes
    end
    document.after_dashes = dashes + 1
    dashes = structure.next_sign(document, "--", dashes + 1)
  end
  return document.boundary
end

--- Masks the content of a part, if its name is secret.
-- @param at the "=" in the head of the part, after `name`
-- @return the span: from, to, instead; or nothing
function M.mask(document, at)
  local text, boundary_start = document.text, boundary_before(document, at)
  -- In each line, only the first "=" is read: another one in it, such as that after `filename`, is passed
  -- over.
  if at < (document.head_stop or 0) or not boundary_start or boundary_start < at - MAX_HEAD then
    return nil
  end
  -- All of the line after the "=" is read as the name; in a JSON string, up to the escape of its end.
  local start = structure.value_start(text, at)
  local line = sub(text, start, math.min(structure.next_sign(document, "\n", start), start + MAX_HEAD) - 1)
  line = sub(line, 1, (find(line, "\\[rn]") or 0) - 1)
  document.head_stop = start + #line
  if names.is_secret(line) then
    local boundary = match(sub(text, boundary_start, at), '^[^\r\n\\"]+')
    local to = (find(text, boundary, at, true) or #text + 1) - 1
    local part = sub(text, at + 1, to)
    -- The content is what follows the empty line; if there is none, all after the "=".
    local content = match(part, "\r?\n\r?\n()")
    local escaped = not content and (match(part, "\\n\\r\\n()") or match(part, "\\n\\n()"))
    return at + (content or escaped or 1), to, ends.MASK .. (escaped and "\\r\\n" or "\r\n")
  end
end

return M
