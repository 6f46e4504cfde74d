--- What leaves the proxy masked.
-- It masks bodies, URLs and header values. Fails closed.
--
-- The idea. No text is parsed, as it may be hostile, cut, nested, or of another form than it declares.
-- Instead, the filter jumps from sign to sign (":", "=", "<"), reads the name beside each, and looks it up.
-- Only if the name is secret does it ask whether the value is secret, too, and where it ends; then it puts
-- "***" in its place. All other bytes stay as they are. Two more searches complete this: one for values that
-- show by themselves that they are secret, and one in the decoded text, for what escapes hide.
--
-- Evidence. One of three things says that something is secret:
--   its name, of a header, field, parameter, element or part (names);
--   its value, as tokens, keys and card numbers show by themselves (values);
--   its place: in Authorization and cookies (below), before the "@" of a host (below) or of a URL (values),
--     after "Bearer", or in a JSON Web Key (values).
--
-- Forms. A text may have several at once, as JSON with a URL in it has, and its declared type may be wrong.
-- So each text is searched in every form, one after the other (fields): for values, then for members (":"),
-- lists ("["), parameters ("=") and markup ("<"). Each search takes a text and returns it masked, and the
-- next one searches that. A mask is no secret itself: as a rule, masking a masked text changes nothing.
--
-- Names. Nearly all text is harmless, and has to cost little. So a search jumps by plain find to its next
-- sign, reads the name there, and looks it up (search, names). Only for a secret name does it look further:
-- whether the value is secret (harmless), where the value ends, and in which string, tag or object it stands
-- (ends, structure, named_values). All that it finds is replaced in one pass (spans).
--
-- Escapes. A text with escapes is also searched decoded (escapes). If that shows a secret, nobody can tell
-- which bytes of the text itself spell it. So runs of the text are decoded one by one, and those that hide a
-- secret are masked: first short runs, such as parameters, whose names stay; if that is not enough, long
-- runs; then all of the text (fields). The texts of a message share one bound for this work.
--
-- Failing closed. If the end of a secret cannot be told, the rest of its string, parameter or element is
-- masked; if that cannot be told either, the rest of the text; if masking itself fails, all of the text.
--
-- Time. It grows in proportion to the text, whatever its bytes are: a search only goes forward. Where it
-- looks back, it stops at the sign or quote before; where it looks ahead, it reads a bounded number of bytes,
-- or it looks ahead a few times only.

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

-- What is shown of Authorization and Set-Cookie. SCHEMES has those that IANA registers (RFC 9110) and some
-- others in use: any other first word may be the secret itself.
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

--- Masks the cookie like one of a request. Behind it, it keeps the standard attributes, and masks all else.
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

--- Makes the function that masks a text safe: if it fails, all of the text is masked. Counts the texts that
-- it changes. If masking is off (`mode: none`), returns a function that changes nothing.
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
