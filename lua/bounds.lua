--- Cuts long texts.
-- What is left of them shows no part of a secret at its end.
-- Headers and the path are cut where they come in, before they are masked (headers).

local values = require("values")

local M = {}

--- A text whose end was cut off, without what may be the beginning of a secret there.
-- Some secrets show only by their end, which may have been cut off. The "@" behind user information is one
-- such end (https://user:password@host), so nothing of a host stays. The others are the ends of card numbers,
-- keys and tokens.
function M.finished(text)
  -- Read from behind, up to what ends the host of a URL, or the URL.
  local host = text:reverse():match("^[^/?# \t\r\n&;,\"'<>]*")
  local start = #text - #host
  -- An escaped slash ends a host, or stands before one: https%3A%2F%2Fuser. Nothing after it stays.
  local escaped = host:match("^(.-)[fF]2%%")
  local is_host = escaped or text:sub(start - 1, start) == "//"
  return text:sub(1, is_host and #text - #(escaped or host) or values.last_whole(text))
end

--- The beginning of a text that is longer than `limit` bytes: no character or secret is cut in two.
function M.cut(text, limit)
  while limit > 0 and text:find("^[\128-\191]", limit + 1) do
    limit = limit - 1
  end
  return M.finished(text:sub(1, limit))
end

return M
