--- A request or a response.
-- It holds what the headers say, and a bounded copy of the body.
-- The body is taken chunk by chunk as it passes: nothing is held back.

local config = require("config")
local inflight = require("inflight")

local MAX_SIZE = 2 ^ 53 -- bytes; what a number counts exactly

local M = {}

--- The whole number from 0 that a header says, or 0. For Lua, "nan" and "0x1p-3" are numbers, too.
local function whole_number(text)
  local number = tonumber(text) or 0
  return number >= 0 and number % 1 == 0 and number or 0
end

--- A message whose body has not begun to pass. The pieces of the body will be its items, in order.
-- It has 8 fields, as a ninth doubles the memory of its table. Only a message whose body is not read at all
-- gets a ninth: `omitted`, which says why, as for a stream without end.
-- @param values header values by name
-- @param shown its recorded headers, as JSON
-- @param are_headers_cut whether these are not all
function M.new(values, shown, are_headers_cut)
  return {
    nil, -- room for the first piece: a table that grows is laid out anew
    status = tonumber(values[":status"]) or 0, -- of a response
    headers = shown,
    are_headers_cut = are_headers_cut,
    content_type = (values["content-type"] or ""):lower(),
    content_encoding = (values["content-encoding"] or ""):lower(),
    -- The size of the body as declared, or 0. Becomes nil once the body has ended.
    expected = math.min(whole_number(values["content-length"]), MAX_SIZE),
    kept = 0, -- bytes of the body that are copied
    total = 0, -- bytes of the body that have passed
  }
end

--- Copies the body as it passes, up to the limit, and counts all of it.
-- Between chunks, other streams run. If one of them has ended the record, its span has gone, and this stops.
-- If one has made the record give way, no more is copied.
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

-- `bodyChunks` returns a new iterator for each message, and LuaJIT compiles a loop for one iterator. It would
-- compile this one again and again, and compare each iterator with all earlier ones.
jit.off(M.read)

return M
