"""What the parent and a worker tell each other, over a pair of Unix sockets: one JSON object a line.

A newer version may know more messages and more fields. Both are ignored by those who do not know them, because in a
rolling restart the parent stays as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from passerby.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# ── from the parent ───────────────────────────────────────────────────────────────────────────────


class Begin(Struct, tag="begin"):
    """The first message: what the worker is. Not on the command line, where everybody on the machine can read it."""

    number: int
    """1 is the first worker. The one that replaces it has the same number."""
    tag: str
    """Begins the `sid`s of this worker, and names its inbox. No other worker has it."""
    folder: str
    """Folder of the inboxes."""
    listeners: list[int]
    """Descriptors of the listening sockets."""
    settings: Settings
    log_level: str
    log_format: str


class Roster(Struct, tag="roster"):
    """The workers that take new clients: node ids by tags."""

    workers: dict[str, str]


class Gone(Struct, tag="gone"):
    """A worker has ended, whatever the reason."""

    tag: str
    node: str


class Ending(Struct, tag="ending"):
    """All workers of this machine end: SIGTERM follows. Only other machines, if any, serve their guests meanwhile."""

    nodes: list[str]
    """The node ids of all of them."""
    keeps: bool = False
    """Whether what they have in Redis outlives them."""


class Leave(Struct, tag="leave"):
    """All workers have parted with their guests: they may end."""


# ── from a worker ─────────────────────────────────────────────────────────────────────────────────


class Ready(Struct, tag="ready"):
    """It serves."""

    node: str


class Beat(Struct, tag="beat"):
    """Its event loop runs."""


class Draining(Struct, tag="draining"):
    """It takes no new clients, and will end."""


class Parted(Struct, tag="parted"):
    """It waits for none of its guests any more; those of others may be connected to it."""


class Refused(Struct, tag="refused"):
    """It cannot start with these settings, for a reason that is one line."""

    reason: str


Message = Begin | Roster | Gone | Ending | Leave | Ready | Beat | Draining | Parted | Refused

BEAT: Final = 0.5
"""Seconds between two beats."""

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    """Return the line of a message."""
    return _encoder.encode(message) + b"\n"


class Lines:
    """Collects what was read, and returns the messages of complete lines."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                yield _decoder.decode(line)
            except msgspec.MsgspecError:
                continue  # of a newer version
