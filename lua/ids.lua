--- Span and trace identity.
-- Span ids are 64 random bits from a generator seeded once per VM: unseeded, LuaJIT gives every worker, pod
-- and restart the same sequence. Trace identity is the caller's where it has one.

local random, tohex = math.random, require("bit").tohex

local WORD = 0xFFFFFFFF

-- Without /dev/urandom, the clock and the address of a new table tell VMs apart.
local source = io.open("/dev/urandom", "rb")
local entropy = source and source:read(6) or tostring({}):sub(-6)
if source then
  source:close()
end
local seed = os.time()
for index = 1, 6 do
  seed = seed % 2 ^ 45 * 256 + entropy:byte(index)
end
math.randomseed(seed)

local M = {}

--- A new span id: 16 hex digits, not all zero.
function M.span_id()
  return tohex(random(1, WORD)) .. tohex(random(0, WORD))
end

local function id(text, digits)
  if text and #text == digits and not text:find("%X") and text:find("[^0]") then
    return text
  end
end

--- Trace id and parent span id of a request.
-- From W3C trace context, else B3, else a UUID x-request-id, else random.
-- @param values header values by name
-- @return 32 hex digits; 16 hex digits or nil
function M.trace(values)
  local version, trace, parent = (values.traceparent or ""):lower():match("^(%x%x)%-(%x+)%-(%x+)%-%x%x")
  if version == "ff" or not (id(trace, 32) and id(parent, 16)) then
    trace, parent = (values.b3 or ""):lower():match("^(%x+)%-(%x+)")
    trace = trace or (values["x-b3-traceid"] or ""):lower()
    trace = #trace == 16 and ("0"):rep(16) .. trace or trace
    parent = parent or (values["x-b3-spanid"] or ""):lower()
  end
  if id(trace, 32) then
    return trace, id(parent, 16)
  end
  local uuid = (values["x-request-id"] or ""):lower()
  uuid = #uuid == 36 and uuid:gsub("-", "")
  return id(uuid or nil, 32) or M.span_id() .. M.span_id()
end

return M
