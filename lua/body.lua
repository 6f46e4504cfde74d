--- Bounded copies of bodies, taken chunk by chunk as they pass: nothing is held back.

local config = require("config")
local inflight = require("inflight")
local json = require("json")
local redaction = require("redaction")

local buffer = require("string.buffer")

local LIMIT = config.max_body_bytes
local BYTES = config.binary_bodies == "bytes"

-- Textual media types as patterns.
local TEXTUAL = {}
for index, media_type in ipairs(config.content_types) do
  TEXTUAL[index] = "^" .. media_type:gsub("[-+.]", "%%%0"):gsub("%*", ".+") .. "$"
end

local scratch = buffer.new()

local M = {}

--- A body of which nothing has passed yet.
-- @param content_type, encoding header values or nil
function M.new(content_type, encoding)
  local encoded = encoding and encoding ~= "" and encoding:lower() ~= "identity"
  return { content_type = content_type or "", encoded = encoded, text = "", kept = 0, total = 0 }
end

--- Copies what passes up to the limit, and counts the rest.
-- Suspends between chunks. Stops once the record is `finished`: its span has gone.
function M.read(handle, body, record)
  for chunk in handle:bodyChunks() do
    if record.finished then
      return
    end
    local size = chunk:length()
    body.total = body.total + size
    local wanted = (BYTES or not body.encoded) and math.min(size, LIMIT - body.kept) or 0
    local take = inflight.reserve(record, wanted)
    if take > 0 then
      body.kept = body.kept + take
      local bytes = chunk:getBytes(0, take)
      if body.text == "" then
        body.text = bytes
      else
        body.parts = body.parts or { body.text }
        body.parts[#body.parts + 1] = bytes
      end
    end
  end
  body.complete = true
end

local function is_textual(content_type)
  local media_type = content_type:lower():match("^%s*([^;%s]*)")
  for index = 1, #TEXTUAL do
    if media_type:find(TEXTUAL[index]) then
      return true
    end
  end
  return false
end

--- What a span says of a body.
-- @return JSON string content; why it was left out, or nil; bytes to send as bytesValue, or nil
function M.render(body)
  if body.stream then
    return "", "stream"
  elseif body.encoded and not BYTES then
    return "", body.total > 0 and "encoding" or nil
  elseif body.kept == 0 then
    return ""
  end
  local bytes = body.parts and table.concat(body.parts) or body.text
  if body.encoded then
    return "", nil, bytes
  end
  local text = body.kept < body.total and json.cut(bytes) or bytes
  local masked = redaction.body(text)
  scratch:reset()
  local replaced, has_nul = json.put(scratch, masked)
  if (replaced == 0 and not has_nul) or is_textual(body.content_type) then
    return scratch:get()
  elseif BYTES and masked == text then
    return "", nil, bytes
  end
  return "", "binary"
end

--- Whether less was kept than passed, or the body did not end.
function M.is_truncated(body)
  return body.total > 0 and (body.kept < body.total or not body.complete)
end

return M
