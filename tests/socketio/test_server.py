"""Namespaces, handlers, middlewares and close reasons, over both transports."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from passerby.socketio import (
    Ack,
    Arguments,
    ConnectError,
    InvalidPayloadError,
    Options,
    Server,
    Socket,
    event_prefix,
)
from passerby.socketio.closing import Closing
from passerby.socketio.frames import CloseCode
from tests.support.sio_client import ClosedError, PollingClient, WebSocketClient, connected, opened
from tests.support.sio_server import BOUND, PATH, echo, running, socketio_server, until, web_server

both = pytest.mark.parametrize("transport", ["websocket", "polling"])


class Note(msgspec.Struct):
    text: str
    blob: bytes = b""


def noting(options: Options | None = None) -> tuple[Server, list[tuple[str, object]]]:
    """Return a server that echoes, and a list of the other calls that its namespace / gets."""
    subject = echo(options)
    told: list[tuple[str, object]] = []
    namespace = subject.namespace()
    namespace.on("note", Note, lambda _socket, note, _ack: told.append(("note", note)))
    namespace.on_error = lambda _socket, event, error, ack: told.append(("error", (event, type(error), ack is None)))
    namespace.on_unknown = lambda _socket, event, _ack: told.append(("unknown", event))
    namespace.on_disconnect = lambda _socket, reason: told.append(("disconnect", reason))
    return subject, told


async def answers_still(client: WebSocketClient | PollingClient) -> None:
    await client.send('42["message","still here"]')
    while await client.receive() != '42["message-back","still here"]':
        pass


# ── handlers ──────────────────────────────────────────────────────────────────────────────────────


@both
async def test_a_handler_gets_its_type_and_a_wrong_payload_is_told_and_harms_nothing(transport: str) -> None:
    subject, told = noting()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send(
            '42["note",{"text":"a","more":1}]',
            '42["note",{"text":1}]',
            '42["note"]',
            '425["note",[]]',
            '42["note","a",{"text":"b"}]',
            '42["note",{"text":"first"},{"text":"ignored"}]',
            '42["elsewhere",{}]',
        )
        await answers_still(client)
        error = msgspec.ValidationError
        assert told == [
            ("note", Note("a")),
            ("error", ("note", error, True)),
            ("error", ("note", error, True)),
            ("error", ("note", error, False)),
            ("error", ("note", error, True)),
            ("note", Note("first")),
            ("unknown", "elsewhere"),
        ]


@both
@pytest.mark.parametrize(
    "payload",
    [
        pytest.param('{"text":"\\ud800"}', id="lone surrogate"),
        pytest.param('{"text":"a","more":"\\udfff"}', id="lone surrogate in a field that nobody reads"),
        pytest.param('{"text":' + "[" * 3_000 + "]" * 3_000 + "}", id="nested deeply"),
        pytest.param("[" * 100_000, id="nested deeply and cut off"),
    ],
)
@pytest.mark.parametrize("event", ["note", "message"])
async def test_a_payload_not_to_be_taken_is_told_and_harms_nothing(transport: str, event: str, payload: str) -> None:
    subject, told = noting()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send(f'42["{event}",{payload}]', f'427["{event}",{payload},1]')
        await answers_still(client)
        assert [(kind, about[0], about[2]) for kind, about in told if isinstance(about, tuple)] == [
            ("error", event, True),
            ("error", event, False),
        ]


@both
async def test_attachments_reach_the_fields_of_a_typed_payload(transport: str) -> None:
    subject, told = noting()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send('451-["note",{"text":"a","blob":{"_placeholder":true,"num":0}}]', b"\x00\xff")
        await client.send('451-["note",{"text":{"_placeholder":true,"num":0}}]', b"\x00\xff")
        await answers_still(client)
        assert told == [("note", Note("a", b"\x00\xff")), ("error", ("note", msgspec.ValidationError, True))]


@both
async def test_there_is_a_limit_to_the_json_beside_attachments(transport: str) -> None:
    subject, told = noting()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send('451-["note",{"text":"%s","blob":{"_placeholder":true,"num":0}}]' % ("a" * 9_000), b"\x00")
        await answers_still(client)
        assert told == [("error", ("note", InvalidPayloadError, True))]


@both
@pytest.mark.parametrize("hook", ["handler", "async handler", "on_error", "on_unknown"])
async def test_a_handler_that_raises_is_logged_and_closes_nothing(transport: str, hook: str) -> None:
    subject, _ = noting()
    namespace = subject.namespace()

    def fail(*_arguments: object) -> None:
        raise LookupError("on purpose")

    async def fail_later(*_arguments: object) -> None:
        await asyncio.sleep(0)
        raise LookupError("on purpose")

    namespace.on("fail", object, fail)
    namespace.on("fail later", object, fail_later)
    if hook.startswith("on_"):
        setattr(namespace, hook, fail)
    packet = {
        "handler": '42["fail",1]',
        "async handler": '42["fail later",1]',
        "on_error": '42["note",1]',
        "on_unknown": '42["unknown",1]',
    }[hook]
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send(packet, packet.replace("42", "427"), packet)
        await answers_still(client)
        errors = server.take_errors()
        assert len(errors) == 3
        assert all("on purpose" in error for error in errors)


@both
async def test_a_connect_handler_that_raises_ends_the_connection(transport: str) -> None:
    subject = socketio_server(Options())

    def fail(_socket: Socket) -> None:
        raise LookupError("on purpose")

    subject.namespace().on_connect = fail
    async with running(subject) as server, opened(server.port, transport) as client:
        await client.send("40")
        await client.closed()
        assert not server.engine.sessions
        assert not subject.namespace().sockets
        assert ["on purpose" in error for error in server.take_errors()] == [True]


@both
async def test_a_disconnect_handler_that_raises_is_logged(transport: str) -> None:
    subject = echo()

    def fail(_socket: Socket, _reason: str) -> None:
        raise LookupError("on purpose")

    subject.namespace().on_disconnect = fail
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send("40/custom,", "41")
        while await client.receive() != '42/custom,["auth",{}]':
            pass
        assert ["on purpose" in error for error in server.take_errors()] == [True]


@both
async def test_async_handlers_of_one_socket_do_not_overtake_each_other(transport: str) -> None:
    subject = echo()
    namespace = subject.namespace()
    gates = {name: asyncio.Event() for name in "abc"}
    order: list[str] = []

    async def slow(_socket: Socket, name: str, _ack: Ack | None) -> None:
        order.append(f"{name} begins")
        await gates[name].wait()
        order.append(f"{name} ends")

    def quick(_socket: Socket, name: str, ack: Ack | None) -> None:
        order.append(name)
        if ack is not None:
            ack()

    namespace.on("slow", str, slow)
    namespace.on("quick", str, quick)
    async with (
        running(subject) as server,
        connected(server.port, transport) as client,
        connected(server.port, transport) as other,
    ):
        await client.receive()
        await client.send('42["slow","a"]', '42["quick","1"]', '42["slow","b"]', '42["slow","c"]', '420["quick","2"]')
        await answers_of_another_socket(other)
        assert order == ["a begins"]
        gates["b"].set()
        await answers_of_another_socket(other)
        assert order == ["a begins"]
        gates["a"].set()
        gates["c"].set()
        assert await client.receive() == "430[]"
        assert order == ["a begins", "a ends", "1", "b begins", "b ends", "c begins", "c ends", "2"]
        await answers_still(client)


async def answers_of_another_socket(other: WebSocketClient | PollingClient) -> None:
    """Check that another socket's events are handled meanwhile."""
    await answers_still(other)


@both
async def test_events_that_wait_are_dropped_when_their_socket_leaves(transport: str) -> None:
    subject = echo()
    gate = asyncio.Event()
    handled: list[str] = []

    async def slow(_socket: Socket, name: str, _ack: Ack | None) -> None:
        handled.append(name)
        await gate.wait()

    subject.namespace().on("slow", str, slow)
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send("40/custom,", '42["slow","a"]', '42["slow","b"]', "41", '42/custom,["message",1]')
        while await client.receive() != '42/custom,["message-back",1]':
            pass
        gate.set()
        await until(lambda: not subject.running())
        assert handled == ["a"]


@both
async def test_a_socket_that_piles_up_events_behind_a_slow_one_is_closed(transport: str) -> None:
    subject, told = noting(Options(packet_rate=100_000))
    gate = asyncio.Event()

    async def slow(_socket: Socket, _payload: object, _ack: Ack | None) -> None:
        await gate.wait()

    subject.namespace().on("slow", object, slow)
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send(*['42["slow",1]'] * 600)
        await client.closed()
        assert told == [("disconnect", "backlog_overflow")]
        gate.set()


# ── sending ───────────────────────────────────────────────────────────────────────────────────────


@both
async def test_what_is_sent_leaves_in_order_however_it_is_sent(transport: str) -> None:
    subject = echo()
    prefix = event_prefix("hot")

    def burst(socket: Socket, _payload: object, _ack: Ack | None) -> None:
        socket.emit("a", 1)
        socket.send_event(prefix, b"2")
        socket.emit("b", b"3", {"deep": [b"4"]})
        socket.send(prefix + b"5]")
        socket.send_event(prefix, b'"' + b"x" * 2_000 + b'"', event_prefix("next"), b"6")

    subject.namespace().on("burst", object, burst)
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send('42["burst"]')
        assert [await client.receive() for _ in range(8)] == [
            '42["a",1]',
            '42["hot",2]',
            '452-["b",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}]',
            b"3",
            b"4",
            '42["hot",5]',
            f'42["hot","{"x" * 2_000}"]',
            '42["next",6]',
        ]


ENOUGH = Closing("enough", CloseCode.POLICY_VIOLATION, come_back=False, meaning="it is enough")


@both
async def test_a_server_s_disconnect_says_so_and_closes_when_asked_to(transport: str) -> None:
    subject, told = noting()
    subject.namespace().on("leave", bool, lambda socket, close, _ack: socket.disconnect(ENOUGH, close=close))
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        await client.send('42["leave",false]')
        assert await client.receive() == "41"
        await client.send("40")
        assert str(await client.receive()).startswith("40")
        await client.receive()
        await client.send('42["leave",true]')
        assert await client.receive() == "41"
        end = await client.closed()
        if transport == "websocket":
            assert (end.code, end.reason) == (1008, "enough")
        assert told == [("disconnect", "enough")] * 2


@both
async def test_nothing_is_sent_to_who_has_left(transport: str) -> None:
    subject = echo()
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.receive()
        (socket,) = subject.namespace().sockets.values()
        await client.send("40/custom,", "41")
        while await client.receive() != '42/custom,["auth",{}]':
            pass
        socket.emit("late", 1)
        socket.disconnect(close=False)
        await client.send('42/custom,["message",1]')
        assert await client.receive() == '42/custom,["message-back",1]'


# ── middlewares ───────────────────────────────────────────────────────────────────────────────────


@both
@pytest.mark.parametrize("later", [False, True])
async def test_a_middleware_may_refuse_with_a_message_and_data(transport: str, later: bool) -> None:
    subject = echo()

    def check(socket: Socket) -> None:
        if bytes(socket.auth) != b'{"token":"right"}':
            raise ConnectError("Invalid token", {"code": 7})

    async def check_later(socket: Socket) -> None:
        await asyncio.sleep(0)
        check(socket)

    subject.namespace().use(check_later if later else check)
    async with running(subject) as server, opened(server.port, transport) as client:
        await client.send('40{"token":"wrong"}')
        assert await client.receive() == '44{"message":"Invalid token","data":{"code":7}}'
        assert not subject.namespace().sockets
        await client.send('40{"token":"right"}')
        assert str(await client.receive()).startswith('40{"sid"')
        assert await client.receive() == '42["auth",{"token":"right"}]'


@both
async def test_middlewares_are_asked_in_order_until_one_refuses(transport: str) -> None:
    subject = echo()
    asked: list[str] = []

    async def first(socket: Socket) -> None:
        asked.append("first")
        await asyncio.sleep(0)
        socket.data = "known"

    def second(socket: Socket) -> None:
        asked.append(f"second {socket.data}")
        raise ConnectError("no")

    def third(_socket: Socket) -> None:
        asked.append("third")

    for middleware in (first, second, third):
        subject.namespace().use(middleware)
    async with running(subject) as server, opened(server.port, transport) as client:
        await client.send("40")
        assert await client.receive() == '44{"message":"no"}'
        assert asked == ["first", "second known"]


@both
async def test_a_middleware_that_fails_refuses_without_telling_why(transport: str) -> None:
    subject = echo()

    def fail(_socket: Socket) -> None:
        raise LookupError("secret")

    subject.namespace().use(fail)
    async with running(subject) as server, opened(server.port, transport) as client:
        await client.send("40")
        assert await client.receive() == '44{"message":"Internal server error","data":{"code":"internal"}}'
        assert ["secret" in error for error in server.take_errors()] == [True]


@both
async def test_a_client_that_goes_while_a_middleware_thinks_is_never_connected(transport: str) -> None:
    subject = echo()
    asked, gate = asyncio.Event(), asyncio.Event()
    connects: list[Socket] = []
    subject.namespace().on_connect = connects.append

    async def think(_socket: Socket) -> None:
        asked.set()
        await gate.wait()

    subject.namespace().use(think)
    async with running(subject) as server, opened(server.port, transport) as client:
        await client.send("40")
        await asyncio.wait_for(asked.wait(), BOUND)
        await client.send("1")
        await client.closed()
        gate.set()
        await until(lambda: not subject.running())
        assert connects == []
        assert not subject.namespace().sockets


@both
async def test_an_event_while_a_middleware_thinks_breaks_the_protocol(transport: str) -> None:
    subject = echo()
    gate = asyncio.Event()

    async def think(_socket: Socket) -> None:
        await gate.wait()

    subject.namespace().use(think)
    async with running(subject) as server, opened(server.port, transport) as client:
        await client.send("40", '42["message",1]')
        await client.closed()
        assert not server.engine.sessions
        gate.set()


@both
async def test_a_refused_client_has_as_long_as_a_new_one(transport: str) -> None:
    subject = echo(Options(connect_timeout=0.3))

    def refuse(_socket: Socket) -> None:
        raise ConnectError("no")

    subject.namespace().use(refuse)
    async with running(subject) as server, opened(server.port, transport) as client:
        await client.send("40")
        assert await client.receive() == '44{"message":"no"}'
        await client.closed()
        assert not server.engine.sessions


# ── address, query, transport ─────────────────────────────────────────────────────────────────────


@both
async def test_a_socket_knows_its_handshake(transport: str) -> None:
    subject = socketio_server(Options(), address=lambda request: request.header(b"x-test") or request.peer)
    seen: list[tuple[Any, ...]] = []
    subject.namespace().on_connect = lambda socket: seen.append(
        (socket.transport, socket.query["lang"], socket.address)
    )
    query = "&lang=f%20r"
    async with running(subject) as server:
        opening = (
            WebSocketClient.open(server.port, f"{PATH}?EIO=4&transport=websocket{query}", headers=[("X-Test", "a")])
            if transport == "websocket"
            else PollingClient.open(server.port, query, headers=[("X-Test", "a")])
        )
        async with opening as client:
            await client.receive()
            await client.send("40")
            await client.receive()
            assert seen == [(transport, "f r", "a")]


# ── stopping the server ───────────────────────────────────────────────────────────────────────────


async def test_stopping_closes_every_client_and_waits_for_handlers() -> None:
    subject, told = noting()
    finished: list[str] = []
    gate = asyncio.Event()

    async def slow(_socket: Socket, _payload: object, _ack: Ack | None) -> None:
        await gate.wait()
        finished.append("slow")

    subject.namespace().on("slow", object, slow)
    async with (
        running(subject) as server,
        connected(server.port, "websocket") as websocket,
        connected(server.port, "polling") as polling,
    ):
        assert isinstance(polling, PollingClient)
        await websocket.receive()
        await polling.receive()
        await websocket.send('42["slow"]')
        await answers_still(polling)
        poll = asyncio.create_task(polling.get())
        await until(lambda: server.engine.sessions[polling.sid]._poll)
        stopping = asyncio.create_task(subject.stop())
        end = await websocket.closed()
        assert (end.code, end.reason) == (1012, "server_shutting_down")
        assert (await poll).text == "1"
        assert told == [("disconnect", "server_shutting_down")] * 2
        assert not stopping.done()
        gate.set()
        await asyncio.wait_for(stopping, BOUND)
        assert finished == ["slow"]


async def test_uvicorn_s_own_shutdown_tells_websockets_to_come_back() -> None:
    subject = echo()
    subject.start()
    web = web_server(subject.engine)
    web.config.port = 0
    serving = asyncio.create_task(web._serve())
    await until(lambda: web.started)
    port = web.servers[0].sockets[0].getsockname()[1]
    async with connected(port) as client:
        web.should_exit = True
        await client.receive()
        end = await client.closed()
        assert (end.code, end.reason) == (1012, "server_shutting_down")
    await asyncio.wait_for(serving, BOUND)
    assert not subject.engine.sessions
    assert not web.server_state.connections


async def test_an_arguments_handler_gets_every_argument() -> None:
    subject = socketio_server(Options())
    got: asyncio.Queue[list[object]] = asyncio.Queue()
    subject.namespace().on("any", Arguments, lambda _socket, arguments, _ack: got.put_nowait(arguments))
    async with running(subject) as server, connected(server.port) as client:
        await client.send('42["any"]', '42["any",null]', '42["any",1,[2],{"3":"4"}]')
        assert [await asyncio.wait_for(got.get(), BOUND) for _ in range(3)] == [[], [None], [1, [2], {"3": "4"}]]


@both
@pytest.mark.parametrize("before", [[], ["6"]])
@pytest.mark.parametrize("packets", [['42["flood",1]'], ['451-["flood",{"_placeholder":true,"num":0}]', b"x"], ["3"]])
async def test_a_flood_of_any_packets_is_closed(
    transport: str, packets: list[str | bytes], before: list[str | bytes]
) -> None:
    subject, told = noting(Options(packet_rate=100))
    subject.namespace().on("flood", object, lambda _socket, _payload, _ack: None)
    async with running(subject) as server, connected(server.port, transport) as client:
        await client.send("6", *before)
        for _ in range(20):
            try:
                await client.send(*packets * (200 // len(packets)))
            except (ClosedError, ConnectionError):
                break
        await until(lambda: told)
        assert told == [("disconnect", "too_many_packets")]
