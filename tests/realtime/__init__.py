"""The wire contract, with a real server."""
