"""Rounds: one node, the first, gathers what all nodes have, and tells all of them what is to be known.

| frame | |
|---|---|
| `(30, told)` | what the first node tells all: the statistics |
| `(31, told)` | the same: the searches |

The first is the one with the lowest id of those that are alive. For a moment two nodes may both believe to be it. A
node without a lease, because Redis is away, is the first of itself alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from passerby.errors import PasserbyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from passerby.nodes.bus import Bus, Frame
    from passerby.nodes.membership import Membership
    from passerby.nodes.requests import Requests


class Subject(Struct, frozen=True):
    """What rounds are about."""

    tell: int
    """The kind of the frames."""
    due: str
    share: str
    """The names of the requests."""
    remembers: bool
    """Whether a node that does not answer gives what it had the last time; otherwise it is left out."""


STATISTICS: Final = Subject(30, "round is due", "share of a round", remembers=True)
SEARCHES: Final = Subject(31, "round of searches is due", "share of a round of searches", remembers=False)
_PATIENCE: Final = 0.5
"""Seconds that a node has for its answer. One that is frozen delays each round by that, until it counts as gone."""


class Rounds:
    """One node's part."""

    def __init__(
        self,
        bus: Bus,
        requests: Requests,
        membership: Membership,
        subject: Subject,
        *,
        share: Callable[[], Awaitable[bytes]],
        due: Callable[[], object],
        told: Callable[[bytes], object],
    ) -> None:
        """`await share()` is what this node has; `due()` and `told(…)` are called when another node says so."""
        self._bus = bus
        self._requests = requests
        self._membership = membership
        self._subject = subject
        self._due = due
        self._told = told
        self._shares: dict[str, bytes] = {}
        """What other nodes had lately."""
        bus.take(subject.tell, self._take)
        requests.serve(subject.due, self._announced)
        requests.serve(subject.share, lambda _: share())

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
        return await self._ask(min(self.nodes), self._subject.due) is not None

    async def _announced(self, _: bytes) -> bytes:
        self._due()
        return b""

    async def gather(self) -> list[bytes]:
        """Return what each other node has. What of one that does not answer: see `Subject.remembers`."""
        others = self._others()
        if not others:
            return []
        shares = await asyncio.gather(*(self._ask(node, self._subject.share) for node in others))
        given = {node: share for node, share in zip(others, shares, strict=True) if share is not None}
        kept = self._shares.keys() & self._others() if self._subject.remembers else ()
        self._shares = {node: share for node, share in self._shares.items() if node in kept} | given
        return list(self._shares.values())

    def tell(self, what: bytes) -> None:
        """Tell each other node."""
        for node in self._others():
            self._bus.send(node, (self._subject.tell, what))

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
