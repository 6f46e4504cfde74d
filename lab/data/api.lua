-- What Envoy's API costs by itself: `make bench` runs this in the filter's place. It makes the calls that a
-- filter cannot do without if it captures whole exchanges, and does nothing with what they return. Its
-- exports have as many bytes as it has read, but no spans.
-- So no script that exports what it reads can add less.

local METADATA = "api.alone"
local CLUSTER = "outbound|4318||astra-traffic-collector.astra-collector"
local HEADERS = {
  [":method"] = "POST",
  [":path"] = "/v1/traces",
  [":authority"] = "astra-traffic-collector.astra-collector:4318",
  ["content-type"] = "application/x-protobuf",
}
local OPTIONS = { asynchronous = true, timeout_ms = 5000, trace_sampled = false, send_xff = false }
local BATCH, BATCH_BYTES = 24, 2 ^ 18

local exchanges, bytes = 0, 0

local function read(handle)
  handle:timestampString(EnvoyTimestampResolution.MICROSECOND)
  for name, value in pairs(handle:headers()) do
    bytes = bytes + #name + #value
  end
  for chunk in handle:bodyChunks() do
    bytes = bytes + #chunk:getBytes(0, chunk:length())
  end
end

function envoy_on_request(handle)
  local stream = handle:streamInfo()
  local metadata = stream:dynamicMetadata()
  if metadata:get(METADATA) then
    return
  end
  metadata:set(METADATA, "id", "0123456789abcdef")
  stream:protocol()
  stream:downstreamDirectRemoteAddress()
  stream:downstreamRemoteAddress()
  read(handle)
end

function envoy_on_response(handle)
  if not handle:streamInfo():dynamicMetadata():get(METADATA) then
    return
  end
  read(handle)
  exchanges = exchanges + 1
  if exchanges == BATCH or bytes >= BATCH_BYTES then
    handle:httpCall(CLUSTER, HEADERS, ("x"):rep(bytes), OPTIONS)
    exchanges, bytes = 0, 0
  end
end
