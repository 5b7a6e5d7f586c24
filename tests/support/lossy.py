"""A Redis that loses commands, or their answers, when a test says so."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Literal

from passerby.redis.client import LostError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from passerby.redis.client import Done, Part, Redis, RedisError, Reply, Script

Fate = Literal["fine", "unsent", "unanswered", "refused"]
"""What becomes of a command: it works, is lost, is applied but its answer is lost, or is answered with an error."""


class LossyRedis:
    """Stands in for a Redis, and uses it. Each command takes the next of `fates`; without one it works."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.is_up = True
        self.fates: deque[Fate] = deque()

    @property
    def is_usable(self) -> bool:
        return self.is_up and self._redis.is_usable

    @property
    def prefix(self) -> str:
        return self._redis.prefix

    def key(self, name: str) -> str:
        return self._redis.key(name)

    def send(self, done: Done, *parts: Part) -> None:
        self._send(done, lambda then: self._redis.send(then, *parts))

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.send(partial(_settle, future), *parts)
        return future

    def run_then(self, done: Done, script: Script, keys: Sequence[str], *arguments: Part) -> None:
        arguments = tuple(arguments)
        self._send(done, lambda then: self._redis.run_then(then, script, keys, *arguments))

    def run(self, script: Script, keys: Sequence[str], *arguments: Part) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.run_then(partial(_settle, future), script, keys, *arguments)
        return future

    def _send(self, done: Done, work: Callable[[Done], None]) -> None:
        fate = self.fates.popleft() if self.fates else "fine"
        if fate == "fine":
            work(done)
        elif fate == "unanswered":
            work(lambda _: done(LostError("the answer is lost")))
        else:
            error = LostError("lost") if fate == "unsent" else RefusedError("OOM command not allowed")
            asyncio.get_running_loop().call_soon(done, error)


def _settle(future: asyncio.Future[Reply], reply: Reply | RedisError) -> None:
    if future.done():
        return
    if isinstance(reply, OSError):
        future.set_exception(reply)
    else:
        future.set_result(reply)
