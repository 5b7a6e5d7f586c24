"""Conversations: rooms of two guests, their messages in order, and replay of missed messages."""
