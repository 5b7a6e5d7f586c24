"""The README's examples for nginx and Caddy: a guest behind a proxy has all that a guest without one has."""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
import re
import socket
import ssl
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import socketio  # type: ignore[import-untyped]  # has no types
from aiohttp.abc import AbstractResolver, ResolveResult

from passerby.limits import Rate
from tests.proxies import proxy
from tests.support.client import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.conftest import StartServer
    from tests.support.server import InsideServer

MEBIBYTE = 1024 * 1024
TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]


class Here(AbstractResolver):
    """Every host is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


class Guest:
    """A guest behind the proxy, at an address of its own, with python-socketio's client."""

    def __init__(self, http: aiohttp.ClientSession, address: str) -> None:
        self.http = http
        self.address = address
        self.token = ""
        self.client = socketio.AsyncClient(http_session=http, reconnection=False)
        self._events: dict[str, asyncio.Queue[Any]] = {}
        for event in ("connection:established", "user:matched", "chat:message", "chat:message:delivered"):
            self._listen(event)

    def _listen(self, event: str) -> None:
        queue = self._events[event] = asyncio.Queue()
        self.client.on(event, queue.put_nowait)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def begin(self) -> None:
        """Create a session."""
        async with self.http.post("/api/guest", json={}) as answer:
            assert answer.status == 201
            self.token = (await answer.json())["data"]["token"]

    async def connect(self, url: str, transports: list[str]) -> None:
        """Connect as a page of the proxy's origin would."""
        await self.client.connect(
            url, headers={"Origin": url}, auth={"token": self.token}, transports=transports, retry=False
        )
        await self.next("connection:established")

    async def next(self, event: str) -> Any:  # noqa: ANN401 - any JSON
        return await asyncio.wait_for(self._events[event].get(), PATIENCE)

    async def say(self, message: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Send a message and return the acknowledgement."""
        return await self.client.call("chat:message", message, timeout=PATIENCE)


class Street:
    """A server behind a proxy. `guest` makes a new guest, at the next address of 127.0.0.0/8."""

    def __init__(self, server: InsideServer, before: proxy.Proxy, stack: AsyncExitStack) -> None:
        self.server = server
        self.proxy = before
        self._stack = stack
        self._guests = 0
        self._tls = ssl.create_default_context(cafile=before.certificate)

    async def http(self, address: str) -> aiohttp.ClientSession:
        """Return an HTTP client at `address`; it knows the proxy by its name and checks its certificate."""
        connector = aiohttp.TCPConnector(resolver=Here(), ssl=self._tls, local_addr=(address, 0))
        session = aiohttp.ClientSession(self.proxy.url, connector=connector, auto_decompress=False)
        return await self._stack.enter_async_context(session)

    async def guest(self) -> Guest:
        """Return a new guest with a session."""
        self._guests += 1
        address = f"127.0.0.{1 + self._guests}"
        guest = Guest(await self.http(address), address)
        self._stack.push_async_callback(guest.client.disconnect)
        await guest.begin()
        return guest

    async def pair(self, transports: list[str]) -> tuple[Guest, Guest, str]:
        """Return two guests in a conversation, and its room."""
        anna, berta = await self.guest(), await self.guest()
        for guest in (anna, berta):
            await guest.connect(self.proxy.url, transports)
            await guest.client.emit("user:match")
        room = (await anna.next("user:matched"))["roomId"]
        await berta.next("user:matched")
        return anna, berta, room


@pytest.fixture(scope="session", params=proxy.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def program(name: str) -> str:
    """Return the path of the proxy."""
    try:
        return proxy.ensure(name)
    except proxy.NoProxyError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
async def open_street(
    name: str, program: str, start_server: StartServer, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[Street]]]:
    """Return a function that starts a server with settings, and the proxy before it."""
    async with AsyncExitStack() as stack:

        async def open_it(**changes: object) -> Street:
            server = await start_server(trusted_proxies=proxy.trusted_proxies(), **changes)
            upstream = int(server.url.rpartition(":")[2])
            before = stack.enter_context(proxy.running(name, program, tmp_path, upstream))
            return Street(server, before, stack)

        yield open_it


@pytest.fixture
async def street(open_street: Callable[..., Awaitable[Street]]) -> Street:
    return await open_street()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_two_talk_through_the_proxy(street: Street, transports: list[str]) -> None:
    anna, berta, _ = await street.pair(transports)
    sessions = street.server.application.server.engine.sessions.values()
    assert {session.address for session in sessions} == {anna.address, berta.address}

    for one, other in ((anna, berta), (berta, anna)):
        for text in ("héllo 😀", "x" * 1000):
            assert "seq" in await one.say({"type": "text", "content": text})
            received = await other.next("chat:message")
            assert received["content"] == text
            await other.client.emit("chat:message:delivered", {"messageId": received["id"]})
            while (await one.next("chat:message:delivered"))["messageId"] != received["id"]:
                pass  # those of messages that it has received itself
    assert {guest.client.transport() for guest in (anna, berta)} == {transports[-1]}


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_page_of_another_origin_is_refused_through_the_proxy(street: Street, transport: str) -> None:
    guest = await street.guest()
    target = f"/socket.io/?EIO=4&transport={transport}"
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    headers = {"Origin": "https://evil.example"} | (upgrade if transport == "websocket" else {})
    async with guest.http.get(target, headers=headers) as answer:
        assert answer.status == 403
        assert (await answer.json())["reason"] == "origin_forbidden"


async def upload(guest: Guest, room: str, body: bytes, way: str) -> Any:  # noqa: ANN401 - any JSON
    if way == "raw":
        headers = guest.headers | {"X-File-Name": "a.bin"}
        async with guest.http.put(f"/api/files/{room}", data=io.BytesIO(body), headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return (await answer.json())["data"]
    form = aiohttp.FormData()
    form.add_field("roomId", room)
    form.add_field("file", io.BytesIO(body), filename="a.bin", content_type="application/octet-stream")
    async with guest.http.post("/api/files/upload", data=form, headers=guest.headers) as answer:
        assert answer.status == 201, await answer.text()
        return (await answer.json())["data"]


@pytest.mark.parametrize("way", ["raw", "form"])
async def test_a_file_of_ten_megabytes_goes_each_way(street: Street, way: str) -> None:
    anna, berta, room = await street.pair(["websocket"])
    size = street.server.application.services.limits.file_size
    assert size == 10 * MEBIBYTE
    for number, (one, other) in enumerate(((anna, berta), (berta, anna))):
        body = random.Random(number).randbytes(size)
        sent = await upload(one, room, body, way)
        await one.say({"type": "file", "content": sent})
        received = (await other.next("chat:message"))["content"]
        async with other.http.get(received["fileUrl"]) as answer:
            assert answer.status == 200
            got = hashlib.sha256()
            async for piece in answer.content.iter_any():
                got.update(piece)
        assert got.digest() == hashlib.sha256(body).digest()
        async with other.http.get(received["fileUrl"], headers={"Range": f"bytes={size - 5}-"}) as answer:
            assert (answer.status, await answer.read()) == (206, body[-5:])
    assert "temporary file" not in street.proxy.log(), "nothing of a guest is written to the proxy's disk"


async def test_a_file_that_is_too_large_is_refused_by_the_server_whose_limit_the_page_knows(street: Street) -> None:
    anna, _, room = await street.pair(["websocket"])
    body = bytes(10 * MEBIBYTE + 1)

    async with anna.http.put(f"/api/files/{room}", data=io.BytesIO(body), headers=anna.headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (413, "file_too_large")


async def test_each_client_has_limits_of_its_own_and_none_can_choose_its_address(
    open_street: Callable[..., Awaitable[Street]],
) -> None:
    street = await open_street(limit_address_sessions=Rate(1, 0.001))
    one = await street.http("127.0.0.2")
    async with one.post("/api/guest") as answer:
        assert answer.status == 201
    for spoofed in ("203.0.113.9", "203.0.113.9, 127.0.0.1", "127.0.0.1"):
        async with one.post("/api/guest", headers={"X-Forwarded-For": spoofed}) as answer:
            assert answer.status == 429
    async with (await street.http("127.0.0.3")).post("/api/guest") as answer:
        assert answer.status == 201


@pytest.mark.parametrize("coding", ["br", "gzip"])
async def test_the_page_comes_compressed_and_is_kept(street: Street, coding: str) -> None:
    http = await street.http("127.0.0.2")
    async with http.get("/", headers={"Accept-Encoding": "identity"}) as answer:
        page = await answer.text()
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    for path in ("/", *re.findall(r'"(/assets/[^"]+)"', page)):
        async with http.get(path, headers={"Accept-Encoding": coding}) as answer:
            assert (answer.status, answer.headers["Content-Encoding"]) == (200, coding)
            assert answer.headers["Vary"].lower() == "accept-encoding"
            cached, tag, date = (answer.headers[name] for name in ("Cache-Control", "ETag", "Last-Modified"))
            assert len(await answer.read()) == int(answer.headers["Content-Length"])
        assert cached == ("no-cache" if path == "/" else "public, max-age=31536000, immutable")
        for known in ({"If-None-Match": tag}, {"If-Modified-Since": date}):
            async with http.get(path, headers={"Accept-Encoding": coding, **known}) as answer:
                assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", tag)
        async with http.head(path, headers={"Accept-Encoding": coding}) as answer:
            assert (answer.status, answer.headers["ETag"]) == (200, tag)


async def test_a_token_is_stored_nowhere_on_the_way(street: Street) -> None:
    http = await street.http("127.0.0.2")
    async with http.post("/api/guest") as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
