"""Passerby measured beside bare relays: ``python -m benchmarks`` (see README.md)."""
