--- Secrets whose name is followed by ":": members of JSON, lines of YAML, arguments of GraphQL, free text.

local ends = require("ends")
local names = require("names")
local structure = require("structure")

local byte, match, sub = string.byte, string.match, string.sub

local QUOTE, SLASH, NEWLINE = byte('"/\n', 1, 3)
local GAP = ends.GAP

local M = {
  sign = ":",
  longer_name = ends.with_words_before,
  container_end = ends.object_end,
  name_value = ends.name_value,
}

--- The name before the sign at `at`; most are quoted, and right there.
function M.name_at(document, at)
  local text = document.text
  if byte(text, at - 1) ~= QUOTE or GAP[byte(text, at - 2)] then
    return ends.name_before(text, at)
  end
  local start = at - 2
  while start > 0 and byte(text, start) ~= QUOTE do
    start = start - 1
  end
  return sub(text, start + 1, at - 2), start + 1, at - 2
end

--- Whether the value of a secret name is harmless: a count (`tokens: 12`), or a port, where the "name" is a
-- host (https://token.example.com:8443).
function M.is_harmless(text, at, start, stop, facts)
  if facts.is_count then
    return ends.is_number(text, at)
  end
  local is_port = byte(text, stop + 1) ~= QUOTE and match(text, "^%d%d?%d?%d?%d?%f[^%w]", at + 1)
  if is_port and sub(text, start - 3, start - 1) ~= "://" then
    -- Without "://", a host has to end as a domain does: token.example.com:8443, but not user.pin:1234.
    local domain = match(sub(text, start, stop), "^.*%.(%l%l%l?)$")
    is_port = domain and not names.facts(domain)
  end
  return is_port
end

--- Masks a value with its quotes. Where it has none, the mask gets those of the name, which stops at `stop`:
-- {"pin": 1234} becomes {"pin": "***"}.
function M.mask(document, at, stop)
  local text = document.text
  local limit = structure.string_end(document, at)
  if not limit and document.is_markup then
    local less = ends.next_sign(document, "<", at)
    limit = less and byte(text, less + 1) == SLASH and less - 1
  end
  limit = limit or #text
  local start = ends.value_start(text, at)
  if start > limit then
    return at + 1, limit, ends.MASK
  end
  local quote, closed = ends.quote_at(text, start), ends.closing(text, start, limit)
  quote = quote ~= "" and quote or ends.quote_at(text, stop + 1)
  local is_comment = byte(text, start) == SLASH
  local is_line = closed == false and not (document.is_json or document.is_markup or is_comment)
  local to = closed
  if closed == false then
    to = is_line and ends.line_end(document, start) or ends.word_end(text, start)
  end
  local is_line_end = is_line and byte(text, to + 1) == NEWLINE
  if not to or to > limit or not (is_line_end or ends.is_over(text, to, limit, closed)) then
    to = limit
  end
  return at + 1, to, quote .. ends.MASK .. quote
end

return M
