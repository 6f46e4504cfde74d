--- Secrets of multipart bodies: the content of a part whose name is secret, up to the next boundary.
-- Where parts end is told by the first line that starts with "--". A nested part is masked up to where the
-- outer one ends.

local ends = require("ends")
local escapes = require("escapes")
local names = require("names")
local structure = require("structure")

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local NEWLINE, BACKSLASH, LETTER_N, QUOTE = byte('\n\\n"', 1, 4)
local MAX_LINE, MAX_BOUNDARY = 300, 72 -- of a head; RFC 2046's 70, and the dashes
local LINE_ENDS = structure.set("\r\n\\")

local M = {}

--- The first line that starts with "--", or nothing. In JSON a line may start after `\n`.
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

--- The part in whose head the "=" at `at` stands after `name`.
-- @return where its content starts and stops and what stands for it, if it is secret
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
  document.looked = line -- the rest of the line is a part of this name
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
