--- Secrets of multipart bodies: the content of a part whose name is secret, up to the next boundary.
-- The first line that starts with "--" is taken for the boundary. A multipart body inside of a part has
-- another one, so a secret part in there is masked up to where the outer part ends.

local ends = require("ends")
local escapes = require("escapes")
local names = require("names")
local structure = require("structure")

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local NEWLINE, BACKSLASH, LETTER_N, QUOTE = byte('\n\\n"', 1, 4)
local MAX_LINE, MAX_BOUNDARY = 300, 72 -- bytes: of a line of a head; RFC 2046's 70 and the dashes
local LINE_ENDS = structure.set("\r\n\\")

local M = {}

--- The first line that starts with "--", or "". In a string of JSON, a line starts after the escape `\n`.
local function boundary_of(text)
  local at = find(text, "--", 1, true)
  while at do
    local before = byte(text, at - 1) or NEWLINE
    if before == NEWLINE or (before == LETTER_N and byte(text, at - 2) == BACKSLASH) then
      return match(sub(text, at, at + MAX_BOUNDARY - 1), '^[^\r\n\\"]+')
    end
    at = find(text, "--", at + 1, true)
  end
  return ""
end

--- Masks the part whose head has the "=" at `at`, after `name`, if that name is secret.
-- @return from, to, instead; or nothing
function M.mask(document, at)
  local text = document.text
  document.boundary = document.boundary or boundary_of(text)
  if document.boundary == "" or at < (document.looked or 0) then
    return nil
  end
  local start = ends.value_start(text, at)
  local line = start
  while
    line - start < MAX_LINE
    and byte(text, line)
    and not (LINE_ENDS[byte(text, line)] and byte(text, line + 1) ~= QUOTE)
  do
    line = line + 1
  end
  document.looked = line -- a "=" in the rest of the line belongs to this name
  local name = sub(text, start, line - 1)
  local facts = names.facts(escapes.decoded(name) or name)
  if facts and facts.is_secret then
    local to = (find(text, document.boundary, at, true) or #text + 1) - 1
    local part = sub(text, at, to)
    local content = match(part, "\r?\n\r?\n()")
    local escaped = not content and (match(part, "\\n\\r\\n()") or match(part, "\\n\\n()"))
    return at + (content or escaped or 2) - 1, to, ends.MASK .. (escaped and "\\r\\n" or "\r\n")
  end
end

return M
