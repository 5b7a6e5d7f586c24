"""The port to the counters of all nodes."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Tally(Struct, frozen=True):
    """The counts of one node. The total is the sum over all nodes."""

    online: int = 0
    chatting: int = 0
    """Connected guests in a room; the partner may be away."""
    pairs: int = 0


class Counters(Protocol):
    """The nodes' tallies. Each node reports its own exact counts, so the sum stays correct when a node is lost."""

    async def report(self, node: str, tally: Tally, lifetime: float) -> None:
        """Store `tally` for `lifetime` seconds, replacing the node's previous one."""

    async def total(self) -> Tally:
        """Return the sum over the nodes whose report has not expired."""

    async def check(self) -> None:
        """Raise OSError when the port cannot serve now."""

    async def close(self) -> None:
        """Release all resources; the port is not used afterwards."""
