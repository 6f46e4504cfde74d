--- Secrets of multipart bodies: the content of a part whose name is secret, up to the next boundary.

local ends = require("ends")
local names = require("names")
local structure = require("structure")

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local next_sign = structure.next_sign

local MAX_HEAD = 300 -- bytes: of a part's head, before and after its name
local LINE_STARTS = structure.set('\n"n') -- what stands before a line: in JSON, a quote or the escape `\n`
local NEWLINE = byte("\n")

local M = {}

--- The boundary before `at`, which is the last line that starts with "--"; nil if none is near.
local function boundary_before(document, at)
  local text, dashes = document.text, next_sign(document, "--", document.after_dashes or 1)
  while dashes < at do
    if LINE_STARTS[byte(text, dashes - 1) or NEWLINE] then
      document.boundary = dashes
    end
    document.after_dashes = dashes + 1
    dashes = next_sign(document, "--", dashes + 1)
  end
  local start = document.boundary
  return start and start >= at - MAX_HEAD and match(sub(text, start, at), '^%-%-[^\r\n\\"]+') or nil
end

--- Where the line stops that `at` is in; of a long one, the beginning.
local function line_stop(document, at)
  local next_line = math.min(next_sign(document, "\r", at), next_sign(document, "\n", at))
  local next_escaped = math.min(next_sign(document, "\\r", at), next_sign(document, "\\n", at))
  return math.min(next_line, next_escaped, at + MAX_HEAD + 1) - 1
end

--- Masks the part whose head has the "=" at `at`, after `name`, if that name is secret.
-- All of the line is read as the name, so a further "=" in it is passed over (`head_stop`).
-- @return the span: from, to, instead; or nothing
function M.mask(document, at)
  local text = document.text
  local boundary = at > (document.head_stop or 0) and boundary_before(document, at)
  if not boundary then
    return nil
  end
  local start = ends.value_start(text, at)
  document.head_stop = line_stop(document, start)
  if names.is_secret(sub(text, start, document.head_stop)) then
    local to = (find(text, boundary, at, true) or #text + 1) - 1
    local content = math.min(next_sign(document, "\n\n", at) + 2, next_sign(document, "\n\r\n", at) + 3)
    local escaped = math.min(next_sign(document, "\\n\\n", at) + 4, next_sign(document, "\\n\\r\\n", at) + 6)
    local from = content <= to + 1 and content or escaped <= to + 1 and escaped or at + 1
    return from, to, ends.MASK .. (from == escaped and "\\r\\n" or "\r\n")
  end
end

return M
