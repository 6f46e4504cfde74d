--- Ids of spans and traces.
-- The trace is the one that a request belongs to.
-- Span ids are 64 random bits from a generator seeded once per VM: unseeded, LuaJIT gives every worker, pod
-- and restart the same sequence. A trace id is the caller's, if it sends one.

math.randomseed() -- without an argument, from the system's random bytes

local M = {}

--- A new span id: 16 hex digits, not all zero.
function M.span_id()
  return bit.tohex(math.random(1, 0xFFFFFFFF)) .. bit.tohex(math.random(0, 0xFFFFFFFF))
end

--- A text in lower case, if it is an id: as many hexadecimal digits as `digits` says, and not all zero.
local function id(text, digits)
  return text and #text == digits and text:find("^0*[1-9A-Fa-f]%x*$") and text:lower()
end

--- Trace id and parent span id of a `traceparent` (W3C), if it has both.
-- Only versions after 00 may have more at the end. A "," shows that there were two headers: neither counts.
local function from_traceparent(value)
  local version, trace, parent, more = value:match("^(%x%x)%-(%x+)%-(%x+)%-%x%x%f[-%z]([^,]*)$")
  trace, parent = id(trace, 32), id(parent, 16)
  if trace and parent and (more == "" or version ~= "00") and version:lower() ~= "ff" then
    return trace, parent
  end
end

--- Trace id and parent span id of B3, in one header (without a ",", as above) or in several; a trace id may
-- have 16 digits.
local function from_b3(values)
  local trace, parent
  if values.b3 then
    trace, parent = values.b3:match("^(%x+)%-(%x+)%f[%X][^,]*$")
  end
  trace, parent = trace or values["x-b3-traceid"], parent or values["x-b3-spanid"]
  trace = id(trace, 16) and ("0"):rep(16) .. trace or trace
  return id(trace, 32), id(parent, 16)
end

--- Trace id and parent span id of a request.
-- From W3C trace context, else B3, else a UUID x-request-id, else random.
-- @param values header values by name
-- @return 32 hex digits; 16 hex digits or nil
function M.trace(values)
  local trace, parent
  if values.traceparent then
    trace, parent = from_traceparent(values.traceparent)
  end
  if not trace then
    trace, parent = from_b3(values)
  end
  if trace then
    return trace, parent
  end
  local request_id = values["x-request-id"] or ""
  if #request_id == 36 then -- as a UUID has: without the signs between its five parts
    local first, second, third = request_id:sub(1, 8), request_id:sub(10, 13), request_id:sub(15, 18)
    request_id = first .. second .. third .. request_id:sub(20, 23) .. request_id:sub(25)
  end
  return id(request_id, 32) or M.span_id() .. M.span_id()
end

return M
