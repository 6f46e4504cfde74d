--- Inflates gzip and deflate.
-- RFC 1950 to 1952 define them. The output has the bound of a body, and what comes after that is left out.
-- The work is bounded by the input, by MAX_BYTES of output, and by MAX_CODES: a stream may bring new codes
-- every few bytes, and each takes time. If the input ends too early or is damaged, an `assert` fails, and
-- what was inflated before counts. Checksums are not checked: a span shows what came. LuaJIT does not check
-- indexes into memory of `ffi`, so each of them is bounded here.

local config = require("config")

local ffi = require("ffi")

local band, lshift, rshift = bit.band, bit.lshift, bit.rshift

local MAX_BYTES, MAX_CODES = config.max_body_bytes, 64
local GZIP, DEFLATE = 0x8B1F, 8 -- the first two bytes, and the only method
local END = 256 -- the symbol that ends a block: those before it are bytes, those after it lengths

-- The input with zeros after its end, so that `peek` may read there; a pointer to its bytes, which stay valid
-- as long as `padded` refers to them; its length in bits; and how many of these were read.
local padded, input, input_bits, position
-- What was inflated, and its size; where the window of matches begins; how many codes may still come.
local output, size, window, codes_left

--- Up to 16 bits that come next, the first one lowest. Four bytes are read at once: on the machines that
-- Envoy is built for (x86-64, ARM64), the first of them is the lowest.
local function peek(count)
  local bits = ffi.cast("const int32_t *", input + rshift(position, 3))[0]
  return band(rshift(bits, band(position, 7)), lshift(1, count) - 1)
end

local function drop(count)
  position = position + count
  assert(position <= input_bits)
end

local function take(count)
  local value = peek(count)
  drop(count)
  return value
end

--- A number of so many bits, in reverse order.
local function reversed(number, bits)
  local result = 0
  for _ = 1, bits do
    result, number = 2 * result + number % 2, rshift(number, 1)
  end
  return result
end

--- A Huffman code as a table (RFC 1951, 3.2.2), which is indexed by the next `bits` bits of the input. They
-- start with the code of a symbol. The entry is 16 times that symbol plus the length of its code; or 0 if
-- they start with no code.
-- @param lengths how many bits the code of each symbol has, 0 to 15; the entries from `first` to `last` count
local function new_code(lengths, first, last)
  local longest = 1
  for index = first, last do
    longest = math.max(longest, lengths[index])
  end
  local count = 2 ^ longest
  local entries, code = ffi.new("uint16_t[?]", count), 0
  for length = 1, longest do
    code = 2 * code
    for index = first, last do
      if lengths[index] == length then
        assert(code < 2 ^ length)
        for entry = reversed(code, length), count - 1, 2 ^ length do
          entries[entry] = (index - first) * 16 + length
        end
        code = code + 1
      end
    end
  end
  assert(code == count or longest == 1) -- a code of one symbol does not use each sequence
  return { entries = entries, bits = longest }
end

local function decode(code)
  local entry = code.entries[peek(code.bits)]
  assert(entry > 0)
  drop(band(entry, 15))
  return rshift(entry, 4)
end

--- A length or a distance (RFC 1951, 3.2.5): a symbol, which more bits follow. The first symbols have none;
-- of the others, each group of `each` symbols has one bit more than the group before.
-- @param number the symbol's, from 0
local function range(number, each)
  local more = math.max(0, math.floor(number / each) - 1)
  return more == 0 and number or lshift(each + number % each, more) + take(more)
end

local function put(value)
  assert(size < MAX_BYTES)
  output[size], size = value, size + 1
end

--- Puts bytes again that were put `distance` bytes ago. As a rule they are copied at once, which takes a
-- third of the time off all inflating. They are put one by one if `length` is more than `distance`, as then
-- they repeat; and where the limit comes first.
local function put_again(distance, length)
  if distance >= length and size + length <= MAX_BYTES then
    ffi.copy(output + size, output + size - distance, length)
    size = size + length
    return
  end
  for _ = 1, length do
    put(output[size - distance])
  end
end

local function put_symbols(literals, distances)
  while true do
    local symbol = decode(literals)
    if symbol == END then
      return
    elseif symbol < END then
      put(symbol)
    else
      local length = symbol == 285 and 258 or 3 + range(symbol - 257, 4)
      local step = decode(distances)
      local distance = 1 + range(step, 2)
      assert(symbol < 286 and step < 30 and distance <= size - window)
      put_again(distance, length)
    end
  end
end

--- A block that is not compressed: its length, the complement of that, and its bytes.
local function put_stored()
  drop(-position % 8) -- to the next byte
  local length = take(16)
  assert(length + take(16) == 0xFFFF)
  for _ = 1, length do
    put(take(8))
  end
end

local fixed_lengths = {}
for index = 0, 319 do
  fixed_lengths[index] = index < 144 and 8 or index < 256 and 9 or index < 280 and 7 or index < 288 and 8 or 5
end
local FIXED_LITERALS, FIXED_DISTANCES = new_code(fixed_lengths, 0, 287), new_code(fixed_lengths, 288, 319)

local function put_fixed()
  put_symbols(FIXED_LITERALS, FIXED_DISTANCES)
end

-- The order in which the lengths of the codes of lengths stand.
local ORDER = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 }

--- A block that brings its two codes: their lengths are compressed by a third code.
local function put_dynamic()
  codes_left = codes_left - 1
  assert(codes_left >= 0)
  local literals, distances, count = take(5) + 257, take(5) + 1, take(4) + 4
  local lengths = {}
  for place = 1, 19 do
    lengths[ORDER[place]] = place <= count and take(3) or 0
  end
  local code, index, total = new_code(lengths, 0, 18), 0, literals + distances
  while index < total do
    local length, times = decode(code), 1
    if length > 15 then
      times = length == 16 and take(2) + 3 or length == 17 and take(3) + 3 or take(7) + 11
      length = length == 16 and lengths[index - 1] or 0
    end
    for _ = 1, times do
      lengths[index], index = length, index + 1
    end
  end
  assert(index == total and lengths[END] > 0)
  put_symbols(new_code(lengths, 0, literals - 1), new_code(lengths, literals, total - 1))
end

local KINDS = { [0] = put_stored, put_fixed, put_dynamic } -- There is no kind 3: the call of nil fails.

local function put_blocks()
  window = size
  repeat
    local is_last = take(1) == 1
    KINDS[take(2)]()
  until is_last
end

--- The members of gzip. Flags say what the header of each has: extra bytes, a name, a comment, a checksum.
local function put_members()
  repeat
    assert(take(16) == GZIP and take(8) == DEFLATE)
    local flags = take(8)
    drop(48) -- time, level, system
    if band(flags, 4) > 0 then
      drop(take(16) * 8)
    end
    for flag = 8, 16, 8 do
      if band(flags, flag) > 0 then
        repeat
        until take(8) == 0
      end
    end
    drop(band(flags, 2) * 8)
    put_blocks()
    drop(-position % 8 + 64) -- to the next byte; checksum and size
  until peek(16) ~= GZIP
end

--- Inflates a body: gzip, which its first bytes show, or deflate, if that is declared.
-- @param encoding the value of Content-Encoding
-- @return what was inflated, and whether that is all; nil if the body is neither, or nothing was inflated
return function(text, encoding)
  output = output or ffi.new("uint8_t[?]", MAX_BYTES)
  padded = text .. "\0\0\0\0"
  input, input_bits, position = ffi.cast("const uint8_t *", padded), #text * 8, 0
  size, codes_left = 0, MAX_CODES
  local start = peek(16)
  local is_gzip = start == GZIP
  -- zlib's header, for a stream without a dictionary. Some send deflate without a header.
  local is_zlib = band(start, 0x200F) == DEFLATE and (start % 256 * 256 + rshift(start, 8)) % 31 == 0
  if not is_gzip and encoding ~= "deflate" then
    return nil
  end
  position = is_zlib and 16 or 0
  local is_whole = pcall(is_gzip and put_members or put_blocks)
  padded, input = nil, nil
  -- Any text may begin like deflate without a header.
  if is_whole or (size > 0 and (is_gzip or is_zlib)) then
    return ffi.string(output, size), is_whole
  end
end
