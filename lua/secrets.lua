--- Which names are secret, by their words.
-- A name is split at case, digits and punctuation, and words in a row count together: apiKey, api_key,
-- "apikey" and API-KEYS are one; `monkey` and `tokenizer` are no secrets. Names repeat, so a number of
-- results is remembered, within bounds.

local config = require("config")

local MAX_NAME = 256
local MAX_KNOWN = 512
local MAX_WORDS = 4

local SECRETS = {}
for _, field in ipairs(config.redaction.fields) do
  SECRETS[field:gsub("%A", "")] = true
end

local known, count = {}, 0

local M = { MASK = "***" }

local function has_secret_words(name)
  local words = {}
  for word in name:gsub("(%l)(%u)", "%1 %2"):gsub("(%u)(%u%l)", "%1 %2"):lower():gmatch("%a+") do
    words[#words + 1] = word
    local run = ""
    for index = #words, math.max(1, #words - MAX_WORDS + 1), -1 do
      run = words[index] .. run
      if SECRETS[run] or SECRETS[run:gsub("s$", "")] then
        return true
      end
    end
  end
  return false
end

--- Whether a field, parameter or header is secret by its name, which may be any bytes.
function M.is_secret(name)
  if known[name] == nil then
    if #name > MAX_NAME then
      return true
    elseif count >= MAX_KNOWN then
      known, count = {}, 0
    end
    known[name], count = has_secret_words(name), count + 1
  end
  return known[name]
end

return M
