--- The record of an exchange, begun with what its request says in its headers and its stream.

local config = require("config")
local body = require("body")
local headers = require("headers")
local ids = require("ids")
local json = require("json")
local redaction = require("redaction")
local span = require("span")

local clear = require("table.clear")

local FLAVORS = { ["HTTP/1.0"] = "1.0", ["HTTP/1.1"] = "1.1", ["HTTP/2"] = "2", ["HTTP/3"] = "3" }
local NO_BODY = body.new()

local values = {}

local M = {}

--- The guide's sources in the guide's order, then the downstream address, without a port.
local function peer_address(stream)
  local workload = values["x-envoy-peer-metadata-id"]
  workload = workload and workload:match("sidecar~[^~]+~([^~]+)%.")
  local forwarded = values["x-forwarded-for"]
  return workload
    or (forwarded and forwarded:match("^[^,]+"))
    or values["x-envoy-external-address"]
    or values["x-real-ip"]
    or stream:downstreamRemoteAddress():match("^%[?(.-)%]?:%d+$")
    or ""
end

local function scheme()
  if values["x-forwarded-proto"] == "https" then
    return "https"
  end
  return config.scheme ~= "auto" and config.scheme or values[":scheme"] or "https"
end

--- Begins a record.
-- @param header_map of the request, or nil where it never came to this filter
-- @param now microseconds
-- @param text the same in nanoseconds
function M.record(header_map, stream, now, text)
  clear(values)
  local shown = header_map and headers.read(header_map, values) or "{}"
  local method, target = values[":method"] or "", redaction.url(values[":path"] or "")
  local flavor = FLAVORS[stream:protocol()] or ""
  local trace_id, parent_id = ids.trace(values)
  return {
    id = ids.span_id(),
    trace_id = trace_id,
    parent_id = parent_id,
    name = method ~= "" and json.escape(method) or "HTTP",
    is_connect = method == "CONNECT",
    started = now,
    start = text,
    attributes = span.request_attributes(
      method,
      target,
      values[":authority"] or "",
      flavor,
      scheme(),
      peer_address(stream),
      shown
    ),
    request_body = body.new(values["content-type"], values["content-encoding"]),
    status = 0,
    response_headers = "{}",
    response_body = NO_BODY,
  }
end

return M
