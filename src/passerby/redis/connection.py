"""One connection to one server: commands are pipelined, and answered in order.

RESP2, the protocol, is encoded and parsed by hiredis. All commands of one turn of the event loop are one write.
The connection watches itself: while something is unanswered and no byte has come for `DEADLINE` seconds, it is lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from hiredis import ProtocolError, Reader, pack_command

from passerby.redis.errors import LostError, RedisError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from passerby.background import Background
    from passerby.clock import Timer
    from passerby.redis.script import Script

Part: TypeAlias = str | bytes | int | float
"""One part of a command."""
Reply: TypeAlias = "bytes | int | list[Reply] | None"
"""An answer. In an array an error is a RefusedError."""
Done: TypeAlias = "Callable[[Reply | RedisError], None]"
"""What is called with the answer to a command, or with the error."""

PING_EVERY: Final = 0.5
"""Seconds between two commands of the connection's own, so that a server that has gone is noticed."""
DEADLINE: Final = 1.5
"""Seconds without a byte, while something is unanswered, until the connection is lost: a black hole is noticed
within 2 s, and 1.5 s is far more than a script may take."""
OUTBOX_LIMIT: Final = 64 * 1024 * 1024
"""Maximum number of bytes that wait to be sent."""
_LATE: Final = 0.5
"""Seconds that a look may be late. A process that was paused itself finds the answers not read yet."""
_NOTHING: Final = object()


class Connection(asyncio.Protocol):
    """A connection. After it is lost, or closed, every command fails with LostError."""

    def __init__(
        self,
        background: Background,
        lost: Callable[[LostError], None],
        refused: Callable[[RefusedError], None] | None = None,
    ) -> None:
        """Call `lost` once when the connection ends, before the commands that wait; `refused` with each error reply."""
        self._background = background
        self._clock = background.clock
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._refused = refused
        self._transport: asyncio.Transport | None = None
        self._reader = Reader(replyError=RefusedError, notEnoughData=_NOTHING)
        self._waiting: deque[Done] = deque()
        self._outbox: list[bytes] = []
        self._outbox_size = 0
        self._known: set[str] = set()
        """SHA-1s of the scripts that were sent in full."""
        self._error: LostError | None = None
        """Why it is lost."""
        self.ping: Callable[[], None] = self._ping
        """What is sent every `PING_EVERY` seconds."""
        self._heard = 0.0
        """When the last byte came, or the first command of those that wait was sent; monotonic seconds."""
        self._due = 0.0
        self._timer: Timer | None = None

    # ── commands ──────────────────────────────────────────────────────────────────────────────────

    @property
    def is_open(self) -> bool:
        """Return whether commands can be sent."""
        return self._transport is not None and self._error is None

    def send(self, done: Done, parts: Sequence[Part]) -> None:
        """Queue one command; `done` is called once, later, and in the order of sending.

        If there is no connection, or `OUTBOX_LIMIT` bytes wait, `done` gets LostError and nothing is sent.
        """
        data = pack_command(parts)  # type: ignore[arg-type]
        if self._error is not None or self._transport is None:
            self._loop.call_soon(done, self._error or LostError("not connected"))
            return
        if self._outbox_size + self._transport.get_write_buffer_size() + len(data) > OUTBOX_LIMIT:
            self._loop.call_soon(done, LostError("too much waits to be sent"))
            return
        if not self._outbox:
            self._loop.call_soon(self._flush)
        if not self._waiting:
            self._heard = self._clock.monotonic()
        self._outbox.append(data)
        self._outbox_size += len(data)
        self._waiting.append(done)

    def run(self, done: Done, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> None:
        """Queue a script, as `send`. Its text goes only the first time, or if the server has forgotten it."""
        if script.sha in self._known:
            again = partial(self._ran, done, script, keys, arguments)
            self.send(again, ("EVALSHA", script.sha, len(keys), *keys, *arguments))
        else:
            self._known.add(script.sha)
            self.send(done, ("EVAL", script.source, len(keys), *keys, *arguments))

    def _ran(
        self, done: Done, script: Script, keys: Sequence[str], arguments: Sequence[Part], reply: Reply | RedisError
    ) -> None:
        if isinstance(reply, RefusedError) and reply.code == "NOSCRIPT":  # not applied
            self.send(done, ("EVAL", script.source, len(keys), *keys, *arguments))
        else:
            done(reply)

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        """Send a command; the future gets its answer, or RedisError."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        self.send(partial(settle, future), parts)
        return future

    def close(self, reason: str = "closed") -> None:
        """End the connection at once; commands that wait get LostError. Can be called again."""
        self._end(LostError(reason))

    def _flush(self) -> None:
        outbox, self._outbox, self._outbox_size = self._outbox, [], 0
        if self._transport is not None and self._error is None:
            self._transport.write(outbox[0] if len(outbox) == 1 else b"".join(outbox))

    # ── asyncio.Protocol ──────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        self._heard = self._clock.monotonic()
        self._look_later()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        reader = self._reader
        self._heard = self._clock.monotonic()
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                self._answer(reply)
        except ProtocolError as error:
            self._end(LostError(f"the server does not speak Redis' protocol: {error}"))

    def _answer(self, reply: Reply | RefusedError) -> None:
        if not self._waiting:
            return
        done = self._waiting.popleft()
        if isinstance(reply, RefusedError) and self._refused is not None:
            self._refused(reply)
        self._background.attempt("a reply of Redis", done, reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._end(LostError("the server closed the connection" if exc is None else f"connection lost: {exc}"))

    def _end(self, error: LostError) -> None:
        if self._error is not None:
            return
        self._error = error
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._lost(error)
        waiting, self._waiting = self._waiting, deque()
        for done in waiting:
            self._loop.call_soon(self._background.attempt, "a reply of Redis", done, error)

    # ── the watch ─────────────────────────────────────────────────────────────────────────────────

    def _ping(self) -> None:
        self.send(_ignore, ("PING",))

    def _look_later(self) -> None:
        self._due = self._clock.monotonic() + PING_EVERY
        self._timer = self._clock.call_later(PING_EVERY, self._look)

    def _look(self) -> None:
        now = self._clock.monotonic()
        if now - self._due > _LATE:
            self._heard = now
        if self._waiting and now - self._heard > DEADLINE:
            self._end(LostError(f"no answer for {DEADLINE:g} s"))
            return
        self.ping()
        self._look_later()


def settle(future: asyncio.Future[Reply], reply: Reply | RedisError) -> None:
    """Give a future its answer, if it still waits."""
    if future.done():
        return
    if isinstance(reply, RedisError):
        future.set_exception(reply)
    else:
        future.set_result(reply)


def _ignore(_: Reply | RedisError) -> None:
    """Do nothing: for answers that nobody needs."""
