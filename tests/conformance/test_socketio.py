"""The rules of Socket.IO 5, over both transports, against a server in this process."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from passerby.socketio import Ack, Arguments, Options, Server, Socket
from tests.support.sio_client import Client, connected, opened
from tests.support.sio_server import BOUND, echo, running, until

pytestmark = pytest.mark.parametrize("transport", ["websocket", "polling"])

PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'


async def ended(server: Server, client: Client) -> None:
    """Wait until the server has closed the connection."""
    await client.closed()
    assert not server.engine.sessions


# ── CONNECT ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("connect", "prefix", "auth"),
    [
        ("40", "", "{}"),
        ('40{"token":"123"}', "", '{"token":"123"}'),
        ("40/custom,", "/custom,", "{}"),
        ("40/custom", "/custom,", "{}"),
        ('40/custom,{"token":"abc"}', "/custom,", '{"token":"abc"}'),
        ("40/custom?a=b,", "/custom,", "{}"),
        ("40/,", "", "{}"),
    ],
)
async def test_a_client_connects_to_a_namespace_with_what_it_says(
    transport: str, connect: str, prefix: str, auth: str
) -> None:
    async with running(echo()) as server, opened(server.port, transport) as client:
        await client.send(connect)
        answer = str(await client.receive())
        accepted = re.fullmatch(f"40{prefix}({{.*}})", answer)
        assert accepted
        assert list(json.loads(accepted[1])) == ["sid"]
        assert await client.receive() == f'42{prefix}["auth",{auth}]'


async def test_a_socket_s_id_is_not_the_session_s(transport: str) -> None:
    async with running(echo()) as server, opened(server.port, transport) as client:
        await client.send("40", "40/custom,")
        packets = [str(await client.receive()) for _ in range(4)]
        ids = {json.loads(packet[packet.index("{") :])["sid"] for packet in packets if packet.startswith("40")}
        assert len(ids | set(server.engine.sessions)) == 3


async def test_an_unknown_namespace_is_refused_and_another_may_be_tried(transport: str) -> None:
    async with running(echo()) as server, opened(server.port, transport) as client:
        await client.send("40/random")
        assert await client.receive() == '44/random,{"message":"Invalid namespace"}'
        await client.send("40")
        assert str(await client.receive()).startswith('40{"sid"')


@pytest.mark.parametrize("tries", [[], ["40/random,"], ["6"], ["3"]])
async def test_without_a_connect_in_time_the_connection_is_closed(transport: str, tries: list[str]) -> None:
    subject = echo(Options(connect_timeout=0.3))
    async with running(subject) as server, opened(server.port, transport) as client:
        if tries:
            await client.send(*tries)
        await until(lambda: not server.engine.sessions)
        await client.closed()


async def test_a_client_that_left_every_namespace_has_as_long_as_a_new_one(transport: str) -> None:
    subject = echo(Options(connect_timeout=0.3))
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send("41")
        await ended(subject, client)


async def test_a_connect_in_time_stops_the_clock(transport: str) -> None:
    subject = echo(Options(connect_timeout=0.3))
    async with running(subject) as server, connected(server.port, transport) as client:
        async with opened(server.port, transport) as idle:  # opened later, so `client` would be closed before it
            await ended_of(idle)
        await client.receive()
        await client.send('42["message",1]')
        assert await client.receive() == '42["message-back",1]'


async def ended_of(client: Client) -> None:
    await client.closed()


async def test_a_second_connect_to_a_namespace_closes_the_connection(transport: str) -> None:
    subject = echo()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send("40")
        await ended(subject, client)


@pytest.mark.parametrize("packet", ['42["message"]', '4212["message"]', "430[]", "41", "42/custom,[1]", "41/random,"])
async def test_packets_before_connect_close_the_connection(transport: str, packet: str) -> None:
    subject = echo()
    async with running(subject) as server, opened(server.port, transport) as client:
        await client.send(packet)
        await ended(subject, client)


async def test_a_packet_for_a_namespace_that_was_not_joined_closes_the_connection(transport: str) -> None:
    subject = echo()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send('42/custom,["message"]')
        await ended(subject, client)


# ── several namespaces, DISCONNECT ────────────────────────────────────────────────────────────────


async def test_several_namespaces_share_a_connection(transport: str) -> None:
    async with running(echo()) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send("40/custom,")
        assert str(await client.receive()).startswith("40/custom,")
        assert await client.receive() == '42/custom,["auth",{}]'
        await client.send('42["message",1]', '42/custom,["message",2]', '42["message",3]')
        assert [await client.receive() for _ in range(3)] == [
            '42["message-back",1]',
            '42/custom,["message-back",2]',
            '42["message-back",3]',
        ]


async def test_leaving_one_namespace_leaves_the_others(transport: str) -> None:
    subject = echo()
    left: list[tuple[str, str]] = []
    for namespace in subject.namespace("/"), subject.namespace("/custom"):
        namespace.on_disconnect = lambda socket, reason: left.append((socket.namespace.name, reason))
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send("40/custom")
        await client.receive()
        await client.receive()
        await client.send("41/custom", '42["message","to /"]')
        assert await client.receive() == '42["message-back","to /"]'
        assert left == [("/custom", "client_disconnect")]
        assert not subject.namespace("/custom").sockets
        assert len(subject.namespace("/").sockets) == 1


async def test_packets_that_cross_a_disconnect_are_dropped_and_harm_nothing(transport: str) -> None:
    subject = echo()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send("40/custom,")
        await client.receive()
        await client.receive()
        for socket in list(subject.namespace("/custom").sockets.values()):
            socket.disconnect(close=False)
        await client.send('42/custom,["message",1]', '42/custom,7["message-with-ack"]', "41/custom,", '42["message",2]')
        assert [await client.receive(), await client.receive()] == ["41/custom,", '42["message-back",2]']


async def test_a_namespace_may_be_left_and_joined_again(transport: str) -> None:
    async with running(echo()) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send("41", "40")
        assert str(await client.receive()).startswith('40{"sid"')
        assert await client.receive() == '42["auth",{}]'
        await client.send('42["message",1]')
        assert await client.receive() == '42["message-back",1]'


# ── EVENT and ACK ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "arguments",
    ['1,"2",{"3":[true]}', "null", '""', '"é😀\\u0000\\u001e"', "[[[[]]]]", "1.5,-0.0,1e300", '"' + "x" * 70_000 + '"'],
)
async def test_an_event_comes_with_its_arguments(transport: str, arguments: str) -> None:
    async with running(echo()) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send(f'42["message",{arguments}]')
        came = str(await client.receive())
        assert came.startswith("42")
        assert json.loads(came[2:]) == ["message-back", *json.loads(f"[{arguments}]")]


async def test_an_event_that_asks_for_it_is_acknowledged_once(transport: str) -> None:
    subject = echo()

    def twice(_socket: Socket, _arguments: list[object], ack: Ack | None) -> None:
        assert ack is not None
        ack("first")
        ack("second")

    subject.namespace().on("twice", Arguments, twice)
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send('42456["message-with-ack",1,"2",{"3":[false]}]', '420["twice"]', '42["message",0]')
        assert [await client.receive() for _ in range(3)] == [
            '43456[1,"2",{"3":[false]}]',
            '430["first"]',
            '42["message-back",0]',
        ]


async def test_the_server_may_ask_for_an_acknowledgement(transport: str) -> None:
    subject = echo()
    answers: asyncio.Queue[list[Any]] = asyncio.Queue()

    async def ask(socket: Socket, question: str, _ack: Ack | None) -> None:
        answers.put_nowait(await socket.call("question", question, timeout=BOUND))

    subject.namespace().on("ask", str, ask)
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        for number, question in enumerate(["one", "two"]):
            await client.send(f'42["ask","{question}"]')
            assert await client.receive() == f'42{number}["question","{question}"]'
            await client.send(f'43{number}["answer",{number}]')
            assert await asyncio.wait_for(answers.get(), BOUND) == ["answer", number]


async def test_acknowledgements_come_in_any_order_and_strange_ones_are_ignored(transport: str) -> None:
    subject = echo()
    namespace = subject.namespace()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        (socket,) = namespace.sockets.values()
        calls = [asyncio.create_task(socket.call("q", number, timeout=BOUND)) for number in range(2)]
        assert [await client.receive(), await client.receive()] == ['420["q",0]', '421["q",1]']
        await client.send('4399["nobody asked"]', '431["b"]', '431["again"]', '430["a"]')
        assert await asyncio.gather(*calls) == [["a"], ["b"]]


async def test_a_call_ends_with_its_time_or_with_the_connection(transport: str) -> None:
    subject = echo()
    namespace = subject.namespace()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        (socket,) = namespace.sockets.values()
        with pytest.raises(TimeoutError):
            await socket.call("q", timeout=0.01)
        assert await client.receive() == '420["q"]'
        await client.send('430["too late"]')
        waiting = asyncio.create_task(socket.call("q", timeout=BOUND))
        assert await client.receive() == '421["q"]'
        await client.send("41")
        with pytest.raises(ConnectionError):
            await waiting
        with pytest.raises(ConnectionError):
            await socket.call("q")


# ── binary ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_binary_event_and_its_attachments(transport: str) -> None:
    async with running(echo()) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send(f'452-["message",{PLACEHOLDERS}]', b"\x01\x02\x03", b"\x04\x05\x06", '42["message",1]')
        assert [await client.receive() for _ in range(4)] == [
            f'452-["message-back",{PLACEHOLDERS}]',
            b"\x01\x02\x03",
            b"\x04\x05\x06",
            '42["message-back",1]',
        ]


async def test_a_binary_event_that_is_acknowledged_in_binary(transport: str) -> None:
    async with running(echo()) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send(f'452-789["message-with-ack",{PLACEHOLDERS}]', b"\x01", b"")
        assert [await client.receive() for _ in range(3)] == [f"462-789[{PLACEHOLDERS}]", b"\x01", b""]


async def test_a_call_that_is_answered_in_binary(transport: str) -> None:
    subject = echo()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        (socket,) = subject.namespace().sockets.values()
        call = asyncio.create_task(socket.call("q", b"\x00", timeout=BOUND))
        assert [await client.receive(), await client.receive()] == [
            '451-0["q",{"_placeholder":true,"num":0}]',
            b"\x00",
        ]
        await client.send(f"462-0[{PLACEHOLDERS}]", b"a", b"b")
        assert await call == [b"a", b"b"]


async def test_ten_attachments_are_taken(transport: str) -> None:
    places = ",".join(f'{{"_placeholder":true,"num":{number}}}' for number in range(10))
    blobs = [bytes((number,)) for number in range(10)]
    async with running(echo()) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send(f'4510-["message",{places}]', *blobs)
        assert await client.receive() == f'4510-["message-back",{places}]'
        assert [await client.receive() for _ in range(10)] == blobs


# ── close reasons ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param(["4abc"], id="no type"),
        pytest.param(["4"], id="nothing"),
        pytest.param(["47"], id="unknown type"),
        pytest.param(['44{"message":"x"}'], id="CONNECT_ERROR"),
        pytest.param(["42{}"], id="object for an event"),
        pytest.param(["42[]"], id="event without name"),
        pytest.param(["42[null]"], id="null for a name"),
        pytest.param(['42["message"'], id="JSON cut off"),
        pytest.param(['42["message",NaN]'], id="NaN"),
        pytest.param(['42["message",1]]'], id="JSON and more"),
        pytest.param(['42abc["message-with-ack",1]'], id="ack id of letters"),
        pytest.param(['42["disconnect"]'], id="reserved name"),
        pytest.param(["430{}"], id="object for an ack"),
        pytest.param(["43[1]"], id="ack without id"),
        pytest.param(["430[NaN]"], id="NaN in an ack"),
        pytest.param(['40/custom,"x"'], id="string for auth"),
        pytest.param(['40/custom,{"a":}'], id="broken auth"),
        pytest.param(['4511-["message",{"_placeholder":true,"num":0}]'], id="eleven attachments"),
        pytest.param(['451-["message",{"_placeholder":true,"num":1}]', b"x"], id="placeholder beyond the attachments"),
        pytest.param(['451-["message",{"_placeholder":true,"num":0}]', '42["message"]'], id="text for an attachment"),
        pytest.param(['452-["message",1]', b"x", "41"], id="text between attachments"),
        pytest.param([b"x"], id="attachment of nothing"),
        pytest.param(['450-["message"]', b"x"], id="attachment of a packet that has none"),
        pytest.param(['451-["message",1]', b"x", b"y"], id="attachment too many"),
    ],
)
async def test_a_malformed_packet_closes_the_connection(transport: str, packets: list[str | bytes]) -> None:
    subject = echo()
    reasons: list[str] = []
    subject.namespace().on_disconnect = lambda _socket, reason: reasons.append(reason)
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send(*packets)
        await ended(subject, client)
        assert reasons == ["parse_error"]
