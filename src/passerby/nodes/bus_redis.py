"""The bus over Redis: each node subscribes to a channel of its own, `bus:<node id>` after the prefix.

In a Cluster it is a sharded channel, `bus:{<node id>}`, which is on one node of the Cluster only. All frames for one
node of one turn of the event loop are one PUBLISH; see `pairs` for what is in it, and what happens when it is lost.

The subscription has a connection of its own, because nothing tells that it has ended: PING and a deadline watch it, as
any connection to Redis. While it, or Redis, is away nothing can be sent: frames would come, but no answers.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from passerby.clock import sleep, time_limit
from passerby.logs import Sampled
from passerby.nodes.pairs import OUTBOX_LIMIT, Pairs
from passerby.redis.errors import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.background import Background
    from passerby.redis.client import Redis
    from passerby.redis.subscription import Subscription

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.1
"""Seconds between two attempts to subscribe; doubled after each that fails, or whose subscription ends soon."""
LONGEST_PAUSE: Final = 1.0
"""Maximum seconds between two attempts."""
STEADY: Final = 5.0
"""Seconds that a subscription must last, so that the pauses begin anew."""


class RedisBus:
    """See Bus."""

    def __init__(self, redis: Redis, node: str, background: Background, outbox_limit: int = OUTBOX_LIMIT) -> None:
        """At most `outbox_limit` bytes wait for the server's answers, for each node."""
        self.node = node
        self._redis = redis
        self._background = background
        self._command, self._form = ("SPUBLISH", "bus:{{{}}}") if redis.is_cluster else ("PUBLISH", "bus:{}")
        self.pairs = pairs = Pairs(node, background, self._publish, outbox_limit)
        """Its counts."""
        self.take = pairs.take
        self.on_lost = pairs.on_lost
        self.send = pairs.send
        self.gone = pairs.gone
        self._subscription: Subscription | None = None
        self._arrived: list[bytes] = []
        """Messages that were read in this turn of the loop."""
        self._is_usable = asyncio.Event()
        """Whether Redis is in use."""
        self._is_up = asyncio.Event()
        self._is_lost = asyncio.Event()
        """Set when the subscription has ended."""
        self._failures = 0
        """Attempts in a row that failed, or led to a subscription that ended soon."""
        self._refused = Sampled(log.warning, "the bus cannot subscribe to its channel", background.clock.monotonic)
        self._is_closed = False
        self.subscriptions = 0
        """How often it has subscribed."""
        redis.watch.on_use(self._usable, self._unusable)
        if redis.is_usable:
            self._is_usable.set()

    def channel(self, node: str) -> str:
        """Return the name of a node's channel."""
        return self._redis.key(self._form.format(node))

    def start(self) -> None:
        """Subscribe as soon as Redis is in use, and again whenever that is lost."""
        self._background.repeat("subscription of the bus", self._listen)

    async def ready(self, seconds: float) -> bool:
        """Wait until frames can be sent and received, for at most `seconds`; return whether it is so."""
        try:
            async with time_limit(self._background.clock, seconds):
                await self._is_up.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """See Bus."""
        self._is_closed = True
        self.pairs.close()
        self._end()

    # ── the subscription ──────────────────────────────────────────────────────────────────────────

    def _publish(self, node: str, message: bytes, done: Callable[[object], None]) -> None:
        self._redis.send(done, self._command, self.channel(node), message)

    def _receive(self, message: bytes) -> None:
        """Handle a message when all is read that can be read now, with what clients have sent: see `socketio.turn`.

        So what both members of a room have said is in the log with one command, and they get it with one write.
        """
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._handle_arrived)
        self._arrived.append(message)

    def _handle_arrived(self) -> None:
        arrived, self._arrived = self._arrived, []
        for message in arrived:
            self.pairs.receive(message)

    async def _listen(self) -> None:
        """Subscribe, and wait until that is lost."""
        await self._is_usable.wait()
        if self._is_closed:
            await asyncio.Event().wait()  # until the loops are cancelled
        self._is_lost.clear()
        try:
            subscription = await self._redis.subscribe(self.channel(self.node), self._receive, self._lost)
        except RedisError:
            if self._is_usable.is_set():
                self._refused.note()
            await self._pause()
            return
        if self._is_lost.is_set():  # meanwhile
            subscription.close()
            await self._pause()
            return
        self._subscription = subscription
        self.subscriptions += 1
        self.pairs.up()
        self._is_up.set()
        since = self._background.clock.monotonic()
        await self._is_lost.wait()
        if self._background.clock.monotonic() - since >= STEADY:
            self._failures = 0
        await self._pause()

    async def _pause(self) -> None:
        """Wait before the next attempt, longer each time; not at all after the first."""
        if self._failures:
            await sleep(self._background.clock, min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE))
        self._failures = min(self._failures + 1, 10)

    def _usable(self) -> None:
        """Redis is used in a moment, or its Cluster has changed."""
        self._is_usable.set()
        asyncio.get_running_loop().call_soon(self._stay_with_the_channel)

    def _stay_with_the_channel(self) -> None:
        """After a failover the channel is on another server, and this one, a replica, is not counted by PUBLISH."""
        place = self._redis.place(self.channel(self.node))
        if self._subscription is not None and place is not None and self._subscription.address != place:
            self._end()

    def _unusable(self) -> None:
        """Redis is not used any longer."""
        self._is_usable.clear()
        self._end()

    def _end(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()
        self._lost()

    def _lost(self) -> None:
        """The subscription has ended."""
        self._is_up.clear()
        self._is_lost.set()
        if not self._is_closed:
            self.pairs.down()
