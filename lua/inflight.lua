--- Captured exchanges that have not ended: a list in order of their start, bounded in entries and bytes.
-- All bytes that records hold are counted together. If they are too many, the oldest records give up what
-- they hold, unless it is little. So clients who upload and wait cannot push out the exchanges of others.
-- An aborted stream never runs its response hook, so its record has to be found here. Envoy lets go of a
-- stream's handle when the stream ends, and here the handle is known weakly. So if a record's handle was
-- collected, its exchange was aborted. An internal redirect aborts nothing: the record goes on in a new
-- stream, with that one's handle (`follow`). Age alone ends nothing. There is no timer: `sweep` acts on the
-- VM's next event.

local bounds = require("bounds")

local MAX_ENTRIES = 4096
local MAX_BYTES = 12 * 2 ^ 20
local ENOUGH = MAX_BYTES * 7 / 8 -- records give way until so much is left: then the next bytes find room
local OVERHEAD = 1024 -- bytes of the tables of a record
local LEAST_TARGET = 256 -- bytes of the path that stay when all else gave way
local EVENT_BYTES = 2 ^ 17 -- of aborted records that one event sends, as masking them takes time
local MAX_GARBAGE = 6144 -- KiB that a VM grows by before everything is collected at once
local INTERVAL = 1e6 -- microseconds between sweeps
local PATIENCE = 10e6 -- microseconds between collections for the same exchange

local by_id = {}
local handles = setmetatable({}, { __mode = "v" })
-- The records are a ring, which `ends` closes: `ends.next` is the oldest record, and `ends.prior` the newest.
local ends = { started = -1 }
ends.prior, ends.next = ends, ends
local count, bytes = 0, 0
local next_to_sweep -- where the sweep goes on at the next event; nil while there is no sweep
local last_sweep = 0
local collected_for, collected_at = nil, 0
local ceiling = collectgarbage("count") + MAX_GARBAGE

local M = {}

--- Empties a body in place: `body.read` holds the same table, and goes on counting in it.
local function empty(body)
  for index = #body, 1, -1 do
    body[index] = nil
  end
  body.kept = 0
end

--- What a record holds besides its bodies.
local function size_of_head(record)
  return OVERHEAD
    + #record.hop
    + #record.head
    + #record.target
    + #record.request_headers
    + #record.response_headers
end

--- Releases a record's bodies; where the rest is more than `enough`, its headers and most of its path too.
local function give_way(record, enough)
  record.gave_way = true
  empty(record.request_body)
  empty(record.response_body)
  if size_of_head(record) > enough then
    record.request_headers, record.are_request_headers_cut = "{}", true
    record.response_headers, record.are_response_headers_cut = "{}", record.status > 0
    if #record.target > LEAST_TARGET then
      record.target, record.is_target_cut = bounds.cut(record.target, LEAST_TARGET), true
    end
  end
  local size = size_of_head(record)
  record.size, bytes = size, bytes - record.size + size
end

--- Counts more bytes that a record holds, and makes room if all records hold too many.
-- From the oldest record on, each that holds more than half of the average gives way, until enough is free.
-- One pass is enough: records that hold no more than half of the average have at most half of all bytes.
local function hold(record, size)
  record.size, bytes = record.size + size, bytes + size
  if bytes <= MAX_BYTES then
    return
  end
  local little, holder = bytes / count / 2, ends.next
  while holder ~= ends and bytes > ENOUGH do
    if holder.size > little then
      give_way(holder, little)
    end
    holder = holder.next
  end
end

--- Adds a record as `span.begin` makes it.
function M.add(record, handle)
  local newest = ends.prior
  record.size, record.prior, record.next = 0, newest, ends
  newest.next, ends.prior = record, record
  by_id[record.id], handles[record.id] = record, handle
  count = count + 1
  hold(record, size_of_head(record))
end

function M.find(id)
  return by_id[id]
end

--- The newest record of a hop (see `span.hop`), or nil.
function M.find_hop(hop)
  local record = ends.prior
  while record ~= ends do
    if record.hop == hop then
      return record
    end
    record = record.prior
  end
end

--- Lets a record go on in another stream.
function M.follow(record, handle, hop)
  handles[record.id], record.hop = handle, hop
end

--- Takes a record out. `body.read`, if it still waits for chunks of this exchange, sees `finished` and stops.
function M.remove(record)
  if next_to_sweep == record then
    next_to_sweep = record.next
  end
  record.prior.next, record.next.prior = record.next, record.prior
  by_id[record.id], handles[record.id] = nil, nil
  record.finished = true
  count, bytes = count - 1, bytes - record.size
end

--- Counts bytes that a record is about to keep.
-- @return whether it may: not once it gave way
function M.keep(record, size)
  if not record.gave_way then
    hold(record, size)
  end
  return not record.gave_way
end

--- Whether an exchange is in flight that started after `since` (microseconds).
function M.active_since(since)
  return ends.prior.started > since
end

--- Collects garbage at once.
local function collect()
  collectgarbage()
  ceiling = collectgarbage("count") + MAX_GARBAGE
end

--- Begins a sweep. Only a garbage collection shows that a handle is gone, and on an idle worker nothing
-- causes one. So this collects garbage if the oldest exchange lasts: once at first, and then now and then.
local function begin_sweep(now)
  local oldest = ends.next
  last_sweep, next_to_sweep = now, oldest
  local lasts = oldest ~= ends and now - oldest.started > INTERVAL
  if lasts and (oldest ~= collected_for or math.abs(now - collected_at) > PATIENCE) then
    collected_for, collected_at = oldest, now
    collect()
  end
end

--- Ends the records that have to go, by two functions of a handle, a record and the time, which remove it.
-- @param abort for records whose stream is gone. These are looked for once a second; where they are many,
--   some wait for the next events, so that no event takes long
-- @param release for the oldest records, where there are too many
function M.sweep(abort, release, handle, now)
  while count > MAX_ENTRIES do
    release(handle, ends.next, now)
  end
  if collectgarbage("count") > ceiling then
    collect() -- Lua alone would wait until memory has doubled.
  end
  if not next_to_sweep and math.abs(now - last_sweep) >= INTERVAL then
    begin_sweep(now)
  end
  local left = EVENT_BYTES
  while next_to_sweep and next_to_sweep ~= ends and left > 0 do
    local record = next_to_sweep
    next_to_sweep = record.next
    if not handles[record.id] then
      left = left - record.size
      abort(handle, record, now)
    end
  end
  if next_to_sweep == ends then
    next_to_sweep = nil
  end
end

return M
