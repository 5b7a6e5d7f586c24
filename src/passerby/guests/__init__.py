"""Guests: their sessions, their tokens, and who is here."""
