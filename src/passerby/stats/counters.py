"""The port to the counts of all nodes."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


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

    async def check(self) -> None:
        """Raise OSError when the port cannot serve now."""

    async def close(self) -> None:
        """Let go of what the port holds; nothing is asked of it any more."""
