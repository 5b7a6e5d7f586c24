"""The membership within one process: for tests, and for a Passerby of one node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.clock import sleep
from passerby.nodes.bus import VERSION
from passerby.nodes.members import Members, boottime
from passerby.nodes.membership import LEASE, RENEWAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.background import Background
    from passerby.nodes.bus import Bus


class MemoryLeases:
    """The leases of all nodes of one process."""

    def __init__(self, now: Callable[[], float] = boottime) -> None:
        """`now` returns seconds."""
        self._now = now
        self._until: dict[str, float] = {}
        self.is_away = False
        """Whether nobody can look or renew."""

    def look(self, node: str) -> dict[str, tuple[float, int]]:
        """Renew the lease of a node; return all."""
        now = self._now()
        self._until[node] = now + LEASE
        return {other: (until - now, VERSION) for other, until in self._until.items() if until > now}

    def end(self, node: str) -> None:
        """End a lease."""
        self._until.pop(node, None)


class MemoryMembership:
    """See Membership."""

    def __init__(
        self, leases: MemoryLeases, bus: Bus, background: Background, now: Callable[[], float] = boottime
    ) -> None:
        """`now` is a clock that goes on during pauses, in seconds."""
        self.node = bus.node
        self._leases = leases
        self._background = background
        self._members = members = Members(bus, background, now)
        self.alive = members.alive
        self.others = members.others
        self.staying = members.staying
        self.leave = members.leave
        self.version = members.version
        self.on_gone = members.on_gone
        self.on_expired = members.on_expired
        self.holds = members.holds
        self._is_closed = False

    def start(self) -> None:
        """See Membership."""
        self._background.repeat("renewal of the lease", self._step)

    async def is_alive(self, node: str) -> bool:
        """See Membership."""
        if node not in self._members.alive():
            await self.look()
        return node in self._members.alive()

    def gone(self, node: str) -> None:
        """See Membership."""
        if node != self.node and self._members.version(node):
            self._leases.end(node)
            self._members.tell_gone(node)

    async def close(self) -> None:
        """See Membership."""
        self._is_closed = True
        self._members.tell_goodbye()
        self._leases.end(self.node)

    async def look(self) -> bool:
        """Renew the own lease, and look at the others; return whether that was possible."""
        begun = self._members.begin()
        if self._leases.is_away or self._is_closed:
            return False
        self._members.looked(begun, self._leases.look(self.node))
        return True

    async def _step(self) -> None:
        await self.look()
        await sleep(self._background.clock, RENEWAL)
