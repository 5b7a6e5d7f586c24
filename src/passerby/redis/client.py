"""One Redis or Valkey: a server, the primary that Sentinels know, or a Cluster."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from passerby.redis.connection import Connection, Done, Part, Reply, settle
from passerby.redis.errors import LostError, RedisError, RefusedError
from passerby.redis.script import Script

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from passerby.background import Background

__all__ = ["Done", "LostError", "Part", "Redis", "RedisError", "RefusedError", "Reply", "Script"]


class Redis:
    """Redis or Valkey. Commands are pipelined; all of one turn of the event loop are one write."""

    def __init__(self, url: str, prefix: str, background: Background) -> None:
        """Nothing happens before `start`. `prefix` begins the name of every key."""
        self.prefix = prefix
        self.is_usable = False
        """Whether commands can be sent, and keep what they write. If not, they all fail with LostError."""
        self._url = url
        self._background = background
        self._connection: Connection | None = None
        self._resyncs: list[Callable[[], Awaitable[None]]] = []

    def key(self, name: str) -> str:
        """Return the name of a key: the prefix and `name`."""
        return self.prefix + name

    # ── commands ──────────────────────────────────────────────────────────────────────────────────

    def send(self, done: Done, *parts: Part) -> None:
        """Queue one command, such as `"GET", redis.key("x")`: its name, its key, its other arguments.

        `done` is called exactly once, later, in the order of sending (in a Cluster: of the same node), with the
        answer or with RedisError. Nothing is sent twice.
        """
        if self._connection is None:
            asyncio.get_running_loop().call_soon(done, LostError("Redis cannot be used"))
        else:
            self._connection.send(done, parts)

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        """Send a command; the future gets its answer, or raises RedisError."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.send(partial(settle, future), *parts)
        return future

    def run_then(self, done: Done, script: Script, keys: Sequence[str], *arguments: Part) -> None:
        """Queue a script, as `send`. All `keys` are in one slot, and the script uses no others.

        A server that has forgotten the script gets its text; commands that were sent meanwhile may overtake it.
        """
        if self._connection is None:
            asyncio.get_running_loop().call_soon(done, LostError("Redis cannot be used"))
        else:
            self._connection.run(done, script, keys, arguments)

    def run(self, script: Script, keys: Sequence[str], *arguments: Part) -> asyncio.Future[Reply]:
        """Run a script; the future gets its answer, or raises RedisError."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.run_then(partial(settle, future), script, keys, *arguments)
        return future

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    def on_resync(self, resync: Callable[[], Awaitable[None]]) -> None:
        """Await `resync()` after each connect, in the order of registration, before Redis counts as normal."""
        self._resyncs.append(resync)

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._background.repeat("connect to Redis", self._connect)

    async def ready(self, seconds: float) -> bool:
        """Wait until Redis is normal, for at most `seconds`; return whether it is."""
        try:
            async with asyncio.timeout(seconds):
                while not self.is_usable:  # noqa: ASYNC110 - the first version
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Wait for answers to what was sent, then end the connection."""
        if self._connection is not None:
            self._connection.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def lost(_: LostError) -> None:
            self.is_usable = False
            self._connection = None
            if not over.done():
                over.set_result(None)

        make = partial(Connection, self._background, lost)
        url = urlsplit(self._url)
        connection: Connection
        if url.scheme == "unix":
            _, connection = await loop.create_unix_connection(make, unquote(url.path))
            database = parse_qs(url.query).get("db", ["0"])[0]
        else:
            _, connection = await loop.create_connection(make, url.hostname, url.port or 6379)
            database = url.path.strip("/") or "0"
        if url.password:
            await connection.command("AUTH", unquote(url.username or "default"), unquote(url.password))
        if database != "0":
            await connection.command("SELECT", database)
        self._connection = connection
        self.is_usable = True
        for resync in self._resyncs:
            await resync()
        await over
