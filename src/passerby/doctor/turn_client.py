"""A STUN and TURN client (RFC 8489, RFC 8656) over UDP, TCP or TLS: bindings, allocations, permissions."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Final, NamedTuple, Protocol

from passerby.doctor import stun
from passerby.doctor.connections import Streams, connected, resolve
from passerby.doctor.findings import Found, problem
from passerby.doctor.stun import Attribute, Attributes, Message, Method

FIRST_REPEAT: Final = 0.25
"""Seconds until a request over UDP is sent again; then twice as long (RFC 8489 §6.2.1 begins with 0.5)."""
_UDP: Final = bytes((17, 0, 0, 0))
"""REQUESTED-TRANSPORT: the number of UDP among the IP protocols."""
_UNAUTHORIZED: Final = 401
_STALE_NONCE: Final = 438
_TRIES: Final = 3
"""Requests until the server has told realm and nonce, and a newer nonce."""


class Server(NamedTuple):
    """Where a STUN or TURN server listens. `transport` is `udp`, `tcp`, `tls` or `dtls`; `url` names it in texts."""

    url: str
    host: str
    port: int
    transport: str


def parse(url: str) -> Server:
    """Return the server of a STUN or TURN URL (RFC 7064, RFC 7065). Raises Found if it is wrong."""
    scheme, _, rest = url.partition(":")
    place, _, query = rest.partition("?")
    host, _, port = place.rpartition(":") if place.rpartition(":")[2].isdecimal() else (place, "", "")
    is_tls = scheme in ("stuns", "turns")
    transport = query.removeprefix("transport=") or ("tcp" if is_tls else "udp")
    if is_tls:
        transport = {"tcp": "tls", "udp": "dtls"}.get(transport, transport)
    number = int(port) if port else 5349 if is_tls else 3478
    if not host or not 0 < number <= 65535:  # noqa: PLR2004 - the largest port
        raise Found(problem(f"{url} names no host and port"))
    return Server(url, host.removeprefix("[").removesuffix("]"), number, transport)


class RefusedError(Exception):
    """The server refused a request; `code` is that of RFC 8489 §14.8, such as 401."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class _Way(Protocol):
    """The way to a server."""

    async def exchange(self, request: bytes) -> Message:
        """Send a request and return its answer. Waits without limit; raises OSError."""


class _Datagrams(asyncio.DatagramProtocol):
    """UDP: requests are sent again until an answer comes."""

    _transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self._answer: asyncio.Future[Message] | None = None
        self._awaited = b""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # a datagram's
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the socket is connected
        with contextlib.suppress(ValueError):
            message = stun.decode(data)
            if self._answer is not None and not self._answer.done() and message.transaction == self._awaited:
                self._answer.set_result(message)

    def error_received(self, exc: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc)

    async def exchange(self, request: bytes) -> Message:
        self._answer = asyncio.get_running_loop().create_future()
        self._awaited = request[8 : stun.HEAD]
        pause = FIRST_REPEAT
        while True:
            self._transport.sendto(request)
            done, _ = await asyncio.wait([self._answer], timeout=pause)
            if done:
                return self._answer.result()
            pause *= 2

    def close(self) -> None:
        self._transport.abort()


class _Stream:
    """TCP or TLS."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams

    async def exchange(self, request: bytes) -> Message:
        self._writer.write(request)
        while True:
            try:
                head = await self._reader.readexactly(stun.HEAD)
                message = stun.decode(head + await self._reader.readexactly(stun.size_of(head) - stun.HEAD))
            except EOFError:
                raise ConnectionResetError from None
            except ValueError:
                raise OSError(0, "the answer is not STUN") from None
            if message.transaction == request[8 : stun.HEAD]:
                return message


@contextlib.asynccontextmanager
async def way_to(server: Server) -> AsyncIterator[_Way]:
    """Open the way to a server. Raises Found and OSError."""
    if server.transport in ("tcp", "tls"):
        encryption = ssl.create_default_context() if server.transport == "tls" else None
        async with connected(server.url, server.host, server.port, encryption=encryption) as streams:
            yield _Stream(streams)
        return
    addresses = await resolve(server.host, server.port, socket.SOCK_DGRAM)
    loop = asyncio.get_running_loop()
    _, datagrams = await loop.create_datagram_endpoint(_Datagrams, remote_addr=(addresses[0], server.port))
    try:
        yield datagrams
    finally:
        datagrams.close()


async def bind(server: Server) -> tuple[str, int]:
    """Return our own address as a STUN server sees it. Raises Found, OSError, RefusedError and ValueError."""
    async with way_to(server) as way:
        answer = await way.exchange(stun.encode(Method.BINDING, stun.transaction(), []))
        if answer.kind != stun.Kind.SUCCESS:
            raise RefusedError(answer.error)
        return answer.address(Attribute.XOR_MAPPED_ADDRESS)


class Allocation:
    """A relayed address at a TURN server, made with long-term credentials."""

    def __init__(self, way: _Way, username: str, password: str) -> None:
        """Nothing is asked for until `allocate`."""
        self._way = way
        self._username = username
        self._password = password
        self._realm = b""
        self._nonce = b""
        self.relayed = ("", 0)
        """Host and port of the relay."""

    async def allocate(self) -> None:
        """Ask for a relayed address. Raises OSError, RefusedError, and ValueError for an answer without one."""
        answer = await self._request(Method.ALLOCATE, (Attribute.REQUESTED_TRANSPORT, _UDP))
        self.relayed = answer.address(Attribute.XOR_RELAYED_ADDRESS)

    async def permit(self, peer: str) -> None:
        """Ask that the relay may exchange data with `peer`, an IP address. Nothing is sent to it.

        Raises OSError, and RefusedError: 403 if the operator denies this address.
        """
        await self._request(Method.CREATE_PERMISSION, (Attribute.XOR_PEER_ADDRESS, (peer, 0)))

    async def release(self) -> None:
        """Give the relayed address back. Raises OSError and RefusedError."""
        await self._request(Method.REFRESH, (Attribute.LIFETIME, bytes(4)))

    async def _request(self, method: Method, wanted: tuple[Attribute, bytes | tuple[str, int]]) -> Message:
        """Send a request, with credentials as soon as the server has told its realm and a nonce."""
        code = 0
        for _ in range(_TRIES):
            identifier = stun.transaction()
            attribute, value = wanted
            if isinstance(value, tuple):
                value = stun.xor_address(*value, identifier)
            attributes: Attributes = [(attribute, value)]
            integrity = None
            if self._nonce:
                attributes = [
                    *attributes,
                    (Attribute.USERNAME, self._username.encode()),
                    (Attribute.REALM, self._realm),
                    (Attribute.NONCE, self._nonce),
                ]
                integrity = stun.key(self._username, self._realm.decode(errors="replace"), self._password)
            answer = await self._way.exchange(stun.encode(method, identifier, attributes, integrity))
            if answer.kind == stun.Kind.SUCCESS:
                return answer
            code = answer.error
            nonce = answer.attributes.get(Attribute.NONCE, b"")
            if not nonce or (code == _UNAUTHORIZED and self._nonce) or code not in (_UNAUTHORIZED, _STALE_NONCE):
                break
            self._nonce = nonce
            self._realm = answer.attributes.get(Attribute.REALM, self._realm)
        raise RefusedError(code)


@contextlib.asynccontextmanager
async def allocation(server: Server, username: str, password: str) -> AsyncIterator[Allocation]:
    """Allocate a relayed address, and give it back. Raises Found, OSError, RefusedError and ValueError."""
    async with way_to(server) as way:
        allocation = Allocation(way, username, password)
        await allocation.allocate()
        try:
            yield allocation
        finally:
            with contextlib.suppress(OSError, RefusedError):
                await allocation.release()
