"""The port to the rooms' message logs, for replay and for detecting duplicates."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from passerby.models import Message


CLIENT_IDS: Final = 384
"""Client ids that are remembered of each sender, at least, whatever the log itself still holds.

A client sends again what was not acknowledged, once it is connected again. That is at most PING_INTERVAL and
PING_TIMEOUT (until a dead connection is noticed) and GRACE after the last time. In these 65 s, a guest can write
30 + 65 * 5 = 355 messages at the default LIMIT_MESSAGES. The acknowledgement may be lost again and again, so each
sending counts anew.
"""


class Replay(Struct, frozen=True):
    """Part of a room's log: `messages` in order of `seq`; `gap` is the number of evicted ones among the requested."""

    messages: list[Message]
    gap: int


Done = Callable[[Any, "Message", "bytes | None", "Exception | None"], None]
"""Called with the context and the result of an append; see `RoomLog.append`."""


class SavedRoom(Struct):
    """What a durable log knows of a room that an earlier process has left."""

    room_id: str
    epoch: int
    seq: int
    """The number of the last message, also if it is evicted; 0: none was written."""
    members: tuple[str, str]
    """Session ids, as given to `open`."""
    notes: dict[str, bytes]
    messages: list[bytes]
    """The messages of the log as JSON, oldest first."""
    evicted: list[bytes] = []
    """What is still known of evicted messages with client ids: their JSON, mostly without content, in any order."""


class RoomLog(Protocol):
    """The bounded logs of the rooms, identified by room id and epoch."""

    is_durable: bool
    """Whether the logs outlive the process. If not, nothing is kept of notes, so nobody needs to write any."""

    taken: Callable[[str, int], None]
    """Called with the id and epoch of an open room that another process has taken; it has to be released. Its messages
    that are not done by then never are."""

    may_be_elsewhere: Callable[[str], bool]
    """Returns whether another process may take an open room over while what all share cannot be used here. Then its
    messages are not done before it can be used again, or `go_on`: they would be lost if the room is taken."""

    def go_on(self, room_id: str) -> None:
        """What has waited because the room may be elsewhere is done now, if it may no longer: its members are here."""

    def open(self, room_id: str, epoch: int, members: tuple[str, str] = ("", "")) -> None:
        """Create an empty log, replacing the log of any earlier epoch. If it raises, no log is open.

        `members` are the session ids of both members; `recall` returns them.
        """

    def append(self, room_id: str, epoch: int, message: Message, done: Done, context: Any) -> None:  # noqa: ANN401 - belongs to the caller
        """Set the `seq` of `message` to the next number, log it, and call `done(context, message, its JSON, None)`.

        If the sender has used the `client_id` before, nothing is logged and the call is `done(context, message, None,
        None)`, where `message` has the `id`, `timestamp` and `seq` of the first time. Its content means nothing.

        Client ids are remembered apart from the messages: neither evicted messages nor those of the other sender
        shorten this memory. It begins empty with each epoch, and has at least the CLIENT_IDS of each sender that were
        sent last, and at most twice as many. A duplicate counts as sent.

        If logging fails, the call is `done(context, message, None, error)`. `done` is called exactly once, in order of
        the appends of a room, before or after `append` returns, but not after `forget`. The log keeps the newest
        messages within its limits of number and bytes (of JSON). If `append` itself raises, nothing is logged or
        remembered, no number is used, and `done` is not called.
        """

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        """Return the first `limit` messages (≥ 1; None: all) with `seq` > `after`; none if the log is not open.

        A message whose `done` has not been called is not among them, nor counted in `gap`.
        """

    def entries(self, room_id: str, epoch: int) -> list[bytes]:
        """Return the messages of the log whose `done` has been called, as JSON, oldest first; none if it is not open.

        It is answered from this process's memory. The bytes are not copied.
        """

    def settle(self, room_id: str, epoch: int) -> None:
        """Call `done` for all that was appended, as `park` does first; no effect if another process has the log."""

    def note(self, room_id: str, epoch: int, name: str, value: bytes | None) -> None:
        """Keep `value` beside the log, or remove it (None); no effect when the log is not open.

        It is written without waiting, at most 50 ms late: a later note with the same name may take its place before.
        """

    def release(self, room_id: str, epoch: int) -> None:
        """Close the log here, and keep what is stored: another process has it. No `done` is called any more."""

    async def owner(self, room_id: str) -> str | None:
        """Return the id of the node that has a saved room, perhaps a dead one; None if there is no such room.

        Raises OSError if that cannot be read.
        """

    async def epoch(self, room_id: str) -> int | None:
        """Return the epoch of a saved room, whichever node has it; None if there is no such room.

        Raises OSError if that cannot be read.
        """

    def forget(self, room_id: str, epoch: int) -> None:
        """Delete the log and its notes; no effect when it is not open."""

    def park(self, room_id: str, epoch: int) -> Callable[[], None] | None:
        """Do as `forget`, and return a function that opens the log again as it was; None if it is not open.

        Before that, `done` is called for all that was appended. The function may be called once, if no other log of the
        room has been open since. Until then the log is in this process's memory alone: it ends with the process.
        """

    async def owners(self) -> list[str]:
        """Return the ids of all other nodes that may have saved rooms. Raises OSError if they cannot be read."""

    async def rooms(self, owner: str) -> list[str]:
        """Return the ids of all rooms that a node has saved. Raises OSError if they cannot be read."""

    async def recall(self, room_id: str, owners: Collection[str]) -> SavedRoom | None:
        """Open the log of a saved room in this process: it goes on with its numbers, client ids and notes.

        It remembers at least the client ids that `append` promises. None: there is no such room, or its owner is not
        one of the nodes `owners`, or what is kept of it is damaged; then it is removed. Also None if it is open in this
        process. Raises OSError if it cannot be read.
        """

    async def check(self) -> None:
        """Raise OSError when logs cannot be written now."""

    async def close(self) -> None:
        """Release all resources; the port is not used afterwards."""
