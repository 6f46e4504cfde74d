--- Masks the secret fields of a text: JSON, forms and query strings, XML, multipart; whole or cut off.
-- The text itself decides its form, not what was declared. Fails closed: where a form is broken, all that
-- follows the next secret name is masked. Free text and path segments are out of reach. Every pattern here is
-- anchored or bounded, so that the time is linear in the text, whatever it holds.

local json_fields = require("json_fields")
local secrets = require("secrets")

local is_secret = secrets.is_secret
local concat = table.concat
local find, match, sub = string.find, string.match, string.sub

local MASK = secrets.MASK
local MAX_DEPTH = 4
local MAX_NAME = 128

-- Quoted in either way, or not; the last may have been cut off. A name is tried once, from its start.
local ATTRIBUTES = {
  '%f[%w_:.-]([%w_:.-]+)(%s*=%s*")[^"<]*',
  "%f[%w_:.-]([%w_:.-]+)(%s*=%s*')[^'<]*",
  "%f[%w_:.-]([%w_:.-]+)(%s*=%s*)[^%s\"'<>]+",
}

local M = {}

local function character(hex)
  return string.char(tonumber(hex, 16))
end

local function percent_decoded(text)
  return (text:gsub("%+", " "):gsub("%%(%x%x)", character))
end

--- For text in no form that is known here: cut off after the first secret name that has a value.
local function mask_rest(text)
  for name, at, gap in text:gmatch("([%w_.-]*)()([^%w_.-]*)") do
    local value = match(gap, "^[\"'\\]*%s*[:=]()")
    if value and is_secret(name) and not find(gap, "^[\"'%s\\]*%*%*%*", value) then
      return sub(text, 1, at + value - 2) .. MASK
    end
  end
  return text
end

local function is_secret_parameter(name, value, depth)
  name = sub(name, -MAX_NAME)
  if is_secret(find(name, "[%%+]") and percent_decoded(name) or name) then
    return true
  end
  local plain = find(value, "[%%+]") and percent_decoded(value) or value
  return find(plain, "[=:<{[%%]") and M.mask(plain, depth + 1) ~= plain
end

local function mask_parameters(text, depth)
  local out, copied, at = {}, 1, 1
  local equals = find(text, "=", 1, true)
  while equals do
    local stop = find(text, "[&;?#]", at) or #text + 1
    if stop > equals then
      if is_secret_parameter(sub(text, at, equals - 1), sub(text, equals + 1, stop - 1), depth) then
        out[#out + 1] = sub(text, copied, equals) .. MASK
        copied = stop
      end
      equals = find(text, "=", stop, true)
    end
    at = stop + 1
  end
  return copied == 1 and text or concat(out) .. sub(text, copied)
end

local function mask_attribute(name, equals)
  return is_secret(name) and name .. equals .. MASK or nil
end

--- Whether a tag names a secret: <field name="password">. One that was cut off may have.
local function names_secret(attributes)
  for value in attributes:gmatch("=%s*[\"']?([%w_.-]+)") do
    if is_secret(value) then
      return true
    end
  end
end

local function mask_xml(text)
  for _, pattern in ipairs(ATTRIBUTES) do
    text = text:gsub(pattern, mask_attribute)
  end
  local out, copied, at = {}, 1, 1
  while true do
    local start, stop, name, rest, close = find(text, "<([%w_:.-]+)%f[^%w_:.-]([^<>]*)(>?)", at)
    if not stop then
      return concat(out) .. sub(text, copied)
    end
    at = stop + 1
    local named = names_secret(rest) or (close == "" and rest ~= "")
    if named then
      out[#out + 1] = sub(text, copied, start) .. name .. " " .. MASK .. ">"
      copied = at
    end
    if (named or is_secret(name)) and sub(rest, -1) ~= "/" then
      -- Up to its end tag; elements of its name inside are passed over.
      out[#out + 1] = sub(text, copied, stop) .. MASK
      local depth = 1
      repeat
        local from, to, slash, found = find(text, "<(/?)([%w_:.-]+)", at)
        depth = found == name and depth + (slash == "/" and -1 or 1) or depth
        copied, at = from or #text + 1, (to or #text) + 1
      until depth == 0 or not from
    end
  end
end

local function mask_multipart(text, boundary, depth)
  local out, at = {}, 1
  while true do
    local following = find(text, boundary, at + 1, true) or #text + 1
    local part = sub(text, at, following - 1)
    local content = match(part, "\r?\n\r?\n()")
    if content and sub(part, 1, #boundary) == boundary then
      local name = match(sub(part, 1, content - 1), "[%s;][Nn][Aa][Mm][Ee]%s*=%s*[\"']?([^\"'\r\n;]*)")
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
-- @param depth how many texts this one is nested in; none for a body
function M.mask(text, depth)
  depth = depth or 0
  if depth > MAX_DEPTH then
    return MASK
  end
  local first = match(text, "^\239?\187?\191?%s*(.?)")
  if first == "{" or first == "[" or first == '"' then
    local masked, whole = json_fields.mask(text, function(inner)
      return M.mask(inner, depth + 1)
    end)
    if whole then
      return masked
    end
    text = masked
  elseif first == "<" then
    return mask_rest(mask_xml(text))
  end
  text = text:gsub("\\u00(%x%x)", character)
  local boundary = match(text, "^%s*(%-%-[^\r\n]*)") or match(text, "\n(%-%-[^\r\n]*)")
  if boundary and find(text, "[Nn][Aa][Mm][Ee]%s*=") then
    return mask_multipart(text, boundary, depth)
  end
  if find(text, "<", 1, true) then
    text = mask_xml(text)
  end
  if find(text, "=", 1, true) then
    text = mask_parameters(text, depth)
  elseif find(text, "%%%x%x") then
    local decoded = percent_decoded(text)
    if M.mask(decoded, depth + 1) ~= decoded then
      return MASK
    end
  end
  return mask_rest(text)
end

--- Masks the secret parameters of a URL's query and fragment.
function M.mask_url(text)
  return find(text, "=", 1, true) and mask_parameters(text, 0) or text
end

return M
