"""The contract on the wire, through a real server."""
