--- What a span says of a body: its text, or why there is none.
-- A body's bytes decide, so that a client hides nothing by a wrong type. A body is text if it is valid UTF-8
-- without control characters, or begins as JSON or markup does, or is of a textual type. Each part of a
-- multipart body is judged on its own.

local config = require("config")
local patterns = require("patterns")
local redaction = require("redaction")
local utf8 = require("utf8")

local find, match, sub = string.find, string.match, string.sub

local BYTES = config.binary_bodies == "bytes"
local MAX_PARTS = 256
local CONTROLS = "[%z\1-\8\11\14-\31]" -- all but tab, line feed, form feed, carriage return

-- Bodies of these types may look like text by chance. Only those that begin as JSON or markup count as text.
local BINARY_TYPES = { "protobuf", "grpc-web", "msgpack", "cbor", "avro" }

local is_textual = patterns.type_matcher(config.content_types)

local function is_binary_type(content_type)
  for _, word in ipairs(BINARY_TYPES) do
    if find(content_type, word, 1, true) then
      return true
    end
  end
  return false
end

--- The text of a body, or of a part of one, as valid UTF-8; nil where it is not text.
-- @param is_cut whether the limit cut off its end
local function text_of(bytes, content_type, is_encoded, is_cut)
  local text, replaced = utf8.repair(bytes, is_cut)
  local start = match(text, "^[\239\187\191%s]*()")
  local is_marked = find(text, '^[{[]%s*["{%[%]}%d-]', start) or find(text, "^<[%a!?]", start)
  if is_binary_type(content_type) then
    -- Nothing may stand before the JSON or markup, as a binary message may begin with bytes of white space.
    return is_marked and start == 1 and text or nil
  end
  local is_text = is_marked or (replaced == 0 and not find(text, CONTROLS))
  return (is_text or (is_textual(content_type) and not is_encoded)) and text or nil
end

--- A multipart body as text, with a note in place of each part that is not text; nil for any other body.
local function parts_of(bytes, is_cut)
  local boundary = match(bytes, "^%s*(%-%-[^\r\n]+)")
  if not boundary then
    return nil
  end
  local pieces, at = {}, 1
  for _ = 1, MAX_PARTS do
    local head_end = match(sub(bytes, at, at + 4095), "\r?\n\r?\n()")
    local content = head_end and at + head_end - 1 or #bytes + 1
    local line_break = find(bytes, "\n" .. boundary, content - 1, true)
    local next_part = line_break and line_break + 1 or #bytes + 1
    local head, part = sub(bytes, at, content - 1), sub(bytes, content, next_part - 1)
    local media_type = match(head:lower(), "content%-type:[ \t]*([^;\r\n]*)") or "no declared type"
    local text = text_of(part, media_type, false, is_cut and next_part > #bytes)
    pieces[#pieces + 1] = utf8.repair(head)
    pieces[#pieces + 1] = text or ("[binary: %d bytes of %s]\r\n"):format(#part, utf8.repair(media_type))
    at = next_part
    if at > #bytes then
      break
    end
  end
  if at <= #bytes then
    pieces[#pieces + 1] = ("[binary: %d bytes of more parts]"):format(#bytes - at + 1)
  end
  return table.concat(pieces)
end

local M = {}

--- What a span says of a body.
-- @return a text, valid UTF-8; why it was left out, or nil; bytes to send as they are, or nil
function M.render(body)
  local bytes = table.concat(body)
  if body.is_stream or bytes == "" then
    return "", body.is_stream and "stream" or nil
  end
  local is_cut, encoding = body.kept < body.total, body.content_encoding
  local is_encoded = encoding ~= "" and encoding ~= "identity"
  local text = text_of(bytes, body.content_type, is_encoded, is_cut) or parts_of(bytes, is_cut)
  if text then
    -- A mask may end within a character.
    return (utf8.repair(redaction.text(text)))
  elseif BYTES and redaction.text(bytes) == bytes then
    return "", nil, bytes
  end
  return "", is_encoded and "encoding" or "binary"
end

return M
