"""What the services need of the world outside, as contracts.

Adapters live in `passerby.adapters`; each passes tests/contract. Values go in and come out as copies:
what a caller does to one afterwards changes nothing that is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from passerby.events import Event, MessageDelivered
    from passerby.models import Guest, Message, StoredFile


class Link(Protocol):
    """The way to one guest's client. The gateway has one around each socket."""

    def send(self, event: Event | Message) -> None:
        """Send an event, behind all before it; into nothing when the connection is gone."""

    def deliver(self, message: bytes, receipt: MessageDelivered) -> None:
        """Send a message, as the JSON that the log has made of it, and its receipt."""

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent, or the connection is gone."""

    def close(self, code: str, message: str) -> None:
        """Tell the client why, then end the connection; it should not come back by itself."""


class SessionStore(Protocol):
    """Guests' sessions by session id, each with an expiry."""

    async def save(self, guest: Guest, lifetime: float) -> None:
        """Store `guest`, in place of what was there, for `lifetime` seconds (> 0) from now; atomic."""

    async def load(self, session_id: str) -> Guest | None:
        """Return the session, or None when there is none or it has expired."""

    async def remove(self, session_id: str) -> None:
        """Remove the session; nothing happens when there is none."""

    async def count(self) -> int:
        """Return how many sessions are stored. One expired but not yet swept may still count."""

    async def sweep(self) -> int:
        """Remove what has expired, where the store does not do so by itself; return how many."""


class Ticket(Struct, frozen=True):
    """One guest's wish to be matched. `entered_at` (epoch seconds) is its place, kept when it comes back."""

    id: str
    guest_id: str
    entered_at: float


class MatchQueue(Protocol):
    """Those who wait for a match, one ticket a guest."""

    async def enter(self, ticket: Ticket) -> Ticket | None:
        """Take a random ticket of another guest out and return it; with nobody there, keep `ticket`, return None.

        One atomic step: of any number of simultaneous calls, no two get the same ticket, and none of them
        gets a ticket whose own call has returned a partner. A ticket of the same guest that waits already is
        replaced.
        """

    async def cancel(self, ticket: Ticket) -> bool:
        """Take `ticket` out; False when it does not wait (any more), or another one of the guest's does."""

    async def size(self) -> int:
        """Return how many wait."""


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


class BlobStore(Protocol):
    """The bytes of temporary files, each with what is known about it and an expiry.

    A file is written in pieces that nobody sees, then published whole, or removed.
    """

    async def write(self, file_id: str, piece: bytes) -> None:
        """Append `piece` (1 byte to 64 KiB) to a file that is not published yet; the first one begins it.

        Raises OSError when there is no space for it.
        """

    async def publish(self, file: StoredFile, lifetime: float) -> None:
        """Let `file` be found, with all pieces written under its id, for `lifetime` seconds (> 0) from now."""

    async def find(self, file_id: str) -> StoredFile | None:
        """Return a published file that has not expired, or None."""

    def read(self, file_id: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """Return bytes `start` up to `stop` of a published file in pieces; they end early if it goes or expires."""

    async def remove(self, file_id: str) -> None:
        """Forget a file, published or not; nothing happens when there is none."""

    async def sweep(self) -> int:
        """Remove what has expired, where the store does not do so by itself; return how many."""

    async def close(self) -> None:
        """Remove everything: nothing outlives the process."""


class Tally(Struct, frozen=True):
    """What one node counts of itself. Addable: the whole is the sum of the nodes."""

    online: int = 0
    chatting: int = 0
    """Online guests in a room; the other one may be away."""
    pairs: int = 0


class Counters(Protocol):
    """The nodes' tallies. Each node reports its own exact numbers, so a lost node cannot make the sum drift."""

    async def report(self, node: str, tally: Tally, lifetime: float) -> None:
        """Store `tally` in place of the node's last one, for `lifetime` seconds."""

    async def total(self) -> Tally:
        """Return the sum over the nodes whose report has not expired."""
