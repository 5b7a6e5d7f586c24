"""Media parsers with real files, built here or by other programs: whole, in pieces, truncated and damaged."""
