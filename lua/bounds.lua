--- Cuts what is too long where it comes in, before anything looks at it.

local byte, sub = string.byte, string.sub

local SLASH, PERCENT = byte("/%", 1, 2)
-- What ends the host of a URL, or the URL.
local ENDS = {}
for _, code in ipairs({ byte("/?# \t&;,\"'<>", 1, -1) }) do
  ENDS[code] = true
end

local M = {}

--- Where to cut a text that is longer than `limit` bytes: there, or before the UTF-8 sequence at the limit.
local function boundary(text, limit)
  for stop = limit, math.max(0, limit - 3), -1 do
    local following = byte(text, stop + 1)
    if following < 0x80 or following > 0xBF then
      return stop
    end
  end
  return limit -- no UTF-8 has so many continuation bytes
end

--- The beginning of a text that is longer than `limit` bytes.
-- The "@" by which a mask knows user information (https://user:password@host) may be in what was cut off. So
-- a text that would end in the host of a URL, percent-encoded or not, ends before that host.
function M.cut(text, limit)
  text = sub(text, 1, boundary(text, limit))
  for at = #text, 2, -1 do
    local code = byte(text, at)
    if
      (code == SLASH and byte(text, at - 1) == SLASH)
      or (code == PERCENT and sub(text, at - 2, at - 1):lower() == "2f")
    then
      return sub(text, 1, at)
    elseif ENDS[code] then
      return text
    end
  end
  return text
end

return M
