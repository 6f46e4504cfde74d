--- The client's address, as headers and the connection tell it.
-- In these headers, others write addresses as they like: with a port, brackets or quotes (RFC 7239, 6); or
-- they write none, but "unknown" or a name.

local config = require("config")

local HOPS = config.trusted_hops
local MAX_FORWARDED = 4096 -- bytes, from the right

local M = {}

local function is_ipv4(text)
  local a, b, c, d = text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$")
  return a and math.max(tonumber(a), tonumber(b), tonumber(c), tonumber(d)) <= 255
end

local function is_ipv6(text)
  if #text > 45 or text:find("[^%x:.]") or text:find("^:[^:]") or text:find("[^:]:$") then
    return false
  end
  local groups, is_over = 0, false
  for group in text:gmatch("[^:]+") do
    local has_dot = group:find(".", 1, true)
    if is_over or (has_dot and not is_ipv4(group)) or (not has_dot and #group > 4) then
      return false
    end
    -- An IPv4 address stands for the last two groups.
    groups, is_over = groups + (has_dot and 2 or 1), has_dot
  end
  local _, gaps = text:gsub("::+", "")
  return not text:find(":::", 1, true) and ((gaps == 0 and groups == 8) or (gaps == 1 and groups < 8))
end

--- The IP address in a text, without a port; or nil.
function M.address(text)
  local from = text:find('[^%s"]') or 1
  local word = text:match('^[^%s"]*', from)
  local ip = word:match("^%[([%x:.]+)%]:?%d*$") or word:match("^([%d.]+):%d+$") or word
  local is_alone = not text:find('[^%s"]', from + #word)
  return is_alone and (is_ipv4(ip) or is_ipv6(ip)) and ip or nil
end

--- The entry of X-Forwarded-For that the trusted proxies wrote, as Envoy's `xff_num_trusted_hops` counts.
-- Where Envoy takes its own peer for the client, the peer is the last entry: Envoy has added it by now.
local function trusted(header_map)
  local entries = {}
  local text = header_map and header_map:get("x-forwarded-for") or ""
  for entry in text:sub(-MAX_FORWARDED):gmatch("[^,]+") do
    entries[#entries + 1] = entry:find("%S") and entry
  end
  return M.address(entries[#entries - HOPS] or "")
end

--- The address, or the name of the pod, from the first source that has one. Where `trustedHops` is set: what
-- the trusted proxies wrote, then the connection. Else the guide's sources, in the guide's order, then the
-- address that Envoy takes for the client's.
-- @param values header values by name
function M.claimed(values, header_map, stream)
  if HOPS then
    return trusted(header_map) or M.address(stream:downstreamDirectRemoteAddress())
  end
  local node = values["x-envoy-peer-metadata-id"]
  local pod = node and (node:match("^sidecar~[^~]+~([^~]+)") or ""):match("^(.+)%.")
  return pod
    or M.address((values["x-forwarded-for"] or ""):match("[^%s,][^,]*") or "")
    or M.address(values["x-envoy-external-address"] or "")
    or M.address(values["x-real-ip"] or "")
    or M.address(stream:downstreamRemoteAddress())
end

return M
