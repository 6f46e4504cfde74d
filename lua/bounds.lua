--- Cuts long texts.
-- What is left of them shows no part of a secret at its end.
-- Headers and the path are cut where they come in, before they are masked (headers).

local values = require("values")

local M = {}

--- A text whose end was cut off, without what may be the beginning of a secret at that end.
-- Some secrets show only by their end, which may have been cut off: card numbers, keys and tokens
-- (values.last_whole); and user information by the "@" behind it, https://user:password@host. So if the text
-- ends within the host of a URL, nothing of that host stays.
function M.finished(text)
  -- What stands behind the last byte that ends a host or a URL, reversed: a pattern with only a "$" would
  -- start anew at each byte.
  local tail = text:reverse():match("^[^/?# \t\r\n&;,\"'<>]*")
  local start = #text - #tail
  -- What stands behind the last escaped slash, which may stand before a host, too: https%3A%2F%2Fuser.
  local escaped = tail:match("^(.-)[fF]2%%")
  local is_host = escaped or text:sub(start - 1, start) == "//"
  return text:sub(1, is_host and #text - #(escaped or tail) or values.last_whole(text))
end

--- The beginning of a text that is longer than `limit` bytes: no character or secret is cut in two.
function M.cut(text, limit)
  while limit > 0 and text:find("^[\128-\191]", limit + 1) do
    limit = limit - 1
  end
  return M.finished(text:sub(1, limit))
end

return M
