"""The port to those who wait for a match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from passerby.models import Ticket


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

    async def check(self) -> None:
        """Raise OSError when the port cannot serve now."""

    async def close(self) -> None:
        """Let go of what the port holds; nothing is asked of it any more."""
