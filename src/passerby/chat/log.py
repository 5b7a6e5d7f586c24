"""The port to the rooms' message logs, for replay and for detecting duplicates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from passerby.models import Message


class Replay(Struct, frozen=True):
    """Part of a room's log: `messages` in order of `seq`; `gap` is the number of evicted ones among the requested."""

    messages: list[Message]
    gap: int


Done = Callable[["Message", "bytes | None", "Exception | None"], None]
"""Called with the result of an append; see `RoomLog.append`."""


class RoomLog(Protocol):
    """The bounded logs of the rooms, identified by room id and epoch."""

    def open(self, room_id: str, epoch: int) -> None:
        """Create an empty log, replacing the log of any earlier epoch. If it raises, no log is open."""

    def append(self, room_id: str, epoch: int, message: Message, done: Done) -> None:
        """Set the `seq` of `message` to the next number, log it, and call `done(message, its JSON, None)`.

        If the log already contains the same sender's `client_id`, nothing is logged and the call is
        `done(the earlier message, None, None)`. If logging fails, the call is `done(message, None, error)`.
        `done` is called exactly once, in order of the appends of a room, before or after `append` returns, but not
        after `forget`. The log keeps the newest messages within its limits of number and bytes (of JSON). If `append`
        itself raises, nothing is logged and `done` is not called.
        """

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        """Return the first `limit` messages (≥ 1; None: all) with `seq` > `after`; none if the log is not open."""

    def forget(self, room_id: str, epoch: int) -> None:
        """Delete the log; no effect when it is not open."""

    async def check(self) -> None:
        """Raise OSError when logs cannot be written now."""

    async def close(self) -> None:
        """Release all resources; the port is not used afterwards."""
