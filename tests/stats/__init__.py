"""Counts and their broadcast."""
