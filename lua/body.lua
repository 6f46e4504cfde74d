--- Bounded copies of bodies, taken chunk by chunk as they pass: nothing is held back.

local config = require("config")
local inflight = require("inflight")

local LIMIT = config.max_body_bytes
local MAX_PIECES = 256

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
        -- A string of one byte takes 30 bytes. So the pieces are joined now and then, in case a body comes
        -- byte by byte.
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

return M
