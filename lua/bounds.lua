--- Cuts long texts.
-- What is left of them shows no part of a secret at its end.
-- Headers and the path are cut where they come in, before they are masked (headers).

local structure = require("structure")
local values = require("values")

local byte, find, sub = string.byte, string.find, string.sub

local SLASH, PERCENT = byte("/%", 1, 2)
local HOST_ENDS = structure.set("[/?# \t\r\n&;,\"'<>]") -- what ends the host of a URL, or the URL

local M = {}

--- A text whose end was cut off, without what may be the beginning of a secret there.
-- Some secrets show only by their end, which may have been cut off. The "@" behind user information is one
-- such end (https://user:password@host), so nothing of a host stays. The others are the ends of card numbers,
-- keys and tokens.
function M.finished(text)
  local at = #text
  while at > 0 and not HOST_ENDS[byte(text, at)] do
    -- An escaped slash ends a host, or stands before one: https%3A%2F%2Fuser. Nothing after it stays.
    if byte(text, at) == PERCENT and sub(text, at + 1, at + 2):lower() == "2f" then
      return sub(text, 1, at + 2)
    end
    at = at - 1
  end
  local is_host = byte(text, at) == SLASH and byte(text, at - 1) == SLASH
  return sub(text, 1, is_host and at or values.last_whole(text))
end

--- The beginning of a text that is longer than `limit` bytes: no character or secret is cut in two.
function M.cut(text, limit)
  while limit > 0 and find(text, "^[\128-\191]", limit + 1) do
    limit = limit - 1
  end
  return M.finished(sub(text, 1, limit))
end

return M
