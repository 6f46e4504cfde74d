--- OTLP in binary protobuf, its default encoding: spans are written as they are, without a tree of messages.
-- Field numbers are those of opentelemetry-proto (trace.proto, common.proto, resource.proto). A key in
-- protobuf is the field's number times 8 plus its wire type: 0 for a number, 1 for 8 bytes, 2 for a length
-- and so many bytes. Texts have to be valid UTF-8.

local char, floor = string.char, math.floor

local NUMBER, FIXED, BYTES = 0, 1, 2

--- A whole number from 0 as a varint: 7 bits a byte, the lowest first, and 128 more where another follows.
local function varint(number)
  local out = ""
  while number >= 128 do
    out = out .. char(number % 128 + 128)
    number = floor(number / 128)
  end
  return out .. char(number)
end

-- Most lengths are short: their varints are remembered.
local VARINTS = {}
for number = 0, 2047 do
  VARINTS[number] = varint(number)
end

local function length_of(size)
  return VARINTS[size] or varint(size)
end

local function key(field, wire_type)
  return varint(field * 8 + wire_type)
end

local function field(number, content)
  return key(number, BYTES) .. length_of(#content) .. content
end

-- KeyValue.key of each attribute, as it is written.
local NAMES = setmetatable({}, {
  __index = function(names, name)
    names[name] = field(1, name)
    return names[name]
  end,
})

-- Fields of Span; the ids with their lengths, which are always the same.
local TRACE_ID, SPAN_ID, PARENT_ID =
  key(1, BYTES) .. char(16), key(2, BYTES) .. char(8), key(4, BYTES) .. char(8)
local NAME, KIND, START, END = key(5, BYTES), key(6, NUMBER), key(7, FIXED), key(8, FIXED)
-- Span.attributes, KeyValue.value, and the kinds of AnyValue.
local ATTRIBUTE, VALUE = key(9, BYTES), key(2, BYTES)
local TEXT, BOOLEAN, INTEGER, RAW = key(1, BYTES), key(2, NUMBER), key(3, NUMBER), key(7, BYTES)

--- Puts an attribute whose value is `content` behind a kind of AnyValue and, for texts and bytes, a length.
local function put_attribute(out, name, kind, content_length, content)
  local name_field = NAMES[name]
  local value_size = #kind + #content_length + #content
  local value_length = length_of(value_size)
  local size = #name_field + #VALUE + #value_length + value_size
  out:put(ATTRIBUTE, length_of(size), name_field, VALUE, value_length, kind, content_length, content)
end

local M = {}

M.content_type = "application/x-protobuf"

--- Most bytes that `put_span` puts before a span: a key and a length.
M.MAX_SPAN_PREFIX = 5

function M.put_text(out, name, text)
  put_attribute(out, name, TEXT, length_of(#text), text)
end

function M.put_bytes(out, name, bytes)
  put_attribute(out, name, RAW, length_of(#bytes), bytes)
end

--- @param number whole, from 0
function M.put_integer(out, name, number)
  put_attribute(out, name, INTEGER, "", length_of(number))
end

function M.put_true(out, name)
  put_attribute(out, name, BOOLEAN, "", "\1")
end

--- Valid UTF-8 in the form that `put_content` takes. Made once, it can be put often.
function M.content(text)
  return text
end

M.put_content = M.put_text

--- 32 bits in 4 bytes, the lowest first.
local function word(number)
  return char(
    number % 256,
    floor(number / 2 ^ 8) % 256,
    floor(number / 2 ^ 16) % 256,
    floor(number / 2 ^ 24) % 256
  )
end

--- Microseconds as nanoseconds, in 8 bytes, the lowest first. A double cannot hold today's nanoseconds
-- exactly, so the lower and the upper 32 bits are multiplied each on their own.
local function nanoseconds(microseconds)
  local low = microseconds % 2 ^ 32 * 1000
  local high = floor(microseconds / 2 ^ 32) * 1000 + floor(low / 2 ^ 32)
  return word(low) .. word(high)
end

local BYTE_OF = {}
for code = 0, 255 do
  BYTE_OF[("%02x"):format(code)] = char(code)
end

--- Bytes of hexadecimal digits in lower case.
local function bytes_of(digits)
  return (digits:gsub("..", BYTE_OF))
end

--- Puts the start of a span, with its first attribute; others follow.
-- @param ids `trace` (32 hexadecimal digits), `span` (16) and `parent` (16, or nil)
-- @param name valid UTF-8
-- @param kind a number of Span.SpanKind
-- @param started microseconds
-- @param sensor the attribute sensor.id
function M.put_start(out, ids, name, kind, started, sensor)
  out:put(TRACE_ID, bytes_of(ids.trace), SPAN_ID, bytes_of(ids.span))
  if ids.parent then
    out:put(PARENT_ID, bytes_of(ids.parent))
  end
  out:put(NAME, length_of(#name), name, KIND, char(kind), START, nanoseconds(started))
  M.put_text(out, "sensor.id", sensor)
end

--- Puts the end of a span, after its attributes.
-- @param ended microseconds
-- @param status a number of Status.StatusCode, or nil
-- @param message of the status, or nil
function M.put_end(out, ended, status, message)
  out:put(END, nanoseconds(ended))
  if status then
    local text = message and field(2, message) or ""
    out:put(field(15, text .. key(3, NUMBER) .. char(status)))
  end
end

--- Puts a span that is whole into a batch.
-- @param span a buffer
function M.put_span(batch, span)
  batch:put(key(2, BYTES), length_of(#span), span)
end

--- The body of an export.
-- @param resource texts by name, as a list of pairs
-- @param scope the instrumentation scope's name
-- @param batch a buffer of spans
function M.request(resource, scope, batch)
  local attributes = ""
  for _, pair in ipairs(resource) do
    local value = field(1, pair[2])
    attributes = attributes .. field(1, NAMES[pair[1]] .. VALUE .. length_of(#value) .. value)
  end
  local resource_field, scope_field = field(1, attributes), field(1, field(1, scope))
  local spans_size = #scope_field + #batch
  local spans_length = length_of(spans_size)
  local size = #resource_field + 1 + #spans_length + spans_size
  local head = key(1, BYTES)
    .. length_of(size)
    .. resource_field
    .. key(2, BYTES)
    .. spans_length
    .. scope_field
  return head .. batch:get()
end

return M
