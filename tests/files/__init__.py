"""Uploads, quotas, links, and storage."""
