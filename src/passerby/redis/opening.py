"""Opens a connection to one server: transport, login, and whether it can be used at all."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from passerby.clock import time_limit
from passerby.redis.connection import Connection
from passerby.redis.errors import UNFIT, LostError, RedisError, RefusedError, UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from passerby.background import Background
    from passerby.redis.connection import Reply
    from passerby.redis_url import Address, RedisUrl, Tls

T = TypeVar("T")
C = TypeVar("C", bound=Connection)

OPEN_LIMIT: Final = 1.5
"""Seconds to reach a server and log in."""
NAME: Final = "passerby"
"""What CLIENT LIST shows."""
_OLDEST: Final = {"redis": 7, "valkey": 8}
"""The first major versions that can be used."""


class Hooks(Struct, frozen=True):
    """What is told about a connection."""

    lost: Callable[[Connection, LostError], None]
    """Once, when it ends, before the commands that wait are told."""
    refused: Callable[[Connection, RefusedError], None]
    """Each refusal, before the command is told."""


def context(tls: Tls | None) -> ssl.SSLContext | None:
    """Return how to encrypt, or None. Raises OSError if a file of certificates cannot be used."""
    if tls is None:
        return None
    made = ssl.create_default_context(cafile=tls.authorities)
    if tls.certificate is not None:
        made.load_cert_chain(tls.certificate, tls.key)
    if not tls.is_verified:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


class Opener:
    """Opens connections with the login of one URL."""

    def __init__(self, url: RedisUrl, background: Background) -> None:
        """Raises OSError if a file of certificates cannot be used."""
        self.url = url
        self.background = background
        self.encryption = context(url.tls)

    async def within_limit(self, work: Coroutine[Any, Any, T], what: str) -> T:
        """Await `work` for at most `OPEN_LIMIT` seconds. Raises LostError instead of other OSErrors."""
        try:
            async with time_limit(self.background.clock, OPEN_LIMIT):
                return await work
        except RedisError:
            raise
        except TimeoutError:
            raise LostError(f"no {what} within {OPEN_LIMIT:g} s") from None
        except OSError as error:
            raise LostError(str(error)) from error
        except UnicodeError:  # which names a part of what could not be encoded
            raise UnfitError("REDIS_URL has a host, a user or a password that cannot be sent") from None

    async def open(self, address: Address, hooks: Hooks, *, is_replica_fit: bool = False) -> Connection:
        """Return a connection to a server that can be used. Raises RedisError, also if it is a replica.

        The hooks are told nothing about a connection before it is returned.
        """
        return await self.open_as(Connection, address, hooks, is_replica_fit=is_replica_fit)

    async def open_as(self, kind: type[C], address: Address, hooks: Hooks, *, is_replica_fit: bool = False) -> C:
        """Like `open`, for a connection of another kind."""
        made: list[C] = []
        is_open = False

        def make() -> C:
            made.append(kind(self.background, lost, refused))
            return made[-1]

        def lost(error: LostError) -> None:
            if is_open:
                hooks.lost(made[-1], error)

        def refused(error: RefusedError) -> None:
            if is_open:
                hooks.refused(made[-1], error)

        try:
            connection = await self.within_limit(self._open(address, make, is_replica_fit=is_replica_fit), "connection")
        except BaseException:
            for connection in made:
                connection.close("given up")
            raise
        is_open = True
        return connection

    async def _open(self, address: Address, make: Callable[[], C], *, is_replica_fit: bool) -> C:
        loop = asyncio.get_running_loop()
        host, port = address
        if port:
            encryption = self.encryption
            _, connection = await loop.create_connection(
                make, host, port, ssl=encryption, server_hostname=host if encryption else None
            )
        else:
            _, connection = await loop.create_unix_connection(make, host)
        login = () if self.url.password is None else ("AUTH", self.url.user or "default", self.url.password)
        try:
            told = await connection.command("HELLO", 2, *login, "SETNAME", NAME)
            self._check(told, is_replica_fit=is_replica_fit)
            if self.url.database:
                await connection.command("SELECT", self.url.database)
        except RefusedError as error:
            raise UnfitError(meaning(error)) from error
        return connection

    def _check(self, reply: Reply, *, is_replica_fit: bool) -> None:
        """Raise UnfitError if the server cannot be used, by its answer to HELLO."""
        if not isinstance(reply, list):
            raise UnfitError("it does not answer HELLO as Redis does")
        texts = [part.decode() if isinstance(part, bytes) else "" for part in reply]
        told = dict(zip(texts[::2], texts[1::2], strict=False))
        server, version = told.get("server", ""), told.get("version", "")
        major = version.partition(".")[0]
        if server not in _OLDEST or not major.isdecimal():
            raise UnfitError("it is neither Redis nor Valkey")
        if int(major) < _OLDEST[server]:
            raise UnfitError(
                f"it is too old: {server.capitalize()} {version}, but Redis {_OLDEST['redis']} "
                f"or Valkey {_OLDEST['valkey']} is needed"
            )
        is_cluster = told.get("mode") == "cluster"
        if is_cluster != (self.url.kind == "cluster"):
            raise UnfitError(
                "it is a node of a Cluster: REDIS_URL must begin with redis+cluster://"
                if is_cluster
                else "it is no node of a Cluster, as REDIS_URL says"
            )
        if told.get("role") != "master" and not is_replica_fit:
            raise UnfitError(UNFIT["READONLY"])


def meaning(error: RefusedError) -> str:
    """Return in plain words what a refusal says; replies may contain names of keys, which are not logged."""
    if error.code in UNFIT:
        return f"{UNFIT[error.code]} ({error.code})"
    if "index is out of range" in str(error):
        return "it has no database of this number"
    if "unknown command" in str(error):
        return "it is too old: it does not know a command"
    return f"it refuses a command ({error.code})"
