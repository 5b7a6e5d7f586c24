"""A connection to Redis or Valkey that asks one question after the other (RESP2), for checks only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, TypeAlias

from hiredis import HiredisError, Reader, pack_command

from passerby.doctor.connections import CONNECT, Streams, connected, reason
from passerby.doctor.findings import Found, problem
from passerby.redis.opening import context
from passerby.redis_url import Address, RedisUrl

_READ: Final = 64 * 1024
_NOTHING: Final = object()

Reply: TypeAlias = "bytes | int | list[Reply] | None"


class RefusedError(Exception):
    """An error reply; `code` is its first word, such as NOAUTH. Nothing else of it is shown: it may name keys."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


class Session:
    """A connection; `name` is how texts call the server."""

    def __init__(self, name: str, streams: Streams) -> None:
        """Nothing is sent yet."""
        self.name = name
        self._streams = streams
        self._parser = Reader(replyError=RefusedError, notEnoughData=_NOTHING)

    async def ask(self, *parts: str | int) -> Reply:
        """Return the answer to a command. Raises RefusedError, and Found if there is none."""
        reader, writer = self._streams
        writer.write(pack_command(tuple(str(part) for part in parts)))  # type: ignore[arg-type]  # hiredis means any length
        try:
            while (reply := self._parser.gets()) is _NOTHING:
                data = await reader.read(_READ)
                if not data:
                    raise ConnectionResetError
                self._parser.feed(data)
        except OSError as error:
            raise Found(problem(f"{self.name} does not answer: {reason(error)}. See its log")) from None
        except HiredisError:
            raise Found(problem(f"{self.name} does not answer as Redis does. Check host and port")) from None
        if isinstance(reply, RefusedError):
            raise reply
        return reply  # type: ignore[no-any-return]  # hiredis returns what it has parsed

    async def text(self, *parts: str | int) -> str:
        """Return an answer as text. Raises as `ask`."""
        reply = await self.ask(*parts)
        return reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)


def place(address: Address) -> str:
    """Return how texts call a server: `redis.example:6379`, or the path of a socket."""
    host, port = address
    return f"{host}:{port}" if port else host


@contextlib.asynccontextmanager
async def session(name: str, address: Address, url: RedisUrl) -> AsyncIterator[Session]:
    """Connect to one server of a URL, without logging in. Raises Found."""
    try:
        encryption = context(url.tls)
    except OSError as error:
        text = f"REDIS_URL: a file of certificates cannot be used ({error.strerror or 'it has another format'})"
        raise Found(problem(text)) from None
    host, port = address
    if port:
        async with connected(name, host, port, encryption=encryption) as streams:
            yield Session(name, streams)
        return
    try:
        async with asyncio.timeout(CONNECT):
            reader, writer = await asyncio.open_unix_connection(host)
    except OSError as error:
        why = {
            FileNotFoundError: "there is no such file",
            PermissionError: "this user may not use it",
        }.get(type(error), reason(error))
        raise Found(problem(f"{name} cannot be reached: {why}. Check its path and that it runs")) from None
    try:
        yield Session(name, (reader, writer))
    finally:
        writer.transport.abort()


_LOGIN: Final = {
    "WRONGPASS": "refuses the user or the password. Check both in REDIS_URL",
    "NOAUTH": "wants a password. Write it into REDIS_URL: redis://user:password@host",
    "DENIED": "is in protected mode and takes connections of its own machine only. Set a password there",
    "NOPERM": "does not let this user do what Passerby needs. Check its ACL",
    "LOADING": "is loading its data. Wait until it has started",
}


def refused(name: str, error: RefusedError) -> Found:
    """Return what an error reply means that is no finding of its own."""
    text = str(error)
    if "DB index" in text or "out of range" in text:
        return Found(problem(f"{name} has no database of this number. Choose another in REDIS_URL"))
    return Found(problem(f"{name} {_LOGIN.get(error.code, f'refuses a command ({error.code}). See its log')}"))


async def log_in(asked: Session, url: RedisUrl) -> None:
    """Log in as REDIS_URL says. Raises Found."""
    try:
        if url.password is not None:
            await asked.ask("AUTH", url.user or "default", url.password)
        await asked.ask("PING")
        if url.database:
            await asked.ask("SELECT", url.database)
    except RefusedError as error:
        raise refused(asked.name, error) from None
