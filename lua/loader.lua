--- Loads the capture script at a proxy's first request.
-- Most filter chains of a proxy never see one, and each has a Lua VM per worker: as a comment, the script
-- costs them its text and nothing else. Envoy names a chunk by its text, and there the loader finds it. Where
-- it is not found, or does not load, Envoy says so once per VM, and requests pass.

local text = debug.getinfo(1, "S").source
local hooks

local function load_hooks()
  local function pass() end
  hooks = { request = pass, response = pass }
  hooks = assert(loadstring(text:match("%-%-%[==%[\n(.*)%]==%]"), "=astra-capture"))()
  return hooks
end

function envoy_on_request(handle)
  return (hooks or load_hooks()).request(handle)
end

function envoy_on_response(handle)
  return (hooks or load_hooks()).response(handle)
end
