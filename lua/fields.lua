--- Masks the secret fields of a text: JSON, forms and query strings, XML, multipart; nested, whole or cut.
-- One scan over bytes, which LuaJIT compiles, for all forms: at a sign between a name and a value it looks
-- back for the name and, where that is secret, ahead for where the value ends. Fails closed: where nobody can
-- tell, all that follows is masked; what only shows once it is decoded is masked whole. Free text and path
-- segments are out of reach. Every search starts where the last one ended, or is bounded: the time is linear.

local secrets = require("secrets")
local tokens = require("tokens")

local kind, MASK = secrets.kind, secrets.MASK
local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local QUOTE, SLASH, LESS, GREATER = byte('"/<>', 1, 4)
local VOID = { input = true, meta = true, param = true } -- HTML's, which have no end tag
-- What JSON has outside of its strings, as far as it matters to where they are.
local BETWEEN = tokens.set(" \t\r\n[]{},:+-.0123456789Eaeflnrstu")

local M = {}

--- Whether a text names a secret field. A long one is no name; digits are ids, each another one.
local function names_secret(text)
  return #text < 99 and find(text, "%a") and kind(text) == true
end

--- @param is_again whether the text was masked before
local function scan(text, is_again)
  -- https://user:password@host
  text = find(text, "@", 1, true) and text:gsub('(/\\?/)[^/?#%s<>"]*@', "%1" .. MASK .. "@") or text
  local out, copied, at, size = {}, 1, 1, #text
  local first = match(text, "^\239?\187?\191?%s*(.?)")
  local is_json, is_xml = find(first, '[[{"]'), first == "<"
  local boundary, element, tag, is_named, is_hidden
  while at <= size do
    local code = byte(text, at)
    local from, to, instead
    if code == QUOTE and is_json then
      from = at + 1
      local has_signs
      at, has_signs = tokens.string_end(text, at)
      to, instead = at - 1, has_signs and scan(sub(text, from, at - 1), is_again)
    elseif not tokens.SIGNS[code] then
      is_json = is_json and BETWEEN[code]
    elseif code == LESS then
      element = match(text, "^[%w_:.-]+", at + 1)
      is_hidden = element and (is_named or kind(element) == true)
      at = at + #(element or "")
      tag = element and at + 1
    elseif code == GREATER then
      local word = element and match(element, "%a*$")
      if is_hidden and byte(text, at - 1) ~= SLASH and not VOID[word] then
        from, to, instead = at + 1, tokens.content_end(text, at + 1, element), MASK
        is_named = false
      elseif word and kind(word) == "name" then
        is_named = names_secret(match(text, "^[^<]*", at + 1))
      end
      element, tag, is_hidden = nil, nil, nil
    else
      local name, name_end = tokens.name_before(text, at)
      local says = kind(name)
      local is_value = says == "value" and (is_named or is_hidden)
      if is_value or says == true then
        local value = match(text, "^[=:>%s]*()", at + 1)
        is_named = is_named and not is_value
        if not (is_again and find(text, "^\\*[\"']?%*%*%*", value)) then
          from = at + 1
          local separators = not is_json and (is_xml and (tag and "[&<>]" or "[&<]") or "[&;?#]")
          to, instead = tokens.masked_value(text, value, code, name_end, separators)
        end
      elseif says == "name" then
        boundary = boundary or is_json and "" or sub(match(text, "%f[^%zn\n]%-%-[^\r\n\\]+") or "", 1, 72)
        local line = boundary ~= "" and tokens.decoded(match(sub(text, at + 1, at + 300), "^%s*([^\r\n]*)"))
        if line and kind(line) == true then
          to = (find(text, boundary, at, true) or size + 1) - 1
          from = at + (match(sub(text, at, to), "\r?\n\r?\n()") or 2) - 1
          instead = MASK .. "\r\n"
        elseif names_secret(match(text, "^[%s\\\"']*([^\\\"'<>&=:\r\n]*)", at + 1)) then
          is_named, is_hidden = is_named or not tag, tag
          if tag then
            from, to, instead = math.max(tag, copied), (find(text, "/?>", at) or size + 1) - 1, " " .. MASK
          end
        end
      end
    end
    if instead then
      out[#out + 1] = sub(text, copied, from - 1) .. instead
      copied, at = to + 1, math.max(at, to)
    end
    at = at + 1
  end
  if is_xml and tag and copied <= tag then
    -- What a tag that was cut off would have held, nobody knows.
    text = sub(text, 1, tag - 1) .. " " .. MASK
  end
  return copied == 1 and text or table.concat(out) .. sub(text, copied)
end

--- Whether a text shows secrets once it is decoded.
local function is_veiled(text)
  local plain = tokens.decoded(text)
  return not plain or (plain ~= text and scan(plain, true) ~= plain)
end

--- Masks the secret fields of a text.
function M.mask(text)
  local masked = scan(text)
  if find(masked, "%", 1, true) then
    masked = masked:gsub('[^&=%s"<>]+', function(part)
      return is_veiled(part) and MASK
    end)
  end
  return is_veiled(masked) and MASK or masked
end

return M
