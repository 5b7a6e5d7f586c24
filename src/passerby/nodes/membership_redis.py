"""The membership in Redis.

| key | |
|---|---|
| `alive` | sorted set of `<node id> <version> <process>`, by when the lease ends: milliseconds of the server's clock |

One script renews the own lease and returns all others. It is one key, so that one look needs one command, in a Cluster
too. The clocks of the nodes need not agree. The keys `node:<id>` are those of the counters, and have nothing to do
with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from passerby.clock import sleep
from passerby.nodes.bus import VERSION
from passerby.nodes.members import Members, boottime
from passerby.nodes.membership import LEASE, RENEWAL
from passerby.nodes.processes import identity, is_dead
from passerby.redis.client import RedisError, Script

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.background import Background
    from passerby.nodes.bus import Bus
    from passerby.redis.client import Redis, Reply

_LOOK: Final = Script(Path(__file__).with_name("membership_look.lua"))
_DIGITS: Final = 10
"""A version has fewer."""
_LONGEST: Final = 2000 * LEASE
"""Milliseconds: a lease that lasts longer is not of this time, because the server's clock was set back."""


class RedisMembership:
    """See Membership."""

    def __init__(self, redis: Redis, bus: Bus, background: Background, now: Callable[[], float] = boottime) -> None:
        """`now` is a clock that goes on during pauses, in seconds."""
        self.node = bus.node
        self._redis = redis
        self._background = background
        self._key = redis.key("alive")
        self._member = f"{self.node} {VERSION} {identity()}"
        self._listed: dict[str, str] = {}
        """What the set has of each other node, at the last look."""
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
        members.look = self._look_now

    def start(self) -> None:
        """See Membership."""
        self._background.repeat("renewal of the lease", self._step)

    async def is_alive(self, node: str) -> bool:
        """See Membership."""
        if node in self._members.alive():
            return True
        await self.look()
        return node in self._members.alive()

    def gone(self, node: str) -> None:
        """See Membership."""
        if self._members.version(node) and node != self.node:
            self._remove(node)
            self._members.tell_gone(node)

    def _remove(self, node: str) -> None:
        listed = self._listed.pop(node, None)
        if listed is not None:
            self._redis.send(_nobody_waits, "ZREM", self._key, listed)

    async def close(self) -> None:
        """See Membership. The frames on the bus are sent in the next turn of the loop."""
        self._is_closed = True
        self._members.tell_goodbye()
        if self._redis.is_usable:
            self._redis.send(_nobody_waits, "ZREM", self._key, self._member)

    async def look(self) -> bool:
        """Renew the own lease, and look at the others; return whether that was possible."""
        begun = self._members.begin()
        if not self._redis.is_usable or self._is_closed:
            return False
        try:
            reply = await self._redis.run(_LOOK, [self._key], self._member, round(LEASE * 1000))
        except RedisError:
            self._members.holds()
            return False
        found = _found(reply)
        self._listed = {node: member for node, (member, *_) in found.items()}
        for node, (member, *_) in list(found.items()):
            if node != self.node and is_dead(member.partition(" ")[2].partition(" ")[2]):
                del found[node]
                self._remove(node)
                self._members.tell_gone(node)  # also if it was never seen alive
        self._members.looked(begun, {node: (rest, version) for node, (_, rest, version) in found.items()})
        return True

    async def greet(self) -> None:
        """Look at the others, and tell them that this node is new."""
        if await self.look():
            self._members.greet()

    def _look_now(self) -> None:
        self._background.start("look at a new node", self._look_once())

    async def _look_once(self) -> None:
        await self.look()

    async def _step(self) -> None:
        await self.look()
        await sleep(self._background.clock, RENEWAL)


def _found(reply: Reply) -> dict[str, tuple[str, float, int]]:
    """Return each node's member of the set, the seconds its lease lasts, its version. What is damaged is left out."""
    found = {}
    pairs = iter(reply if isinstance(reply, list) else [])
    for encoded, rest in zip(pairs, pairs, strict=False):
        member = encoded.decode(errors="replace") if isinstance(encoded, bytes) else ""
        node, version, *_ = f"{member}  ".split(" ")
        if node and version.isdecimal() and len(version) < _DIGITS and isinstance(rest, int) and rest <= _LONGEST:
            found[node] = (member, rest / 1000, int(version))
    return found


def _nobody_waits(_: object) -> None:
    """Ignore the answer: without it the lease ends by itself."""
