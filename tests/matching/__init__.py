"""The queue, and pairing of guests."""
