"""One connection to one server: commands are pipelined, and answered in order.

RESP2, the protocol, is encoded and parsed by hiredis. All commands of one turn of the event loop are one write.
The connection watches itself: it asks for something every `LOOK_EVERY` seconds, and if no byte comes or goes for
`DEADLINE` seconds, it is lost. A lost connection is never used again.
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
"""One part of a command; text is sent as UTF-8."""
Reply: TypeAlias = "bytes | int | list[Reply] | None"
"""An answer. In an array an error is a RefusedError."""
Done: TypeAlias = "Callable[[Reply | RedisError], object]"
"""What is called with the answer to a command, or with the error."""

_Run: TypeAlias = "tuple[Done, Script, Sequence[str], Sequence[Part]]"
"""A script that the server may have forgotten."""

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at the connection, at each of which it asks for something."""
DEADLINE: Final = 1.5
"""Seconds without a byte until it is lost, so a black hole is noticed within 2 s. No script may run so long."""
OUTBOX_LIMIT: Final = 64 * 1024 * 1024
"""Maximum number of bytes that wait to be sent."""
_LATE: Final = 0.5
"""Seconds that a look may be late. A process that was paused itself has answers that it has not read yet."""
NOTHING: Final = object()
"""What the reader returns if there is no whole reply."""
REPLY: Final = "reply of Redis"
"""The name of the callbacks' work."""


class Connection(asyncio.Protocol):
    """A connection. After it is lost, or closed, every command fails with LostError."""

    def __init__(
        self, background: Background, lost: Callable[[LostError], None], refused: Callable[[RefusedError], None]
    ) -> None:
        """When it ends `lost` is called once, before the commands that wait are told; `refused` before each refusal."""
        self._background = background
        self._clock = background.clock
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._refused = refused
        self._transport: asyncio.Transport | None = None
        self._reader = Reader(replyError=RefusedError, notEnoughData=NOTHING)
        self._waiting: deque[Done | _Run] = deque()
        self._outbox: list[bytes] = []
        self._unsent = 0
        """Bytes in the outbox, and in the transport when the first of them came."""
        self._known: set[str] = set()
        """SHA-1s of the scripts that were sent in full."""
        self._error: LostError | None = None
        """Why it is lost."""
        self.ask: Callable[[], None] = self._ping
        """Sends what is asked at each look."""
        self._is_silent = False
        """Whether no byte has come since the last look."""
        self._backlog = 0
        """Bytes in the transport at the last look."""
        self._looks = 0
        """Number of looks in a row that found it silent."""
        self._due = 0.0
        self._timer: Timer | None = None

    # ── commands ──────────────────────────────────────────────────────────────────────────────────

    @property
    def is_open(self) -> bool:
        """Return whether commands can be sent."""
        return self._transport is not None and self._error is None

    def send(self, done: Done, parts: Sequence[Part]) -> None:
        """Queue one command; `done` is called once, later, and in the order of sending.

        If the connection is lost, or `OUTBOX_LIMIT` bytes wait, nothing is sent, and `done` gets LostError.
        Raises TypeError or UnicodeEncodeError if a part cannot be sent.
        """
        self._send(done, parts)

    def _send(self, waiting: Done | _Run, parts: Sequence[Part]) -> None:
        data = pack_command(parts)  # type: ignore[arg-type]  # any sequence
        if self._transport is None or self._error is not None:
            self._fail(waiting, self._error or LostError("not connected"))
            return
        if not self._outbox:
            self._unsent = self._transport.get_write_buffer_size()
        if self._unsent + len(data) > OUTBOX_LIMIT:
            self._fail(waiting, LostError("too much waits to be sent"))
            return
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._unsent += len(data)
        self._outbox.append(data)
        self._waiting.append(waiting)

    def run(self, done: Done, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> None:
        """Queue a script, as `send`. Its text is sent the first time, and again if the server has forgotten it."""
        if script.sha in self._known:
            self._send((done, script, keys, arguments), ("EVALSHA", script.sha, len(keys), *keys, *arguments))
        else:
            self._known.add(script.sha)
            self.send(done, ("EVAL", script.source, len(keys), *keys, *arguments))

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        """Send a command; the future gets its answer, or RedisError."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        self.send(partial(settle, future), parts)
        return future

    def close(self, reason: str = "closed") -> None:
        """End the connection at once; commands that wait get LostError. May be called again."""
        self._end(LostError(reason))

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        if self._transport is not None and self._error is None:
            self._transport.write(outbox[0] if len(outbox) == 1 else b"".join(outbox))

    def _fail(self, waiting: Done | _Run, error: RedisError) -> None:
        done = waiting[0] if isinstance(waiting, tuple) else waiting
        self._loop.call_soon(self._background.attempt, REPLY, done, error)

    # ── asyncio.Protocol ──────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        if self._error is not None:  # closed meanwhile
            transport.abort()  # type: ignore[attr-defined]  # a Transport
            return
        self._look_later()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._is_silent = False
        next_reply = self._reader.gets
        try:
            self._reader.feed(data)
            while (reply := next_reply()) is not NOTHING:
                if reply.__class__ is RefusedError:
                    self._refused(reply)
                if not self._waiting:  # it is lost, or the server has sent an error of its own and will close
                    return
                done = self._waiting.popleft()
                if isinstance(done, tuple):
                    done, script, keys, arguments = done
                    if reply.__class__ is RefusedError and reply.code == "NOSCRIPT":  # so it was not applied
                        self.send(done, ("EVAL", script.source, len(keys), *keys, *arguments))
                        continue
                try:  # `Background.attempt`, inlined: each command has an answer
                    done(reply)
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the others must get their answers
                    self._background.failed(REPLY, error)
        except ProtocolError as error:
            self._end(LostError(f"it does not speak Redis' protocol: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._end(LostError("it has closed the connection" if exc is None else f"the connection broke: {exc}"))

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
            self._fail(done, error)

    # ── the watch ─────────────────────────────────────────────────────────────────────────────────

    def _ping(self) -> None:
        self.send(_ignore, ("PING",))

    def _look_later(self) -> None:
        self._is_silent = True
        self._due = self._clock.monotonic() + LOOK_EVERY
        self._timer = self._clock.call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        is_late = self._clock.monotonic() - self._due > _LATE
        before, self._backlog = self._backlog, self._transport.get_write_buffer_size() if self._transport else 0
        is_taken = self._backlog < before  # a slow network takes what we send: nothing can be answered yet
        is_quiet = self._is_silent and bool(self._waiting) and not is_late and not is_taken
        self._looks = self._looks + 1 if is_quiet else 0
        if self._looks * LOOK_EVERY >= DEADLINE:
            self._end(LostError(f"no answer for {DEADLINE:g} s"))
            return
        self.ask()
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
