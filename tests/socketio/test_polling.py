"""Long polling over HTTP: sizes, slow clients, encodings."""

from __future__ import annotations

import asyncio

import pytest

from passerby.socketio import Options, Refusal
from tests.support.sio_client import (
    ClosedError,
    Line,
    PollingClient,
    WebSocketClient,
    http,
    read_answer,
    request_head,
)
from tests.support.sio_server import PATH, engine_echo, running, socketio_server, until

HOST = ("Host", "h")
CHUNKED = ("Transfer-Encoding", "chunked")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def test_a_payload_that_comes_byte_by_byte_with_the_next_request_behind_it() -> None:
    engine, _ = engine_echo(Options())
    body = "4é😀\x1ebAQIDBA==\x1e4last".encode()
    async with running(engine) as server, PollingClient.open(server.port) as client, Line.open(server.port) as line:
        await client.receive()
        head = request_head("POST", client.target, [HOST, ("Content-Length", str(len(body)))])
        for byte in head + body:
            line.write(bytes((byte,)))
            await asyncio.sleep(0)
        assert (await read_answer(line.reader)).text == "ok"
        line.write(head + body + request_head("GET", client.target, [HOST]) + head + body)
        answers = [await read_answer(line.reader) for _ in range(3)]
        assert [answer.text for answer in answers] == ["ok", "\x1e".join([body.decode()] * 2), "ok"]


@pytest.mark.parametrize("pieces", [[b"4a\x1e4b"], [b"4", b"a\x1e", b"4b"]])
async def test_a_payload_may_come_in_chunks(pieces: list[bytes]) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client, Line.open(server.port) as line:
        await client.receive()
        line.write(request_head("POST", client.target, [HOST, CHUNKED]))
        for piece in pieces:
            line.write(chunk(piece))
        line.write(chunk(b""))
        assert (await read_answer(line.reader)).text == "ok"
        assert (await client.get()).text == "4a\x1e4b"


@pytest.mark.parametrize("size", [1_000, 1_000_000])
async def test_a_payload_of_exactly_the_limit_is_taken(size: int) -> None:
    engine, _ = engine_echo(Options(max_payload=size, outbox_limit=2 * size))
    async with running(engine) as server, PollingClient.open(server.port) as client:
        await client.receive()
        body = "4" + "x" * (size - 1)
        assert (await client.post(body)).status == 200
        assert (await client.get()).text == body


async def test_a_payload_announced_beyond_the_limit_is_refused_unread() -> None:
    engine, ends = engine_echo(Options(max_payload=1_000))
    async with running(engine) as server, PollingClient.open(server.port) as client, Line.open(server.port) as line:
        line.write(request_head("POST", client.target, [HOST, ("Content-Length", "1001")]))
        assert (await read_answer(line.reader)).status == 413
        assert ends.empty()


@pytest.mark.parametrize("length", ["9" * 19, "1" + "0" * 18])
async def test_an_absurd_length_is_refused(length: str) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client, Line.open(server.port) as line:
        line.write(request_head("POST", client.target, [HOST, ("Content-Length", length)]))
        assert (await read_answer(line.reader)).status == 413


async def test_a_payload_in_chunks_beyond_the_limit_is_refused_as_soon_as_that_shows() -> None:
    engine, ends = engine_echo(Options(max_payload=1_000))
    async with running(engine) as server, PollingClient.open(server.port) as client, Line.open(server.port) as line:
        line.write(request_head("POST", client.target, [HOST, CHUNKED]) + chunk(b"4" * 600) + chunk(b"4" * 401))
        assert (await read_answer(line.reader)).status == 413
        assert ends.empty()


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_client_that_sends_all_of_a_payload_beyond_the_limit_still_learns_why(framing: str) -> None:
    engine, _ = engine_echo(Options(max_payload=1_000))
    body = b"4" * 300_000
    async with running(engine) as server, PollingClient.open(server.port) as client, Line.open(server.port) as line:
        field = ("Content-Length", str(len(body))) if framing == "length" else CHUNKED
        line.write(request_head("POST", client.target, [HOST, field]))
        for start in range(0, len(body), 20_000):
            part = body[start : start + 20_000]
            line.write(part if framing == "length" else chunk(part))
            await line.drain()
            await asyncio.sleep(0)
        assert (await read_answer(line.reader)).status == 413


async def test_a_payload_that_stops_half_way_is_given_up_and_the_session_goes_on() -> None:
    engine, ends = engine_echo(Options(stall_timeout=0.4))
    async with running(engine) as server, PollingClient.open(server.port) as client, Line.open(server.port) as line:
        line.write(request_head("POST", client.target, [HOST, ("Content-Length", "100")]) + b"4half")
        assert (await read_answer(line.reader)).status == 408
        await client.post("4whole")
        await client.receive()
        assert await client.receive() == "4whole"
        assert ends.empty()


async def test_a_payload_that_trickles_in_is_given_up_too() -> None:
    engine, _ = engine_echo(Options(stall_timeout=0.4))
    async with running(engine) as server, PollingClient.open(server.port) as client, Line.open(server.port) as line:
        line.write(request_head("POST", client.target, [HOST, ("Content-Length", "1000000")]))

        async def trickle() -> None:
            while True:
                line.write(b"4")
                await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        assert (await read_answer(line.reader)).status == 408
        trickling.cancel()


async def test_a_payload_that_is_no_utf_8_is_refused() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        assert (await client.post(b"4\xff")).status == 400
        assert ends.get_nowait() == "parse_error"


async def test_an_answer_carries_all_of_one_turn_however_many_packets() -> None:
    subject = socketio_server(Options())

    def flood(socket: object, _payload: object, _ack: object) -> None:
        for number in range(50):
            subject.namespace().sockets[next(iter(subject.namespace().sockets))].emit("n", number)

    subject.namespace().on("flood", object, flood)
    async with running(subject) as server, PollingClient.open(server.port) as client:
        await client.post("40")
        await client.receive()
        await client.receive()
        poll = asyncio.create_task(client.get())
        await until(lambda: server.engine.sessions[client.sid]._poll)
        await client.post('42["flood"]')
        assert (await poll).text.split("\x1e") == [f'42["n",{number}]' for number in range(50)]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_the_application_may_refuse_to_open_a_session(transport: str) -> None:
    refusal = Refusal(7, "too_many", "Too many connections", status=429, retry_after=2.6)
    subject = socketio_server(Options(), allow=lambda _request: refusal)
    async with running(subject) as server:
        if transport == "polling":
            answer = await http(server.port, "GET", f"{PATH}?EIO=4&transport=polling")
            assert (answer.status, answer.headers["retry-after"]) == (429, "3")
            assert answer.json == {"code": 7, "message": "Too many connections", "reason": "too_many"}
        else:
            with pytest.raises(ClosedError) as refused:
                async with WebSocketClient.open(server.port):
                    pass
            assert (refused.value.code, refused.value.reason) == (
                429,
                '{"code":7,"message":"Too many connections","reason":"too_many"}',
            )
        assert not server.engine.sessions


async def test_a_poll_outlives_the_time_for_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.http.guard.PART_TIMEOUT", 0.2)
    engine, _ = engine_echo(Options(ping_interval=0.4))
    async with running(engine) as server, PollingClient.open(server.port) as client, Line.open(server.port) as line:
        line.write(request_head("GET", client.target, [HOST]))
        assert (await read_answer(line.reader)).text == "2"
