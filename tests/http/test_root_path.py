"""ROOT_PATH: everything is under a path of the site, whether the proxy takes that path away or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.database.conftest import KEY
from tests.moderation.conftest import Browser
from tests.support.sio_client import ClosedError, WebSocketClient, http

if TYPE_CHECKING:
    from tests.conftest import StartServer

ROOT = "/chat"
EITHER = pytest.mark.parametrize("before", [ROOT, ""], ids=["as it is", "taken away"])


@EITHER
async def test_page_assets_routes_and_sockets_are_there(start_server: StartServer, before: str) -> None:
    server = await start_server(root_path=ROOT)

    page = await server.http.get(f"{before}/")
    assert page.status_code == 200
    parts = re.findall(r'(?:src|href)="\./([^"]+)"', page.text)
    assert len(parts) >= 3, "the page names what it loads relative to itself"
    for part in parts:
        assert (await server.http.get(f"{before}/{part}")).status_code == 200
    assert (await server.http.get(f"{before}/health")).status_code == 200
    opened = await server.http.get(f"{before}/socket.io/?EIO=4&transport=polling")
    assert (opened.status_code, opened.text[:1]) == (200, "0")
    port = int(server.url.rpartition(":")[2])
    async with WebSocketClient.open(port, f"{before}/socket.io/?EIO=4&transport=websocket") as client:
        assert client is not None


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/chatty/health",
            "/chat/chat/health",
            "//chat/health",
            "/chat/../health",
            "/chat/x/../health",
        ),
        *("/Chat/health", "/chat\\health", "/chat;/health", "/./chat/health", "/chathealth"),
        *("//chat/", "/chatty/", "/chat/../", "/chat/..", "/chat/%2e%2e/health", "/chatty", "/chat/chat/"),
    ],
)
async def test_a_path_that_only_looks_like_it_is_another(start_server: StartServer, path: str) -> None:
    server = await start_server(root_path=ROOT)
    port = int(server.url.rpartition(":")[2])

    answer = await http(port, "GET", path)  # as it is: other clients change it before they send it

    assert (answer.status, answer.headers.get("location")) == (404, None)


@pytest.mark.parametrize(
    "path", ["/chatsocket.io/", "/chatty/socket.io/", "//chat/socket.io/", "/chat/chat/socket.io/"]
)
async def test_no_socket_is_elsewhere(start_server: StartServer, path: str) -> None:
    server = await start_server(root_path=ROOT)
    port = int(server.url.rpartition(":")[2])

    with pytest.raises(ClosedError, match="404"):
        async with WebSocketClient.open(port, f"{path}?EIO=4&transport=websocket"):
            pass
    assert (await http(port, "GET", f"{path}?EIO=4&transport=polling")).status == 404


async def test_the_path_may_be_written_with_escapes(start_server: StartServer) -> None:
    server = await start_server(root_path=ROOT)
    port = int(server.url.rpartition(":")[2])

    assert (await http(port, "GET", "/%63hat/health")).status == 200


@EITHER
async def test_the_console_is_under_it(start_server: StartServer, before: str) -> None:
    server = await start_server(root_path=ROOT, database_url="sqlite:///", evidence_key=KEY, limits_scale=100)
    browser = Browser(server, "eva", before)
    async with browser.http:
        await browser.set_up("admin")

        answer = await browser.log_in()

        assert "Path=/chat/api/moderate" in answer.headers["set-cookie"]
        browser.http.cookies.clear()
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert (await browser.http.get("/api/moderate/session", headers=cookie)).status_code == 200
        assert (await browser.http.get("/api/moderate/session")).status_code == 401
        page = await browser.http.get("/moderate")
        assert page.status_code == 200
        parts = re.findall(r'(?:src|href)="\./([^"]+)"', page.text)
        assert len(parts) >= 2, "the page names what it loads relative to itself"
        for part in parts:
            assert (await browser.http.get(f"/{part}")).status_code == 200
        moved = await browser.http.get("/moderate/?a=1")
        assert (moved.status_code, moved.headers["location"]) == (308, "/chat/moderate?a=1")
        left = await browser.http.delete("/api/moderate/session", headers={**cookie, "X-CSRF-Token": browser.csrf})
        assert "Path=/chat/api/moderate" in left.headers["set-cookie"]


@EITHER
async def test_links_of_files_have_it(start_server: StartServer, before: str) -> None:
    server = await start_server(root_path=ROOT)
    (anna, _), _, room = await server.pair()

    headers = anna.headers | {"X-File-Name": "a.txt"}
    sent = await server.http.put(f"{before}/api/files/{room['roomId']}", content=b"a file", headers=headers)

    link = sent.json()["data"]["fileUrl"]
    assert link.startswith(f"{ROOT}/api/")
    for way in (link, before + link.removeprefix(ROOT)):
        found = await server.http.get(way)
        assert (found.status_code, found.content) == (200, b"a file")


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (ROOT, f"{ROOT}/"),
        (f"{ROOT}?a=1", f"{ROOT}/?a=1"),
    ],
)
async def test_pages_are_where_their_relative_addresses_are_right(
    start_server: StartServer, path: str, to: str
) -> None:
    server = await start_server(root_path=ROOT)

    answer = await server.http.get(path)

    assert (answer.status_code, answer.headers["location"]) == (308, to)


async def test_the_document_says_where_the_routes_are(start_server: StartServer) -> None:
    server = await start_server(root_path=ROOT)

    assert (await server.http.get(f"{ROOT}/schema/openapi.json")).json()["servers"] == [{"url": ROOT}]
    told = (await server.http.get(f"{ROOT}/schema/asyncapi.json")).json()["servers"]
    assert told["this"]["pathname"] == f"{ROOT}/socket.io/"


@pytest.mark.parametrize(("page", "status"), [("/chat/", 302), ("/", 302), ("/other/", 400), ("/chat/x/", 400)])
async def test_an_age_check_leads_back_to_the_page(start_server: StartServer, page: str, status: int) -> None:
    server = await start_server(
        root_path=ROOT, age_minimum=18, age_url="https://age.example/check", age_secret="s" * 32
    )

    answer = await server.http.get(f"{ROOT}/api/age?return={quote(server.url + page, safe='')}")

    assert answer.status_code == status
