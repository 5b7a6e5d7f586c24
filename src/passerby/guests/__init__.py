"""Guests: sessions, tokens, and connected guests."""
