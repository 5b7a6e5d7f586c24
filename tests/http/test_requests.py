"""What holds for every route: methods, and types of bodies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.sio_client import Line, read_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import StartServer
    from tests.support.server import RunningServer

SIMPLE = ["text/plain", "TEXT/plain; charset=utf-8", "application/x-www-form-urlencoded", "multipart/form-data", None]
"""Types that a page of any site may send without a preflight (Fetch §2.2.2); a Blob without a type has none."""


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/guest", "OPTIONS, POST"),
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("PATCH", "/api/guest/me", "DELETE, GET, HEAD, OPTIONS"),
        ("TRACE", "/api/temp-files/temp/file_a", "GET, HEAD, OPTIONS"),
        ("POST", "/schema/openapi.json", "GET, HEAD, OPTIONS"),
        ("DELETE", "/schema/asyncapi.json", "GET, HEAD, OPTIONS"),
        ("POST", "/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_method_that_does_not_fit_is_refused_with_those_that_do(
    shared_server: RunningServer, method: str, path: str, allowed: str
) -> None:
    answer = await shared_server.http.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert ", ".join(sorted(answer.headers["allow"].split(", "))) == allowed


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/guest/me", "DELETE, GET, HEAD, OPTIONS"),
        ("/api/moderate/setup/token", "GET, HEAD, OPTIONS, POST"),
        ("/api/files/voice", "OPTIONS, POST"),
        ("/", "GET, HEAD, OPTIONS"),
        ("/icon.svg", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_tells_the_same(shared_server: RunningServer, path: str, allowed: str) -> None:
    answer = await shared_server.http.options(path)

    assert answer.status_code == 204
    assert answer.headers["allow"] == allowed


async def test_no_route_takes_json_that_another_site_can_send(shared_server: RunningServer) -> None:
    paths = (await shared_server.http.get("/schema/openapi.json")).json()["paths"]
    takes_json = [
        re.sub(r"\{\w+\}", "1", path)
        for path, item in paths.items()
        if "application/json" in item.get("post", {}).get("requestBody", {}).get("content", {})
    ]

    assert "/api/guest" in takes_json
    for path in takes_json:
        for kind in SIMPLE:
            headers = {"Origin": "https://evil.example"} | ({"Content-Type": kind} if kind else {})
            answer = await shared_server.http.post(path, content=b"{}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), (path, kind)
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"])
async def test_json_is_known_by_its_type(shared_server: RunningServer, kind: str) -> None:
    answer = await shared_server.http.post(
        "/api/guest", content=b'{"username": "CoolPanda"}', headers={"Content-Type": kind}
    )

    assert answer.json()["data"]["user"]["username"] == "CoolPanda"


async def test_who_sends_nothing_needs_no_type(shared_server: RunningServer) -> None:
    assert (await shared_server.http.post("/api/guest")).status_code == 201
    answer = await shared_server.http.post("/api/guest", content=b"", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 201


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize("kind", [None, "text/plain"])
async def test_who_sends_nothing_in_chunks_needs_no_type_either(shared_server: RunningServer, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}

    empty = await shared_server.http.post("/api/guest", content=chunks(), headers=headers)
    assert "transfer-encoding" in empty.request.headers
    assert empty.status_code == 201
    full = await shared_server.http.post("/api/guest", content=chunks(b"{", b"}"), headers=headers)
    assert (full.status_code, full.json()["code"]) == (415, "unsupported_media_type")
    large = await shared_server.http.post("/api/guest", content=chunks(*[b" " * 30_000] * 3), headers=headers)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")


async def test_a_body_that_is_needed_and_missing_is_named(shared_server: RunningServer) -> None:
    answer = await shared_server.http.post("/api/reports/status")

    assert answer.status_code == 400
    assert answer.json() == {"success": False, "message": "A body is missing", "code": "invalid_payload"}


@pytest.mark.parametrize("path", ["/api/nothing", "/nothing.js", "/schema/nothing", "/moderate.html/x", "/api/pages/x"])
async def test_what_is_not_there_is_told_in_the_envelope(shared_server: RunningServer, path: str) -> None:
    answer = await shared_server.http.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json().keys() == {"success", "message", "code"}
    assert (answer.json()["success"], answer.json()["code"]) == (False, "not_found")


async def test_a_parameter_is_named_as_the_client_has_sent_it(shared_server: RunningServer) -> None:
    answer = await shared_server.http.get("/api/age", params={"return": "https://a/b"})

    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": "return", "message": "Use the page of an origin, such as https://chat.example/"}
    ]


NO_HOSTS = [
    "",
    "x:99999",
    "x:abc",
    "x:-1",
    "x:",
    "a b",
    "[::1",
    "[::1]:x",
    "::1",
    "x/y",
    "x@y:1",
    "\xff",
    "x" * 300,
    None,
]
"""What may come as `Host`, and names no server. None: nothing comes."""
REFUSED = ["a b", "x/y", "\xff"]
"""Those with characters that no host has."""


@pytest.mark.parametrize("host", NO_HOSTS)
async def test_whatever_the_host_is_called_a_request_is_answered(
    shared_server: RunningServer, host: str | None
) -> None:
    port = urlsplit(shared_server.url).port or 0
    document = (await shared_server.http.get("/schema/openapi.json")).json()
    paths = [re.sub(r"\{\w+\}", "1", path) for path, item in document["paths"].items() if "get" in item]
    for path in ["/", "/health", "/schema/openapi.json", "/schema/asyncapi.json", "/nothing", "/moderate", *paths]:
        head = f"GET {path} HTTP/1.0\r\n" + ("" if host is None else f"Host: {host}\r\n")
        async with Line.open(port) as line:
            line.write(f"{head}Connection: close\r\n\r\n".encode("latin-1"))
            answer = await read_answer(line.reader)
        assert answer.status < 500, path
        if path == "/schema/asyncapi.json" and host in REFUSED:
            assert (answer.status, answer.json["code"]) == (400, "invalid_payload")
        elif path == "/schema/asyncapi.json":
            assert (answer.status, answer.json["servers"]["this"]["host"]) == (200, "localhost")


@pytest.mark.parametrize("host", ["chat.example", "chat.example:8443", "10.1.2.3:1", "[::1]:65535", "a_b.example"])
async def test_the_document_names_the_host_that_was_asked(shared_server: RunningServer, host: str) -> None:
    answer = await shared_server.http.get("/schema/asyncapi.json", headers={"Host": host})

    assert answer.json()["servers"]["this"]["host"] == host
    assert answer.json()["servers"]["this"]["protocol"] == "ws"


async def test_the_document_knows_that_a_trusted_proxy_has_tls(start_server: StartServer) -> None:
    server = await start_server(trusted_proxies=("127.0.0.0/8",))

    answer = await server.http.get("/schema/asyncapi.json", headers={"X-Forwarded-Proto": "https", "Host": "x:y"})

    assert answer.json()["servers"]["this"]["protocol"] == "wss"
