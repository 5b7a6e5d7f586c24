"""The proxies of the README, as real programs in front of a running server."""
