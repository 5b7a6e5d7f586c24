"""Contract tests: one suite per port, run with every adapter."""
