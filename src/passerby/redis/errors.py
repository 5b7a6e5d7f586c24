"""What can happen to a command.

RedisError (OSError)
├── LostError      not connected, or lost before the answer: nobody knows whether it was applied
└── RefusedError   the server answered with an error: it was not applied
"""

from __future__ import annotations


class RedisError(OSError):
    """A command failed."""


class LostError(RedisError):
    """There is no connection, or it was lost before the answer. The command may have been applied, but only once."""


class RefusedError(RedisError):
    """The server answered with an error. A script that failed in the middle may have been applied in part."""

    def __init__(self, message: str) -> None:
        """`message` is the error reply without its leading `-`."""
        super().__init__(message)
        self.code = message.partition(" ")[0]
        """The first word of the reply: `OOM`, `READONLY`, `WRONGTYPE` …"""
