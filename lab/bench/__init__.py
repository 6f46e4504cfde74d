"""``make bench``: what capturing costs, against no filter, the guide's script and Envoy's own tracer."""
