--- JSON string content.
-- It is what may stand between the quotes of a JSON string (RFC 8259).

local byte, sub = string.byte, string.sub

local ESCAPES = {}
for code = 0, 31 do
  ESCAPES[code] = ("\\u%04x"):format(code)
end
for letter, plain in ('n\nr\rt\t""\\\\'):gmatch("(.)(.)") do
  ESCAPES[byte(plain)] = "\\" .. letter
end

local scratch = require("string.buffer").new()

local M = {}

--- A text as JSON string content.
-- A loop over bytes, as LuaJIT compiles it and does not compile patterns (lab/encoding).
-- @param text valid UTF-8
function M.escape(text)
  local kept_from = 1
  for at = 1, #text do
    local instead = ESCAPES[byte(text, at)]
    if instead then
      scratch:put(sub(text, kept_from, at - 1), instead)
      kept_from = at + 1
    end
  end
  return scratch:put(sub(text, kept_from)):get()
end

return M
