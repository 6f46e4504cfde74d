--- Masks the secret fields of a text: JSON, forms and query strings, XML, multipart; whole or cut off.
-- The text itself decides its form, not what was declared. Fails closed: where a form is broken, all that
-- follows the next secret name is masked. Free text and path segments are out of reach. Every pattern here is
-- anchored or bounded, so that the time is linear in the text, whatever it holds.

local json = require("json")
local secrets = require("secrets")

local is_secret = secrets.is_secret
local concat = table.concat
local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local MASK = "***"
local MAX_DEPTH = 4
local QUOTE, BACKSLASH, COLON = 34, 92, 58

local function bytes(characters)
  local members = {}
  for index = 1, #characters do
    members[byte(characters, index)] = true
  end
  return members
end

local SPACE = bytes(" \t\r\n")
local BETWEEN = bytes(" \t\r\n[]{},:+-.0123456789")
local NESTED = bytes("=:<{[")
local LITERALS = { ["true"] = true, ["false"] = true, ["null"] = true, e = true, E = true }

local M = {}

local function percent_decoded(text)
  return (
    text:gsub("%+", " "):gsub("%%(%x%x)", function(hex)
      return string.char(tonumber(hex, 16))
    end)
  )
end

local function json_decoded(text)
  text = text:gsub("\\u(%x%x%x%x)", function(hex)
    local code = tonumber(hex, 16)
    return code < 128 and string.char(code) or "?"
  end)
  return (text:gsub("\\(.)", "%1"))
end

--- For text in no form that is known here.
local function mask_rest(text)
  for name, at, gap in text:gmatch("([%w_.-]*)()([^%w_.-]*)") do
    local value = match(gap, "^[\"'\\]*%s*[:=]()")
    if value and is_secret(name) then
      return sub(text, 1, at + value - 2) .. MASK
    end
  end
  return text
end

local function mask_parameters(text, depth)
  return (
    text:gsub("[^&;?#]+", function(parameter)
      local name, value = match(parameter, "^([^=]*)=(.*)$")
      local plain = value and percent_decoded(value)
      if plain and (is_secret(percent_decoded(name)) or M.mask(plain, depth + 1) ~= plain) then
        return name .. "=" .. MASK
      end
    end)
  )
end

--- Where the JSON string that opens at `at` closes; one past the text where it was cut off.
-- @return the index; whether it has escapes; whether it has signs of a text with fields of its own
local function string_end(text, at)
  local size = #text
  local escaped, nested = false, false
  at = at + 1
  while at <= size do
    local code = byte(text, at)
    if code == QUOTE then
      return at, escaped, nested
    elseif code == BACKSLASH then
      escaped = true
      at = at + 1
    elseif NESTED[code] then
      nested = true
    end
    at = at + 1
  end
  return size + 1, escaped, nested
end

--- Where the JSON value that starts at or after `at` ends; a number or literal ends before a delimiter.
local function value_end(text, at)
  local depth = 0
  at = match(text, "^%s*()", at)
  while true do
    at = find(text, '[]["{},\n]', at)
    if not at then
      return #text
    end
    local code = sub(text, at, at)
    if code == '"' then
      at = string_end(text, at)
    elseif code == "{" or code == "[" then
      depth = depth + 1
    elseif code == "}" or code == "]" then
      depth = depth - 1
    end
    if depth < 0 or (depth == 0 and (code == "," or code == "\n")) then
      return at - 1
    elseif depth == 0 then
      return at
    end
    at = at + 1
  end
end

--- A loop over bytes, as LuaJIT compiles it and does not compile patterns.
local function mask_json(text, depth)
  local out, copied, at, size = {}, 1, match(text, "^\239?\187?\191?()"), #text
  while at <= size do
    local code = byte(text, at)
    if BETWEEN[code] then
      at = at + 1
    elseif code == QUOTE then
      local close, escaped, nested = string_end(text, at)
      local after = close + 1
      while SPACE[byte(text, after)] do
        after = after + 1
      end
      local is_key = byte(text, after) == COLON
      local from, to, by
      if is_key or escaped or nested then
        local plain = sub(text, at + 1, close - 1)
        plain = escaped and json_decoded(plain) or plain
        if not is_key then
          by = M.mask(plain, depth + 1)
          from, to, by = at + 1, close - 1, by ~= plain and json.escape(by)
        elseif is_secret(plain) then
          from, to, by = after + 1, value_end(text, after + 1), '"' .. MASK .. '"'
        end
      end
      at = is_key and after + 1 or close + 1
      if by then
        out[#out + 1] = sub(text, copied, from - 1) .. by
        copied = to + 1
        at = math.max(at, copied)
      end
    else
      local word = match(text, "^%a+", at) or ""
      if not LITERALS[word] and (word == "" or at + #word <= size) then
        out[#out + 1] = sub(text, copied, at - 1) .. mask_rest(sub(text, at))
        return concat(out)
      end
      at = at + #word
    end
  end
  return copied == 1 and text or concat(out) .. sub(text, copied)
end

local function mask_attribute(name, equals)
  return is_secret(name) and name .. equals .. MASK or nil
end

local function mask_xml(text)
  text = text:gsub('%f[%w_:.-]([%w_:.-]+)(%s*=%s*")[^"]*', mask_attribute)
  text = text:gsub("%f[%w_:.-]([%w_:.-]+)(%s*=%s*')[^']*", mask_attribute)
  local out, copied, at = {}, 1, 1
  while true do
    local _, stop, name, rest = find(text, "<([%w_:.-]+)%f[^%w_:.-]([^<>]*)>", at)
    if not stop then
      return concat(out) .. sub(text, copied)
    end
    at = stop + 1
    if is_secret(name) and sub(rest, -1) ~= "/" then
      -- Up to its end tag; elements of its name inside are passed over.
      out[#out + 1] = sub(text, copied, stop) .. MASK
      local depth = 1
      repeat
        local start, inner, slash, found = find(text, "<(/?)([%w_:.-]+)", at)
        depth = found == name and depth + (slash == "/" and -1 or 1) or depth
        copied, at = start or #text + 1, (inner or #text) + 1
      until depth == 0 or not start
    end
  end
end

local function mask_multipart(text, depth)
  local boundary = match(text, "^%s*(%-%-[^\r\n]*)")
  local out, at = {}, 1
  while true do
    local following = find(text, boundary, at + 1, true) or #text + 1
    local part = sub(text, at, following - 1)
    local content = match(part, "\r?\n\r?\n()")
    if content then
      local name = match(sub(part, 1, content - 1), '[%s;]name="?([^"\r\n;]*)')
      local secret = name and is_secret(percent_decoded(name))
      out[#out + 1] = sub(part, 1, content - 1)
      out[#out + 1] = secret and MASK .. "\r\n" or M.mask(sub(part, content), depth + 1)
    else
      out[#out + 1] = mask_rest(part)
    end
    if following > #text then
      return concat(out)
    end
    at = following
  end
end

--- Masks the secret fields of a text.
-- @param depth how many texts this one is nested in; 0 for a body
function M.mask(text, depth)
  if depth > MAX_DEPTH then
    return MASK
  end
  local start = match(text, "^\239?\187?\191?%s*(.?.?)")
  local first = sub(start, 1, 1)
  if first == "{" or first == "[" or first == '"' then
    return mask_json(text, depth)
  elseif first == "<" then
    return mask_xml(text)
  elseif start == "--" then
    return mask_multipart(text, depth)
  elseif find(text, "^%S-=") then
    return mask_parameters(text, depth)
  end
  return mask_rest(text)
end

--- Masks the secret parameters of a URL's query and fragment.
function M.mask_url(text)
  return find(text, "=", 1, true) and mask_parameters(text, 0) or text
end

return M
