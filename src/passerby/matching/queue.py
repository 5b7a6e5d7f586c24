"""The port to the queue of searching guests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from passerby.models import Ticket


class MatchQueue(Protocol):
    """The queue of searching guests, one ticket per guest."""

    async def enter(self, ticket: Ticket) -> Ticket | None:
        """Remove a random ticket of another guest and return it. If there is none, add `ticket` and return None.

        Atomic: of any number of concurrent calls, no two return the same ticket, and none returns a ticket whose own
        call has returned a partner. An earlier ticket of the same guest is replaced.
        """

    async def cancel(self, ticket: Ticket) -> bool:
        """Remove `ticket`; return False if it is not in the queue, or if the guest's ticket there is another one."""

    async def size(self) -> int:
        """Return the number of tickets in the queue."""

    async def check(self) -> None:
        """Raise OSError when the port cannot serve now."""

    async def close(self) -> None:
        """Release all resources; the port is not used afterwards."""
