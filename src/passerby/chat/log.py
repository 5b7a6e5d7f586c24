"""The port to the rooms' logs: messages for replay and against duplicates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from passerby.models import Message


class Replay(Struct, frozen=True):
    """Part of a room's log: `messages` in order of `seq`; `gap` older ones are asked for, but gone."""

    messages: list[Message]
    gap: int


Done = Callable[["Message", "bytes | None", "Exception | None"], None]
"""Told what has become of a message; see `RoomLog.append`."""


class RoomLog(Protocol):
    """The bounded logs of the rooms, for replay and against duplicates. A room is its id and epoch."""

    def open(self, room_id: str, epoch: int) -> None:
        """Begin an empty log, in place of any earlier epoch's. What it raises means that there is none."""

    def append(self, room_id: str, epoch: int, message: Message, done: Done) -> None:
        """Number `message` (its `seq` is set to the next one) and log it, then call `done(message, its JSON, None)`.

        When the same sender's `client_id` is in the log already, nothing is logged and the call is
        `done(the message of then, None, None)`; when the message could not be logged, `done(message, None, error)`.
        `done` is called exactly once, for one room in the order of the appends, maybe before `append` returns and
        maybe later. After `forget` it is not called. The log keeps the newest messages within its bounds of number and
        bytes (of JSON). What `append` itself raises means that nothing was logged, and `done` is not called.
        """

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        """Return the first `limit` messages (≥ 1; all without) with `seq` > `after`; nothing for a closed log."""

    def forget(self, room_id: str, epoch: int) -> None:
        """Forget the log; nothing happens when it is not open."""

    async def check(self) -> None:
        """Raise OSError when logs cannot be written now."""

    async def close(self) -> None:
        """Let go of what the port holds; nothing is asked of it any more."""
