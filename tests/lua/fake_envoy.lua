--- A stand-in for Envoy's Lua filter: the stream handle API that the capture script uses.
-- tests/envoy/test_fake_envoy.py runs one probe script here and in a real Envoy and compares what both say.

local insert = table.insert

EnvoyTimestampResolution = { MILLISECOND = 0, MICROSECOND = 1 }

-- Envoy builds LuaJIT with Lua 5.2's __pairs, the Python package does not.
local raw_pairs = pairs
function pairs(object)
  local metatable = type(object) == "userdata" and getmetatable(object)
  if metatable and metatable.__pairs then
    return metatable.__pairs(object)
  end
  return raw_pairs(object)
end

local Envoy = {}
Envoy.__index = Envoy

local OUT_OF_SCOPE = "object used outside of proper scope"

--- A proxy: its clock (microseconds), its clusters, and what the script did.
function Envoy.new()
  return setmetatable(
    { now = 1700000000000000, clusters = {}, calls = {}, counters = {}, logs = {}, errors = {} },
    Envoy
  )
end

-- Wrappers live as long as the script runs without a pause.
local function wrapper(scope, methods)
  local object = newproxy(true)
  local generation = scope.generation
  local checked = {}
  for name, method in pairs(methods) do
    checked[name] = function(self, ...)
      assert(self == object, "method called without its object")
      if scope.generation ~= generation then
        error(OUT_OF_SCOPE, 2)
      end
      return method(...)
    end
  end
  getmetatable(object).__index = checked
  return object
end

local function header_map(scope, lines)
  local function values(name)
    name = name:lower()
    name = name == "host" and ":authority" or name
    local found = {}
    for _, line in ipairs(lines) do
      if line[1] == name then
        insert(found, line[2])
      end
    end
    return found
  end
  local object = wrapper(scope, {
    get = function(name)
      local found = values(name)
      return #found > 0 and table.concat(found, ",") or nil
    end,
    getAtIndex = function(name, index)
      return values(name)[index + 1]
    end,
    getNumValues = function(name)
      return #values(name)
    end,
  })
  getmetatable(object).__pairs = function()
    local index = 0
    return function()
      index = index + 1
      if lines[index] then
        return lines[index][1], lines[index][2]
      end
    end
  end
  return object
end

local function chunk(scope, bytes)
  return wrapper(scope, {
    length = function()
      return #bytes
    end,
    getBytes = function(index, length)
      if index + length > #bytes then
        error("index/length must be >= 0 and (index + length) must be <= buffer size", 2)
      end
      return bytes:sub(index + 1, index + length)
    end,
  })
end

local function to_metadata(value)
  -- Envoy's strings here are C strings.
  return type(value) == "string" and value:match("^[^%z]*") or value
end

local function dynamic_metadata(scope, stream)
  return wrapper(scope, {
    get = function(filter)
      local fields = stream.metadata[filter]
      if not fields then
        return nil
      end
      local copy = {}
      for key, value in pairs(fields) do
        copy[key] = value
      end
      return copy
    end,
    set = function(filter, key, value)
      stream:set_metadata(filter, key, to_metadata(value))
    end,
  })
end

local function base64(bytes)
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local out = {}
  for at = 1, #bytes, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local word = a * 65536 + (b or 0) * 256 + (c or 0)
    for index = 0, 3 do
      local digit = math.floor(word / 64 ^ (3 - index)) % 64
      local absent = (index == 2 and not b) or (index == 3 and not c)
      insert(out, absent and "=" or alphabet:sub(digit + 1, digit + 1))
    end
  end
  return table.concat(out)
end

local CALL_OPTIONS = {
  asynchronous = true,
  timeout_ms = true,
  trace_sampled = true,
  return_duplicate_headers = true,
  send_xff = true,
}

local function http_call(envoy, cluster, headers, body, options)
  for key in pairs(options) do
    if not CALL_OPTIONS[key] then
      error('"' .. key .. '" is not valid key for httpCall() options', 3)
    end
  end
  if not envoy.clusters[cluster] then
    error("http call cluster invalid. Must be configured", 3)
  end
  if not (headers[":method"] and headers[":path"] and headers[":authority"]) then
    error("http call headers must include ':path', ':method', and ':authority'", 3)
  end
  assert(options.asynchronous, "the fake knows asynchronous calls only")
  insert(envoy.calls, { cluster = cluster, headers = headers, body = body, options = options })
end

local function new_handle(direction)
  local envoy, stream = direction.stream.envoy, direction.stream
  local object = newproxy(true)
  local methods = {
    headers = function()
      return header_map(direction, direction.headers)
    end,
    streamInfo = function()
      return wrapper(direction, {
        protocol = function()
          return stream.protocol
        end,
        downstreamRemoteAddress = function()
          return stream.peer
        end,
        downstreamDirectRemoteAddress = function()
          return stream.direct_peer or stream.peer
        end,
        filterState = function()
          return wrapper(direction, {
            get = function(name)
              return name == "num_internal_redirects" and stream.redirects or nil
            end,
          })
        end,
        downstreamSslConnection = function()
          return stream.tls and wrapper(direction, {}) or nil
        end,
        dynamicMetadata = function()
          return dynamic_metadata(direction, stream)
        end,
      })
    end,
    bodyChunks = function()
      return function()
        if direction.ended and #direction.chunks == 0 then
          return nil
        end
        if #direction.chunks == 0 then
          coroutine.yield()
          if #direction.chunks == 0 then
            return nil -- the stream ended, or trailers came
          end
        end
        return chunk(direction, table.remove(direction.chunks, 1))
      end
    end,
    timestampString = function(resolution)
      assert(resolution == EnvoyTimestampResolution.MICROSECOND, "the fake knows microseconds only")
      return ("%.0f"):format(envoy.now)
    end,
    timestamp = function()
      return math.floor(envoy.now / 1000)
    end,
    stats = function()
      return wrapper(direction, {
        counter = function(name)
          return wrapper(direction, {
            add = function(count)
              envoy.counters[name] = (envoy.counters[name] or 0) + count
            end,
          })
        end,
      })
    end,
    base64Escape = base64,
    httpCall = function(...)
      return http_call(envoy, ...)
    end,
    logWarn = function(message)
      insert(envoy.logs, message)
    end,
  }
  local checked = {}
  for name, method in pairs(methods) do
    checked[name] = function(self, ...)
      assert(self == object, "method called without its object")
      if not direction.running then
        error(OUT_OF_SCOPE, 2)
      end
      return method(...)
    end
  end
  getmetatable(object).__index = checked
  return object
end

local function resume(direction)
  direction.running = true
  direction.generation = direction.generation + 1
  local alive, reason = coroutine.resume(direction.thread, direction.handle)
  direction.running = false
  direction.generation = direction.generation + 1
  if not alive then
    insert(direction.stream.envoy.errors, tostring(reason))
  end
end

local function start(stream, hook, headers, ended)
  local direction = { stream = stream, headers = headers, chunks = {}, ended = ended, generation = 0 }
  direction.handle = new_handle(direction)
  direction.thread = coroutine.create(hook)
  resume(direction)
  return direction
end

local function data(direction, bytes, ended)
  if coroutine.status(direction.thread) ~= "suspended" then
    return
  end
  direction.ended = ended
  if bytes then
    insert(direction.chunks, bytes)
  end
  resume(direction)
end

local Stream = {}
Stream.__index = Stream

function Envoy:stream()
  return setmetatable({ envoy = self, metadata = {}, protocol = "HTTP/1.1", peer = "192.0.2.7:4711" }, Stream)
end

function Stream:set_metadata(filter, key, value)
  self.metadata[filter] = self.metadata[filter] or {}
  self.metadata[filter][key] = value
end

--- @param headers list of {name, value}; `ended`: no body follows
function Stream:request(headers, ended)
  self.decoding = start(self, envoy_on_request, headers, ended)
end

--- @param bytes a chunk, or nil where trailers end the message
function Stream:request_data(bytes, ended)
  data(self.decoding, bytes, ended)
end

function Stream:response(headers, ended)
  self.encoding = start(self, envoy_on_response, headers, ended)
end

function Stream:response_data(bytes, ended)
  data(self.encoding, bytes, ended)
end

--- The stream is over: Envoy lets go of its handles and coroutines.
function Stream:destroy()
  self.decoding, self.encoding = nil, nil
end

return Envoy
