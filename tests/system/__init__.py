"""A complete running server, with third-party Socket.IO clients."""
