"""Allowed web origins: over WebSocket, polling, and preflight requests."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.socketio import Options, Request
from passerby.socketio.origins import Origins
from tests.socketio.strategies import properties
from tests.support.sio_client import ClosedError, PollingClient, WebSocketClient, http
from tests.support.sio_server import PATH, engine_echo, running

POLLING = f"{PATH}?EIO=4&transport=polling"
LISTED = ("https://chat.example", "http://localhost:5173/")

CASES = [
    pytest.param(LISTED, None, True, id="no page at all"),
    pytest.param(LISTED, "http://{host}", True, id="the same origin"),
    pytest.param(LISTED, "https://{host}", True, id="the same behind a proxy that ends TLS"),
    pytest.param(LISTED, "https://chat.example", True, id="listed"),
    pytest.param(LISTED, "HTTPS://Chat.Example", True, id="listed, in capitals"),
    pytest.param(LISTED, "http://localhost:5173", True, id="listed with a slash at the end"),
    pytest.param(LISTED, "https://chat.example:443", True, id="listed without the default port"),
    pytest.param(("HTTPS://chat.example:443/",), "https://chat.example", True, id="listed with the default port"),
    pytest.param(LISTED, "https://chat.example:80", False, id="listed with the default port of another scheme"),
    pytest.param(LISTED, "https://evil.example", False, id="foreign"),
    pytest.param(LISTED, "http://chat.example", False, id="listed with another scheme"),
    pytest.param(LISTED, "https://chat.example:444", False, id="listed with another port"),
    pytest.param(LISTED, "https://chat.example.evil.example", False, id="begins like a listed one"),
    pytest.param(LISTED, "https://evil-chat.example", False, id="ends like a listed one"),
    pytest.param(LISTED, "http://{host}.evil.example", False, id="begins like our own"),
    pytest.param(LISTED, "http://evil.example#{host}", False, id="ends like our own"),
    pytest.param(LISTED, "null", False, id="opaque"),
    pytest.param(LISTED, "http://[", False, id="no URL"),
    pytest.param((), "https://chat.example", False, id="nothing is listed"),
    pytest.param((), "http://{host}", True, id="the same origin, nothing is listed"),
    pytest.param(("*",), "https://evil.example", True, id="everyone may"),
    pytest.param(("*",), "null", True, id="everyone may, an opaque one too"),
]

each = pytest.mark.parametrize(("listed", "origin", "allowed"), CASES)


def header(origin: str | None, port: int) -> list[tuple[str, str]]:
    return [] if origin is None else [("Origin", origin.format(host=f"127.0.0.1:{port}"))]


@each
async def test_a_page_opens_a_websocket_only_if_allowed(
    listed: tuple[str, ...], origin: str | None, allowed: bool
) -> None:
    engine, _ = engine_echo(Options(), Origins(listed))
    async with running(engine) as server:
        opening = WebSocketClient.open(server.port, headers=header(origin, server.port))
        if allowed:
            async with opening as client:
                assert str(await client.receive()).startswith("0{")
        else:
            with pytest.raises(ClosedError) as refused:
                async with opening:
                    pass
            assert refused.value.code == 403
            assert not engine.sessions


@each
async def test_a_page_polls_only_if_allowed(listed: tuple[str, ...], origin: str | None, allowed: bool) -> None:
    engine, _ = engine_echo(Options(), Origins(listed))
    async with running(engine) as server:
        fields = header(origin, server.port)
        opened = await http(server.port, "GET", POLLING, headers=fields)
        assert opened.status == (200 if allowed else 403)
        assert len(engine.sessions) == int(allowed)
        cross = bool(fields) and "127.0.0.1" not in fields[0][1]
        if allowed and cross:
            assert opened.headers["access-control-allow-origin"] == fields[0][1].lower()
            assert opened.headers["access-control-allow-credentials"] == "true"
            assert opened.headers["vary"] == "origin"
        else:
            assert not [name for name in opened.headers if name.startswith("access-control-")]


@each
async def test_a_page_uses_a_session_only_if_allowed(
    listed: tuple[str, ...], origin: str | None, allowed: bool
) -> None:
    engine, _ = engine_echo(Options(), Origins(listed))
    async with running(engine) as server, PollingClient.open(server.port) as client:
        fields = header(origin, server.port)
        posted = await http(server.port, "POST", client.target, b"4a", fields)
        assert posted.status == (200 if allowed else 403)
        upgrading = WebSocketClient.open(
            server.port, f"{PATH}?EIO=4&transport=websocket&sid={client.sid}", headers=fields
        )
        if allowed:
            async with upgrading as websocket:
                await websocket.send("2probe")
                assert await websocket.receive() == "3probe"
        else:
            with pytest.raises(ClosedError):
                async with upgrading:
                    pass
        assert client.sid in engine.sessions


@each
async def test_a_preflight_is_granted_only_to_listed_pages(
    listed: tuple[str, ...], origin: str | None, allowed: bool
) -> None:
    engine, _ = engine_echo(Options(), Origins(listed))
    async with running(engine) as server:
        fields = header(origin, server.port)
        asked = [*fields, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type")]
        answer = await http(server.port, "OPTIONS", POLLING, headers=asked)
        if allowed and fields and "127.0.0.1" not in fields[0][1]:
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == fields[0][1].lower()
            assert "post" in answer.headers["access-control-allow-methods"]
            assert "content-type" in answer.headers["access-control-allow-headers"]
        else:
            assert answer.status == 403
            assert json.loads(answer.text) == {"code": 4, "message": "Forbidden", "reason": "origin_forbidden"}
            assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert not engine.sessions


async def test_an_error_can_be_read_by_a_listed_page() -> None:
    engine, _ = engine_echo(Options(), Origins(LISTED))
    async with running(engine) as server:
        answer = await http(server.port, "GET", f"{POLLING}&sid=gone", headers=[("Origin", "https://chat.example")])
        assert answer.status == 400
        assert answer.headers["access-control-allow-origin"] == "https://chat.example"


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("https://chat.example", "chat.example", True),
        ("https://chat.example", "chat.example:443", True),
        ("https://chat.example:443", "chat.example", True),
        ("http://chat.example", "chat.example:80", True),
        ("http://chat.example:80", "Chat.Example", True),
        ("https://[2001:db8::5]", "[2001:db8::5]:443", True),
        ("https://[2001:db8::443]", "[2001:db8::443]", True),
        ("https://chat.example:8443", "chat.example:8443", True),
        ("https://chat.example", "chat.example:80", False),
        ("http://chat.example", "chat.example:443", False),
        ("https://chat.example", "chat.example:8443", False),
        ("https://chat.example:8443", "chat.example", False),
        ("https://chat.example", "chat.example:4430", False),
        ("https://chat.example", "chat.example:443:443", False),
        ("https://:443", "", False),
        ("https://", ":443", False),
        ("ftp://chat.example:80", "chat.example", False),
    ],
)
def test_a_default_port_says_nothing(origin: str, host: str, allowed: bool) -> None:
    fields = {b"origin": origin.encode(), b"host": host.encode()}

    assert Origins(()).allow(Request("GET", {}, fields, "192.0.2.1")) == allowed


@pytest.mark.parametrize("names", ["x-tenant", "Authorization,X-Tenant , content-type", "x-a_b!#$%&'*+.^`|~1"])
async def test_a_preflight_allows_the_headers_that_a_client_sets(names: str) -> None:
    engine, _ = engine_echo(Options(), Origins(LISTED))
    asked = [
        ("Origin", LISTED[0]),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", names),
    ]
    async with running(engine) as server:
        answer = await http(server.port, "OPTIONS", POLLING, headers=asked)
        assert answer.status == 204
        assert answer.headers["access-control-allow-headers"] == names.lower()
        assert answer.headers["access-control-allow-credentials"] == "true"

        asked[0] = ("Origin", "https://evil.example")
        answer = await http(server.port, "OPTIONS", POLLING, headers=asked)
        assert answer.status == 403
        assert "access-control-allow-headers" not in answer.headers


@pytest.mark.parametrize("names", ["", "a b", "x;y", ",", "x,,y", "x" * 1025, "é", '"x"', "x:y"])
async def test_a_preflight_for_what_are_no_headers_allows_the_usual_ones(names: str) -> None:
    engine, _ = engine_echo(Options(), Origins(LISTED))
    asked = [("Origin", LISTED[0]), ("Access-Control-Request-Headers", names)]
    async with running(engine) as server:
        answer = await http(server.port, "OPTIONS", POLLING, headers=asked)
        assert answer.headers["access-control-allow-headers"] == "content-type, authorization"


def test_a_request_without_host_has_no_origin_of_its_own() -> None:
    request = Request("GET", {}, {b"origin": b"null"}, "192.0.2.1")
    assert not Origins(()).allow(request)


@properties
@given(st.text(st.characters(max_codepoint=0xFF)), st.text(st.characters(max_codepoint=0xFF)))
def test_any_origin_is_allowed_or_not(origin: str, host: str) -> None:
    fields = {b"origin": origin.encode("latin-1"), b"host": host.encode("latin-1")}
    request = Request("GET", {}, fields, "192.0.2.1")
    allowed = Origins(()).allow(request)
    assert allowed in (True, False)
    assert not Origins(()).cors_headers(request)
    bare = host.lower().removesuffix(":80").removesuffix(":443")
    assert not allowed or not origin or bare in origin.lower()
