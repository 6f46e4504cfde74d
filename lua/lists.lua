--- Secrets in lists whose first item is the name.
-- [["password", "..."]], as headers and maps are written.

local ends = require("ends")

return { sign = "[", name_at = ends.first_item, mask = ends.mask_second_item, told_name = ends.told_name }
