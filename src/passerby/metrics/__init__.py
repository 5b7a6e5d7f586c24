"""Metrics for Prometheus, on an address of their own. Nothing here is imported unless METRICS_PORT is set."""
