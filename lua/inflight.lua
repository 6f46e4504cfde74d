--- Captured exchanges that have not ended: a list in order of their start, bounded in entries, bytes and age.
-- A stream that is aborted never runs its response hook, so its record has to be found here. Envoy lets go of
-- a stream's handle when the stream ends, and a record knows its handle weakly: a record whose handle was
-- collected is an aborted exchange. There is no timer: `sweep` acts on the VM's next event.

local MAX_ENTRIES = 4096
local MAX_BYTES = 2 ^ 24 -- 16 MiB
local MAX_AGE = 900e6 -- microseconds; for a handle that something else keeps alive
local INTERVAL = 1e6 -- microseconds between sweeps

local by_id = {}
local handles = setmetatable({}, { __mode = "v" })
-- A ring: from the ends, `next` is the oldest record and `prior` the newest.
local ends = { started = -1 }
ends.prior, ends.next = ends, ends
local count, bytes = 0, 0
local last_sweep, collected = 0

local M = {}

--- Adds a record; it has an `id` and when it `started` (microseconds).
function M.add(record, handle)
  local newest = ends.prior
  record.size, record.prior, record.next = 0, newest, ends
  newest.next, ends.prior = record, record
  by_id[record.id], handles[record.id] = record, handle
  count = count + 1
end

function M.find(id)
  return by_id[id]
end

--- Takes a record out; what still reads its bodies sees `finished` and stops.
function M.remove(record)
  record.prior.next, record.next.prior = record.next, record.prior
  by_id[record.id], handles[record.id] = nil, nil
  record.finished = true
  count, bytes = count - 1, bytes - record.size
end

--- Reserves room for a chunk of a record's bodies.
-- @return how many of `size` bytes may be kept
function M.reserve(record, size)
  size = math.min(size, MAX_BYTES - bytes)
  bytes, record.size = bytes + size, record.size + size
  return size
end

--- Whether an exchange is in flight that started after `since` (microseconds).
function M.active_since(since)
  return ends.prior.started > since
end

--- Hands the records that have to go to `expire(handle, record, now)`, which removes them.
-- At most once a second, or when there are too many; then the oldest go first.
function M.sweep(expire, handle, now)
  while count > MAX_ENTRIES do
    expire(handle, ends.next, now)
  end
  local record = ends.next
  if record == ends or math.abs(now - last_sweep) < INTERVAL then
    return
  end
  last_sweep = now
  if record ~= collected and now - record.started > INTERVAL then
    -- Once for each exchange that lasts: on an idle worker no collection would come by to tell who is gone.
    collected = record
    collectgarbage()
  end
  while record ~= ends do
    local following = record.next
    if not handles[record.id] or now - record.started > MAX_AGE then
      expire(handle, record, now)
    end
    record = following
  end
end

return M
