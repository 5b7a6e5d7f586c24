"""The routes of a running server, with third-party HTTP clients."""
