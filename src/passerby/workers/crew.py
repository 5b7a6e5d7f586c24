"""One worker's view of the others: who they are, who has ended, and connections that come from them or go to them.

Each worker has an inbox: a Unix datagram socket with the worker's tag as its name. A datagram carries the descriptor of
a connection (SCM_RIGHTS) and the bytes that were read of it. A `sid` begins with the tag of the worker that has its
session, so every worker knows where a request belongs without asking anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import random
import re
import signal
import socket
import struct
from typing import TYPE_CHECKING, Any, Final

from passerby.http.handover import Outcome
from passerby.workers.messages import (
    BEAT,
    Beat,
    Draining,
    Ending,
    Gone,
    Leave,
    Lines,
    Parted,
    Ready,
    Refused,
    Roster,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from passerby.workers.messages import Begin, Message

    Adopt = Callable[[socket.socket, bytes], Awaitable[object]]

log = logging.getLogger(__name__)

TAG: Final = 2
"""Characters of a tag."""
_QUERY: Final = re.compile(rb"^[A-Z]+ \S*?/socket\.io/?\?(\S*)")
"""The query of a request to the Socket.IO server, in its first line."""
_SID: Final = re.compile(rb"(?:^|&)sid=([A-Za-z0-9_-]{%d})[^&]*" % TAG)
_ANY_SID: Final = re.compile(rb"(?:^|&)sid=")
_AT: Final = re.compile(rb"(?:^|&)at=([A-Za-z0-9_-]+)")
_DATAGRAM: Final = 96 * 1024
"""Bytes of a datagram at most: more than twice what is read of a connection at once (`READ_SIZE`)."""
_BUFFER: Final = 256 * 1024
"""Bytes that wait in an inbox, at most."""
_AT_ONCE: Final = 64
"""Connections that are taken from the inbox in one iteration of the event loop, so that others have their turn."""
_FULL: Final = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS)
"""What says that the inbox, or the system, has no room for a datagram now."""


class Crew:
    """The worker's end of the line to its parent, and the other workers. A `Handover` for the HTTP server."""

    def __init__(self, line: socket.socket, begin: Begin, lines: Lines) -> None:
        """`line` leads to the parent, which has sent `begin`; `lines` has what was read behind it."""
        self.number = begin.number
        self.tag = begin.tag
        self.ends: frozenset[str] | None = None
        """The node ids of all workers of this machine once all of them end; None before."""
        self.keeps = False
        """Whether what they have in Redis outlives them all."""
        self.may_leave = False
        """Whether all have parted."""
        self._folder = begin.folder
        self._line = line
        self._lines = lines
        self._own = begin.tag.encode()
        self._names: dict[str, str] = {}
        """The tags of the others that take new clients, by tags and by node ids."""
        self._others: list[str] = []
        self._is_draining = False
        self._gone: list[Callable[[str], object]] = []
        self._adopt: Adopt | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._outbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (self._inbox, self._outbox):
            end.settimeout(0)
            for size in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, size, _BUFFER)

    def on_gone(self, callback: Callable[[str], object]) -> None:
        """Call `callback(node id)` as soon as another worker of this machine has ended."""
        self._gone.append(callback)

    # ── the parent ────────────────────────────────────────────────────────────────────────────────

    async def begin(self) -> None:
        """Talk to the parent from now on; without it this process ends at once."""
        self._loop = asyncio.get_running_loop()
        self._inbox.bind(f"{self._folder}/{self.tag}")  # now, because sessions may begin before `serve`
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._line)
        self._spawn(self._listen())
        self._spawn(self._beat())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self) -> None:
        while data := await self._reader.read(1 << 16):
            for message in self._lines.feed(data):
                self._take(message)
        # The parent is gone, and another one may wait for the port. Clients come back, as after any crash.
        os.kill(os.getpid(), signal.SIGKILL)

    async def _beat(self) -> None:
        while True:
            self._tell(Beat())
            await asyncio.sleep(BEAT)

    def _tell(self, message: Message) -> None:
        assert self._writer is not None  # noqa: S101 - `begin` was called
        self._writer.write(encode(message))

    def _take(self, message: Message) -> None:
        if isinstance(message, Roster):
            others = {tag: node for tag, node in message.workers.items() if tag != self.tag}
            self._others = list(others)
            self._names = {tag: tag for tag in others} | {node: tag for tag, node in others.items()}
        elif isinstance(message, Gone):
            for callback in self._gone:
                try:
                    callback(message.node)
                except Exception:
                    log.exception("telling of a worker that has ended failed")

        elif isinstance(message, Ending):
            self.ends, self.keeps = frozenset(message.nodes), message.keeps
        elif isinstance(message, Leave):
            self.may_leave = True

    def refuse(self, reason: str) -> None:
        """The worker cannot start with these settings, and says why. Then nothing works any more."""
        self._line.settimeout(None)
        self._line.sendall(encode(Refused(reason)))

    async def serve(self, node: str, adopt: Adopt) -> None:
        """Serve from now on as the node `node`: `adopt(connection, data)` takes connections of the other workers."""
        self._adopt = adopt
        self._loop.add_reader(self._inbox.fileno(), self._receive)
        self._tell(Ready(node))

    def drain(self) -> None:
        """Take no new clients from now on."""
        self._is_draining = True
        self._tell(Draining())

    def part(self) -> None:
        """Say that no guest of this worker is waited for any more, before all of them end."""
        self._tell(Parted())

    async def close(self) -> None:
        """Talk to nobody any more."""
        for task in self._tasks:
            task.cancel()
        if self._adopt is not None:
            self._loop.remove_reader(self._inbox.fileno())
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        for end in (self._line, self._inbox, self._outbox):
            end.close()

    # ── connections ───────────────────────────────────────────────────────────────────────────────

    def target(self, line: bytes) -> str | None:
        """See `Handover`. A session is where its `sid` says; a new one where `at` wishes, if that worker takes any."""
        found = _QUERY.match(line)
        if found is None:
            return self.elsewhere()
        query = found[1]
        if _ANY_SID.search(query) is not None:
            sids = _SID.findall(query)  # the last one counts, as for `parse_query`
            tag = sids[-1] if sids else self._own
            return None if tag == self._own else str(tag, "ascii")
        wish = _AT.search(query)
        if wish is not None:
            name = str(wish[1], "ascii")
            if name == self.tag and not self._is_draining:
                return None
            if name in self._names:
                return self._names[name]
        return self.elsewhere()

    def elsewhere(self) -> str | None:
        """See `Handover`."""
        return random.choice(self._others) if self._is_draining and self._others else None  # noqa: S311 - no secret

    def pass_on(self, worker: str, descriptor: int, data: bytes) -> Outcome:
        """See `Handover`."""
        try:
            # Not `socket.send_fds`: it ignores the address in some versions of Python.
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", descriptor))
            self._outbox.sendmsg([data], [rights], 0, f"{self._folder}/{worker}")
        except OSError as error:
            return Outcome.FULL if error.errno in _FULL else Outcome.GONE
        return Outcome.PASSED

    def _receive(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, descriptors, _, _ = socket.recv_fds(self._inbox, _DATAGRAM, 1)
            except BlockingIOError:
                return
            except OSError:
                log.exception("a connection of another worker cannot be taken")
                return
            for descriptor in descriptors:  # none if this process may have no more
                self._spawn(self._take_over(descriptor, data))

    async def _take_over(self, descriptor: int, data: bytes) -> None:
        connection = socket.socket(fileno=descriptor)
        with contextlib.suppress(OSError):  # the client has gone
            connection.settimeout(0)
            assert self._adopt is not None  # noqa: S101 - the inbox is read only then
            await self._adopt(connection, data)
