--- Which exchanges are captured.
-- The request's headers decide that before any other work is done, or the response's content type does.

local config = require("config")
local endpoints = require("endpoints")
local patterns = require("patterns")
local report = require("report")

local RATE, ENDPOINT_BUDGET = config.max_spans_per_second, config.max_spans_per_endpoint

-- Whether an application calls the collector by this host.
local is_collector = patterns.matcher(config.collector.hosts)
local is_skipped_path = patterns.matcher(config.skip_paths)
-- false where there is no such setting: then no header is read for it.
local is_wanted_host = config.hosts ~= "*\n" and patterns.matcher(config.hosts)
local is_skipped_method = config.skip_methods ~= "" and patterns.matcher(config.skip_methods)
local is_skipped_type = config.skip_content_types ~= "" and patterns.type_matcher(config.skip_content_types)

local second, taken = 0, 0 -- The last second in which requests were counted, and how many.

local M = {}

--- The header that marks an export, for every filter of ours in any proxy.
M.MARK = "x-astra-capture"

--- Whether chance lets a request be captured.
function M.chosen()
  return config.enabled and math.random() < config.sampling_ratio
end

--- Whether a request is within the limits: that of its endpoint for this minute, and that for this second. If
-- so, it is counted for both.
-- @param headers the request's; nil if Envoy does not tell them: then the request has no endpoint
-- @param path its path, with the query
-- @param now microseconds
function M.within_limits(headers, path, now)
  local endpoint = ENDPOINT_BUDGET and headers and endpoints.of(headers, path, now)
  if endpoint and endpoint.spans >= ENDPOINT_BUDGET then
    report.count("over_endpoint_budget")
    return false
  end
  local current = math.floor(now / 1e6)
  second, taken = current, (current == second and taken or 0) + 1
  if RATE and taken > RATE then
    return false
  end
  if endpoint then
    endpoint.spans = endpoint.spans + 1
  end
  return true
end

local function is_skipped(target)
  local query = target:find("?", 1, true)
  local path = query and target:sub(1, query - 1) or target
  -- What a server might resolve to another path is never skipped: /static/../login, /static%2f..;/login.
  return is_skipped_path(path) and path:find("^[%w/._~-]*$") and not path:find("[./][./]")
end

--- The host of a request: in lower case, without its port and a dot at its end.
local function host_of(headers)
  return ((headers:get(":authority") or ""):lower():gsub(":%d+$", ""):gsub("%.$", ""))
end

--- Whether a request is an export, which no filter may capture: each capture would be one more export.
-- An export of any filter of ours has the mark, whichever proxies and names it passes. A client can write the
-- mark too; so it hides nothing but a POST to the very path of the exports. Outbound, what an application
-- itself sends to the collector counts as well.
local function is_export(headers, path)
  local is_to_us = path == config.collector.path
  if (is_to_us or path == "/v1/traces") and headers:get(M.MARK) and headers:get(":method") == "POST" then
    return true
  end
  return is_to_us and config.direction == "outbound" and is_collector(host_of(headers))
end

--- Whether a request is left out: an export, or what the settings skip.
-- @param path its path, with the query
function M.excluded(headers, path)
  return is_export(headers, path)
    or is_skipped(path)
    or (is_skipped_method and is_skipped_method(headers:get(":method") or ""))
    or (is_wanted_host and not is_wanted_host(host_of(headers)))
end

--- Whether an exchange is left out for the type of its response.
function M.excluded_by_response(headers)
  return is_skipped_type and is_skipped_type(headers:get("content-type") or "")
end

return M
