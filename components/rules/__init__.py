"""What must hold between settings. Pure."""
