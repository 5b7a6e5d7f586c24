"""Matching: searches, and pairing of guests."""
