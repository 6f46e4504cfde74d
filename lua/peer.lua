--- The client's address.
-- Headers and the connection tell it.
-- What others write into these headers may have a port, brackets or quotes (RFC 7239, 6); or it is no
-- address, but "unknown" or a name.

local config = require("config")

local HOPS = config.trusted_hops
local MAX_FORWARDED = 4096 -- bytes, from the right

local M = {}

local function is_ipv4(text)
  local a, b, c, d = text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$")
  return a and math.max(a, b, c, d) <= 255
end

--- How many groups of an IPv6 address a text has, with ":" between them; nil if it has anything else.
local function groups(text)
  local rest, count = (text .. ":"):gsub("%x%x?%x?%x?:", "")
  return (rest == "" and count) or (text == "" and 0) or nil
end

local function is_ipv6(text)
  -- An IPv4 address may stand for the last two groups.
  local start, last = text:match("^(.*:)([%d.]+)$")
  if start and is_ipv4(last) then
    text = start .. "0:0"
  end
  local head, tail = text:match("^(.-)::(.*)$")
  if not head then
    return groups(text) == 8
  end
  local before, after = groups(head), groups(tail)
  return before and after and before + after < 8
end

--- The IP address in what others wrote, without a port; or nil.
local function address(text)
  local word = text and text:match('^[%s"]*([^%s"]+)[%s"]*$')
  local ip = word and (word:match("^%[([%x:.]+)%]:?%d*$") or word:match("^([%d.]+):%d+$") or word)
  return ip and (is_ipv4(ip) or is_ipv6(ip)) and ip or nil
end

--- The address in the entry of X-Forwarded-For that the trusted proxies wrote. HOPS counts entries from the
-- last one, which is 0, as Envoy's `xff_num_trusted_hops` does. If Envoy takes its own peer for the client,
-- the peer is the last entry: Envoy has added it by now.
local function trusted(header_map)
  local entries = {}
  local text = header_map and header_map:get("x-forwarded-for") or ""
  for entry in text:sub(-MAX_FORWARDED):gmatch("[^%s,][^,]*") do
    entries[#entries + 1] = entry
  end
  return address(entries[#entries - HOPS])
end

--- The IP address in what Envoy says of a connection; nil if it has none, as with a Unix domain socket.
function M.of_connection(text)
  return text:match("^([%d.]+):%d+$") or text:match("^%[([%x:.]+)%]:%d+$")
end

--- The client's address, or the name of its pod, from the first source that has one. If `trustedHops` is set,
-- the sources are what the trusted proxies wrote, then the connection. Else they are the guide's, in the
-- guide's order, then the address that Envoy takes for the client's.
-- @param values header values by name
function M.claimed(values, header_map, stream)
  if HOPS then
    return trusted(header_map) or M.of_connection(stream:downstreamDirectRemoteAddress())
  end
  local node, forwarded = values["x-envoy-peer-metadata-id"], values["x-forwarded-for"]
  return (node and node:match("^sidecar~[^~]+~([^~]+)%."))
    or (forwarded and address(forwarded:match("[^%s,][^,]*")))
    or address(values["x-envoy-external-address"])
    or address(values["x-real-ip"])
    or M.of_connection(stream:downstreamRemoteAddress())
end

return M
