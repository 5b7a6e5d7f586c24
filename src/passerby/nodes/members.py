"""What the adapters of the membership share: the view of the others, what is told over the bus, the own lease.

| frame | |
|---|---|
| `(20,)` | the sender says goodbye |
| `(21, node)` | the sender knows that `node` is gone |
| `(22,)` | the sender is new |
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from passerby.nodes.bus import VERSION
from passerby.nodes.membership import LEASE, OWN_LEASE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from passerby.background import Background
    from passerby.nodes.bus import Bus, Frame

GOODBYE: Final = 20
GONE: Final = 21
NEW: Final = 22
LEAVING: Final = 23

_OUTAGE: Final = 2.0
"""Seconds without a look after which the others get a whole lease to renew theirs: they had no way to."""


_REMEMBERED: Final = 60.0
"""Seconds that a node which is gone is remembered: it is told by several, one after the other."""


def boottime() -> float:
    """Return seconds of a clock that goes on while the process, or the machine, is paused."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Members:
    """One node's view. `looked` tells it what there is; times are seconds of `now`."""

    def __init__(self, bus: Bus, background: Background, now: Callable[[], float] = boottime) -> None:
        """Take the frames of the membership from `bus`."""
        self.node = bus.node
        self._bus = bus
        self._background = background
        self._now = now
        self._until: dict[str, float] = {}
        """When the lease of each other node ends."""
        self._versions: dict[str, int] = {self.node: VERSION}
        self._ended: dict[str, float] = {}
        """When nodes have gone lately: a look that began before may still have seen them."""
        self._leaving: set[str] = set()
        """Those of the others that take no guests any more."""
        self._gone: list[Callable[[str, bool], None]] = []
        self._expired: list[Callable[[], None]] = []
        self._own_until = math.inf
        """When the own lease ends; never before the first renewal."""
        self.look: Callable[[], object] = _look_later
        """Looks at the others at once."""
        self._looked = -math.inf
        """When the last look succeeded."""
        bus.take(GOODBYE, self._take_goodbye)
        bus.take(GONE, self._take_gone)
        bus.take(NEW, self._take_new)
        bus.take(LEAVING, self._take_leaving)

    # ── the port ──────────────────────────────────────────────────────────────────────────────────

    def alive(self) -> set[str]:
        """See Membership."""
        return {self.node, *self._until}

    def others(self) -> AbstractSet[str]:
        """See Membership."""
        return self._until.keys()

    def staying(self) -> set[str]:
        """See Membership."""
        return self._until.keys() - self._leaving

    def version(self, node: str) -> int:
        """See Membership."""
        return self._versions.get(node, 0)

    def on_gone(self, gone: Callable[[str, bool], None]) -> None:
        """See Membership."""
        self._gone.append(gone)

    def on_expired(self, expired: Callable[[], None]) -> None:
        """See Membership."""
        self._expired.append(expired)

    def holds(self) -> bool:
        """See Membership."""
        if self._now() < self._own_until:
            return True
        if self._own_until != -math.inf:
            self._own_until = -math.inf
            for expired in self._expired:
                self._background.attempt("end of the own lease", expired)
        return False

    def tell_gone(self, node: str) -> None:
        """Tell all nodes that one is gone, also this one."""
        for other in self._until:
            if other != node:
                self._bus.send(other, (GONE, node))
        self.lose(node)

    def greet(self) -> None:
        """Tell all nodes that this one is new: they would find it with their next look."""
        for other in self._until:
            self._bus.send(other, (NEW,))

    def leave(self) -> None:
        """See Membership."""
        for other in self._until:
            self._bus.send(other, (LEAVING,))

    def tell_goodbye(self) -> None:
        """Tell all nodes that this one goes."""
        for other in self._until:
            self._bus.send(other, (GOODBYE,))

    # ── what happens ──────────────────────────────────────────────────────────────────────────────

    def begin(self) -> float:
        """A look, with a renewal of the own lease, begins; return when. Before, the own lease is looked at."""
        self.holds()
        return self._now()

    def looked(self, begun: float, found: Mapping[str, tuple[float, int]]) -> None:
        """The look that began at `begun` has succeeded: `found` has each node's rest of its lease, and its version."""
        self.holds()
        now = self._now()
        if now - begun < OWN_LEASE:
            self._own_until = begun + OWN_LEASE
        if now - self._looked > _OUTAGE:
            for node in self._until:
                self._until[node] = now + LEASE
        self._looked = now
        for node, (rest, version) in found.items():
            if node != self.node and rest > 0 and self._ended.get(node, -math.inf) < begun:
                self._until[node] = now + rest
                self._versions[node] = version
        for node in [node for node, until in self._until.items() if until <= now and node not in found]:
            self.lose(node, is_certain=False)
        for node in [node for node, ended in self._ended.items() if now - ended > _REMEMBERED]:
            del self._ended[node]

    def lose(self, node: str, *, is_certain: bool = True) -> None:
        """A node is gone; nobody else is told."""
        self._versions.pop(node, None)
        self._leaving.discard(node)
        is_known = self._until.pop(node, None) is not None or node not in self._ended
        self._ended[node] = self._now()
        self._bus.gone(node)
        if not is_known:  # several others have told so
            return
        for gone in self._gone:
            self._background.attempt("node that is gone", gone, node, is_certain)

    def _take_goodbye(self, node: str, _: Frame) -> None:
        self.lose(node)

    def _take_leaving(self, node: str, _: Frame) -> None:
        if node in self._until:
            self._leaving.add(node)

    def _take_new(self, node: str, _: Frame) -> None:
        if node not in self._until:
            self.look()

    def _take_gone(self, _: str, frame: Frame) -> None:
        _, node = frame
        if node != self.node:
            self.lose(node)


def _look_later() -> None:
    """Do nothing: there is a look soon anyway."""
