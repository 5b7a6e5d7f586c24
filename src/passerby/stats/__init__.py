"""Statistics: counts, the online list, and their broadcast."""
