"""The rules of Engine.IO 4, against a server in this process."""

from __future__ import annotations

import asyncio
import json
import re
import sys

import pytest

from passerby.socketio import Options
from tests.support.ports import free_port
from tests.support.sio_client import ClosedError, Line, PollingClient, WebSocketClient, http, opened, request_head
from tests.support.sio_server import BOUND, PATH, Running, engine_echo, running, until

POLLING = f"{PATH}?EIO=4&transport=polling"

both = pytest.mark.parametrize("transport", ["websocket", "polling"])


# ── handshake ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("transport", "upgrades"), [("websocket", []), ("polling", ["websocket"])])
async def test_the_first_packet_tells_the_session_and_its_limits(transport: str, upgrades: list[str]) -> None:
    engine, _ = engine_echo(Options(ping_interval=0.3, ping_timeout=0.2, max_payload=1_000_000))
    async with running(engine) as server:
        opening = WebSocketClient.open(server.port) if transport == "websocket" else PollingClient.open(server.port)
        async with opening as client:
            packet = str(await client.receive())
            opened_with = json.loads(packet[1:])
            sid = opened_with.pop("sid")
            assert packet[0] == "0"
            assert opened_with == {
                "upgrades": upgrades,
                "pingInterval": 300,
                "pingTimeout": 200,
                "maxPayload": 1_000_000,
            }
            assert re.fullmatch(r"[\w-]{20,}", sid)
            assert list(engine.sessions) == [sid]


async def test_every_session_has_an_id_of_its_own() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server:
        answers = [await http(server.port, "GET", POLLING) for _ in range(20)]
        assert len({json.loads(answer.text[1:])["sid"] for answer in answers}) == 20


@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("GET", "transport=polling", 5),
        ("GET", "EIO=abc&transport=polling", 5),
        ("GET", "EIO=3&transport=polling", 5),
        ("GET", "EIO=&transport=polling", 5),
        ("GET", "EIO=4", 0),
        ("GET", "EIO=4&transport=abc", 0),
        ("GET", "EIO=4&transport=", 0),
        ("GET", "EIO=4&transport=websocket", 3),
        ("GET", "EIO=4&transport=polling&sid=unknown", 1),
        ("GET", "EIO=4&transport=polling&sid=", 1),
        ("POST", "EIO=4&transport=polling&sid=unknown", 1),
        ("POST", "EIO=4&transport=polling", 2),
        ("PUT", "EIO=4&transport=polling", 2),
        ("DELETE", "EIO=4&transport=polling", 2),
        ("HEAD", "EIO=4&transport=polling", 2),
        ("GET", "", 5),
    ],
)
async def test_a_bad_handshake_is_refused_with_the_reference_s_code(method: str, query: str, code: int) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, Line.open(server.port) as line:
        line.write(request_head(method, f"{PATH}?{query}", [("Host", "h"), ("Connection", "close")]))
        head, _, body = (await line.read_all()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        if method != "HEAD":
            assert json.loads(body)["code"] == code
            assert set(json.loads(body)) == {"code", "message", "reason"}
        assert not engine.sessions


async def test_a_session_has_no_other_methods() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        for method in ("PUT", "DELETE", "PATCH"):
            assert (await http(server.port, method, client.target)).status == 400
        assert client.sid in engine.sessions


# ── messages ──────────────────────────────────────────────────────────────────────────────────────

PAYLOADS = [
    "4hello",
    "4",
    "4test1\x1e4test2\x1e4test3",
    "4hello\x1ebAQIDBA==",
    "bAQIDBA==\x1e4é😀\x1eb",
]


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_a_payload_comes_back_packet_by_packet_in_one_poll(payload: str) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        posted = await client.post(payload)
        assert (posted.status, posted.text) == (200, "ok")
        polled = await client.get()
        assert (polled.status, polled.text) == (200, payload)
        assert polled.headers["content-type"] == "text/plain; charset=utf-8"
        assert polled.headers["cache-control"] == "no-store"


@both
async def test_messages_come_back_in_order_text_and_binary(transport: str) -> None:
    engine, _ = engine_echo(Options())
    messages: list[str | bytes] = ["4a", b"\x00\xff", "4é😀", "4", b"", "4" + "x" * 70_000, bytes(range(256)) * 300]
    async with running(engine) as server, opened(server.port, transport) as client:
        await client.send(*messages)
        assert [await client.receive() for _ in messages] == messages


async def test_a_poll_waits_for_the_first_packet() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        poll = asyncio.create_task(client.get())
        await until(lambda: engine.sessions[client.sid]._poll)
        assert not poll.done()
        await client.post("4a\x1e4b")
        assert (await poll).text == "4a\x1e4b"


@pytest.mark.parametrize("body", ["abc", "", "\x1e", "7", "4a\x1e", "4a\x1eabc", "b*", b"4\xff", "0", "5"])
async def test_a_broken_payload_ends_a_polling_session(body: str | bytes) -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        assert (await client.post(body)).status in (200, 400)
        assert await asyncio.wait_for(ends.get(), BOUND) == "parse_error"
        await client.receive()
        await client.closed()
        assert (await client.get()).status == 400
        assert (await client.post("4a")).status == 400


@pytest.mark.parametrize("packet", ["abc", "", "7", "0", "2", "2probe", "5", "\u0661"])
async def test_a_broken_packet_ends_a_websocket_session(packet: str) -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, opened(server.port, "websocket") as client:
        await client.send(packet)
        end = await client.closed()
        assert (end.code, end.reason) == (1002, "parse_error")
        assert await ends.get() == "parse_error"


@both
async def test_noops_and_unasked_pongs_are_ignored(transport: str) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, opened(server.port, transport) as client:
        await client.send("6", "3", "3probe", "4a")
        assert await client.receive() == "4a"


async def test_a_second_poll_at_once_ends_the_session() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        first = asyncio.create_task(client.get())
        await until(lambda: engine.sessions[client.sid]._poll)
        second = await client.get()
        assert second.status == 400
        assert ((await first).status, (await first).text) == (200, "1")
        assert (await client.get()).status == 400
        assert ends.get_nowait() == "duplicate_poll"


async def test_a_poll_that_is_given_up_ends_the_session() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        async with Line.open(server.port) as line:
            line.write(request_head("GET", client.target, [("Host", "h")]))
            await until(lambda: engine.sessions[client.sid]._poll)
        assert await asyncio.wait_for(ends.get(), BOUND) == "transport_error"
        assert (await client.get()).status == 400


async def test_a_post_that_is_given_up_harms_nothing() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        async with Line.open(server.port) as line:
            line.write(request_head("POST", client.target, [("Host", "h"), ("Content-Length", "100")]) + b"4half")
            await until(lambda: server.uvicorn.server_state.tasks)
        await until(lambda: not server.uvicorn.server_state.tasks)
        await client.post("4whole")
        assert (await client.get()).text == "4whole"


# ── heartbeat ─────────────────────────────────────────────────────────────────────────────────────


@both
async def test_the_server_pings_and_waits_for_pongs(transport: str) -> None:
    engine, ends = engine_echo(Options(ping_interval=0.1, ping_timeout=BOUND))
    async with running(engine) as server, opened(server.port, transport) as client:
        for _ in range(3):
            assert await client.receive() == "2"
            await client.send("3")
        assert ends.empty()


@both
async def test_a_session_without_pong_ends(transport: str) -> None:
    engine, ends = engine_echo(Options(ping_interval=0.1, ping_timeout=0.1))
    async with running(engine) as server, opened(server.port, transport) as client:
        if transport == "websocket":
            end = await client.closed()
            assert end.reason == "ping_timeout"
        assert await asyncio.wait_for(ends.get(), BOUND) == "ping_timeout"
        if isinstance(client, PollingClient):
            assert (await client.get()).status == 400
        assert not engine.sessions


@both
async def test_messages_are_no_pongs(transport: str) -> None:
    engine, ends = engine_echo(Options(ping_interval=0.1, ping_timeout=0.3, packet_rate=1e6))
    async with running(engine) as server, opened(server.port, transport) as client:
        while ends.empty():
            try:
                await client.send("4still here")
                await client.receive()
            except (ClosedError, ConnectionError):
                break
        assert await asyncio.wait_for(ends.get(), BOUND) == "ping_timeout"


# ── close ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_close_packet_answers_the_waiting_poll_with_a_noop() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        poll = asyncio.create_task(client.get())
        await until(lambda: engine.sessions[client.sid]._poll)
        assert (await client.post("1")).status == 200
        assert ((await poll).status, (await poll).text) == (200, "6")
        assert (await client.get()).status == 400
        assert ends.get_nowait() == "transport_close"


async def test_a_poll_that_crosses_the_close_packet_gets_the_noop_once() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        await client.post("4last\x1e1")
        polled = await client.get()
        assert (polled.status, polled.text) == (200, "4last\x1e6")
        assert (await client.get()).status == 400


async def test_what_follows_a_close_packet_is_not_read() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        assert (await client.post("1\x1e4late")).status == 200
        assert (await client.get()).text == "6"
        assert ends.qsize() == 1


async def test_a_close_packet_closes_the_websocket() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, opened(server.port, "websocket") as client:
        await client.send("1")
        assert (await client.closed()).code == 1000
        assert ends.get_nowait() == "transport_close"


async def test_the_last_words_of_a_polling_session_wait_for_a_while_only() -> None:
    engine, _ = engine_echo(Options(close_timeout=0.05))
    async with running(engine) as server, PollingClient.open(server.port) as client:
        await client.post("4last\x1e1")
        await until(lambda: not engine._final_payloads)
        assert (await client.get()).status == 400


# ── upgrade ───────────────────────────────────────────────────────────────────────────────────────


def upgrade_target(client: PollingClient) -> str:
    return f"{PATH}?EIO=4&transport=websocket&sid={client.sid}"


async def test_an_upgrade_goes_by_probe_noop_and_upgrade_packet() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        await client.receive()
        async with WebSocketClient.open(server.port, upgrade_target(client)) as websocket:
            await websocket.send("2probe")
            assert await websocket.receive() == "3probe"
            assert (await client.get()).text == "6"
            await websocket.send("5", "4hello", b"\x01")
            assert [await websocket.receive(), await websocket.receive()] == ["4hello", b"\x01"]
            assert engine.sessions[client.sid].transport == "websocket"
            assert ends.empty()


async def test_the_probe_ends_the_poll_that_waits() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        poll = asyncio.create_task(client.get())
        await until(lambda: engine.sessions[client.sid]._poll)
        async with WebSocketClient.open(server.port, upgrade_target(client)) as websocket:
            await websocket.send("2probe")
            assert (await poll).text == "6"
            assert await websocket.receive() == "3probe"


async def test_requests_after_the_upgrade_are_refused_and_harm_nothing() -> None:
    engine, _ = engine_echo(Options())
    async with (
        running(engine) as server,
        PollingClient.open(server.port) as client,
        WebSocketClient.open(server.port, upgrade_target(client)) as websocket,
    ):
        await websocket.send("2probe", "5")
        assert await websocket.receive() == "3probe"
        await websocket.send("4a")
        assert await websocket.receive() == "4a"
        assert (await client.get()).status == 400
        assert (await client.post("4b")).status == 400
        await websocket.send("4c")
        assert await websocket.receive() == "4c"


async def assert_no_websocket(server: Running, target: str) -> None:
    with pytest.raises(ClosedError) as refused:
        async with WebSocketClient.open(server.port, target):
            pass
    assert refused.value.code == 400


async def test_a_second_websocket_of_a_session_is_refused_and_the_first_stays() -> None:
    engine, _ = engine_echo(Options())
    async with (
        running(engine) as server,
        PollingClient.open(server.port) as client,
        WebSocketClient.open(server.port, upgrade_target(client)) as first,
    ):
        await assert_no_websocket(server, upgrade_target(client))
        await first.send("2probe", "5", "4a")
        assert [await first.receive(), await first.receive()] == ["3probe", "4a"]
        await assert_no_websocket(server, upgrade_target(client))
        await first.send("4b")
        assert await first.receive() == "4b"


async def test_a_second_websocket_for_a_session_that_began_as_one_is_refused() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, WebSocketClient.open(server.port) as first:
        sid = json.loads(str(await first.receive())[1:])["sid"]
        await assert_no_websocket(server, f"{PATH}?EIO=4&transport=websocket&sid={sid}")
        await first.send("4a")
        assert await first.receive() == "4a"


# ── the server program for the public suites ──────────────────────────────────────────────────────


async def program_listens(port: int) -> None:
    while True:
        try:
            async with Line.open(port):
                return
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("mode", "path"), [("engineio", "/engine.io/"), ("socketio", "/socket.io/")])
async def test_the_conformance_server_answers_as_the_public_suites_expect(mode: str, path: str) -> None:
    port = free_port()
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.conformance.server", "--mode", mode, "--port", str(port)
    )
    try:
        async with asyncio.timeout(4 * BOUND):
            await program_listens(port)
            limits = json.loads((await http(port, "GET", f"{path}?EIO=4&transport=polling")).text[1:])
            del limits["sid"]
            assert limits == {
                "upgrades": ["websocket"],
                "pingInterval": 300,
                "pingTimeout": 200,
                "maxPayload": 1_000_000,
            }
            async with WebSocketClient.open(port, f"{path}?EIO=4&transport=websocket") as client:
                await client.send("40" if mode == "socketio" else "4a")
                assert str(await client.receive()).startswith('0{"sid"')
                while (answer := await client.receive()) == "2":  # skip pings
                    await client.send("3")
                assert str(answer).startswith('40{"sid"' if mode == "socketio" else "4a")
    finally:
        program.terminate()
        await program.wait()
