"""Calls of a room: signalling, states, and the servers that a connection needs."""
