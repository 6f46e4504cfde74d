--- A request or a response.
-- It holds what the headers say, and a bounded copy of the body.
-- The body is taken chunk by chunk as it passes: nothing is held back.

local config = require("config")
local inflight = require("inflight")

local MAX_SIZE = 2 ^ 53 -- bytes; what a number counts exactly

local M = {}

--- A message of whose body nothing has passed yet: the body's pieces in order, and what is known of it.
-- As a rule it has 8 fields at most: otherwise its table takes twice the memory. Where the body is left out
-- before it is read, as in a stream without end, `omitted` says why.
-- @param values header values by name
-- @param shown its recorded headers, as JSON
-- @param are_headers_cut whether these are not all
function M.new(values, shown, are_headers_cut)
  return {
    status = tonumber(values[":status"]) or 0, -- of a response
    headers = shown,
    are_headers_cut = are_headers_cut,
    content_type = (values["content-type"] or ""):lower(),
    content_encoding = (values["content-encoding"] or ""):lower(),
    -- Bytes as declared; nil once the body has ended.
    expected = math.min(tonumber((values["content-length"] or ""):match("^%d+$")) or 0, MAX_SIZE),
    kept = 0,
    total = 0,
  }
end

--- Copies what passes up to the limit, and counts all of it.
-- Suspends between chunks. Stops once the record is `ended`: its span has gone.
function M.read(handle, message, record)
  for chunk in handle:bodyChunks() do
    if record.ended then
      return
    end
    local size = chunk:length()
    message.total = message.total + size
    local wanted = math.min(size, config.max_body_bytes - message.kept)
    if wanted > 0 and not record.gave_way then
      message.kept = message.kept + wanted
      message[#message + 1] = chunk:getBytes(0, wanted)
      inflight.grown(record)
    end
  end
  message.expected = nil
end

-- Each message has an iterator of its own. Compiled code would compare it with those of a hundred earlier
-- ones.
jit.off(M.read)

return M
