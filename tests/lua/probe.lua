-- Says, in warnings, how the handle behaves where the capture script depends on it. Run by a real Envoy and
-- by the fake: tests/envoy/test_fake_envoy.py.

local function say(handle, name, value)
  handle:logWarn("probe " .. name .. "=" .. tostring(value))
end

local function failure(action, ...)
  local _, reason = pcall(action, ...)
  return tostring(reason):match("object used outside of proper scope")
    or tostring(reason):match("http call cluster invalid")
    or tostring(reason):match("is not valid key for httpCall%(%) options")
    or tostring(reason):match("header map can no longer be modified")
    or tostring(reason)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  say(handle, "method", headers:get(":method"))
  say(handle, "host", headers:get("host"))
  say(handle, "authority", headers:get(":authority"))
  say(handle, "missing", headers:get("x-missing"))
  say(handle, "joined", headers:get("x-twice"))
  local twice = {}
  for name, value in pairs(headers) do
    if name == "x-twice" then
      twice[#twice + 1] = value
    end
  end
  say(handle, "iterated", table.concat(twice, "|"))

  local stream = handle:streamInfo()
  say(handle, "protocol", stream:protocol())
  say(handle, "address has port", stream:downstreamRemoteAddress():find(":%d+$") ~= nil)
  say(handle, "direct address has port", stream:downstreamDirectRemoteAddress():find(":%d+$") ~= nil)
  local metadata = stream:dynamicMetadata()
  say(handle, "no metadata", metadata:get("astra.capture"))
  metadata:set("astra.capture", "span_id", "00f067aa0ba902b7")
  metadata:set("astra.nul", "value", "ab\0cd")
  say(handle, "set metadata", metadata:get("astra.capture").span_id)
  say(handle, "nul", #metadata:get("astra.nul").value)

  local micros = handle:timestampString(EnvoyTimestampResolution.MICROSECOND)
  say(handle, "microseconds", #micros)
  say(handle, "milliseconds", math.abs(handle:timestamp() * 1000 - tonumber(micros)) < 60e6)
  say(handle, "base64", handle:base64Escape("\0\255?"))

  local call = { [":method"] = "POST", [":path"] = "/", [":authority"] = "x" }
  local options = { asynchronous = true, timeout_ms = 100, trace_sampled = false, send_xff = false }
  say(handle, "no cluster", failure(handle.httpCall, handle, "nowhere", call, "", options))
  say(handle, "bad option", failure(handle.httpCall, handle, "nowhere", call, "", { bogus = true }))

  local total, chunks = 0, 0
  for chunk in handle:bodyChunks() do
    local size = chunk:length()
    say(handle, "chunk within", size == 0 or #chunk:getBytes(0, size) == size)
    say(handle, "chunk beyond", failure(chunk.getBytes, chunk, 0, size + 1):sub(1, 12))
    total, chunks = total + size, chunks + (size > 0 and 1 or 0)
  end
  say(handle, "request bytes", total)
  say(handle, "request chunks", chunks > 0)
  say(handle, "old wrapper", failure(headers.get, headers, ":method"))
  say(handle, "new wrapper", handle:headers():get(":method"))
end

function envoy_on_response(handle)
  say(handle, "status", handle:headers():get(":status"))
  say(handle, "metadata in response", handle:streamInfo():dynamicMetadata():get("astra.capture").span_id)
  local total = 0
  for chunk in handle:bodyChunks() do
    total = total + chunk:length()
  end
  say(handle, "response bytes", total)
end
