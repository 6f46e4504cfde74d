--- Which names are secret, by their words, and which tell a name or a value: {"name": "pin", "value": 1}.
-- A name is split at case, digits and punctuation, and words in a row count together: apiKey, api_key,
-- "apikey" and API-KEYS are one; `monkey` and `tokenizer` are no secrets. Eight letters and more are found
-- anywhere: dbpassword. Names repeat, so a number of results is remembered, within bounds.

local config = require("config")

local MAX_NAME, MAX_KNOWN, LONG = 256, 512, 8

local KINDS = { value = "value", content = "value" }
for word in ("name key id field path type"):gmatch("%a+") do
  KINDS[word] = "name"
end

local secrets, long = {}, {}
for field in config.redaction.fields:gmatch("[^\n]+") do
  local letters = field:gsub("%A", "")
  secrets[letters] = true
  long[#long + 1] = #letters >= LONG and letters or nil
end

local known, count = {}, 0

local M = {}

M.MASK = "***"

local function is_secret(name)
  local words = name:gsub("(%l)(%u)", "%1 %2"):gsub("(%u)(%u%l)", "%1 %2"):lower()
  local letters, last, before = words:gsub("%A", ""), "", ""
  for _, word in ipairs(long) do
    if letters:find(word, 1, true) then
      return true
    end
  end
  for word in words:gmatch("%a+") do
    for _, run in ipairs({ word, last .. word, before .. last .. word }) do
      if secrets[run] or secrets[run:gsub("s$", "")] then
        return true
      end
    end
    before, last = last, word
  end
end

--- What the name of a field, parameter or header says, which may be any bytes.
-- @return true where it is secret; else "name" or "value" where it may tell one; else false
function M.kind(name)
  if known[name] == nil then
    if #name > MAX_NAME then
      return true
    elseif count >= MAX_KNOWN then
      known, count = {}, 0
    end
    known[name], count = is_secret(name) or KINDS[name:lower()] or false, count + 1
  end
  return known[name]
end

return M
