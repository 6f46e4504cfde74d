--- What leaves the proxy masked.
-- It masks bodies, URLs and header values. Fails closed.
--
-- Evidence. Three kinds say that something is secret:
--   its name, as a header, field, parameter, element or part (names);
--   its value, as tokens, keys and card numbers show by themselves (values);
--   its place: in Authorization and cookies (below), before the "@" of a host (below) or a URL (values),
--     after "Bearer" or in a JSON Web Key (values).
--
-- Forms. A text may have several at once, as JSON with a URL in it, and its type may be declared wrongly. So
-- each text is searched in every form, one after the other (fields): values, then members (":"), then
-- lists ("["), then parameters ("="), then markup ("<"). Each takes a text and returns it masked, and the
-- next one searches that. A mask is no secret: as a rule, masking a masked text changes nothing.
--
-- Names. Harmless text has to be cheap, so none is read byte by byte. The search jumps by plain find to the
-- form's next sign, reads the name there, and looks it up (search, names). Only if the name is secret does it
-- ask whether the value is one, too (harmless), where the value ends, and in which string, tag or object it
-- stands (ends, structure, named_values).
-- What it finds is replaced in one pass (spans).
--
-- Escapes. A text with escapes is also searched decoded (escapes). If that shows a secret, each run of the
-- text that hides one is masked, but for a parameter's name: first short runs, such as parameters; if that is
-- not enough, long ones; and then all of the text (fields). The texts of a message share a bound of work for
-- that.
--
-- Failing closed. If the end of a secret cannot be told, the rest of its string, parameter or element is
-- masked; if that cannot be told either, the rest of the text; if masking itself fails, all of the text.
--
-- Time. It is linear in the text, whatever its bytes are: positions only grow. What is read back from one
-- ends at the sign or quote before it; what is read ahead has a bound, or is read a few times only.

local config = require("config")
local ends = require("ends")
local fields = require("fields")
local names = require("names")
local report = require("report")
local spans = require("spans")
local structure = require("structure")
local values = require("values")

local clear = require("table.clear")

local words = structure.words
local MASK = ends.MASK

-- Schemes of Authorization, which are shown: those that IANA registers (RFC 9110), and common others. Any
-- other first word may be the secret itself. Attributes of Set-Cookie, which are shown, too.
local SCHEMES =
  words("basic bearer digest dpop gnap hawk hoba mutual negotiate ntlm oauth token apikey aws4-hmac-sha256")
local ATTRIBUTES = words("expires max-age domain path secure httponly samesite partitioned priority")
local SECRET_HEADERS = words(config.redaction.headers)
local IS_ON = config.redaction.mode == "mask"

local function mask_all()
  return MASK
end

--- Masks Authorization, and keeps its scheme: Bearer ***.
local function mask_credentials(value)
  local space = value:find(" ", 1, true)
  local scheme = space and value:sub(1, space - 1) or ""
  return SCHEMES[scheme:lower()] and scheme .. " " .. MASK or MASK
end

--- Masks a cookie's value, and keeps its name. Without a "=", all of it is masked.
local function mask_pair(pair)
  return (pair:match("^%s*[^=%s]+%s*=") or "") .. MASK
end

local function mask_cookie(value)
  return (value:gsub("[^;]+", mask_pair))
end

local function mask_set_cookie(value)
  local cookie, attributes = value:match("^([^;]*)(.*)")
  local is_quoted = value:find('"', 1, true) -- Then what looks like an attribute may be a part of the value.
  return mask_pair(cookie)
    .. attributes:gsub("[^;]+", function(attribute)
      local name = attribute:match("^%s*([%w-]*)"):lower()
      local has_cookie = attribute:find(",[^,=]*=") -- another one, joined to this one
      return (is_quoted or has_cookie or not ATTRIBUTES[name]) and mask_pair(attribute) or nil
    end)
end

--- Masks what stands before the host in user:password@host, and what shows by itself that it is secret.
local function mask_host(value)
  local masked = spans.apply(value, values.find(value))
  return masked:find("@", 1, true) and masked:gsub("^.*@", MASK .. "@") or masked
end

-- How the value of a secret header is masked. For those that are not here, all of it is.
local BY_NAME = {
  authorization = mask_credentials,
  ["proxy-authorization"] = mask_credentials,
  cookie = mask_cookie,
  ["set-cookie"] = mask_set_cookie,
}

local function as_it_is(text)
  return text
end

--- Makes a function safe that masks a text: if it fails, all of the text is masked. Counts the texts that it
-- changes. Without masking (`mode: none`), the function that changes nothing.
local function guarded(mask)
  if not IS_ON then
    return as_it_is
  end
  return function(text)
    local is_done, masked = pcall(mask, text)
    masked = is_done and masked or MASK
    if masked ~= text then
      report.count("masked")
    end
    return masked
  end
end

local MAX_REMEMBERED = 2 ^ 18 -- bytes of texts, and as many of hosts
local ENTRY_BYTES = 64 -- that an entry of a table takes, besides its text

--- Makes a function that masks texts, and remembers those that it leaves as they are: so no secret is
-- remembered. They are not searched when they come again, as hosts and paths do, and the bodies of health
-- checks and of clients that poll.
local function remembering(mask)
  local unchanged, bytes = {}, 0 -- the texts, and what they take
  return function(text)
    if unchanged[text] then
      return text
    end
    local masked = mask(text)
    if masked == text then
      if bytes > MAX_REMEMBERED then
        clear(unchanged)
        bytes = 0
      end
      unchanged[text], bytes = true, bytes + #text + ENTRY_BYTES
    end
    return masked
  end
end

local M = {}

--- Begins a message. Its texts share a bound of work, which is whole again now.
M.begin_message = fields.begin_message

--- Masks the secrets of a body or URL, whatever its form.
M.text = guarded(remembering(fields.mask_document))

--- Masks user information in a host.
M.host = guarded(remembering(mask_host))

local mask_value = guarded(fields.mask)

--- The function that masks a header's values.
-- @param name in lower case
function M.header(name)
  if SECRET_HEADERS[name] or names.is_secret(name) then
    return guarded(BY_NAME[name] or mask_all)
  elseif name == "host" or name == "x-forwarded-host" then
    return M.host
  end
  return mask_value
end

return M
