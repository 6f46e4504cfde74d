--- Warnings at most once a second per VM, with a count of those left out.

local config = require("config")

local INTERVAL = 1e6 -- microseconds
local PREFIX = "astra capture (" .. config.direction .. "): "

local last, left_out = 0, 0

local M = {}

--- @param now microseconds
function M.warn(handle, now, message)
  if now - last < INTERVAL and now >= last then
    left_out = left_out + 1
    return
  end
  local also = left_out > 0 and (" (%d more since the last warning)"):format(left_out) or ""
  handle:logWarn(PREFIX .. message .. also)
  last, left_out = now, 0
end

return M
