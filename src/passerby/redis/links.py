"""What the watch opens: a link to one server, or to all nodes of a Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from passerby.redis.marker import MARKER, Marker
from passerby.redis.opening import Hooks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from passerby.redis.connection import Connection, Done, Part
    from passerby.redis.errors import LostError, RefusedError
    from passerby.redis.opening import Opener
    from passerby.redis.script import Script
    from passerby.redis_url import Address


class Watcher(Protocol):
    """What a link tells."""

    def lost(self, error: LostError) -> None:
        """The link is of no more use."""

    def refused(self, error: RefusedError) -> None:
        """A server has refused a command."""

    def missed(self, reason: str) -> None:
        """Data may be missing."""


class Link(Protocol):
    """Open connections to all servers that keys are on."""

    def send(self, done: Done, parts: Sequence[Part]) -> None:
        """See Connection."""

    def run(self, done: Done, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> None:
        """See Connection."""

    def place(self, key: str) -> Address:
        """Return the address of the server that has a key, or a channel."""

    async def claim(self) -> None:
        """Write the markers. Raises RedisError if a server takes no writes."""

    async def drain(self) -> None:
        """Wait until everything that was sent is answered. Raises RedisError."""

    def close(self) -> None:
        """End the connections; commands that wait get LostError."""


class ServerLink:
    """A link to one server."""

    def __init__(self, connection: Connection, address: Address, prefix: str, watcher: Watcher) -> None:
        """`connection` must be open."""
        self._connection = connection
        self._address = address
        self._marker = Marker(connection, prefix + MARKER, lambda: watcher.missed("its data is gone"))
        self.send = connection.send
        self.run = connection.run
        self.claim = self._marker.claim

    def place(self, _key: str) -> Address:
        """See Link."""
        return self._address

    async def drain(self) -> None:
        """See Link."""
        await self._connection.command("PING")

    def close(self) -> None:
        """See Link."""
        self._connection.close()


async def open_server(
    opener: Opener, find: Callable[[], Awaitable[Address]], prefix: str, watcher: Watcher
) -> ServerLink:
    """Open a link to the server at the address that `find` returns. Raises RedisError."""
    hooks = Hooks(lambda _, error: watcher.lost(error), lambda _, error: watcher.refused(error))
    address = await find()
    return ServerLink(await opener.open(address, hooks), address, prefix, watcher)
