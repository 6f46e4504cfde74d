"""What commands print, so that none of it acts on who reads it. Pure."""
