"""Implementations of the ports: `memory` needs nothing installed."""
