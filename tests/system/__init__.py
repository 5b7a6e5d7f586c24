"""A whole running server, through foreign Socket.IO clients."""
