"""Calls in a room: signalling, states, and ICE servers."""
