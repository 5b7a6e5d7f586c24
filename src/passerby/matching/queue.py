"""The port to the queue of searching guests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from passerby.models import Ticket


class MatchQueue(Protocol):
    """The queue of searching guests, one ticket per guest.

    A ticket waits until another guest's `enter` returns it, it is cancelled or suspended, or its process is gone: in a
    durable queue it has a lease, which `renew` prolongs.
    """

    is_durable: bool
    """Whether searches outlive the process. If not, nobody needs to renew, recall or forget any."""

    async def enter(self, ticket: Ticket, patience: float = 0.0) -> Ticket | None:
        """Remove a random ticket of another guest and return it. If there is none, add `ticket` and return None.

        With `patience`, a ticket of the same node, and for so many seconds `ticket` is returned to that node only. The
        caller then calls `look`.

        Atomic: of any number of concurrent calls, no two return the same ticket, and none returns a ticket whose own
        call has returned a partner. An earlier ticket of the same guest is replaced, but a durable queue that cannot be
        used now may have it until it is cancelled. A ticket that was returned, or has got a partner, may enter again.
        """

    async def look(self, ticket: Ticket) -> Ticket | None:
        """If `ticket` waits, and its patience is over, look once more: for tickets of its node, then of any node.

        Those whose patience is not over are left to their own node. Else as `enter`. No effect if it does not wait.
        """

    async def cancel(self, ticket: Ticket) -> bool:
        """Remove `ticket`; return False if it does not wait, or if the guest's ticket there is another one."""

    async def suspend(self, ticket: Ticket, seconds: float) -> None:
        """Remove `ticket` as `cancel` does, but let `recall` find it for `seconds` (≥ 0), also if it did not wait.

        No effect if the guest waits with another ticket.
        """

    async def recall(self, guest_id: str) -> Ticket | None:
        """Return the guest's ticket that waits or is suspended; None if there is none. It stays where it is.

        A durable queue also finds a ticket that was returned, or has got a partner, until `forget`: the process may
        have died before the two had a room. Raises OSError if it cannot be read.
        """

    def forget(self, *tickets: Ticket) -> None:
        """These searches have ended in a room: `recall` must not find them. Done soon and without waiting."""

    def release(self, ticket: Ticket) -> None:
        """Another process goes on with the search: forget what this one knows of it. It stays in a durable queue."""

    async def renew(self, tickets: Iterable[Ticket]) -> list[Ticket]:
        """The owners of `tickets` go on searching. Return those that the queue has lost: they have to enter again.

        Called every 3 seconds with all tickets of the process, also with none. `tickets` is read bit by bit, so it can
        leave out a search that has ended meanwhile.
        """

    async def size(self) -> int:
        """Return the number of tickets that wait. A durable queue may include some whose process is gone."""

    async def check(self) -> None:
        """Raise OSError when the port cannot serve now."""

    async def close(self) -> None:
        """Release all resources; the port is not used afterwards."""
