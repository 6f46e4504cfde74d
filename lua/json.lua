--- JSON string content.
-- It is what may stand between the quotes of a JSON string (RFC 8259).

local buffer = require("string.buffer")

local ESCAPES = {}
for code = 0, 31 do
  ESCAPES[code] = ("\\u%04x"):format(code)
end
-- In pairs: the letter of an escape, and the byte that it stands for.
for letter, plain in ('n\nr\rt\t""\\\\'):gmatch("(.)(.)") do
  ESCAPES[plain:byte()] = "\\" .. letter
end

local scratch = buffer.new()

local M = {}

--- A text as JSON string content.
-- A loop over bytes, as LuaJIT compiles it and does not compile patterns (lab/encoding).
-- @param text valid UTF-8
function M.escape(text)
  local kept_from = 1
  for at = 1, #text do
    local instead = ESCAPES[text:byte(at)]
    if instead then
      scratch:put(text:sub(kept_from, at - 1), instead)
      kept_from = at + 1
    end
  end
  return scratch:put(text:sub(kept_from)):get()
end

return M
