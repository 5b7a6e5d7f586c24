"""Waiting for the answers to several commands that are sent together."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

from passerby.redis.errors import RedisError

if TYPE_CHECKING:
    from passerby.redis.connection import Done, Reply


class Answers:
    """The answers to commands: `redis.send(answers.next(), "GET", key)` for each, then `await answers.all()`."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._replies: list[Reply | RedisError] = []
        self._missing = 0
        self._complete: asyncio.Future[None] | None = None

    def next(self) -> Done:
        """Return what takes the answer to one more command."""
        self._replies.append(None)
        self._missing += 1
        return partial(self._take, len(self._replies) - 1)

    def _take(self, place: int, reply: Reply | RedisError) -> None:
        self._replies[place] = reply
        self._missing -= 1
        if not self._missing and self._complete is not None and not self._complete.done():
            self._complete.set_result(None)

    async def each(self) -> list[Reply | RedisError]:
        """Wait for all; return the answers and errors in the order of `next`."""
        if self._missing:
            self._complete = asyncio.get_running_loop().create_future()
            await self._complete
        return self._replies

    async def all(self) -> list[Reply]:
        """Wait for all; return the answers in the order of `next`. Raises the first RedisError, if there is one."""
        replies = await self.each()
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return cast("list[Reply]", replies)
