"""The WebSocket transport, frame by frame (RFC 6455), and the internals of uvicorn and picows that it relies on."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from importlib.metadata import version
from typing import Any, cast

import picows
import pytest
import uvicorn
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from passerby.socketio import Options
from tests.support.sio_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    ClosedError,
    Line,
    WebSocketClient,
    frame,
    frame_head,
    mask,
    read_answer,
    request_head,
    upgrade_head,
)
from tests.support.sio_server import BOUND, PATH, echo, engine_echo, running

TARGET = f"{PATH}?EIO=4&transport=websocket"

CONVERSATION: list[str | bytes] = [
    "40",
    '42["message",1,"2",{"3":[true]}]',
    '42456["message-with-ack",1,"2",{"3":[false]}]',
    '452-["message",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}]',
    b"\x01\x02\x03",
    b"",
    '40/custom,{"token":"é"}',
    '451-/custom,789["message-with-ack",{"_placeholder":true,"num":0}]',
    bytes(range(256)),
    "41/custom,",
    f'42["message","{"long 😀 " * 2_000}"]',
    "6",
    '42["message","last"]',
]
"""One packet of each type that a client may send, in short, medium and long frames."""

ANSWERS: list[str | bytes] = [
    '40{"sid":…}',
    '42["auth",{}]',
    '42["message-back",1,"2",{"3":[true]}]',
    '43456[1,"2",{"3":[false]}]',
    '452-["message-back",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}]',
    b"\x01\x02\x03",
    b"",
    '40/custom,{"sid":…}',
    '42/custom,["auth",{"token":"é"}]',
    '461-/custom,789[{"_placeholder":true,"num":0}]',
    bytes(range(256)),
    f'42["message-back","{"long 😀 " * 2_000}"]',
    '42["message-back","last"]',
]


async def answers(client: WebSocketClient) -> list[str | bytes]:
    received: list[str | bytes] = []
    while not received or received[-1] != ANSWERS[-1]:
        packet = await client.receive()
        received.append(re.sub(r'"sid":"[^"]+"', '"sid":…', packet) if isinstance(packet, str) else packet)
    return received


def on_the_wire() -> bytes:
    return b"".join(frame(TEXT if isinstance(packet, str) else BINARY, packet) for packet in CONVERSATION)


async def test_a_conversation_whose_frames_come_one_by_one() -> None:
    async with running(echo()) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        for packet in CONVERSATION:
            await client.send(packet)
            await asyncio.sleep(0)
        assert await answers(client) == ANSWERS


async def test_a_conversation_whose_frames_come_in_one_write() -> None:
    async with running(echo()) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        client.write(on_the_wire())
        assert await answers(client) == ANSWERS


async def test_a_conversation_that_comes_byte_by_byte_the_handshake_too() -> None:
    short = [packet for packet in CONVERSATION if len(packet) < 300]
    wire = b"".join(frame(TEXT if isinstance(packet, str) else BINARY, packet) for packet in short)
    async with running(echo()) as server, Line.open(server.port) as line:
        for byte in upgrade_head(server.port, TARGET):
            line.write(bytes((byte,)))
            await asyncio.sleep(0)
        assert (await read_answer(line.reader)).status == 101
        client = WebSocketClient(line)
        await client.receive()
        for byte in wire:
            line.write(bytes((byte,)))
            await asyncio.sleep(0)
        assert await answers(client) == [packet for packet in ANSWERS if len(packet) < 300]


@pytest.mark.parametrize("size", [2, 7, 125, 1_000, 1_793])
async def test_a_conversation_cut_into_pieces_that_end_inside_frames(size: int) -> None:
    wire = on_the_wire()
    async with running(echo()) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        for start in range(0, len(wire), size):
            client.write(wire[start : start + size])
            await asyncio.sleep(0)
        assert await answers(client) == ANSWERS


# ── the handshake ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade, keep-alive"])
async def test_every_browser_s_connection_header_is_understood(connection: str) -> None:
    engine, _ = engine_echo(Options())
    headers = [("Connection", connection), ("Upgrade", "WebSocket")]
    async with running(engine) as server, WebSocketClient.open(server.port, TARGET, headers=headers) as client:
        assert str(await client.receive()).startswith("0{")


@pytest.mark.parametrize("size", [1_000, 8_000, 20_000])
async def test_cookies_and_tokens_may_make_the_head_long(size: int) -> None:
    engine, _ = engine_echo(Options())
    headers = [("Cookie", "c=" + "x" * size), ("Authorization", "Bearer " + "y" * 2_000)]
    async with running(engine) as server, WebSocketClient.open(server.port, TARGET, headers=headers) as client:
        assert str(await client.receive()).startswith("0{")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"{PATH}?transport=websocket", 400),
        (f"{PATH}?EIO=abc&transport=websocket", 400),
        (f"{PATH}?EIO=3&transport=websocket", 400),
        (f"{PATH}?EIO=4", 400),
        (f"{PATH}?EIO=4&transport=abc", 400),
        (f"{PATH}?EIO=4&transport=polling", 400),
        (f"{PATH}?EIO=4&transport=websocket&sid=unknown", 400),
        (PATH, 400),
        ("/elsewhere/?EIO=4&transport=websocket", 404),
        (f"{PATH}?" + "&".join(["a=1"] * 65) + "&EIO=4&transport=websocket", 400),
    ],
)
async def test_a_handshake_that_is_refused_is_answered_in_http(target: str, status: int) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server:
        with pytest.raises(ClosedError) as refused:
            async with WebSocketClient.open(server.port, target):
                pass
        assert refused.value.code == status
        assert re.fullmatch(r'\{"code":\d,"message":"[\w ]+","reason":"[a-z_]+"\}', refused.value.reason)
        assert not engine.sessions


@pytest.mark.parametrize(
    ("name", "value"),
    [("Sec-WebSocket-Key", ""), ("Sec-WebSocket-Key", "short"), ("Sec-WebSocket-Version", "6")],
)
async def test_a_handshake_that_is_not_rfc_6455_opens_no_session(name: str, value: str) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server:
        with pytest.raises(ClosedError) as refused:
            async with WebSocketClient.open(server.port, TARGET, headers=[(name, value)]):
                pass
        assert refused.value.code in (400, 426)
        assert not engine.sessions


async def test_a_handshake_is_a_get() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        sid = str(await client.receive()).split('"')[3]
        for target in (TARGET, f"{TARGET}&sid={sid}"):
            async with Line.open(server.port) as line:
                line.write(upgrade_head(server.port, target).replace(b"GET ", b"POST ", 1))
                assert (await read_answer(line.reader)).status == 400
        assert list(engine.sessions) == [sid]


@pytest.mark.parametrize("target", ["//[", "http://[/socket.io/", "//[::1/socket.io/?EIO=4&transport=websocket"])
async def test_a_handshake_for_a_target_that_is_no_url_is_answered_and_not_an_error(target: str) -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, Line.open(server.port) as line:
        line.write(upgrade_head(server.port, target))
        assert 400 <= (await read_answer(line.reader)).status < 500


# ── protocol violations ───────────────────────────────────────────────────────────────────────────

TOO_BIG = 1_001
BROKEN = [
    pytest.param(frame(TEXT, "4a", masked=False), 1002, id="unmasked"),
    pytest.param(frame(TEXT, "4a", rsv=4), 1002, id="rsv1"),
    pytest.param(frame(TEXT, "4a", rsv=2), 1002, id="rsv2"),
    pytest.param(frame(TEXT, "4a", rsv=1), 1002, id="rsv3"),
    pytest.param(frame(BINARY, b"a", rsv=4), 1002, id="rsv1 of a binary frame"),
    pytest.param(frame(TEXT, "4a", fin=False) + frame(CONTINUATION, "b", rsv=4), 1002, id="rsv1 of a fragment"),
    pytest.param(frame(PING, "p", rsv=4), 1002, id="rsv1 of a ping"),
    pytest.param(frame(PONG, "p", rsv=1), 1002, id="rsv3 of a pong"),
    pytest.param(frame(0x3, "4a"), 1002, id="reserved opcode of data"),
    pytest.param(frame(0xB, "4a"), 1002, id="reserved opcode of control"),
    pytest.param(frame(CONTINUATION, "4a"), 1002, id="continuation of nothing"),
    pytest.param(frame(CONTINUATION, "4a", fin=False), 1002, id="fragment of nothing"),
    pytest.param(frame(TEXT, "4a", fin=False) + frame(TEXT, "4b"), 1002, id="text inside a message"),
    pytest.param(frame(TEXT, "4a", fin=False) + frame(BINARY, "4b"), 1002, id="binary inside a message"),
    pytest.param(frame(TEXT, "4a", fin=False) + frame(TEXT, "4b", fin=False), 1002, id="fragments inside a message"),
    pytest.param(frame(PING, "p", fin=False), 1002, id="fragmented ping"),
    pytest.param(frame(CLOSE, b"\x03\xe8", fin=False), 1002, id="fragmented close"),
    pytest.param(frame(PING, "p" * 126), 1002, id="long ping"),
    pytest.param(b"\x81\xfe\x00\x02" + frame(TEXT, "4a")[2:], 1002, id="length of 2 in 16 bits"),
    pytest.param(b"\x81\xff" + bytes(7) + b"\x02" + frame(TEXT, "4a")[2:], 1002, id="length of 2 in 64 bits"),
    pytest.param(frame_head(TEXT, 1 << 63), 1002, id="length beyond 63 bits"),
    pytest.param(frame(CLOSE, b"\x03"), 1002, id="half a close code"),
    pytest.param(frame(CLOSE, b"\x03\xed"), 1002, id="close code 1005"),
    pytest.param(frame(CLOSE, b"\x00\x01"), 1002, id="close code 1"),
    pytest.param(frame(CLOSE, b"\x03\xe8\xff"), 1007, id="close reason that is no UTF-8"),
    pytest.param(frame(TEXT, b"4\xff"), 1007, id="no UTF-8"),
    pytest.param(frame(TEXT, b"4\xed\xa0\x80"), 1007, id="surrogate in UTF-8"),
    pytest.param(frame(TEXT, b"4\xc0\x80"), 1007, id="overlong UTF-8"),
    pytest.param(frame(TEXT, b"4\xe2\x82"), 1007, id="UTF-8 cut off"),
    pytest.param(
        frame(TEXT, b"4\xe2", fin=False) + frame(CONTINUATION, b"\x82"), 1007, id="UTF-8 cut off in fragments"
    ),
    pytest.param(frame_head(TEXT, TOO_BIG), 1009, id="too big"),
    pytest.param(frame_head(BINARY, (1 << 63) - 1), 1009, id="far too big"),
    pytest.param(frame(TEXT, b"4" * 600, fin=False) + frame(CONTINUATION, b"4" * 401), 1009, id="fragments too big"),
    pytest.param(
        frame(BINARY, b"4" * 600, fin=False) + frame(CONTINUATION, b"4" * 401, fin=False), 1009, id="too big so far"
    ),
]


@pytest.mark.parametrize(("wire", "code"), BROKEN)
async def test_a_frame_that_breaks_the_protocol_ends_the_connection_with_its_code(wire: bytes, code: int) -> None:
    engine, ends = engine_echo(Options(max_payload=TOO_BIG - 1))
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        client.write(wire)
        assert (await client.closed()).code == code
        if code != 1002 or wire[0] & 0x0F != CLOSE:
            client.write(frame(CLOSE, code.to_bytes(2, "big")))
        await asyncio.wait_for(ends.get(), BOUND)
        assert not engine.sessions


async def test_messages_before_a_broken_frame_in_the_same_write_are_taken() -> None:
    taken: asyncio.Queue[str] = asyncio.Queue()
    subject = echo()
    subject.namespace().on("note", str, lambda _socket, note, _ack: taken.put_nowait(note))
    async with running(subject) as server, WebSocketClient.open(server.port) as client:
        client.write(frame(TEXT, "40") + frame(TEXT, '42["note","a"]') + frame(TEXT, '42["note","b"]') + b"\x83\x80")
        assert (await client.closed()).code == 1002
    assert [taken.get_nowait(), taken.get_nowait()] == ["a", "b"]


async def test_a_frame_that_was_refused_as_too_big_is_not_taken_when_the_rest_of_it_comes() -> None:
    engine, _ = engine_echo(Options(max_payload=1_000))
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        client.write(frame_head(TEXT, 1_500))
        refusal = await client.read_frame()
        assert (refusal.opcode, refusal.payload[:2]) == (CLOSE, (1009).to_bytes(2, "big"))
        client.write(mask(b"4" * 1_500))
        assert await client.line.read_all() == b""


async def test_messages_behind_a_frame_that_was_refused_are_not_taken() -> None:
    taken: list[str] = []
    subject = echo(Options(max_payload=1_000))
    subject.namespace().on("note", str, lambda _socket, note, _ack: taken.append(note))
    async with running(subject) as server, WebSocketClient.open(server.port) as client:
        await client.send("40")
        client.write(frame_head(TEXT, 1_500))
        assert (await client.closed()).code == 1009
        client.write(mask(b"4" * 1_500) + frame(TEXT, '42["note","late"]'))
        assert await client.line.read_all() == b""
        assert not taken


@pytest.mark.parametrize("size", [1_000, 1_000_000])
@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_message_of_exactly_the_limit_is_taken(size: int, pieces: int) -> None:
    engine, _ = engine_echo(Options(max_payload=size, outbox_limit=4 * size))
    message = b"4" + b"x" * (size - 1)
    step = -(-size // pieces)
    parts = [message[start : start + step] for start in range(0, size, step)]
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        for number, part in enumerate(parts):
            opcode = CONTINUATION if number else TEXT
            client.write(frame(opcode, part, fin=number == len(parts) - 1))
        assert str(await client.receive()) == message.decode()


# ── fragments and control frames ──────────────────────────────────────────────────────────────────


async def test_a_message_may_come_in_fragments_that_cut_characters_in_two() -> None:
    engine, _ = engine_echo(Options())
    text = "4fragments of 😀 and é"
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        parts = [bytes((byte,)) for byte in text.encode()]
        client.write(frame(TEXT, parts[0], fin=False))
        for part in parts[1:]:
            client.write(frame(CONTINUATION, part, fin=False))
        client.write(frame(CONTINUATION, b""))
        assert await client.receive() == text
        client.write(frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"\x01") + frame(TEXT, "4next"))
        assert [await client.receive(), await client.receive()] == [b"\x01", "4next"]


async def test_control_frames_may_stand_between_fragments() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        client.write(frame(TEXT, "4one", fin=False) + frame(PING, "are you there") + frame(PONG, "unasked"))
        pong = await client.read_frame()
        assert (pong.opcode, pong.payload) == (PONG, b"are you there")
        client.write(frame(CONTINUATION, " message"))
        assert await client.receive() == "4one message"


async def test_a_ping_is_answered_by_a_pong_with_the_same_payload() -> None:
    engine, _ = engine_echo(Options())
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        for payload in (b"", b"x" * 125):
            client.write(frame(PING, payload))
            pong = await client.read_frame()
            assert (pong.opcode, pong.payload, pong.fin) == (PONG, payload, True)


async def test_a_message_in_tiny_fragments_costs_no_more_than_its_length() -> None:
    engine, _ = engine_echo(Options(packet_rate=1e9))  # never reached

    async def cost(fragments: int) -> float:
        wire = frame(TEXT, "4", fin=False) + frame(CONTINUATION, "x", fin=False) * fragments + frame(CONTINUATION)
        async with WebSocketClient.open(server.port) as client:
            await client.receive()
            before = time.process_time()
            client.write(wire)
            assert len(await client.receive()) == fragments + 1
            return time.process_time() - before

    async with running(engine) as server:
        await cost(100)
        once = min([await cost(4_000) for _ in range(3)])
        four_times = min([await cost(16_000) for _ in range(3)])
    assert four_times < 9 * once  # 4 if the cost is linear, 16 if it is quadratic


# ── closing ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe9bye", b"\x0f\xa0private", b"\x0b\xb8"])
async def test_a_close_frame_is_answered_with_its_code_and_ends_the_session(payload: bytes) -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        client.write(frame(CLOSE, payload))
        assert (await client.closed()).code == int.from_bytes(payload[:2] or b"\x03\xe8", "big")
        assert await client.line.read_all() == b""
        assert await asyncio.wait_for(ends.get(), BOUND) == "transport_close"


@pytest.mark.parametrize("how", ["reset", "end of file"])
async def test_a_line_that_breaks_ends_the_session(how: str) -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        client.write(frame_head(TEXT, 100) + b"half")
        if how == "reset":
            client.line._writer.transport.abort()
        else:
            client.line.end()
        assert await asyncio.wait_for(ends.get(), BOUND) == "transport_close"


async def test_a_client_that_does_not_answer_the_closing_handshake_is_cut_off() -> None:
    engine, _ = engine_echo(Options(close_timeout=0.1))
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        await client.send("abc")
        assert (await client.closed()).code == 1002
        assert await client.line.read_all() == b""


async def test_nothing_is_taken_from_a_client_that_has_been_closed() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        client.write(frame(TEXT, "abc") + frame(TEXT, "4late") + frame(BINARY, b"late") + frame(TEXT, b"\xff"))
        assert (await client.closed()).code == 1002
        client.write(frame(TEXT, "4later") + frame(CLOSE, b"\x03\xea"))
        assert await client.line.read_all() == b""
        assert ends.qsize() == 1


# ── internals of uvicorn and picows ───────────────────────────────────────────────────────────────


def test_the_pinned_versions_are_the_ones_tried() -> None:
    # Change these together with pyproject.toml, after all other tests in this file pass.
    assert version("uvicorn") == "0.54.0"
    assert version("picows") == "2.3.1"


class FakeTransport(asyncio.Transport):
    """Records the calls."""

    def __init__(self, calls: list[tuple[str, object]]) -> None:
        super().__init__({"peername": ("192.0.2.1", 1234), "sockname": ("192.0.2.2", 80)})
        self._calls = calls

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._calls.append(("set_protocol", protocol))

    def write(self, data: Any) -> None:  # noqa: ANN401 - any buffer
        self._calls.append(("write", bytes(data)))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self._calls.append(("close", None))


async def test_uvicorn_hands_over_a_connection_as_it_always_has() -> None:
    calls: list[tuple[str, object]] = []

    class Upgraded(asyncio.Protocol):
        def __init__(self, **made_with: object) -> None:
            calls.append(("made", sorted(made_with)))
            assert isinstance(made_with["server_state"], ServerState)

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            calls.append(("connection_made", transport))

        def data_received(self, data: bytes) -> None:
            calls.append(("data_received", data))

    async def no_application(_scope: object, _receive: object, _send: object) -> None:
        raise NotImplementedError

    config = uvicorn.Config(no_application, ws=Upgraded, log_config=None)
    state = ServerState()
    protocol = HttpToolsProtocol(config, state, {}, asyncio.get_running_loop())
    transport = FakeTransport(calls)
    protocol.connection_made(transport)
    assert state.connections == {protocol}
    head = request_head("GET", "/p/?a=b&c=%20", [("Host", "h"), ("Connection", "x, Upgrade"), ("Upgrade", "WebSocket")])
    protocol.data_received(head[:30])
    protocol.data_received(head[30:])
    assert calls[:-1] == [
        ("made", ["app_state", "config", "server_state"]),
        ("connection_made", transport),
        (
            "data_received",
            b"GET /p/?a=b&c=%20 HTTP/1.1\r\nhost: h\r\nconnection: x, Upgrade\r\nupgrade: WebSocket\r\n\r\n",
        ),
    ]
    assert calls[-1][0] == "set_protocol"
    assert isinstance(calls[-1][1], Upgraded)
    assert not state.connections


def test_picows_protocol_is_one_that_owns_its_buffer() -> None:
    assert issubclass(WSProtocol, asyncio.BufferedProtocol)
    assert not hasattr(WSProtocol, "data_received")


class Listener(picows.WSListener):
    def __init__(self) -> None:
        self.frames: list[tuple[object, ...]] = []

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self.frames.append(
            (frame.msg_type is picows.WSMsgType.TEXT, frame.fin, frame.rsv1, frame.get_payload_as_utf8_text())
        )


@pytest.mark.parametrize(
    ("connection", "status"),
    # When picows accepts the second, `_picows_head` can be removed.
    [("Upgrade", b"101"), ("keep-alive, Upgrade", b"400")],
)
async def test_picows_takes_a_head_and_frames_through_its_buffer(connection: str, status: bytes) -> None:
    made: list[Listener] = []

    def listener(_request: object) -> Listener:
        made.append(Listener())
        return made[-1]

    class HandedOver(asyncio.Protocol):
        """Does what uvicorn does for an upgrade request."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            protocol = WSProtocol(
                host_port=None,
                ws_path=None,
                is_client_side=False,
                ws_listener_factory=listener,
                logger=logging.LoggerAdapter(logging.getLogger("tests.picows")),
                disconnect_on_exception=True,
                websocket_handshake_timeout=None,
                enable_auto_ping=False,
                auto_ping_idle_timeout=0,
                auto_ping_reply_timeout=0,
                auto_ping_strategy=picows.WSAutoPingStrategy.PING_WHEN_IDLE,
                enable_auto_pong=True,
                max_frame_size=1_000,
                extra_headers=None,
                read_buffer_init_size=2_048,
            )
            protocol.connection_made(transport)
            head = upgrade_head(80, "/", [("Connection", connection)])
            buffer = protocol.get_buffer(len(head))
            buffer[: len(head)] = head
            protocol.buffer_updated(len(head))
            cast("asyncio.Transport", transport).set_protocol(protocol)

    server = await asyncio.get_running_loop().create_server(HandedOver, "127.0.0.1", 0)
    async with server, Line.open(server.sockets[0].getsockname()[1]) as line:
        async with asyncio.timeout(BOUND):
            head = await line.reader.readuntil(b"\r\n\r\n")
        assert head.split()[1] == status
        if status != b"101":
            return
        line.write(frame(TEXT, "whole") + frame(PING, "ping"))
        async with asyncio.timeout(BOUND):
            assert await line.reader.readexactly(6) == b"\x8a\x04ping"
        (only,) = made
        assert only.frames == [(True, True, False, "whole")]
        assert only.transport.underlying_transport.get_write_buffer_size() == 0
        only.transport.send_close(picows.WSCloseCode.OK, b"bye")
        only.transport.disconnect()
        assert await line.read_all() == b"\x88\x05\x03\xe8bye"
