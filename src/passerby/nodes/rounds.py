"""Rounds: one node, the first, gathers what all nodes have, and tells all of them what is to be known.

| frame | |
|---|---|
| `(30, told)` | what the first node tells all |

The first is the one with the lowest id of those that are alive. For a moment two nodes may both believe to be it. A
node without a lease, because Redis is away, is the first of itself alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from passerby.errors import PasserbyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from passerby.nodes.bus import Bus, Frame
    from passerby.nodes.membership import Membership
    from passerby.nodes.requests import Requests

TELL: Final = 30

_DUE: Final = "round is due"
_SHARE: Final = "share of a round"
_PATIENCE: Final = 0.5
"""Seconds that a node has for its answer. One that is frozen delays each round by that, until it counts as gone."""


class Rounds:
    """One node's part."""

    def __init__(
        self,
        bus: Bus,
        requests: Requests,
        membership: Membership,
        *,
        share: Callable[[], Awaitable[bytes]],
        due: Callable[[], object],
        told: Callable[[bytes], object],
    ) -> None:
        """`await share()` is what this node has; `due()` and `told(…)` are called when another node says so."""
        self._bus = bus
        self._requests = requests
        self._membership = membership
        self._due = due
        self._told = told
        self._shares: dict[str, bytes] = {}
        """What other nodes had lately."""
        bus.take(TELL, self._take)
        requests.serve(_DUE, self._announced)
        requests.serve(_SHARE, lambda _: share())

    @property
    def nodes(self) -> set[str]:
        """The ids of the nodes that have rounds together: those that are alive; without a lease this one alone."""
        return self._membership.alive() if self._membership.holds() else {self._bus.node}

    @property
    def is_first(self) -> bool:
        """Whether this node is the first."""
        return min(self.nodes) == self._bus.node

    @property
    def count(self) -> int:
        """How many nodes are alive, with this one."""
        return len(self._membership.alive())

    async def announce(self) -> bool:
        """Let the first node know that a round is due; return whether it does."""
        return await self._ask(min(self.nodes), _DUE) is not None

    async def _announced(self, _: bytes) -> bytes:
        self._due()
        return b""

    async def gather(self) -> list[bytes]:
        """Return what each other node has. One that does not answer gives what it had the last time."""
        others = self._others()
        if not others:
            return []
        shares = await asyncio.gather(*(self._ask(node, _SHARE) for node in others))
        given = {node: share for node, share in zip(others, shares, strict=True) if share is not None}
        kept = self._shares.keys() & self._others()
        self._shares = {node: share for node, share in self._shares.items() if node in kept} | given
        return list(self._shares.values())

    def tell(self, what: bytes) -> None:
        """Tell each other node."""
        for node in self._others():
            self._bus.send(node, (TELL, what))

    def _others(self) -> list[str]:
        return [node for node in self.nodes if node != self._bus.node]

    async def _ask(self, node: str, question: str) -> bytes | None:
        try:
            return await self._requests.ask(node, question, b"", _PATIENCE)
        except (PasserbyError, TimeoutError):
            return None

    def _take(self, _: str, frame: Frame) -> None:
        _, what = frame
        self._told(what)
