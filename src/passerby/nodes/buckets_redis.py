"""Buckets of client addresses in Redis, which all nodes share, and in this process's memory.

| key | |
|---|---|
| `limit:{<widest network>}:<limit>:<network>` | string: from when the bucket has a token; it expires when it is full |

All networks of an address are in one slot. The server's clock alone counts.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from passerby.limits import AddressLimit, take_all
from passerby.redis.client import RedisError, Script

if TYPE_CHECKING:
    from collections.abc import Collection

    from passerby.clock import Clock
    from passerby.limits import Rate, TokenBucket
    from passerby.redis.client import Done, Part, Redis, Reply

_TAKE: Final = Script(Path(__file__).with_name("buckets_take.lua"))
_MICRO: Final = 1e6
"""Microseconds of a second."""


class RedisBuckets:
    """The buckets of all nodes.

    Each node has buckets of its own, too. They have what this node has taken, and what the answers have told of the
    others: never less than what Redis would allow. So who floods one node costs Redis nothing, and an outage of Redis
    brings nobody a new burst there. What is taken during an outage, the other nodes never learn: at most a burst for
    each node.

    A node that is alone waits for no answer: nobody else takes anything. Redis learns all, for a node that joins.
    """

    def __init__(self, redis: Redis, clock: Clock, name: str, rate: Rate, others: Collection[str]) -> None:
        """Allow `rate` for each address; `name` is that of the limit, for the keys.

        `others` are the other nodes that are alive: a view of them.
        """
        self._redis = redis
        self._others = others
        self._clock = clock
        self._name = name
        self._own = AddressLimit(rate, clock)
        self._arguments: dict[float, tuple[Part, Part]] = {}
        """What the script gets of a bucket, by its interval: each of three kinds has another."""

    def change(self, rate: Rate) -> None:
        """See Buckets."""
        self._own.change(rate)
        self._arguments.clear()

    async def take(self, address: str) -> float:
        """See Buckets."""
        if not self._others:
            return self.take_at_once(address)
        buckets = self._own.buckets(address)
        asked = self._clock.monotonic()
        wait = take_all(buckets.values(), asked)
        if wait or not self._redis.is_usable:
            return wait
        keys, arguments = self._call(buckets)
        try:
            reply = await self._redis.run(_TAKE, keys, 0, *arguments)
        except RedisError:
            return 0.0  # this node's bucket has had a token
        return _learn(list(buckets.values()), asked, reply)

    def take_at_once(self, address: str) -> float:
        """See Buckets."""
        buckets = self._own.buckets(address)
        asked = self._clock.monotonic()
        wait = take_all(buckets.values(), asked)
        if not wait and self._redis.is_usable:
            keys, arguments = self._call(buckets)
            done: Done = partial(_settled, list(buckets.values()), asked)
            self._redis.run_then(done, _TAKE, keys, 1, *arguments)
        return wait

    def _call(self, buckets: dict[str, TokenBucket]) -> tuple[list[str], list[Part]]:
        """Return keys of buckets, and what the script has to know of each."""
        widest = next(reversed(buckets))
        keys = [self._redis.key(f"limit:{{{widest}}}:{self._name}:{network}") for network in buckets]
        arguments: list[Part] = []
        for bucket in buckets.values():
            known = self._arguments.get(bucket.interval)
            if known is None:
                known = f"{bucket.interval * _MICRO:.6f}", f"{bucket.reserve * _MICRO:.6f}"
                self._arguments[bucket.interval] = known
            arguments += known
        return keys, arguments


def _settled(buckets: list[TokenBucket], asked: float, reply: Reply | RedisError) -> None:
    """A take has become known to all nodes, or could not; then it has been taken here."""
    if not isinstance(reply, RedisError):
        _learn(buckets, asked, reply)


def _learn(buckets: list[TokenBucket], asked: float, reply: Reply) -> float:
    """Let this node's buckets know what all nodes have taken; return 0.0 or the seconds until the next token.

    `asked` is when Redis was asked. Its answer is of a moment later, so no bucket waits longer than the shared one.
    """
    is_taken, *waits = reply if isinstance(reply, list) else [1]
    longest = 0.0
    for bucket, wait in zip(buckets, waits, strict=False):
        if not is_taken:
            bucket.give_back()
        seconds = wait / _MICRO if isinstance(wait, int) else 0.0
        bucket.ready_at = max(bucket.ready_at, asked + seconds)
        longest = max(longest, seconds)
    return 0.0 if is_taken else max(longest, 1 / _MICRO)
