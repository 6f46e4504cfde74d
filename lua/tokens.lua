--- Where names and values start and end in a text of any form, and what escapes hide.
-- Takes any bytes. Loops over bytes, which LuaJIT compiles; patterns are anchored or of one byte.

local secrets = require("secrets")

local MASK = secrets.MASK

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local QUOTE, EQUALS, BACKSLASH = byte('"=\\', 1, 3)
local ROUNDS = 4 -- of decoding; what is still not plain then is masked
local DEPTH = { ["{"] = 1, ["["] = 1, ["}"] = -1, ["]"] = -1 }
local ENTITIES = { lt = "<", gt = ">", qu = '"', ap = "'", am = "&" } -- &quot; by its first letters

local M = {}

--- The bytes of a text as a set.
function M.set(characters)
  local members = {}
  for character in characters:gmatch(".") do
    members[byte(character)] = byte(character)
  end
  return members
end

--- Signs between names and values.
M.SIGNS = M.set(":<=>")

local SIGNS, QUOTES, WHITE = M.SIGNS, M.set("\"'"), M.set("nrt") -- the last after a backslash
-- What may stand between a name and its sign; what ends a name that has no quotes.
local GAP, ENDS = M.set(" \t\r\n\\\"'])*/"), M.set(" \t\r\n\\\"'`,;&?#{}()<>=:|/")

local function character(hex, decimal)
  local code = tonumber(decimal or hex, decimal and 10 or 16)
  return code < 128 and string.char(code) or nil
end

--- A text without NUL and the escapes of URLs, JSON and XML; nil where they are nested too deep.
function M.decoded(text)
  for _ = 1, ROUNDS do
    local last = text
    -- C calls that LuaJIT compiles: most texts have none of these.
    if
      (find(text, "%", 1, true) and find(text, "%%%x%x"))
      or find(text, "&", 1, true)
      or find(text, "\\u00", 1, true)
      or find(text, "\0", 1, true)
    then
      text = text:gsub("%z", ""):gsub("%%(%x%x)", character):gsub("\\u00(%x%x)", character)
      text = text:gsub("&#[xX]0*(%x%x);", character):gsub("&(#0*)(%d%d%d?);", character)
      text = text:gsub("&%a+;", string.lower):gsub("&(%l%l)%l*;", ENTITIES)
    end
    if text == last then
      return text
    end
  end
end

--- How many backslashes stand before `at`.
local function escapes(text, at)
  local from = at
  while byte(text, from - 1) == BACKSLASH do
    from = from - 1
  end
  return at - from
end

--- Where what starts at `at` with a quote or bracket ends, in JSON inside of strings too; or nil.
local function closing(text, at)
  local depth = 0
  repeat
    at = find(text, "[\"'{}%[%]]", at)
    local sign = at and sub(text, at, at)
    if sign and not DEPTH[sign] then
      local level = escapes(text, at) + 1
      repeat
        at = find(text, sign, at + 1, true)
      until not at or math.floor(escapes(text, at) / level) % 2 == 0
    end
    depth = depth + (DEPTH[sign] or 0)
    at = at and at + 1
  until not at or depth <= 0
  return at and at - 1
end

--- Where the JSON string that opens at `at` closes, or the text ends; whether it may have fields of its own.
function M.string_end(text, at)
  local has_signs
  repeat
    at = at + 1
    local code = byte(text, at)
    local is_escaped = code == BACKSLASH
    at = is_escaped and at + 1 or at
    has_signs = has_signs or SIGNS[is_escaped and byte(text, at) or code]
  until code == QUOTE or not code
  return at, has_signs
end

--- Where the content of an element ends; with the text where a tag in it may be none, or has its name.
function M.content_end(text, at, element)
  local close = find(text, "</" .. element, at, true) or #text + 1
  local content = sub(text, at, close)
  return (find(content, "<!", 1, true) or find(content, "<" .. element, 1, true)) and #text or close - 1
end

--- The name before the sign at `at`, and where it ends.
function M.name_before(text, at)
  local stop, quote = at - 1, nil
  local code = byte(text, stop)
  while GAP[code] or (WHITE[code] and byte(text, stop - 1) == BACKSLASH) do
    quote = QUOTES[code] or quote
    stop = stop - 1
    code = byte(text, stop)
  end
  local start = stop
  while start > 0 and stop - start < 999 do
    code = byte(text, start)
    if code == quote or (not quote and ENDS[code]) then
      break
    end
    start = start - 1
  end
  local name = sub(text, start + 1, stop)
  return M.decoded(name) or name, stop
end

--- Where the value that starts at `at` ends, and what stands for it.
-- @param sign before it
-- @param name_end where its name ends: it is quoted alike
-- @param separators a pattern, where it may be a parameter's
function M.masked_value(text, at, sign, name_end, separators)
  local opening = match(text, "^\\*[\"'{[]", at)
  local quote = match(text, "^\\*[\"']", name_end + 1) or ""
  local stop
  if opening then
    quote = find(opening, "[\"']") and opening or quote
    stop = closing(text, at + #opening - 1)
  elseif sign == EQUALS and separators then
    -- A raw separator may be a part of a secret: what a name and `=` follow is none.
    stop = at - 1
    repeat
      stop = find(text, separators, stop + 1)
    until not stop or not find(text, "^[;?#]", stop) or find(text, "^%s*[^&;?#=%s]*=", stop + 1)
    return (stop or #text + 1) - 1, MASK
  else
    stop = match(text, "^[%w.+-]*()", at) - 1
  end
  -- What is followed by something else is not over.
  local after = stop and match(text, "^[%s\\nrt]*(.?[%s\\nrt]*.?)", stop + 1)
  local is_over = after
    and (
      find(after .. "]", "^[]}]")
      or find(after, "^,.*[\"'{]$")
      or (sign == EQUALS and find(text, "^[%s/>?&;)]", stop + 1))
    )
  return is_over and stop or #text, quote .. MASK .. quote
end

return M
