"""Lets a process, its connection to Redis, or Redis itself fail between any two commands."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from passerby.background import Background
from passerby.clock import SystemClock
from passerby.redis.client import LostError, Redis
from passerby.redis.links import ServerLink
from tests.support.valkey import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from passerby.redis.client import Done, Part, RedisError, Reply, Script
    from passerby.redis.links import Link
    from passerby.redis.watch import Watch


class Failure(Enum):
    """What happens at a command. Those before it are done, and answered if the process lives on."""

    DEATH_BEFORE = "the process dies before the command is sent"
    DEATH_AFTER = "the process dies after it is sent"
    COMMAND_LOST = "the connection is lost before it is sent"
    ANSWER_LOST = "the command is done, but the connection is lost before the answer"
    FLUSH = "all data is removed before it"
    SCRIPTS_LOST = "all scripts are forgotten before it"
    CUT_OFF = "the connection is lost before it is sent, and there is no other until `come_back`"
    RESTART = "the same, and all data is gone"

    @property
    def kills(self) -> bool:
        """Whether the process dies."""
        return self in (Failure.DEATH_BEFORE, Failure.DEATH_AFTER)


class Failures:
    """What goes wrong for one process, and where."""

    def __init__(self, watch: Watch, happened: Counter[Failure]) -> None:
        """Stand between the process and the connections that it will open; count what happens."""
        self._happened = happened
        self._watch = watch
        self._connect, watch._connect = watch._connect, self._open
        self._armed: Failure | None = None
        self._left = 0
        self._opening = 0
        self._link: _Link | None = None
        self.died: Callable[[], None] = lambda: None
        """Called when the process dies: nothing that it does from now on has an effect."""
        self.is_held = False
        """Whether nothing fails now, and no command counts: the tests themselves look at something."""
        self.is_dead = False
        self.is_cut_off = False
        self.is_empty = False
        """Whether all data was removed since `heal`."""

    def arm(self, failure: Failure, commands: int) -> None:
        """Let the failure happen after so many commands more."""
        self._armed, self._left = failure, commands

    def disarm(self) -> None:
        self._armed = None

    @property
    def is_armed(self) -> bool:
        return self._armed is not None

    @property
    def is_busy(self) -> bool:
        """Whether an answer of the server is awaited, or a new connection."""
        return self._opening > 0 or (self._link is not None and self._link.is_busy)

    def come_back(self) -> None:
        self.is_cut_off = False

    def die(self) -> None:
        if not self.is_dead:
            self.is_dead = True
            self.died()

    async def end(self) -> None:
        """The process is dead: end its connection, when everything was done that it had sent."""
        if self._link is not None:
            await self._link.end()

    async def _open(self) -> Link:
        self._opening += 1
        try:
            if self.is_cut_off or self.is_dead:
                raise LostError("it cannot be reached")
            link = await self._connect()
        finally:
            self._opening -= 1
        assert isinstance(link, ServerLink)
        self._link = _Link(link, self)
        return self._link

    def next(self) -> Failure | None:
        """Return what happens at the next command."""
        if self._armed is None or self.is_held:
            return None
        if self._left:
            self._left -= 1
            return None
        failure, self._armed = self._armed, None
        self._happened[failure] += 1
        return failure


class _Link:
    """See `passerby.redis.links.Link`."""

    def __init__(self, inner: ServerLink, failures: Failures) -> None:
        self._inner = inner
        self._connection = inner._connection
        self._failures = failures
        self._held: list[Done] | None = None
        """The commands after the one at which the connection is lost: they are not sent."""
        self.claim = inner.claim
        self.place = inner.place
        self.drain = inner.drain
        self.close = inner.close

    @property
    def is_busy(self) -> bool:
        return self._connection.is_open and bool(self._connection._waiting)

    def send(self, done: Done, parts: Sequence[Part]) -> None:
        self._pass(done, lambda done: self._inner.send(done, parts))

    def run(self, done: Done, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> None:
        self._pass(done, lambda done: self._inner.run(done, script, keys, arguments))

    def _pass(self, done: Done, forward: Callable[[Done], None]) -> None:
        failures = self._failures
        if failures.is_dead:
            return
        if self._held is not None:
            self._held.append(done)
            return
        match failures.next():
            case None:
                forward(partial(self._answered, done))
            case Failure.DEATH_BEFORE:
                failures.die()
            case Failure.DEATH_AFTER:
                forward(_ignore)
                failures.die()
            case Failure.ANSWER_LOST:
                forward(partial(self._lose_answer, done))
            case Failure.FLUSH:
                failures.is_empty = True
                self._inner.send(_ignore, ("FLUSHALL",))
                forward(partial(self._answered, done))
            case Failure.SCRIPTS_LOST:
                self._inner.send(_ignore, ("SCRIPT", "FLUSH"))
                forward(partial(self._answered, done))
            case failure:
                self._held = [done]
                failures.is_cut_off = failure in (Failure.CUT_OFF, Failure.RESTART)
                failures.is_empty = failure is Failure.RESTART
                self._inner.send(self._cut, ("FLUSHALL" if failures.is_empty else "PING",))

    def _answered(self, done: Done, reply: Reply | RedisError) -> None:
        if not self._failures.is_dead:
            done(reply)

    def _lose_answer(self, done: Done, _: Reply | RedisError) -> None:
        self._inner.close()
        self._answered(done, LostError("the connection is lost"))

    def _cut(self, _: Reply | RedisError) -> None:
        self._inner.close()
        held, self._held = self._held or [], []
        for done in held:
            self._answered(done, LostError("the connection is lost"))

    async def end(self) -> None:
        """End the connection when everything is done that was sent."""
        if self._connection.is_open:
            await asyncio.wait([self._connection.command("PING")])
            self._inner.close()


def _ignore(_: Reply | RedisError) -> None:
    """Do nothing."""


@asynccontextmanager
async def failing(url: str) -> AsyncIterator[tuple[Redis, Failures]]:
    """Connect to a server as a process of its own, which may fail."""
    background = Background(SystemClock())
    redis = Redis(url, "", background)
    failures = Failures(redis.watch, Counter())
    redis.start()
    try:
        assert await redis.ready(PATIENCE), redis.watch.reason
        yield redis, failures
    finally:
        await background.wind_down(1)
        await redis.close()
        await background.stop(1)
