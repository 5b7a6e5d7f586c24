"""Tests of the services, with adapters in memory, a manual clock and links that record events."""
