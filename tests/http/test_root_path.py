"""ROOT_PATH: everything is under a path of the site, whether the proxy takes that path away or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.support.sio_client import WebSocketClient

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


async def test_a_path_that_only_begins_like_it_is_another(start_server: StartServer) -> None:
    server = await start_server(root_path=ROOT)

    assert (await server.http.get(f"{ROOT}s/health")).status_code == 404
    assert (await server.http.get(f"{ROOT}{ROOT}/health")).status_code == 404


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


@pytest.mark.parametrize(("page", "status"), [("/chat/", 302), ("/", 302), ("/other/", 400), ("/chat/x/", 400)])
async def test_an_age_check_leads_back_to_the_page(start_server: StartServer, page: str, status: int) -> None:
    server = await start_server(
        root_path=ROOT, age_minimum=18, age_url="https://age.example/check", age_secret="s" * 32
    )

    answer = await server.http.get(f"{ROOT}/api/age?return={quote(server.url + page, safe='')}")

    assert answer.status_code == status
