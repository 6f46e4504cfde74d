--- Bounded copies of bodies, taken chunk by chunk as they pass: nothing is held back.

local config = require("config")
local inflight = require("inflight")
local redaction = require("redaction")
local utf8 = require("utf8")

local LIMIT = config.max_body_bytes
local BYTES = config.binary_bodies == "bytes"
local MAX_PIECES = 256

-- Textual media types as patterns.
local TEXTUAL = {}
for media_type in config.content_types:gmatch("[^\n]+") do
  TEXTUAL[#TEXTUAL + 1] = "^" .. media_type:gsub("[-+.]", "%%%0"):gsub("%*", ".+") .. "$"
end

local M = {}

--- A body of which nothing has passed yet: its chunks in order, and what it is declared to be.
-- @param headers values by name
function M.new(headers)
  return {
    content_type = (headers["content-type"] or ""):lower(),
    content_encoding = (headers["content-encoding"] or ""):lower(),
    declared = tonumber((headers["content-length"] or ""):match("^%d+$")) or 0,
    kept = 0,
    total = 0,
  }
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
    local wanted = math.min(size, LIMIT - body.kept)
    if wanted > 0 and inflight.keep(record, wanted) then
      body.kept = body.kept + wanted
      if #body == MAX_PIECES then
        -- A string of a byte takes 30: a body that comes byte by byte is put together now and then.
        local joined = table.concat(body)
        for index = MAX_PIECES, 2, -1 do
          body[index] = nil
        end
        body[1] = joined
      end
      body[#body + 1] = chunk:getBytes(0, wanted)
    end
  end
  body.is_complete = true
end

local function is_textual(content_type)
  local media_type = content_type:match("^%s*([^;%s]*)")
  for _, textual in ipairs(TEXTUAL) do
    if media_type:find(textual) then
      return true
    end
  end
end

--- What a span says of a body.
-- @return a text, valid UTF-8; why it was left out, or nil; bytes to send as they are, or nil
function M.render(body)
  local is_encoded = body.content_encoding ~= "" and body.content_encoding ~= "identity"
  if body.is_stream then
    return "", "stream"
  elseif is_encoded and not BYTES then
    return "", body.total > 0 and "encoding" or nil
  end
  local bytes = table.concat(body)
  if is_encoded or bytes == "" then
    return "", nil, bytes ~= "" and bytes or nil
  end
  local masked = redaction.text(bytes)
  local text, replaced = utf8.repair(masked, body.kept < body.total)
  if (replaced == 0 and not masked:find("\0", 1, true)) or is_textual(body.content_type) then
    return text
  elseif BYTES and masked == bytes then
    return "", nil, bytes
  end
  return "", "binary"
end

return M
