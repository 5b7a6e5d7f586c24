"""Connections to other hosts: names, TCP, TLS, and one HTTP request on a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple

import httptools

from passerby.doctor.findings import Found, in_thread, problem

CONNECT: Final = 3.0
"""Seconds to connect to all addresses of a host together."""
_HEAD: Final = 64 * 1024
"""Maximum bytes of the head of an answer."""
_BODY: Final = 1024 * 1024
"""Maximum bytes of a body that are kept."""


async def resolve(host: str, port: int, kind: socket.SocketKind) -> list[str]:
    """Return the IP addresses of a host, the preferred one first. Raises Found if there is none."""
    try:
        found = await in_thread(lambda: socket.getaddrinfo(host, port, type=kind))
    except (OSError, UnicodeError):
        raise Found(problem(f"{host} has no address. Check the name, and DNS on this machine")) from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def reason(error: OSError) -> str:
    """Return in plain words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid ({error.verify_message.rstrip('.')})"
    if isinstance(error, ssl.SSLError):
        return "no TLS connection could be made"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return "there was no answer in time"
    if isinstance(error, ConnectionResetError):
        return "the connection was closed"
    return error.strerror or type(error).__name__


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def connected(
    name: str, host: str, port: int, *, encryption: ssl.SSLContext | None = None
) -> AsyncIterator[Streams]:
    """Connect to the first address of `host` that answers. Raises Found, with `name` for what is behind it."""
    addresses = await resolve(host, port, socket.SOCK_STREAM)
    failure = ""
    for address in addresses:
        try:
            async with asyncio.timeout(CONNECT / len(addresses)):
                reader, writer = await asyncio.open_connection(
                    address, port, ssl=encryption, server_hostname=host if encryption else None, limit=_HEAD
                )
        except OSError as error:
            failure = reason(error)
            continue
        break
    else:
        raise Found(problem(f"{name} cannot be reached: {failure}. Check host, port, firewall and that it runs"))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


class Answer(NamedTuple):
    """The answer to an HTTP request. `headers` have names in lower case; `spread` is the seconds that its body took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    spread: float


class _Response:
    """Collects what httptools parses."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.size = 0
        self.first = 0.0
        self.last = 0.0
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.size += len(piece)
        if self.size <= _BODY:
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.is_complete = True


def request_head(method: str, path: str, host: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of an HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


async def exchange(streams: Streams, head: bytes) -> Answer:
    """Send a request and return the answer. Raises OSError if there is none, or if it is not HTTP."""
    reader, writer = streams
    writer.write(head)
    response = _Response()
    parser = httptools.HttpResponseParser(response)
    try:
        while not response.is_complete:
            data = await reader.read(_HEAD)
            if not data:
                break
            parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # the head of a WebSocket: complete, and what follows is not HTTP
    except httptools.HttpParserError:
        raise OSError(0, "the answer is not HTTP") from None
    status = parser.get_status_code()
    if not status:
        raise ConnectionResetError
    return Answer(status, response.headers, b"".join(response.pieces), response.last - response.first)
