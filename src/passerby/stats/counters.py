"""The port to the counters of all nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable


class Tally(Struct, frozen=True):
    """The counts of one node. The total is the sum over all nodes."""

    online: int = 0
    chatting: int = 0
    """Connected guests in a room; the partner may be away."""
    pairs: int = 0


def sum_of(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of several nodes' tallies."""
    online = chatting = pairs = 0
    for tally in tallies:
        online += tally.online
        chatting += tally.chatting
        pairs += tally.pairs
    return Tally(online, chatting, pairs)


class Counters(Protocol):
    """The nodes' tallies. Each node reports its own exact counts, so the sum stays correct when a node is lost."""

    async def report(self, node: str, tally: Tally, lifetime: float) -> None:
        """Store `tally` for `lifetime` seconds (> 0), replacing the node's previous one.

        It is called when counts change, and more often than each `lifetime` if they do not.
        """

    async def forget(self, node: str) -> None:
        """Count a node no longer, because it is gone. If it is not, its next report counts again."""

    async def total(self) -> Tally:
        """Return the sum over the nodes whose report has not expired; without their reports, the sum of this node's."""

    async def check(self) -> None:
        """Raise OSError when the port cannot serve now."""

    async def close(self) -> None:
        """Release all resources; the port is not used afterwards."""
