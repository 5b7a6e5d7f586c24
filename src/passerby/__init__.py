"""Anonymous one-to-one chat with a passer-by: the server behind the web client."""

__version__ = "0.1.0"
