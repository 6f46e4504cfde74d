"""A mesh on one machine: a real Envoy with the rendered filter between a sample API and an OTLP receiver."""
