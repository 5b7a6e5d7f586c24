"""One Redis or Valkey: a server, the primary that Sentinels know, or a Cluster."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from passerby.redis.cluster import open_cluster
from passerby.redis.connection import Done, Part, Reply, settle
from passerby.redis.errors import LostError, RedisError, RefusedError
from passerby.redis.links import open_server
from passerby.redis.opening import Opener
from passerby.redis.script import Script
from passerby.redis.sentinels import primary
from passerby.redis.subscription import Subscription, subscribe
from passerby.redis.watch import State, Watch
from passerby.redis_url import RedisUrlError, check_prefix, parse
from passerby.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from passerby.background import Background
    from passerby.redis.links import Link
    from passerby.redis_url import Address

__all__ = ["Done", "LostError", "Part", "Redis", "RedisError", "RefusedError", "Reply", "Script", "State"]

_DRAIN: float = 1.0
"""Seconds at the end for answers to what was sent."""


class Redis:
    """Redis or Valkey. Commands are pipelined; all of one turn of the event loop are one write."""

    def __init__(self, url: str, prefix: str, background: Background) -> None:
        """Nothing happens before `start`. `prefix` begins the name of every key. Raises SettingsError."""
        try:
            self._url = parse(url)
            check_prefix(prefix)
            self._opener = Opener(self._url, background)
        except RedisUrlError as error:
            raise SettingsError(f"REDIS_URL: {error}") from None
        except OSError as error:
            raise SettingsError(f"REDIS_URL: its certificates cannot be used: {error.strerror}") from None
        self.prefix = prefix
        self.watch = Watch(background, repr(self._url), self._open)
        """Its state: NORMAL, DEGRADED, RESYNC."""
        self._background = background

    @property
    def is_usable(self) -> bool:
        """Return whether commands can be sent now. If not, they all fail with LostError."""
        return self.watch.link is not None

    @property
    def is_cluster(self) -> bool:
        """Return whether a script may only use the keys of one slot."""
        return self._url.kind == "cluster"

    def key(self, name: str) -> str:
        """Return the name of a key: the prefix and `name`."""
        return self.prefix + name

    # ── commands ──────────────────────────────────────────────────────────────────────────────────

    def send(self, done: Done, *parts: Part) -> None:
        """Queue one command: its name, its key, its other arguments.

        `done` is called exactly once, later, with the answer or with RedisError: in the order of sending, in a
        Cluster of the commands of one node. Nothing is sent twice, except what the server says it has not applied.
        """
        link = self.watch.link
        if link is None:
            self._fail(done)
        else:
            link.send(done, parts)

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        """Send a command; the future gets its answer, or raises RedisError."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.send(partial(settle, future), *parts)
        return future

    def run_then(self, done: Done, script: Script, keys: Sequence[str], *arguments: Part) -> None:
        """Queue a script, as `send`. It uses no other keys than `keys`, at least one; in a Cluster all are in one slot.

        A server that has forgotten the script gets its text; commands that were sent meanwhile overtake it then.
        """
        link = self.watch.link
        if link is None:
            self._fail(done)
        else:
            link.run(done, script, keys, arguments)

    def run(self, script: Script, keys: Sequence[str], *arguments: Part) -> asyncio.Future[Reply]:
        """Run a script; the future gets its answer, or raises RedisError."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.run_then(partial(settle, future), script, keys, *arguments)
        return future

    def _fail(self, done: Done) -> None:
        error = LostError(self.watch.reason)
        asyncio.get_running_loop().call_soon(self._background.attempt, "reply of Redis", done, error)

    async def subscribe(self, channel: str, receive: Callable[[bytes], None], lost: Callable[[], None]) -> Subscription:
        """Call `receive` with each message on a channel; in a Cluster it is a sharded one. Raises RedisError.

        It has a connection of its own, to the server that commands go to. When that ends, also by its `close`, `lost`
        is called once.
        """
        link = self.watch.link
        if link is None:
            raise LostError(self.watch.reason)
        return await subscribe(self._opener, link.place(channel), channel, receive, lost)

    def place(self, channel: str) -> Address | None:
        """Return the address of the server that has a channel now; None while none is used."""
        return None if self.watch.link is None else self.watch.link.place(channel)

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    def on_resync(self, name: str, resync: Callable[[], Awaitable[None]]) -> None:
        """Await `resync()`, which writes all of `name`, whenever Redis may lack it; see Watch."""
        self.watch.on_resync(name, resync)

    def start(self) -> None:
        """Begin to connect, in the background."""
        self.watch.start()

    async def ready(self, seconds: float) -> bool:
        """Wait until Redis is in use and has everything, for at most `seconds`; return whether it is so."""
        return await self.watch.ready(seconds)

    async def close(self) -> None:
        """Wait for answers to what was sent, at most a second; then end the connection."""
        await self.watch.close(_DRAIN)

    # ── connecting ────────────────────────────────────────────────────────────────────────────────

    async def _open(self) -> Link:
        if self._url.kind == "cluster":
            return await open_cluster(self._opener, self.prefix, self.watch)
        return await open_server(self._opener, self._find, self.prefix, self.watch)

    async def _find(self) -> Address:
        if self._url.kind == "sentinel":
            return await self._opener.within_limit(primary(self._url), "answer of a Sentinel")
        return self._url.addresses[0]
