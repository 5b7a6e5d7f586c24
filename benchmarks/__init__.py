"""Measures Passerby beside bare relays: ``python -m benchmarks`` (see README.md)."""
