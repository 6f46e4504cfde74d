--- Counters in Envoy's statistics: http.<prefix>.lua.astra_capture.<name>, where Envoy has the API (>= 1.38).
-- Counted here, and written when spans leave: a call of Envoy per counter and batch.

local clear = require("table.clear")

local pending = {}

local M = {}

function M.add(name, count)
  pending[name] = (pending[name] or 0) + (count or 1)
end

function M.write(handle)
  if handle.stats then
    for name, count in pairs(pending) do
      handle:stats():counter(name):add(count)
    end
  end
  clear(pending)
end

return M
