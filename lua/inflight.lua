--- Exchanges in flight.
-- The captured ones are a list in order of their start, bounded in entries and bytes.
--
-- Memory. All bytes that records hold are counted together. If they are too many, the oldest records give up
-- what they hold, unless it is little. So clients who upload and wait cannot push out the exchanges of
-- others.
--
-- Aborts. An aborted stream never comes to the end of its response hook, so its record has to be found here.
-- Envoy lets go of a stream's handle when the stream ends, and this module has only a weak reference to it.
-- So if the handle of a record was collected, its exchange was aborted. An internal redirect aborts nothing:
-- the record goes on in a new stream, with that one's handle (`follow`). Age alone ends nothing. There is no
-- timer: `sweep` acts on the VM's next event.

local bounds = require("bounds")
local report = require("report")

local MAX_ENTRIES = 4096 -- records
local MAX_BYTES = 12 * 2 ^ 20
local ENOUGH = MAX_BYTES * 7 / 8 -- records give way until so much is left: then the next bytes find room
local OVERHEAD = 1024 -- bytes that the tables of a record take
local PIECE = 48 -- bytes that a piece of a body takes besides its own: a body may come byte by byte
local LEAST_TARGET = 256 -- bytes of the path that stay when all else gave way
local EVENT_BYTES = 2 ^ 17 -- of aborted records that one event sends, as masking them takes time
local MAX_GARBAGE = 6144 -- KiB by which a VM may grow before `sweep` collects all garbage at once
local INTERVAL = 2e6 -- microseconds between sweeps

local by_id = {}
local handles = setmetatable({}, { __mode = "v" }) -- of the streams of records, by the records' ids
-- The records are linked to a ring: `next` leads to the next newer one, `prior` to the next older one. `ring`
-- itself is no record, and stands between the newest one, `ring.prior`, and the oldest one, `ring.next`. It
-- started before any time: so an empty ring has nothing in flight.
local ring = { started = -1 }
ring.prior, ring.next = ring, ring
local count, bytes = 0, 0 -- how many records there are, and what they hold together
-- KiB: if more is in use, garbage is collected. 0 at first, as loading the script leaves much garbage.
local ceiling = 0
local last_sweep, is_swept = 0, true -- when the last sweep began, and whether it came to its end

local M = {}

--- How many bytes a message holds: its headers and its copy of the body. 0 for nil.
local function size_of(message)
  return message and #message.headers + message.kept + PIECE * #message or 0
end

--- Counts anew what a record holds.
local function count_bytes(record)
  local size = OVERHEAD + #record.hop + #record.head + #record.target
  size = size + size_of(record.request) + size_of(record.response)
  record.size, bytes = size, bytes - record.size + size
end

--- Releases a record's bodies. If the rest is still more than little, releases its headers and most of its
-- path.
-- @param little bytes
local function give_way(record, little)
  local messages = { record.request, record.response }
  record.gave_way = true
  for _, message in ipairs(messages) do
    message.kept = 0
    while #message > 0 do
      table.remove(message)
    end
  end
  count_bytes(record)
  if record.size > little then
    for _, message in ipairs(messages) do
      message.headers, message.are_headers_cut = "{}", true
    end
    if #record.target > LEAST_TARGET then
      record.target, record.is_target_cut = bounds.cut(record.target, LEAST_TARGET), true
    end
    count_bytes(record)
  end
end

--- Counts anew what a record holds, as it has grown. If all records together hold too much, makes room.
-- From the oldest record on, each that holds more than half of the average gives way, until enough is free.
-- One pass is enough: records that hold no more than half of the average have at most half of all bytes.
function M.grown(record)
  count_bytes(record)
  if bytes <= MAX_BYTES then
    return
  end
  local little, holder = bytes / count / 2, ring.next
  while holder ~= ring and bytes > ENOUGH do
    if holder.size > little then
      give_way(holder, little)
    end
    holder = holder.next
  end
end

--- Adds a record as `span.begin` makes it.
function M.add(record, handle)
  local newest = ring.prior
  newest.next, ring.prior = record, record
  record.prior, record.next = newest, ring
  by_id[record.span], handles[record.span] = record, handle
  count, record.size = count + 1, 0
  M.grown(record)
end

--- The record of a span's id, or nil.
function M.find(id)
  return by_id[id]
end

--- Lets the newest record of a hop go on in another stream, as its `next_hop` (see `span.hop`).
-- @return the record, or nil
function M.follow(hop, next_hop, handle)
  local record = ring.prior
  while record ~= ring and record.hop ~= hop do
    record = record.prior
  end
  if record ~= ring then
    record.hop, handles[record.span] = next_hop, handle
    return record
  end
end

--- Takes a record out. `message.read`, if it still waits for chunks of this exchange, sees `ended` and stops.
-- @param now microseconds
function M.remove(record, now)
  record.ended = math.max(now, record.started) -- The clock is the wall's, and may have been set back.
  record.prior.next, record.next.prior = record.next, record.prior
  by_id[record.span], handles[record.span] = nil, nil
  count, bytes = count - 1, bytes - record.size
end

--- Whether an exchange is in flight that started after `since` (microseconds; 0: any).
function M.active_since(since)
  return ring.prior.started > since
end

--- Ends the records that have to go: the oldest, if there are too many; and those whose stream is gone.
-- The second kind is looked for once per INTERVAL, if the oldest exchange is older than that. Only a garbage
-- collection shows that a handle is gone, and on an idle worker nothing else causes one. If there are many
-- such records, some wait for the next events, so that no event takes long.
-- @param finish a function that ends an exchange, and removes its record
function M.sweep(finish, handle, now)
  while count > MAX_ENTRIES do
    finish(handle, ring.next, now)
  end
  if count > 0 and now - ring.next.started >= INTERVAL and math.abs(now - last_sweep) >= INTERVAL then
    last_sweep, is_swept, ceiling = now, false, 0 -- 0: everything is collected below.
  end
  if collectgarbage("count") > ceiling then
    collectgarbage() -- Lua alone would wait until memory has doubled.
    ceiling = collectgarbage("count") + MAX_GARBAGE
  end
  -- From the oldest record on, if the sweep has just begun or was broken off. If it came to its end, there is
  -- nothing to do: `ring`. `left`: how many bytes this event may still send.
  local record, left = is_swept and ring or ring.next, EVENT_BYTES
  while record ~= ring and left > 0 do
    local newer = record.next
    if not handles[record.span] then
      left = left - record.size
      report.count("aborted")
      finish(handle, record, now, "aborted")
    end
    record = newer
  end
  is_swept = record == ring
end

return M
