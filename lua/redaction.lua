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
local ATTRIBUTES = set("expires max-age domain path secure httponly samesite partitioned priority")
local SECRET_HEADERS = set(config.redaction.headers)
local IS_ON = config.redaction.mode == "mask"

local function mask_credentials(value)
  local scheme = value:match("^%s*(%S+)%s") or ""
  return SCHEMES[scheme:lower()] and scheme .. " " .. MASK or MASK
end

local function mask_pair(pair)
  return (pair:match("^%s*[^=%s]+%s*=") or "") .. MASK
end

local function mask_cookie(value)
  return (value:gsub("[^;]+", mask_pair))
end

local function mask_set_cookie(value)
  local cookie, attributes = value:match("^([^;]*)(.*)$")
  return mask_pair(cookie)
    .. attributes:gsub("[^;]+", function(attribute)
      local name = attribute:match("^%s*([%w-]*)"):lower()
      -- Unless it may be a part of a quoted value, or another cookie is joined to it.
      local is_known = ATTRIBUTES[name] and not value:find('"', 1, true) and not attribute:find(",.*=")
      return not is_known and mask_pair(attribute)
    end)
end

--- user:password@host
local function mask_host(value)
  return (value:gsub("^.*@", MASK .. "@"))
end

local BY_FORM = {
  authorization = mask_credentials,
  ["proxy-authorization"] = mask_credentials,
  cookie = mask_cookie,
  ["set-cookie"] = mask_set_cookie,
}

--- A mask that fails closed, and counts.
local function guarded(mask)
  mask = IS_ON and mask or tostring
  return function(text)
    local done, masked = pcall(mask, text)
    masked = done and masked or MASK
    if masked ~= text then
      report.count("masked")
    end
    return masked
  end
end

local M = {}

--- Masks secret fields of a body or URL, whatever its form.
M.text = guarded(fields.mask)

--- Masks user information in a host.
M.host = guarded(mask_host)

local OTHERS = { host = M.host, ["x-forwarded-host"] = M.host }
for name in
  ("referer origin location content-location link refresh x-envoy-original-path x-original-url"):gmatch("%S+")
do
  OTHERS[name] = M.text
end

--- The function that masks a header's values, or nil where they pass as they are.
-- @param name in lower case
function M.header(name)
  if IS_ON and (SECRET_HEADERS[name] or secrets.kind(name) == true) then
    return guarded(BY_FORM[name] or function()
      return MASK
    end)
  end
  return OTHERS[name]
end

return M
