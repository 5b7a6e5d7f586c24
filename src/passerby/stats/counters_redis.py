"""Counters in Redis, and in this process's memory, which goes on alone while Redis is away.

| key | |
|---|---|
| `node:<id>` | hash: the counts of a node; it expires, so a lost node counts no longer |
| `nodes` | sorted set of the nodes' ids, so that they are found |
| `active_user_count` | the connected guests of all nodes, kept by their differences; it expires after 300 s |
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from passerby.logs import Sampled
from passerby.redis.answers import Answers
from passerby.redis.client import LostError, RedisError, Script
from passerby.stats.counters import Tally, sum_of
from passerby.stats.counters_memory import MemoryCounters

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.redis.client import Redis, Reply

log = logging.getLogger(__name__)

_REPORT: Final = Script(Path(__file__).with_name("node_report.lua"))
_LIST: Final = Script(Path(__file__).with_name("nodes_list.lua"))
_COUNT: Final = Script(Path(__file__).with_name("active_users.lua"))

_LIFETIME: Final = 300
"""Seconds until `active_user_count` expires (contract), and until a node that is silent is no longer listed."""
_LARGEST: Final = 10**9
"""Guests of a node; more is no count."""
_CHECK_EVERY: Final = 1.5
"""Seconds between two comparisons of `active_user_count` with the nodes' counts: a little less than between two
heartbeats, so that each of them compares."""


class RedisCounters:
    """The tallies of all nodes. Each adds its differences to `active_user_count`.

    What a killed node has added stays there. Therefore each node compares the count with the sum of all nodes.
    """

    def __init__(self, redis: Redis, clock: Clock) -> None:
        """Use `clock` for the expiry in memory."""
        self._redis = redis
        self._clock = clock
        self._memory = MemoryCounters(clock)
        self._nodes = redis.key("nodes")
        self._active = redis.key("active_user_count")
        self._counted: dict[str, int] = {}
        """How many guests of each node of this process `active_user_count` has."""
        self._next_check = -math.inf
        self._damaged = Sampled(log.warning, "values under node:* are no counts and are ignored", clock.monotonic)

    def _key(self, node: str) -> str:
        return self._redis.key(f"node:{node}")

    # ── the port ──────────────────────────────────────────────────────────────────────────────────

    async def report(self, node: str, tally: Tally, lifetime: float) -> None:
        """See Counters. It succeeds also if Redis is away, or refuses."""
        await self._memory.report(node, tally, lifetime)
        if self._redis.is_usable:
            try:
                await self._report(node, tally, lifetime)
                await self._compare()
            except RedisError:
                self._next_check = -math.inf

    async def _report(self, node: str, tally: Tally, lifetime: float) -> None:
        more = tally.online - self._counted.get(node, 0)
        self._counted[node] = tally.online
        answers, listed = Answers(), max(_LIFETIME, math.ceil(lifetime))
        self._redis.run_then(
            answers.next(),
            _REPORT,
            [self._key(node)],
            *(tally.online, tally.chatting, tally.pairs, math.ceil(lifetime * 1000)),
        )
        self._redis.run_then(answers.next(), _LIST, [self._nodes], node, listed)
        self._redis.run_then(answers.next(), _COUNT, [self._active], more, tally.online, _LIFETIME)
        await answers.all()

    async def _compare(self) -> None:
        """Put `active_user_count` right from time to time. Raises RedisError."""
        now = self._clock.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + _CHECK_EVERY
        answers = Answers()
        self._redis.send(answers.next(), "GET", self._active)
        found = await self._alive()
        (count,) = await answers.all()
        # Our own counts are those of this moment: others may have been reported meanwhile.
        others = sum(tally.online for node, tally in found.items() if node not in self._counted)
        right = others + sum(self._counted.values())
        if count != str(right).encode():
            await self._redis.command("SET", self._active, right, "EX", _LIFETIME)

    async def forget(self, node: str) -> None:
        """See Counters. `active_user_count` is put right at the next report."""
        await self._memory.forget(node)
        self._next_check = -math.inf
        if self._redis.is_usable:
            answers = Answers()
            self._redis.send(answers.next(), "DEL", self._key(node))
            self._redis.send(answers.next(), "ZREM", self._nodes, node)
            await answers.each()

    async def total(self) -> Tally:
        """See Counters."""
        if self._redis.is_usable:
            try:
                return sum_of((await self._alive()).values())
            except RedisError:
                pass
        return await self._memory.total()

    async def _alive(self) -> dict[str, Tally]:
        """Return the counts of the nodes that are not lost. Raises RedisError."""
        nodes = await self._redis.command("ZRANGE", self._nodes, 0, -1)
        names = (
            [node.decode(errors="replace") for node in nodes if isinstance(node, bytes)]
            if isinstance(nodes, list)
            else []
        )
        answers = Answers()
        for node in names:
            self._redis.send(answers.next(), "HMGET", self._key(node), "online", "chatting", "pairs")
        found = dict(zip(names, map(self._tally, await answers.each()), strict=True))
        lost = [node for node, tally in found.items() if tally is None]
        if lost:
            self._redis.send(_nobody_waits, "ZREM", self._nodes, *lost)  # a node that only was late lists itself again
        return {node: tally for node, tally in found.items() if tally is not None}

    def _tally(self, reply: Reply | RedisError) -> Tally | None:
        """Return the counts of a node; None if it is lost. Raises LostError."""
        if isinstance(reply, LostError):
            raise reply
        if reply == [None, None, None]:
            return None
        try:
            online, chatting, pairs = map(int, reply)  # type: ignore[arg-type]  # else TypeError
        except (TypeError, ValueError):
            online = chatting = pairs = -1
        if not all(0 <= count <= _LARGEST for count in (online, chatting, pairs)):
            self._damaged.note()
            return None
        return Tally(online, chatting, pairs)

    async def check(self) -> None:
        """See Counters. Memory can always serve."""

    async def close(self) -> None:
        """See Counters. This process's nodes count no longer."""
        counted, self._counted = self._counted, {}
        await self._memory.close()
        if counted and self._redis.is_usable:
            answers = Answers()
            for node in counted:
                self._redis.send(answers.next(), "DEL", self._key(node))
            self._redis.send(answers.next(), "ZREM", self._nodes, *counted)
            self._redis.run_then(answers.next(), _COUNT, [self._active], -sum(counted.values()), 0, _LIFETIME)
            await answers.each()

    # ── when Redis is back ────────────────────────────────────────────────────────────────────────

    async def resync(self) -> None:
        """Report again. Raises RedisError; then it has to be called again."""
        self._next_check = -math.inf
        for node, (left, tally) in self._memory.live().items():
            await self._report(node, tally, left)
        await self._compare()


def _nobody_waits(_: Reply | RedisError) -> None:
    """Ignore the answer: it is done again, or goes by itself."""
