--- Secrets after ":".
-- Their name stands before the ":", as in members of JSON, lines of YAML, arguments of GraphQL, and free
-- text.

local ends = require("ends")

return {
  sign = ":",
  name_at = ends.name_before,
  mask = ends.mask,
  told_name = ends.told_name,
  contents_end = ends.contents_end,
}
