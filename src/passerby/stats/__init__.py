"""Statistics: counts, the list of online guests, and their broadcast."""
