"""Rooms: messages in order, lost connections, and what is replayed."""
