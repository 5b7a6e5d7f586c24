"""The services, with adapters in memory, a clock that is moved by hand and links that record."""
