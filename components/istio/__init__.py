"""Settings as Istio's objects and the capture script, and those objects read back. Pure."""
