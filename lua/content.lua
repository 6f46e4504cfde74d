--- Bodies as text.
-- A span has a body's text, or says why there is none.
-- A body in gzip or deflate is inflated first. Then its bytes decide, so that a client hides nothing by a
-- wrong type. A body is text if it is valid UTF-8 without control characters, or begins as JSON or markup
-- does, or is of a textual type. Where a multipart body is no text, each of its parts is judged on its own.

local config = require("config")
local bounds = require("bounds")
local inflate = require("inflate")
local patterns = require("patterns")
local redaction = require("redaction")
local utf8 = require("utf8")

local MAX_PARTS = 256 -- Of further parts, the size is shown.
local MAX_PART_HEAD = 4096 -- bytes
local CONTROLS = "[%z\1-\8\11\14-\31]" -- all but tab, line feed, form feed, carriage return

-- Bodies of these types may look like text by chance. Those that begin as JSON or markup are text.
local BINARY_TYPES = { "proto", "grpc-web", "msgpack", "cbor", "avro" }

local is_textual = patterns.type_matcher(config.content_types)

local function is_binary_type(content_type)
  for _, word in ipairs(BINARY_TYPES) do
    if content_type:find(word, 1, true) then
      return true
    end
  end
end

--- Whether JSON or markup begins at a position.
local function is_marked(text, at)
  return text:find('^[{[]%s*["{%[%]}%d-]', at) or text:find("^<[%a!?]", at)
end

--- The text of a body, or of a part of one, as valid UTF-8; nil if it is not text.
-- @param is_encoded whether `bytes` may still be compressed: then a textual type says nothing about them
-- @param is_cut whether the limit cut off its end
local function text_of(bytes, content_type, is_encoded, is_cut)
  local text, replaced = utf8.repair(bytes, is_cut)
  if is_marked(text, 1) then
    return text
  elseif is_binary_type(content_type) then
    return nil -- A binary message may begin with bytes of white space: then what follows them says nothing.
  elseif
    is_marked(text, text:match("^[\239\187\191%s]*()"))
    or (replaced == 0 and not text:find(CONTROLS))
    or (not is_encoded and is_textual(content_type))
  then
    return text
  end
end

--- A multipart body as text, with a note in place of each part that is not text; nil for any other body.
local function parts_of(bytes, is_cut)
  local boundary = bytes:match("^%s*(%-%-[^\r\n]+)")
  if not boundary then
    return nil
  end
  local pieces, at, size = {}, 1, #bytes
  while at <= size and #pieces < 2 * MAX_PARTS do -- A part is two pieces: its head, and what it holds.
    local stop = bytes:find("\n" .. boundary, at, true) or size
    local head = bytes:sub(at, math.min(stop, at + MAX_PART_HEAD)):match("^.-\r?\n\r?\n") or ""
    local part = bytes:sub(at + #head, stop)
    local media_type = head:lower():match("content%-type:[ \t]*([^;\r\n]*)") or "no declared type"
    pieces[#pieces + 1] = head
    pieces[#pieces + 1] = text_of(part, media_type, false, is_cut and stop == size)
      or ("[binary: %d bytes of %s]\r\n"):format(#part, media_type)
    at = stop + 1
  end
  if at <= size then
    pieces[#pieces + 1] = ("[binary: %d bytes of more parts]"):format(size - at + 1)
  end
  return utf8.repair(table.concat(pieces))
end

local M = {}

--- What a span says of the body of a message.
-- @return a text, valid UTF-8; whether its end is missing; why it was left out, if it was; bytes to send as
--   they are, if there are any
function M.render(message)
  local bytes, is_cut = table.concat(message), message.kept < message.total
  if message.omitted or bytes == "" then
    return "", is_cut, message.omitted or (message.expected and message.total == 0 and "unread")
  end
  local content_type, encoding = message.content_type, message.content_encoding
  local is_encoded = encoding ~= "" and encoding ~= "identity"
  if is_encoded and config.compressed_bodies == "inflate" then
    local inflated, is_whole = inflate(bytes, encoding)
    -- A body that is text already is shown as it came: it may begin like deflate by chance. After inflating,
    -- `is_encoded` stays true if more encodings were declared than one: "gzip, br".
    if inflated and not text_of(bytes, content_type, true, is_cut) then
      bytes, is_cut, is_encoded = inflated, is_cut or not is_whole, encoding:find(",", 1, true)
    end
  end
  local text = text_of(bytes, content_type, is_encoded, is_cut) or parts_of(bytes, is_cut)
  if text then
    text = is_cut and bounds.finished(text) or text
    local masked = redaction.text(text)
    -- A mask may end within a character.
    return masked == text and text or utf8.repair(masked), is_cut
  elseif config.binary_bodies == "bytes" and redaction.text(bytes) == bytes then
    return "", is_cut, nil, bytes
  end
  return "", is_cut, is_encoded and "encoding" or "binary"
end

return M
