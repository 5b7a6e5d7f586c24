"""What `pulse` needs of the other nodes."""

from __future__ import annotations

from typing import Protocol


class Others(Protocol):
    """The other nodes. One of all nodes is the first: it makes the rounds."""

    @property
    def is_first(self) -> bool:
        """Whether this node is the first, as far as it knows."""

    async def announce(self) -> bool:
        """Let the first node know that a round is due: `Pulse.stir`. Return whether it does."""

    async def gather(self) -> list[bytes]:
        """Return what `Pulse.share` returns on each other node that answers."""

    def tell(self, what: bytes) -> None:
        """Have `Pulse.told(what)` called on each other node."""
