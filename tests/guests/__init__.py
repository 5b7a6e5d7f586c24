"""Sessions, tokens, and connected guests."""
