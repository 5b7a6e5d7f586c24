"""The routes of a running server, through foreign HTTP clients."""
