--- What leaves the proxy masked. Fails closed: what has no form known to be harmless is masked whole.

local config = require("config")
local fields = require("fields")
local report = require("report")
local secrets = require("secrets")

local MASK = secrets.MASK

local function set(words)
  local members = {}
  for word in words:gmatch("%S+") do
    members[word] = true
  end
  return members
end

-- IANA's registered schemes (RFC 9110) and common others; any other first word may be the secret itself.
local SCHEMES =
  set("basic bearer digest dpop gnap hawk hoba mutual negotiate ntlm oauth token apikey aws4-hmac-sha256")
local COOKIE_ATTRIBUTES = set("expires max-age domain path secure httponly samesite partitioned priority")
local URL_HEADERS = set("referer location content-location link refresh x-envoy-original-path x-original-url")
local SECRET_HEADERS = set(table.concat(config.redaction.headers, " "))
local IS_ON = config.redaction.mode == "mask"

local function mask_credentials(value)
  local scheme = value:match("^%s*(%S+)%s") or ""
  return SCHEMES[scheme:lower()] and scheme .. " " .. MASK or MASK
end

local function mask_pair(pair)
  local name = pair:match("^%s*([^=%s]+)%s*=")
  return name and name .. "=" .. MASK or MASK
end

local function mask_cookie(value)
  local masked, values = value:gsub("=[^;]*", "=" .. MASK)
  local _, separators = value:gsub(";", "")
  return values == separators + 1 and masked or MASK
end

local function mask_set_cookie(value)
  local cookie, attributes = value:match("^([^;]*)(.*)$")
  return mask_pair(cookie)
    .. attributes:gsub("[^;]+", function(attribute)
      local name = attribute:match("^%s*([^=%s]+)") or ""
      return COOKIE_ATTRIBUTES[name:lower()] and not attribute:find(",.*=") and attribute
        or " " .. mask_pair(attribute)
    end)
end

local function mask_whole()
  return MASK
end

local BY_FORM = {
  authorization = mask_credentials,
  ["proxy-authorization"] = mask_credentials,
  cookie = mask_cookie,
  ["set-cookie"] = mask_set_cookie,
}

--- A mask that fails closed, and counts.
local function guarded(mask)
  return function(text)
    local done, masked = pcall(mask, text)
    masked = done and masked or MASK
    if masked ~= text then
      report.count("masked")
    end
    return masked
  end
end

local function as_it_is(text)
  return text
end

local M = {}

--- Masks secret parameters of a URL or path.
M.url = IS_ON and guarded(fields.mask_url) or as_it_is

--- Masks secret fields of a body, whatever its form.
M.body = IS_ON and guarded(fields.mask) or as_it_is

--- The function that masks a header's values, or nil where they pass as they are.
-- @param name in lower case
function M.header(name)
  if IS_ON and (SECRET_HEADERS[name] or secrets.is_secret(name)) then
    return guarded(BY_FORM[name] or mask_whole)
  end
  return URL_HEADERS[name] and M.url
end

return M
