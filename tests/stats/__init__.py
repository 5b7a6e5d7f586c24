"""Counts and their broadcasts."""
