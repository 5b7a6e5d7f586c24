"""Uploads, space, links, and where the bytes are kept."""
