--- Secrets of XML and HTML.
-- They are the contents of elements with secret names, and tags that are cut off.
-- Attributes are left to `parameters`, as they have a "=".

local structure = require("structure")

local SPACES, NAME = structure.SPACES, structure.set("[^ \t\r\n/<>=\"']")
local VOID = structure.words("input meta param") -- of HTML: as a rule, they have no end tag
local MAX_MISSES = 16 -- elements whose end tag was looked for in vain

local M = { sign = "<" }

--- The name of the element whose tag starts at `at`, and its last byte; "" for an end tag.
function M.name_at(text, at)
  local start = structure.skip(text, at + 1, SPACES)
  local stop = structure.skip(text, start, NAME) - 1
  return text:sub(start, stop), stop
end

--- Masks the content of an element.
-- The content ends before the first end tag with the element's name. That may be the wrong tag if the content
-- has an element of the same name, or a comment or CDATA ("<!"). Then, and if there is no such end tag, all
-- up to the limit is masked.
-- @param name the element's
-- @param greater the ">" that ends its first tag
-- @param limit the last byte of the string of JSON that the element is in, or of the text
-- @return the span: from, to, instead; or nothing if it has no content
function M.mask_content(document, name, greater, limit)
  local text = document.text
  local is_void = VOID[name] and text:match("^[^<]*<\\*/(%l+)", greater) ~= name
  if is_void or greater >= limit or text:sub(greater - 1, greater - 1) == "/" then
    return nil
  end
  -- A search in vain reads all that follows, so after MAX_MISSES of them there is no further one.
  local misses = document.misses or 0
  local close = misses < MAX_MISSES and text:find("</" .. name .. ">", greater, true)
  if not close or close > limit then
    document.misses = misses + 1
    return greater + 1, limit, "***"
  end
  local content, inner = text:sub(greater, close - 1), 0
  repeat -- Looks for an element of the same name: <pin, but not <pins.
    inner = content:find("<" .. name, inner + 1, true)
  until not (inner and NAME[content:byte(inner + #name + 1)])
  local is_plain = not (inner or content:find("<!", 1, true))
  return greater + 1, is_plain and close - 1 or limit, "***"
end

--- Masks the content of the element whose tag starts at `at`, if that tag ends.
function M.mask(document, at, name_stop, name)
  local limit = structure.string_end(document, at) or #document.text
  return M.mask_content(document, name, structure.next_sign(document, ">", name_stop), limit)
end

--- The text of the element whose tag starts at `at`, as a name: of tag and text, 300 bytes are read.
function M.told_name(text, at)
  return text:sub(at, at + 300):match("^<[^<>]*>([^<]*)") or ""
end

--- Up to where the element whose tag starts at `at` may hold other elements: the start of its end tag. If it
-- has none, it holds others only if its name begins a phrase: then up to the end of the text. Everything else
-- without an end tag, such as <br>, a comment or </brand >, holds none.
-- @return nil if it holds none
function M.contents_end(text, at, name, is_head, search)
  -- A miss reads all that follows, so they are bounded here, too (the search counts these). After the last
  -- one, names that begin a phrase still own others, so that more is masked, not less.
  if text:find("^[^<>]*/>", at + 1) or (search.misses == MAX_MISSES and not is_head) then
    return nil
  end
  local close = text:find("</" .. name .. ">", at, true) or (is_head and #text)
  search.misses = search.misses + (close and 0 or 1)
  return close
end

--- Masks the last tag of markup if the text ends within it. Only the name of its element stays, as nobody
-- knows which attributes it has.
function M.mask_cut_tag(text)
  local is_markup = text:find("<", 1, true) and structure.document(text).is_markup
  local less = is_markup and text:match("^.*()<")
  if less and not text:find(">", less, true) then
    local name, stop = M.name_at(text, less)
    return name:find("^%a") and text:sub(1, stop) .. " ***" or text
  end
  return text
end

return M
