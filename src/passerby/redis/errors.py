"""What can happen to a command.

RedisError (OSError)
├── LostError      not connected, or lost before the answer: nobody knows whether it was applied
├── UnfitError     what answers cannot be used: too old, a replica; only while connecting
└── RefusedError   the server answered with an error: it was not applied
"""

from __future__ import annotations

from typing import Final

UNFIT: Final = {
    "BUSY": "a script blocks it",
    "CLUSTERDOWN": "its Cluster is down",
    "LOADING": "it is loading its data",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "MISCONF": "it cannot write to its disk",
    "NOAUTH": "it requires a password",
    "NOPERM": "its ACL does not permit a command or a key",
    "NOREPLICAS": "it lacks replicas",
    "OOM": "its memory is full",
    "READONLY": "it is a replica",
    "WRONGPASS": "it refuses the user or the password",
}
"""Error replies that say that the server cannot serve now, whoever asks; and what they mean."""


class RedisError(OSError):
    """A command failed."""


class LostError(RedisError):
    """There is no connection, or it was lost before the answer. The command may have been applied, but only once."""


class UnfitError(RedisError):
    """What answers cannot be used; the message says why."""


class RefusedError(RedisError):
    """The server answered with an error. A script that failed in the middle may have been applied in part."""

    def __init__(self, message: str) -> None:
        """`message` is the error reply without its leading `-`."""
        super().__init__(message)
        self.code = message.partition(" ")[0]
        """The first word of the reply: `OOM`, `READONLY`, `WRONGTYPE` …"""
