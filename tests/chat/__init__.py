"""Rooms: messages in order, lost connections, and replay."""
