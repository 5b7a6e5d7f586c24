"""Sessions, tokens, and who is here."""
