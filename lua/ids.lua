--- Span and trace identity.
-- Span ids are 64 random bits from a generator seeded once per VM: unseeded, LuaJIT gives every worker, pod
-- and restart the same sequence. Trace identity is the caller's where it has one.

local random, tohex = math.random, require("bit").tohex

local source = assert(io.open("/dev/urandom", "rb"))
local seed = os.time()
for code in source:read(6):gmatch(".") do
  seed = seed % 2 ^ 45 * 256 + code:byte()
end
source:close()
math.randomseed(seed)

local M = {}

--- A new span id: 16 hex digits, not all zero.
function M.span_id()
  return tohex(random(1, 0xFFFFFFFF)) .. tohex(random(0, 0xFFFFFFFF))
end

--- A header's value if it is an id: hexadecimal, not all zero.
local function id(text, digits)
  return text and #text == digits and text:find("[^0]") and not text:find("%X") and text or nil
end

--- Trace id and parent span id of a request.
-- From W3C trace context, else B3, else a UUID x-request-id, else random.
-- @param values header values by name
-- @return 32 hex digits; 16 hex digits or nil
function M.trace(values)
  local function value(name)
    return (values[name] or ""):lower()
  end
  local version, trace, parent = value("traceparent"):match("^(%x%x)%-(%x+)%-(%x+)%-%x%x")
  if version == "ff" or not (id(trace, 32) and id(parent, 16)) then
    trace, parent = value("b3"):match("^(%x+)%-(%x+)")
    trace, parent = trace or value("x-b3-traceid"), parent or value("x-b3-spanid")
    trace = id(trace, 16) and ("0"):rep(16) .. trace or trace
  end
  if id(trace, 32) then
    return trace, id(parent, 16)
  end
  return id((value("x-request-id"):gsub("-", "")), 32) or M.span_id() .. M.span_id()
end

return M
