--- Harmless values of secret names.
-- Not every value of such a name is a secret: {"token": null}, {"tokens": 12}. A value that nothing here
-- calls harmless counts as secret. Some values show by their start that they are harmless (`by_start`);
-- others only show it as a whole (`by_value`), so their end has to be found first (ends).
-- A phrase of the user may stand for data about a person. Under it fewer values are harmless, as true, a
-- small number, a date that looks like a version, or a sentence may be that data.

local names = require("names")
local structure = require("structure")

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local QUOTE, COLON, DOLLAR, DOT, LIST, LIST_END, OBJECT = byte('":$.[]{', 1, 7)
local CONSTANTS = structure.words("true false null")
local CONSTANT = "^(%l+)%s*%f[,;)}%]&|?#`\\\r\n%z]"
-- The start of a list whose first item has "is" or "be", and only letters before that. "not" and "n't" count
-- as "is"; "do" and "does" alone do not, as "de" and "do" are words of addresses, too.
local SENTENCE = "^%[%s*\"[%a ']*%f[%l][bi][es] "
local NUMBER_STARTS = structure.set("[%d *^~v]") -- of a version, and of a value that is masked already
local MAX_NEAR = 128 -- bytes that are read of the line before the end of a name
-- In OpenAPI, an object may have the name of a secret and only describe it: a schema, a scheme of OAuth, or
-- one of its flows. Its first members tell that. As a secret may begin with a type or URL, too, the name of
-- the second member counts.
local OPENAPI = structure.words([[$ref allOf anyOf authorizationUrl description flow flows properties
  refreshUrl required scopes title tokenUrl type]])
local TWO_MEMBERS = '^{%s*"(%a+)"%s*:%s*"([^"]*)"%s*,%s*"(%a+)"'
local PROPERTIES = '^{%s*"properties"%s*:%s*{%s*"[^"]*"%s*:%s*{%s*"([$%a]+)"'
local REQUIRED = '^{%s*"required"%s*:%s*%[[^][{}]*%]%s*,%s*"type"'
local FLOW = '^{%s*"scopes"%s*:%s*{[^{}]*}%s*,%s*"%l+Url"'
-- In "security": [{"auth": ["read:pets"]}], SECURITY stands before the name of a scheme, SCOPES is its value.
local SECURITY, SCOPES = '"security"%s*:%s*%[%s*{%s*"$', '^%[[%a:._/",%s-]*%]'
-- What a scope or permission lets one do with a secret: "secrets:read". The string ends there, or a next one
-- follows.
local ACTIONS = structure.words("create delete list manage read refresh reset revoke update write")
local LAST_ACTION, ACTION = "^:(%l+)%f[&\"'\\)%]<%z]", "^:(%l+)[ +][%w_.-]+:%l"

local M = {}

--- Whether a value of JSON only describes a secret, as in OpenAPI. The names in it are searched like any
-- others.
-- @param stop the last byte of the name
-- @param start the first byte of the value
local function is_description(text, name, stop, start)
  local sign = byte(text, start)
  if sign == LIST then
    local before = sub(text, math.max(stop - MAX_NEAR, 1), stop - #name)
    return find(name, "[aA]uth") and find(text, SCOPES, start) and find(before, SECURITY)
  elseif sign ~= OBJECT then
    return false
  end
  local first, value, second = match(text, TWO_MEMBERS, start)
  local is_type = first == "type" and (value == "object" or value == "oauth2")
  if is_type or first == "authorizationUrl" or first == "tokenUrl" then
    return OPENAPI[second]
  end
  return OPENAPI[match(text, PROPERTIES, start)] or find(text, REQUIRED, start) or find(text, FLOW, start)
end

--- Whether a name before a ":" is that of a host or a file: token.example.com:8443 and TokenService.java:42,
-- but not user.pin:1234. It starts behind "://"; or behind its last "." stand two or three letters, or one of
-- two longer words, which say nothing as a name.
local function is_place(text, name, stop)
  local ending = match(name, "%.(%l%l+)$") or "none"
  return sub(text, stop - #name - 2, stop - #name) == "://"
    or ((#ending < 4 or ending == "local" or ending == "java") and not next(names.facts(ending)))
end

--- Whether a value is harmless, as its start and what stands before it show:
--   in OpenAPI, a schema or an OAuth scheme (`"Token": {"type": "object", "properties": ...`);
--   unless the name is secret by a phrase of the user: true, false or null, in JSON or under a name of
--     several words (`has_password: true`); and in JSON, under such a name, a number below 10;
--   a count (`tokens: 12`);
--   the head of a part of a form, which names the part (`Content-Disposition: form-data; name="pin"`), where
--     `content` is a phrase of the user;
--   the name of a secret of AWS (arn:aws:secretsmanager:eu-west-1:1234:secret:db);
--   a pseudo-class of CSS (`.token:hover {`, `[name=pin]:focus {`);
--   what a scope allows ("scope": "secrets:read token:revoke");
--   a port of a host, or a line of a file (https://token.example.com:8443, TokenService.java:42; .NET writes
--     TokenService.cs:line 42).
-- @param at the position of the ":" or "="
-- @param stop the last byte of the name
-- @param facts of the name, or of a longer one that it is the end of: those that make it secret
function M.by_start(text, at, name, stop, facts)
  local start = structure.value_start(text, at)
  local is_bare, is_default = byte(text, start) ~= QUOTE, not facts.is_extra
  -- `==` compares, and sets nothing.
  local says_more = is_bare and (find(name, "[%l_][^%l]") or sub(text, at, at + 1) == "==")
  local is_json = is_bare and byte(text, stop + 1) == QUOTE
  if
    (is_json and is_description(text, name, stop, start))
    or (is_default and says_more and is_json and find(text, "^%-?%d%f[^%d][.%d]*%s*[,}%]]", start))
    or (is_default and (says_more or is_json) and CONSTANTS[match(text, CONSTANT, start)])
    or (facts.is_count and find(text, "^%d[%d.]*%f[^%w._+-]", start))
    or (is_default and ACTIONS[match(text, LAST_ACTION, stop + 1) or match(text, ACTION, stop + 1)])
    or find(text, "^ition: ?form%-data;", stop - 4)
  then
    return true
  elseif byte(text, stop - #name) == COLON then
    local before = match(sub(text, math.max(stop - MAX_NEAR, 1), stop):reverse(), "^[%w:-]*")
    return find(before, "swa:nra") -- arn:aws, read from behind
  elseif byte(name) == DOT or byte(text, at - 1) == LIST_END then
    return find(text, "^::?[%l-]+%s*[{(:,>+~.]", at)
  end
  return find(text, "^:%f[%w][line ]*%d%d?%d?%d?%d?%f[^%w]", stop + 1) and is_place(text, name, stop)
end

--- Whether a value is harmless, as all of it shows. It is, if it is
--   empty (`""`, `[]`) or null;
--   a list of sentences, such as errors (`["is too short"]`), of which the first one shows that it is one: no
--     brackets are in the list, and no item of one word;
--   masked already, except some digits (`"**** 4242"`);
--   an id of Twilio or Windows, under a name with `sid`: these have 34 bytes or more;
--   a version (`1.2.3`). For a phrase of the user, it may be a date, and the sentences may be data;
--   a variable of a template (`${DB_PASSWORD}`); without quotes, the value may end before its "}";
--   in GraphQL, a variable (`pin: $pin`), or its type (`$pin: String!`).
function M.by_value(value, name)
  -- In JSON in a string, its quotes are escaped.
  value = find(value, "^\\") and value:gsub("\\", "") or value
  local first = byte(value, byte(value) == QUOTE and 2 or 1) -- decides what is asked
  local is_number = NUMBER_STARTS[first]
  local is_default = not names.facts(name).is_extra
  local is_flat_list = is_default and first == LIST and find(value, "^%[[^][{}]*%]$")
  return not find(value, "[^]%s,\"'\\{}[]")
    or value == "null"
    or (is_flat_list and find((value:gsub("n['o]t", " is")), SENTENCE) and not find(value, '"[^%s,"]+"'))
    or (first == DOLLAR and (value == "$" .. name or find(value, '^"?%${[%a_][%w_]*}?"?$')))
    or (byte(name) == DOLLAR and find(value, "^%[*%u%a*[]!]*%s*$"))
    or (is_number and find(value, '^"[%d ]*%*%*%*%*[%d* -]*"$'))
    or (is_default and is_number and find(value, '^["^~v]*%d+%.%d+%.%d+"?$'))
    or (#value > 33 and find(name, "[sS][iI][dD]") and find(value, '^"?%u[%u-][a-f%d-]+"?$'))
end

--- Whether the value of a member is harmless in the object of a secret. Both names are joined for that.
-- If the joined name is secret, as `token.id`, only an empty value, a constant and a count are harmless; and
-- if it is secret by a phrase of the user, only an empty value.
-- If the joined name only tells about the secret, as `token.type`, a value is harmless if it has no ":", as
-- that may stand between another name and its value. The ":" of a time or URL does not count.
-- @param name the object's
-- @param key the member's name, with its quotes; "" for an item of a list
-- @param value with its quotes; "" where a bracket or comma stands
function M.as_member(name, key, value)
  local facts = names.facts(name .. "." .. key)
  if facts.is_secret then
    -- Asked of the key alone: in {"tokens": {"a": 12}}, the object's name is that of a count.
    local is_count = find(value, "^%d+$") and names.facts(key).is_count
    return find(value, '^"?"?$') or (not facts.is_extra and (is_count or CONSTANTS[value]))
  end
  return not value:gsub("%d%d:%f[%d]", ""):gsub("%a://", ""):find(":", 1, true)
end

return M
