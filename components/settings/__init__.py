"""Every setting: models, value types, defaults, and what is said about a value that breaks a rule."""
