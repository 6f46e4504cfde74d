--- Captured exchanges that have not ended: a list in order of their start, bounded in entries, bytes and age.
-- A stream that is aborted never runs its response hook, so its record has to be found here. Envoy lets go of
-- a stream's handle when the stream ends, and a record knows its handle weakly: a record whose handle was
-- collected is an aborted exchange. There is no timer: `sweep` acts on the VM's next event.

local MAX_ENTRIES = 4096
local MAX_BYTES = 16 * 1024 * 1024
local MAX_AGE = 900 * 1e6 -- microseconds; for a handle that something else keeps alive
local SWEEP_INTERVAL = 1e6 -- microseconds

local by_id = {}
local handles = setmetatable({}, { __mode = "v" })
local oldest, newest
local count, bytes = 0, 0
local last_sweep, collected_for = 0, nil

local M = {}

--- Adds a record; it has an `id` and when it `started` (microseconds).
function M.add(record, handle)
  record.size = 0
  record.previous = newest
  if newest then
    newest.next = record
  else
    oldest = record
  end
  newest = record
  by_id[record.id] = record
  handles[record.id] = handle
  count = count + 1
end

function M.find(id)
  return by_id[id]
end

--- Takes a record out; what still reads its bodies sees `finished` and stops.
function M.remove(record)
  local previous, following = record.previous, record.next
  if previous then
    previous.next = following
  else
    oldest = following
  end
  if following then
    following.previous = previous
  else
    newest = previous
  end
  by_id[record.id], handles[record.id] = nil, nil
  record.previous, record.next, record.finished = nil, nil, true
  count = count - 1
  bytes = bytes - record.size
end

--- Reserves room for a chunk of a record's bodies.
-- @return how many of `size` bytes may be kept
function M.reserve(record, size)
  size = math.min(size, MAX_BYTES - bytes)
  bytes = bytes + size
  record.size = record.size + size
  return size
end

--- Whether an exchange is in flight that started after `since` (microseconds).
function M.active_since(since)
  return newest and newest.started > since
end

--- Hands the records that have to go to `expire(handle, record, now, text)`, which removes them.
-- At most once a second, or when there are too many; then the oldest go first.
function M.sweep(expire, handle, now, text)
  while count > MAX_ENTRIES do
    expire(handle, oldest, now, text)
  end
  if not oldest or math.abs(now - last_sweep) < SWEEP_INTERVAL then
    return
  end
  last_sweep = now
  if oldest ~= collected_for and now - oldest.started > SWEEP_INTERVAL then
    -- Once for each exchange that lasts: on an idle worker no collection would come by to tell who is gone.
    collected_for = oldest
    collectgarbage()
  end
  local record = oldest
  while record do
    local following = record.next
    if not handles[record.id] or now - record.started > MAX_AGE then
      expire(handle, record, now, text)
    end
    record = following
  end
end

return M
