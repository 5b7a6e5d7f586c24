"""The port to the queue of searching guests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from passerby.matching.stages import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from passerby.matching.stages import Openness
    from passerby.models import Ticket


class MatchQueue(Protocol):
    """The queue of searching guests, one ticket per guest.

    Who fits whom is the same in all adapters: see `places`.

    A ticket waits until another guest's `enter` returns it, it is cancelled or suspended, or its process is gone: in a
    durable queue it has a lease, which `renew` prolongs.
    """

    is_durable: bool
    """Whether searches outlive the process. If not, nobody needs to renew, recall or forget any."""

    async def enter(self, ticket: Ticket, openness: Openness = OPEN, patience: float = 0.0) -> Ticket | None:
        """Remove the best ticket of another guest for `ticket`, and return it. If there is none, `ticket` waits: None.

        `openness` says whom the search accepts now, and by whom it is found. With `patience`, only tickets of the same
        node are found, and for so many seconds `ticket` is found on that node only. The caller then calls `look`.

        Atomic: of any number of concurrent calls, no two return the same ticket, and none returns a ticket whose own
        call has returned a partner. An earlier ticket of the same guest is replaced, but a durable queue that cannot be
        used now may have it until it is cancelled. A ticket that was returned, or has got a partner, may enter again.
        """

    async def look(self, ticket: Ticket, openness: Openness = OPEN) -> Ticket | None:
        """If `ticket` waits, look once more, on all nodes, with what it accepts now. Else no effect.

        Tickets whose patience is not over are left to their own node. Among equals those of its node are preferred.
        Called at least once an hour while it waits.
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
