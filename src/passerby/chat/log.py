"""The port to the rooms' logs: messages for replay and against duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.models import Message


class Replay(Struct, frozen=True):
    """Part of a room's log: `messages` in order of `seq`; `gap` older ones are asked for, but gone."""

    messages: list[Message]
    gap: int


class RoomLog(Protocol):
    """The bounded logs of the rooms, for replay and against duplicates. A room is its id and epoch."""

    def open(self, room_id: str, epoch: int) -> None:
        """Begin an empty log, in place of any earlier epoch's."""

    def append(
        self, room_id: str, epoch: int, message: Message, accepted: Callable[[Message, bytes | None], None]
    ) -> None:
        """Number `message` (its `seq` is set to the next one) and log it, then call `accepted(message, its JSON)`.

        When the same sender's `client_id` is in the log already, nothing is logged and the call is
        `accepted(the message of then, None)`. `accepted` is called exactly once, for one room in the order
        of the appends, maybe before `append` returns and maybe later. After `close` it is not called.
        The log keeps the newest messages within its bounds of number and bytes (of JSON).
        """

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        """Return the first `limit` messages (≥ 1; all without) with `seq` > `after`; nothing for a closed log."""

    def close(self, room_id: str, epoch: int) -> None:
        """Forget the log; nothing happens when it is not open."""
