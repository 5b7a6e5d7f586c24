"""The README's examples for nginx and Caddy: a guest behind a proxy has all that a guest without one has."""

from __future__ import annotations

import hashlib
import io
import random
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from passerby.limits import Rate
from tests.proxies import proxy
from tests.proxies.guest import Guest, Street

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.conftest import StartServer
    from tests.support.server import InsideServer

MEBIBYTE = 1024 * 1024
TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]


class OneServer(Street):
    """A server behind a proxy."""

    def __init__(self, server: InsideServer, before: proxy.Proxy, stack: AsyncExitStack) -> None:
        super().__init__(before, stack)
        self.server = server

    async def pair(self, transports: list[str], root: str = "") -> tuple[Guest, Guest, str]:
        """Return two guests in a conversation, and its room."""
        anna, berta = await self.guest(root), await self.guest(root)
        for guest in (anna, berta):
            await guest.connect(self.proxy.url, transports)
        matched = await self.match(anna, berta)
        return anna, berta, str(matched["roomId"])


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
) -> AsyncIterator[Callable[..., Awaitable[OneServer]]]:
    """Return a function that starts a server with settings, and the proxy before it."""
    async with AsyncExitStack() as stack:

        async def open_it(**changes: object) -> OneServer:
            server = await start_server(trusted_proxies=proxy.trusted_proxies(), **changes)
            upstream = int(server.url.rpartition(":")[2])
            before = stack.enter_context(proxy.running(name, program, tmp_path, upstream))
            return OneServer(server, before, stack)

        yield open_it


@pytest.fixture
async def street(open_street: Callable[..., Awaitable[OneServer]]) -> OneServer:
    return await open_street()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_two_talk_through_the_proxy(street: OneServer, transports: list[str]) -> None:
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
async def test_a_page_of_another_origin_is_refused_through_the_proxy(street: OneServer, transport: str) -> None:
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
        async with guest.http.put(f"{guest.root}/api/files/{room}", data=io.BytesIO(body), headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return (await answer.json())["data"]
    form = aiohttp.FormData()
    form.add_field("roomId", room)
    form.add_field("file", io.BytesIO(body), filename="a.bin", content_type="application/octet-stream")
    async with guest.http.post("/api/files/upload", data=form, headers=guest.headers) as answer:
        assert answer.status == 201, await answer.text()
        return (await answer.json())["data"]


@pytest.mark.parametrize("way", ["raw", "form"])
async def test_a_file_of_ten_megabytes_goes_each_way(street: OneServer, way: str) -> None:
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


async def test_a_file_that_is_too_large_is_refused_by_the_server_whose_limit_the_page_knows(street: OneServer) -> None:
    anna, _, room = await street.pair(["websocket"])
    body = bytes(10 * MEBIBYTE + 1)

    async with anna.http.put(f"/api/files/{room}", data=io.BytesIO(body), headers=anna.headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (413, "file_too_large")


async def test_each_client_has_limits_of_its_own_and_none_can_choose_its_address(
    open_street: Callable[..., Awaitable[OneServer]],
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
async def test_the_page_comes_compressed_and_is_kept(street: OneServer, coding: str) -> None:
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


async def test_a_token_is_stored_nowhere_on_the_way(street: OneServer) -> None:
    http = await street.http("127.0.0.2")
    async with http.post("/api/guest") as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")


_WAYS = {"nginx": "    location / {", "caddy": "\treverse_proxy "}
_PREFIX = {
    "nginx": {
        "as it is": "    location /chat {",
        "taken away": "    location /chat/ {\n        rewrite ^/chat/(.*)$ /$1 break;",
    },
    "caddy": {"as it is": "\treverse_proxy /chat* ", "taken away": "\turi strip_prefix /chat\n\treverse_proxy "},
}


@pytest.mark.parametrize("way", ["as it is", "taken away"])
async def test_a_prefix_may_be_taken_away_or_not(
    name: str, program: str, start_server: StartServer, tmp_path: Path, way: str
) -> None:
    server = await start_server(trusted_proxies=proxy.trusted_proxies(), root_path="/chat")
    upstream = int(server.url.rpartition(":")[2])
    async with AsyncExitStack() as stack:
        before = stack.enter_context(
            proxy.running(name, program, tmp_path, upstream, changes={_WAYS[name]: _PREFIX[name][way]})
        )
        http = await OneServer(server, before, stack).http("127.0.0.2")
        async with http.get("/chat/", headers={"Accept-Encoding": "identity"}) as page:
            assert page.status == 200
            parts = re.findall(r'(?:src|href)="\./([^"]+)"', await page.text())
        for part in parts:
            async with http.get(f"/chat/{part}") as found:
                assert found.status == 200
        async with http.post("/chat/api/guest", json={}) as answer:
            assert answer.status == 201
        async with http.ws_connect("/chat/socket.io/?EIO=4&transport=websocket") as line:
            assert (await line.receive_str()).startswith("0{")
        async with http.get("/chat/schema/openapi.json") as answer:
            assert (await answer.json())["servers"] == [{"url": "/chat"}]
        async with http.get("/chat/health") as answer:
            assert answer.status == 200
        for outside in ("/chatty/health", "/chatty"):
            async with http.get(before.url + outside) as answer:
                assert answer.status in (400, 404)


@pytest.mark.parametrize("way", ["as it is", "taken away"])
@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_two_talk_under_a_prefix_and_send_a_file(
    *, name: str, program: str, start_server: StartServer, tmp_path: Path, way: str, transports: list[str]
) -> None:
    server = await start_server(trusted_proxies=proxy.trusted_proxies(), root_path="/chat")
    upstream = int(server.url.rpartition(":")[2])
    async with AsyncExitStack() as stack:
        before = stack.enter_context(
            proxy.running(name, program, tmp_path, upstream, changes={_WAYS[name]: _PREFIX[name][way]})
        )
        street = OneServer(server, before, stack)
        anna, berta, room = await street.pair(transports, "/chat")

        await anna.say({"type": "text", "content": "hello"})
        assert (await berta.next("chat:message"))["content"] == "hello"
        sent = await upload(anna, room, b"a file", "raw")
        await anna.say({"type": "file", "content": sent})
        link = (await berta.next("chat:message"))["content"]["fileUrl"]
        assert link.startswith("/chat/api/")
        async with berta.http.get(link) as answer:
            assert (answer.status, await answer.read()) == (200, b"a file")
        assert anna.client.transport() == transports[-1]
