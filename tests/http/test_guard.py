"""Limits of HTTP requests: heads and bodies that are late, endless or too large."""

from __future__ import annotations

import asyncio
import json

import pytest
import uvicorn
from uvicorn.server import ServerState

from passerby.http.guard import HEAD_LIMIT, MAX_HEADERS, TARGET_LIMIT, Guard, GuardedHttpProtocol
from passerby.socketio import Options
from tests.support.sio_client import ClosedError, Line, WebSocketClient, read_answer, request_head, upgrade_head
from tests.support.sio_server import PATH, engine_echo, running, until

TARGET = f"{PATH}?EIO=4&transport=polling"
HOST = ("Host", "h")


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.http.guard.PART_TIMEOUT", 0.3)


@pytest.mark.usefixtures("short_times")
@pytest.mark.parametrize(
    "beginning", [b"", b"GET", request_head("GET", TARGET, [HOST])[:-2], upgrade_head(80, TARGET)[:-2]]
)
async def test_a_head_that_does_not_come_is_cut(beginning: bytes) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, Line.open(server.port) as line:
        line.write(beginning)
        assert await line.read_all() == b""
        assert not server.uvicorn.server_state.connections


@pytest.mark.usefixtures("short_times")
async def test_a_head_that_trickles_in_is_cut() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, Line.open(server.port) as line:
        line.write(b"GET /?")

        async def trickle() -> None:
            while True:
                line.write(b"x")
                await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        assert await line.read_all() == b""
        trickling.cancel()


@pytest.mark.usefixtures("short_times")
async def test_the_second_head_of_a_connection_has_its_own_time() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, Line.open(server.port) as line:
        for _ in range(2):
            line.write(request_head("GET", TARGET, [HOST]))
            assert (await read_answer(line.reader)).status == 200
        line.write(b"GET /half")
        assert await line.read_all() == b""


@pytest.mark.usefixtures("short_times")
async def test_a_body_that_stops_is_cut_or_answered() -> None:
    engine, _ = engine_echo(Options(stall_timeout=5))
    async with running(engine) as server, Line.open(server.port) as opening:
        opening.write(request_head("GET", TARGET, [HOST]))
        sid = (await read_answer(opening.reader)).text.split('"')[3]
        async with Line.open(server.port) as line:
            line.write(request_head("POST", f"{TARGET}&sid={sid}", [HOST, ("Content-Length", "9")]) + b"4half")
            answer = await line.read_all()
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b'"code":"request_timeout"' in answer
        assert sid in engine.sessions


@pytest.mark.usefixtures("short_times")
async def test_a_websocket_outlives_the_time_for_heads_and_bodies() -> None:
    engine, _ = engine_echo(Options(ping_interval=0.5))
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        assert await client.receive() == "2"
        await client.send("4a")
        assert await client.receive() == "4a"


# ── targets in absolute form ──────────────────────────────────────────────────────────────────────

ABSOLUTE = ["http://h", "HTTP://h:80", "https://user:secret@h", "http://[2001:db8::5]:80"]


@pytest.mark.parametrize("start", ABSOLUTE)
async def test_polling_takes_an_absolute_target(start: str) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, Line.open(server.port) as line:
        line.write(request_head("GET", start + TARGET, [HOST]))
        sid = (await read_answer(line.reader)).text.split('"')[3]
        post = request_head("POST", f"{start}{TARGET}&sid={sid}", [HOST, ("Content-Length", "2")])
        line.write(post + b"4a" + request_head("GET", f"{start}{TARGET}&sid={sid}", [HOST]))
        assert [(await read_answer(line.reader)).text for _ in range(2)] == ["ok", "4a"]


@pytest.mark.parametrize("start", [*ABSOLUTE, "ws://h", "wss://h"])
async def test_a_websocket_takes_an_absolute_target(start: str) -> None:
    engine, _ = engine_echo(Options())
    target = f"{start}{PATH}?EIO=4&transport=websocket"
    async with running(engine) as server, WebSocketClient.open(server.port, target) as client:
        assert str(await client.receive()).startswith("0{")
        await client.send("4a")
        assert await client.receive() == "4a"


@pytest.mark.parametrize("target", ["http://h", "http://h?a=b", "http:///", "http://h/a", "http://h/#a"])
async def test_an_absolute_target_without_a_path_is_the_root(target: str) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, Line.open(server.port) as line:
        line.write(request_head("GET", target, [HOST]))
        # The engine serves every path; what matters is that the request reaches it.
        assert (await read_answer(line.reader)).json["reason"] == "protocol_unsupported"


@pytest.mark.parametrize("target", ["*", "ftp://h/", "http:/x", "h:443", "http//h/", "x"])
async def test_other_targets_are_answered_and_are_no_error(target: str) -> None:
    engine, _ = engine_echo(Options())
    for head in (request_head("GET", target, [HOST]), upgrade_head(80, target)):
        async with running(engine) as server, Line.open(server.port) as line:
            line.write(head)
            assert 400 <= (await read_answer(line.reader)).status < 500


async def test_the_host_of_an_absolute_target_is_the_one_that_counts() -> None:
    engine, _ = engine_echo(Options())
    own, other = ("Origin", "https://chat.example"), ("Origin", "https://evil.example")
    async with running(engine) as server:
        for origin, status in ((own, 200), (other, 403)):
            async with Line.open(server.port) as line:
                line.write(request_head("GET", f"https://chat.example{TARGET}", [("Host", "evil.example"), origin]))
                assert (await read_answer(line.reader)).status == status
        target = f"https://chat.example{PATH}?EIO=4&transport=websocket"
        async with WebSocketClient.open(server.port, target, headers=[("Host", "evil.example"), own]) as client:
            assert str(await client.receive()).startswith("0{")
        with pytest.raises(ClosedError) as refused:
            async with WebSocketClient.open(server.port, target, headers=[("Host", "evil.example"), other]):
                pass
        assert refused.value.code == 403


# ── sizes, with a fake transport, so that the test controls each read ─────────────────────────────


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1234), "sockname": ("192.0.2.2", 80)})
        self.written = b""
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Guarded:
    """A connection with limits; counts the requests that it accepts."""

    def __init__(self) -> None:
        self.requests = 0
        self.transport = FakeTransport()
        config = uvicorn.Config(self.application, interface="asgi3", log_config=None, access_log=False)
        self.protocol = GuardedHttpProtocol(config, ServerState(), {}, asyncio.get_running_loop(), guard=Guard())
        self.protocol.connection_made(self.transport)

    async def application(self, _scope: object, _receive: object, send: object) -> None:
        assert callable(send)
        self.requests += 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def feed(self, data: bytes, piece: int) -> None:
        """Send `data` in reads of `piece` bytes until it is refused; run the application."""
        for start in range(0, len(data), piece):
            if self.transport.ended:
                break
            self.protocol.data_received(data[start : start + piece])
        await until(lambda: not self.protocol.server_state.tasks)

    def lose(self) -> None:
        self.protocol.connection_lost(None)


def head_of(size: int, where: str) -> bytes:
    """Return a request head of `size` bytes, most of them in the target, in one header, or in many."""
    empty = len(request_head("GET", "/?", [HOST]))
    if where == "target":
        return request_head("GET", "/?" + "x" * (size - empty), [HOST])
    if where == "one field":
        return request_head("GET", "/?", [HOST, ("Cookie", "x" * (size - empty - len("Cookie: \r\n")))])
    count = (size - empty) // 400
    return request_head("GET", "/?", [HOST, *(("x-field", "y" * 389) for _ in range(count))])


each_way = pytest.mark.parametrize("where", ["target", "one field", "many fields"])
each_piece = pytest.mark.parametrize("piece", [17, 1_000, 16_000, 1_000_000])


@each_way
@each_piece
async def test_a_head_within_the_limit_is_taken_however_it_comes(where: str, piece: int) -> None:
    connection = Guarded()
    for number in range(1, 4):
        await connection.feed(head_of((TARGET_LIMIT if where == "target" else HEAD_LIMIT) - 2_000, where), piece)
        assert connection.requests == number
    assert connection.transport.written.count(b"HTTP/1.1 204") == 3
    connection.lose()


@each_way
@each_piece
@pytest.mark.parametrize("size", [HEAD_LIMIT * 3 // 2, HEAD_LIMIT * 3])
async def test_a_head_beyond_the_limit_is_refused_however_it_comes(where: str, piece: int, size: int) -> None:
    connection = Guarded()
    await connection.feed(head_of(size, where), piece)
    assert connection.requests == 0
    assert connection.transport.ended
    connection.lose()


async def test_a_large_body_is_no_large_head() -> None:
    connection = Guarded()
    body = b"x" * (4 * HEAD_LIMIT)
    head = request_head("POST", "/", [HOST, ("Content-Length", str(len(body)))])
    await connection.feed(head + body + request_head("GET", "/", [HOST]), 16_000)
    assert connection.transport.written.count(b"HTTP/1.1 204") == 2
    connection.lose()


@pytest.mark.parametrize("piece", [7, 10_000])
async def test_a_head_has_at_most_so_many_lines(piece: int) -> None:
    for lines, accepted in ((MAX_HEADERS, 1), (MAX_HEADERS + 1, 0)):
        guarded = Guarded()
        await guarded.feed(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a:\r\n" * (lines - 1) + b"\r\n", piece)
        assert guarded.requests == accepted
        guarded.lose()


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"BROKEN\r\n\r\n", id="no request line"),
        pytest.param(request_head("GET", "/?" + "%" * TARGET_LIMIT, [HOST]), id="a long target"),
        pytest.param(request_head("POST", "/", [HOST, ("Content-Length", "0" * 5000 + "1")]), id="a long length"),
        pytest.param(request_head("GET", "/", [HOST, *[("X", "")] * MAX_HEADERS]), id="many headers"),
    ],
)
async def test_a_broken_request_is_answered_with_a_code(broken: bytes) -> None:
    connection = Guarded()
    connection.protocol.data_received(broken)

    head, _, body = bytes(connection.transport.written).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "http_error"
    assert connection.transport.ended
    connection.lose()
