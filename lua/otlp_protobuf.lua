--- OTLP in protobuf.
-- It is the default encoding. Spans are written as they are, without a tree of messages.
-- A field is a key, for most fields a length, and the content. Fields may come in any order. Their numbers
-- are those of opentelemetry-proto (trace.proto, common.proto, resource.proto). A key is the number times
-- 8, plus 0 for a number, 1 for 8 bytes, or 2 where a length follows: "\74" is 9 * 8 + 2.

local config = require("config")

local buffer = require("string.buffer")
local ffi = require("ffi")

-- Each byte as a text, made once: a span has about a hundred of them.
local BYTES = {}
for number = 0, 255 do
  BYTES[number] = string.char(number)
end

--- A whole number from 0: 7 bits a byte, the lowest first, and 128 more where another byte follows.
local function varint(number)
  if number < 128 then
    return BYTES[number]
  end
  return BYTES[number % 128 + 128] .. varint(math.floor(number / 128))
end

--- A field with its key, its length and its content.
local function field(key, content)
  return key .. varint(#content) .. content
end

-- What stands before the value in a KeyValue, by the attribute's name: made once for each, as they are few.
local KEYS = {}

local function key_of(name)
  KEYS[name] = KEYS[name] or field("\10", name) .. "\18"
  return KEYS[name]
end

--- Puts one of Span.attributes, a KeyValue: its key and its value.
-- @param value_key the key of the field in AnyValue
-- @param length the content's length where the field has one: of texts and bytes; else ""
local function put_attribute(out, name, value_key, length, content)
  local key = key_of(name)
  local value_length = varint(#value_key + #length + #content)
  local size = #key + #value_length + #value_key + #length + #content
  out:put("\74", varint(size), key, value_length, value_key, length, content)
end

local M = {}

M.content_type = "application/x-protobuf"

--- Puts an attribute.
-- @param out a buffer
-- @param value valid UTF-8, a whole number from 0, or true
function M.put(out, name, value)
  if value == true then
    put_attribute(out, name, "\16", "", "\1")
  elseif type(value) == "number" then
    put_attribute(out, name, "\24", "", varint(value))
  else
    put_attribute(out, name, "\10", varint(#value), value)
  end
end

--- Puts an attribute of any bytes.
function M.put_bytes(out, name, bytes)
  put_attribute(out, name, "\58", varint(#bytes), bytes)
end

-- The value of a hexadecimal digit, by its byte.
local DIGITS = {}
for value = 0, 15 do
  local digit = ("%x"):format(value)
  DIGITS[digit:byte()] = value
end

local id = ffi.new("uint8_t[16]")

--- Puts an id of 16 or 32 hexadecimal digits, in lower case: two are a byte.
local function put_id(out, before, digits)
  local size = #digits / 2
  for index = 0, size - 1 do
    local high, low = digits:byte(2 * index + 1, 2 * index + 2)
    id[index] = 16 * DIGITS[high] + DIGITS[low]
  end
  out:put(before):putcdata(id, size)
end

local nanoseconds = ffi.new("uint64_t[1]")

--- Puts a time. A Lua number cannot hold today's nanoseconds exactly, a uint64_t can. On the machines that
-- Envoy is built for (x86-64, ARM64), its lowest byte stands first in memory, as protobuf wants it.
local function put_time(out, key, microseconds)
  nanoseconds[0] = microseconds * 1000ULL
  out:put(key):putcdata(nanoseconds, 8)
end

--- Puts a span into a batch.
-- @param batch a buffer
-- @param span its ids in hexadecimal digits: `trace`, `span`, and `parent` or nil; `name`, valid UTF-8;
--   `kind`, a number of Span.SpanKind; `started` and `ended`, microseconds; `error`, a message, or nil
-- @param attributes a buffer; the span's other fields are put there, as their length stands before them
function M.put_span(batch, span, attributes)
  put_id(attributes, "\10\16", span.trace)
  put_id(attributes, "\18\8", span.span)
  if span.parent then
    put_id(attributes, "\34\8", span.parent)
  end
  attributes:put(field("\42", span.name), "\48", BYTES[span.kind])
  put_time(attributes, "\57", span.started)
  put_time(attributes, "\65", span.ended)
  if span.error then
    attributes:put(field("\122", field("\18", span.error) .. "\24\2")) -- Status: message, and code ERROR
  end
  batch:put("\18", varint(#attributes), attributes)
end

--- One of Resource.attributes, a KeyValue: its key and its value.
local function resource_attribute(name, value)
  return field("\10", field("\10", name) .. field("\18", field("\10", value)))
end

-- Resource in ResourceSpans, and InstrumentationScope in ScopeSpans.
local RESOURCE = field(
  "\10",
  resource_attribute("service.name", "astra-istio-instrumentation")
    .. resource_attribute("service.version", "1.0.0")
)
local SCOPE = field("\10", field("\10", config.scope_name))

local export = buffer.new()

--- The body of an export: all spans of a batch, which is empty then.
function M.request(batch)
  local scope_spans = "\18" .. varint(#SCOPE + #batch) .. SCOPE
  export:put("\10", varint(#RESOURCE + #scope_spans + #batch), RESOURCE, scope_spans, batch)
  batch:reset()
  return export:get()
end

return M
