--- Masks the secret fields of a text: JSON, forms and query strings, XML, multipart; whole or cut off.
-- The text itself decides its form, not what was declared. Fails closed: where a form is broken, all that
-- follows the next secret name is masked. Free text and path segments are out of reach. Every pattern here is
-- anchored or bounded, so that the time is linear in the text, whatever it holds.

local json_fields = require("json_fields")
local secrets = require("secrets")

local is_secret, MASK = secrets.is_secret, secrets.MASK
local find, match, sub = string.find, string.match, string.sub

local MAX_DEPTH = 4
local ENTITIES = { ["&amp;"] = "&", ["&lt;"] = "<", ["&quot;"] = '"', ["&apos;"] = "'" }

local M = {}

local function character(hex)
  return string.char(tonumber(hex, 16))
end

local function referenced(hex, digits)
  local code = tonumber(digits, hex == "" and 10 or 16) or 0
  return code < 128 and string.char(code) or nil
end

local function percent_decoded(text)
  return find(text, "%", 1, true) and (text:gsub("%%(%x%x)", character)) or text
end

--- https://user:password@host
local function mask_user_info(text)
  -- Most texts have none: one C call that LuaJIT compiles tells.
  return find(text, "@", 1, true) and (text:gsub("//[^/?#%s<>,\"']*@", "//" .. MASK .. "@")) or text
end

--- For text in no form that is known here: cut off after the first secret name that has a value.
local function mask_rest(text)
  text = mask_user_info(text)
  for name, at, gap in text:gmatch("([%w_.-]*)()([^%w_.-]*)") do
    local value = find(gap, "[:=]")
    if value and is_secret(name) and not find(text, '^["\'%s\\]*%*%*%*%f[%z"\\&;?#]', at + value) then
      return sub(text, 1, at + value - 1) .. MASK
    end
  end
  return text
end

--- The same for names and signs that only show once they are decoded.
local function mask_decoded(text)
  local plain = percent_decoded(text)
  return mask_rest(plain) == plain and text or MASK
end

local function mask_parameters(text, depth)
  -- A name is tried once, from its start.
  return (
    text:gsub("%f[^%z&;?#]([^%z&;?#=]*)=([^&;?#]*)", function(name, value)
      local plain = percent_decoded(value)
      if is_secret(percent_decoded(name)) or M.mask(plain, depth + 1) ~= plain then
        return name .. "=" .. MASK
      end
    end)
  )
end

--- Where the tag that is open at `at` closes, quoted attributes passed over; nil where it does not.
local function tag_end(text, at)
  while at do
    local stop, _, sign = find(text, "([<>\"'])", at)
    if sign ~= '"' and sign ~= "'" then
      return sign == ">" and stop
    end
    at = find(text, sign, stop + 1, true)
    at = at and at + 1
  end
end

local function mask_xml(text)
  local out, copied, at, names_next = {}, 1, 1, false
  while true do
    local _, stop, name = find(text, "<([%w_:.-]+)", at)
    local close = stop and tag_end(text, stop + 1)
    if not close then
      -- What a tag that was cut off would have held, nobody knows.
      return table.concat(out) .. sub(text, copied, stop) .. (stop and stop < #text and " " .. MASK or "")
    end
    local hidden, named = false, names_next or is_secret(name)
    local attributes = sub(text, stop + 1, close)
    for key, value in attributes:gmatch("%f[%w_:.-]([%w_:.-]+)%s*=[%s\"']*([%w_.%[%]-]*)") do
      -- <field name="password">
      named = named or is_secret(value)
      hidden = hidden or is_secret(key) or is_secret(value)
    end
    at = close + 1
    -- <key>password</key><string>...</string>
    names_next = find(name, "[NnKk][ae][my]e?$") and is_secret(match(text, "^[^<]*", at))
    local is_empty = sub(attributes, -2) == "/>"
    if hidden then
      out[#out + 1] = sub(text, copied, stop) .. " " .. MASK
      copied = is_empty and close - 1 or close
    end
    if named and not is_empty then
      -- Up to its end tag; elements of its name inside are passed over.
      out[#out + 1] = sub(text, copied, close) .. MASK
      local depth = 1
      repeat
        local from, to, slash, found = find(text, "<([/!]?)([%w_:.%[-]+)", at)
        if slash == "!" then
          -- A comment or CDATA, whose tags are none.
          _, to = find(text, sub(found, 1, 1) == "[" and "]]>" or "-->", to, true)
          to = to or #text
        end
        depth = found == name and depth + (slash == "/" and -1 or 1) or depth
        copied, at = from or #text + 1, (to or #text) + 1
      until depth == 0 or not from
    end
  end
end

local function mask_multipart(text, boundary, depth)
  local out, at = {}, 1
  while at do
    local following = find(text, boundary, at + 1, true)
    local part = sub(text, at, (following or 0) - 1)
    local head, content = match(part, "^(.-\r?\n\r?\n)(.*)$")
    -- With its file's name: what quotes hide is not told apart.
    local name = match(head or part, "[%s;][Nn][Aa][Mm][Ee]%*?%s*=(.*)")
    if name and is_secret(percent_decoded(name)) then
      head, content = head or "", MASK .. "\r\n"
    else
      content = content and M.mask(content, depth + 1) or ""
    end
    out[#out + 1] = mask_rest(head or part) .. content
    at = following
  end
  return table.concat(out)
end

local function mask_forms(text, depth)
  if not find(text, "[=:<%%\\]") then
    return text
  elseif depth > MAX_DEPTH then
    return MASK
  end
  if find(text, "\0", 1, true) then
    -- UTF-16, or something made to look like nothing.
    local plain = text:gsub("%z", "")
    return M.mask(plain, depth + 1) == plain and text or MASK
  end
  local first = match(text, "^\239?\187?\191?%s*(.?)")
  if find(first, '[[{"]') then
    local masked, whole = json_fields.mask(text, M.mask, depth + 1)
    if whole then
      return masked
    end
    text = masked
  end
  text = text:gsub("\\u00([2-7]%x)", character)
  if first == "<" then
    return mask_decoded(mask_rest(mask_xml(text)))
  end
  local boundary = match(text, "^%s*(%-%-[^\r\n]*)") or match(text, "\n(%-%-[^\r\n]*)")
  boundary = boundary and sub(boundary, 1, 72)
  if boundary and find(text, "[Nn][Aa][Mm][Ee]%*?%s*=") then
    return mask_multipart(text, boundary, depth)
  end
  text = mask_xml(text)
  if find(text, "=", 1, true) then
    -- A raw separator may be a part of the secret before it; in a URL, # may not.
    text = mask_parameters(text, depth):gsub("(=%*%*%*)[;?#][^&=]*%f[&%z]", "%1")
  else
    local plain = percent_decoded(text)
    if plain ~= text and M.mask(plain, depth + 1) ~= plain then
      return MASK
    end
  end
  return mask_decoded(mask_rest(text))
end

--- Masks the secret fields of a text.
-- @param depth how many texts this one is nested in; none for a body
function M.mask(text, depth)
  depth = depth or 0
  local masked = mask_forms(text, depth)
  if find(masked, "&", 1, true) then
    -- XML inside of XML. It counts twice, so that a hostile nesting of all forms costs little.
    local plain = masked:gsub("&#([xX]?)(%x+);", referenced):gsub("&%l+;", ENTITIES)
    if plain ~= masked and M.mask(plain, depth + 2) ~= plain then
      return MASK
    end
  end
  return masked
end

--- Masks a URL's user information, and the secret parameters of its query and fragment.
function M.mask_url(text)
  text = mask_parameters(mask_user_info(text), 0):gsub("(=%*%*%*)[;?][^&=#]*%f[&#%z]", "%1")
  local plain = percent_decoded(percent_decoded(text))
  local masked = mask_rest(plain)
  return masked == plain and text or masked
end

return M
