"""Conversations: rooms of two, their messages in order, and what was missed."""
