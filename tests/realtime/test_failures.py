"""A real server with parts that fail once: the guest gets an error, or the connection closes and resumes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest

from passerby.chat.events import TypingStarted
from passerby.socketio.session import Session
from passerby.socketio.websocket import WebSocket
from tests.support.client import PATIENCE, RefusedError
from tests.support.conversation import PNG, Two
from tests.support.failing import BrokenError, Failing
from tests.support.fakes import Gate
from tests.support.folders import entries
from tests.support.sio_server import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from passerby.models import StoredFile
    from tests.conftest import StartServer
    from tests.support.server import InsideServer

UNDO = {"resume": {"roomId": "guest_0_guest_1", "epoch": 1, "seq": 0}}
OFFER = {"offer": {"type": "offer", "sdp": "v=0\r\n"}, "type": "audio"}


# ── handlers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("event", "payload", "broken", "error"),
    [
        ("chat:message", {"type": "text", "content": "hello", "clientId": "c-1"}, ("rooms", "send"), "chat:error"),
        ("chat:message", {"type": "file", "content": {"fileId": "x"}}, ("files", "content"), "chat:error"),
        ("chat:message:delivered", {"messageId": "x"}, ("rooms", "confirm"), "chat:error"),
        ("chat:typing:start", None, ("rooms", "typing"), "chat:error"),
        ("chat:typing:stop", None, ("rooms", "typing"), "chat:error"),
        ("chat:clear", None, ("rooms", "leave"), "chat:error"),
        ("chat:undo", UNDO, ("rooms", "restore"), "chat:undo:error"),
        ("leave-room", None, ("rooms", "leave"), "chat:error"),
        ("close-room", None, ("rooms", "leave"), "chat:error"),
        ("user:match", None, ("matchmaking", "search"), "user:match:error"),
        ("user:match:cancel", None, ("matchmaking", "cancel"), "user:match:cancel:error"),
        ("get:stats", None, ("stats", "snapshot"), "get:stats:error"),
        ("webrtc:offer", OFFER, ("calls", "offer"), "webrtc:error"),
        ("webrtc:answer", {"answer": {"type": "answer", "sdp": "v=0\r\n"}}, ("calls", "answer"), "webrtc:error"),
        ("webrtc:ice-candidate", {"candidate": None}, ("calls", "candidate"), "webrtc:error"),
        ("webrtc:connected", {"callId": "x"}, ("calls", "connected"), "webrtc:error"),
        ("webrtc:leaving", {"callId": "x"}, ("calls", "leaving"), "webrtc:error"),
        ("webrtc:call-end", {}, ("calls", "hang_up"), "webrtc:error"),
        ("webrtc:call-reject", {}, ("calls", "hang_up"), "webrtc:error"),
        ("webrtc:call-timeout", {}, ("calls", "hang_up"), "webrtc:error"),
    ],
)
async def test_a_handler_that_fails_is_an_error_to_its_sender_alone(
    start_server: StartServer, event: str, payload: dict[str, Any] | None, broken: tuple[str, str], error: str
) -> None:
    service, method = broken
    server = await start_server(stats_interval=3600)
    (_, one), (_, other), _ = await server.pair()
    Failing(getattr(server.application.services, service), method)

    answer = await one.ask(event, payload)

    told = await one.next(error)
    assert told == answer
    assert (told["code"], told["message"]) == ("internal", "Internal server error")
    assert told.get("clientId") == (payload or {}).get("clientId")
    assert server.application.services.background.failures[f"handling of {event}"] == 1
    assert (await one.say("goes on"))["seq"] == 1
    assert (await other.next("chat:message"))["content"] == "goes on"


async def test_a_message_about_a_file_is_refused_if_its_room_closes_meanwhile(server: InsideServer) -> None:
    two = await Two.meet(server)
    info = await two.upload(PNG)
    blobs = server.application.services.adapters.blobs
    asked, find = Gate(), blobs.find

    async def find_slowly(file_id: str) -> StoredFile | None:
        found = await find(file_id)
        await asked.passing()
        return found

    blobs.find = find_slowly  # type: ignore[method-assign]  # a slow one
    asked.shut()
    await two.one.emit("chat:message", {"type": "file", "content": {"fileId": info["fileId"]}, "clientId": "c-1"})
    await asked.arrival()
    await two.other.emit("leave-room")
    await two.one.until("chat:cleared")
    asked.open()

    refused = await two.one.until("chat:error")
    assert (refused["code"], refused["clientId"]) == ("file_not_found", "c-1")


# ── connections ───────────────────────────────────────────────────────────────────────────────────


async def test_a_write_that_fails_once_ends_that_connection_and_mutes_no_other(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start_server(stats_interval=3600)
    (anna, one), (_, other), room = await server.pair()
    third, fourth, _ = await server.pair()
    flush = WebSocket.flush
    victim = next(live.link for live in server.lives() if live.guest.id == anna.id)
    broken = victim.socket._client.session._websocket  # type: ignore[union-attr]  # a SocketLink

    def fail(websocket: WebSocket) -> None:
        if websocket is broken:
            monkeypatch.undo()
            websocket.frames.clear()
            raise BrokenError
        flush(websocket)

    monkeypatch.setattr(WebSocket, "flush", fail)
    # All in one event loop iteration; the broken one comes first.
    for live in server.lives():
        live.link.send(TypingStarted(user_id="guest_x", username="X"))  # type: ignore[union-attr]  # all are connected

    for client in (other, third[1], fourth[1]):
        await client.next("chat:typing:start")
    await one.gone()
    assert one.close_code == 1011
    assert (await other.next("room:partner_away"))["userId"] == anna.id
    again = await server.connect(anna, {**room, "seq": 0})
    await again.next("connection:established")
    await again.next("room:resumed")
    assert (await again.say("here again"))["seq"] == 1


@pytest.mark.parametrize("whose", ["mine", "the partner's"])
async def test_a_packet_that_cannot_be_sent_ends_the_connection_that_it_was_for(
    start_server: StartServer, whose: str
) -> None:
    server = await start_server(stats_interval=3600)
    (anna, one), (berta, other), room = await server.pair()
    victim, client = (anna, one) if whose == "mine" else (berta, other)
    link = next(live.link for live in server.lives() if live.guest.id == victim.id)
    Failing(link, "_send_event")

    await one.emit("chat:message", {"type": "text", "content": "hello", "clientId": "c-1"})

    await client.gone()
    assert client.close_code == 1011
    (survivor,) = {one, other} - {client}
    await survivor.until("room:partner_away")
    again = await server.connect(victim, {**room, "seq": 0})
    await again.next("connection:established")
    await again.next("room:resumed")
    assert (await again.next("chat:message"))["content"] == "hello"


async def test_who_cannot_be_greeted_is_cut_off_and_may_come_back(server: InsideServer) -> None:
    account = await server.newcomer()
    Failing(server.application.services.stats, "greet")

    client = await server.connect(account)
    await client.gone()

    assert client.close_code == 1011
    again = await server.connect(account)
    await again.next("connection:established")
    assert (await server.stats(account))["onlineUsers"] == 1


async def test_a_store_that_cannot_be_read_is_no_reason_to_forget_a_token(server: InsideServer) -> None:
    account = await server.newcomer()
    Failing(server.application.services.adapters.store, "load")

    with pytest.raises(RefusedError) as refused:
        await server.connect(account)

    assert refused.value.data["code"] == "internal"
    await server.connect(account)


async def test_a_packet_that_fails_over_polling_ends_the_session_that_brought_it(
    server: InsideServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "/socket.io/?EIO=4&transport=polling"
    sid = json.loads((await server.http.get(query)).text[1:])["sid"]

    def fail(*_: object) -> None:
        raise BrokenError

    monkeypatch.setattr("passerby.socketio.client.Client.on_text", fail)
    answer = await server.http.post(f"{query}&sid={sid}", content='40{"token":"x"}')

    assert answer.status_code == 500
    assert sid not in server.application.server.engine.sessions
    answer = await server.http.get(f"{query}&sid={sid}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "connection_unknown")


POLLING = "/socket.io/?EIO=4&transport=polling"


async def test_a_session_that_upgrades_during_a_replay_gets_all_of_it(start_server: StartServer) -> None:
    server = await start_server(stats_interval=3600, limits_scale=1000)
    (anna, one), (_, other), room = await server.pair()
    await one.cut()
    await other.until("room:partner_away")
    for number in range(60):
        await other.say(f"text {number}")
    http = server.http
    sid = json.loads((await http.get(POLLING)).text[1:])["sid"]
    auth = {"token": anna.token, "resume": {**room, "seq": 0}}
    await http.post(f"{POLLING}&sid={sid}", content=f"40{json.dumps(auth)}")
    got = (await http.get(f"{POLLING}&sid={sid}")).text.split("\x1e")

    url = f"{server.url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket&sid={sid}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as websocket:
        await websocket.send_str("2probe")
        assert await websocket.receive_str() == "3probe"
        await websocket.send_str("5")
        async with asyncio.timeout(PATIENCE):
            while sum(packet.startswith('42["chat:message",') for packet in got) < 60:
                got.append(await websocket.receive_str())
            await other.say("new")
            while '"new"' not in got[-1]:
                got.append(await websocket.receive_str())


async def test_a_connection_that_closes_while_it_is_accepted_leaves_nobody(start_server: StartServer) -> None:
    server = await start_server(grace=0.1)
    limit = server.application.server.engine.options.outbox_limit
    account = await server.newcomer()
    sid = json.loads((await server.http.get(POLLING)).text[1:])["sid"]
    refusal = len('44/,{"message":"Invalid namespace"}')
    for size in (100_000, 100_000, limit - 200_000 - 300):  # answers that nobody polls: the greeting is too much
        await server.http.post(f"{POLLING}&sid={sid}", content=f"40/{'x' * (size - refusal)},")
    await server.http.post(f"{POLLING}&sid={sid}", content=f"40{json.dumps({'token': account.token})}")

    assert sid not in server.application.server.engine.sessions
    await until(lambda: not server.lives())
    assert server.recount()["onlineUsers"] == 0


@pytest.mark.parametrize(
    ("port", "method", "event", "payload"),
    [
        ("queue", "enter", "user:match", None),
        ("counters", "total", "get:stats", None),
        ("blobs", "find", "chat:message", {"type": "file", "content": {"fileId": "x"}}),
    ],
)
async def test_a_cancellation_within_a_port_does_not_mute_the_socket(
    start_server: StartServer, port: str, method: str, event: str, payload: dict[str, Any] | None
) -> None:
    server = await start_server(stats_interval=3600)
    if event == "chat:message":
        (_, one), _, _ = await server.pair()
    else:
        _, one = await server.visitor()
    adapter = getattr(server.application.services.adapters, port)
    original = getattr(adapter, method)

    async def cancelled(*_: object) -> None:
        setattr(adapter, method, original)
        raise asyncio.CancelledError

    setattr(adapter, method, cancelled)
    await one.emit(event, payload)
    await one.emit("get:stats")

    await one.until("realtime:stats")


# ── HTTP and stopping ─────────────────────────────────────────────────────────────────────────────


async def test_the_server_says_what_cannot_serve(server: InsideServer) -> None:
    assert (await server.http.get("/health/ready")).json()["data"] == {"status": "ready", "redis": "off"}
    Failing(server.application.services.adapters.blobs, "check")

    answer = await server.http.get("/health/ready")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["message"] == "Not available now: files"
    assert (await server.http.get("/health")).status_code == 200
    assert (await server.http.get("/health/ready")).status_code == 200


@pytest.mark.parametrize("broken", ["nothing", "server", "files", "writer", "background"])
async def test_a_server_that_stops_leaves_no_task_and_no_file(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr("passerby.assembly._STEP_TIMEOUT", 0.5)
    server = await start_server(file_store="disk", file_directory=str(tmp_path))
    two = await Two.meet(server)
    await two.upload(PNG)
    assert entries(tmp_path, "*/*.bin")
    application = server.application
    services = application.services
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "broadcast of statistics" in names
    for owner, method in {
        "nothing": (),
        "server": ((application.server, "stop"),),
        "files": ((services.adapters.blobs, "sweep"), (services.adapters.blobs, "remove")),
        "writer": ((services.adapters.store, "save"), (services.adapters.store, "remove")),
        "background": ((services.stats, "broadcast"), (services.presence, "sweep")),
    }[broken]:
        Failing(owner, method)

    await application.stop()

    ours = {"broadcast of statistics", "refresh of sessions", "sweep of sessions", "sweep of files"}
    assert not ours & {task.get_name() for task in asyncio.all_tasks()}
    assert services.background._tasks == set()
    assert services.background.timers == set()
    assert entries(tmp_path) == []


async def test_a_server_that_has_stopped_begins_nothing_over_old_connections(server: InsideServer) -> None:
    assert (await server.http.get("/health")).status_code == 200

    await server.application.stop()

    for answer in (await server.http.post("/api/guest", json={}), await server.http.get(POLLING)):
        assert (answer.status_code, answer.json()["success"], answer.json()["code"]) == (503, False, "unavailable")
        assert answer.headers["connection"] == "close"
    assert server.application.services.background.timers == set()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_request_that_fails_outside_the_framework_is_answered_with_a_code(
    server: InsideServer, method: str
) -> None:
    Failing(server.application.client_files, "find")

    answer = await server.http.request(method, "/")

    assert answer.status_code == 500
    if method == "GET":
        assert answer.json() == {"success": False, "message": "Internal server error", "code": "internal"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert server.application.services.background.failures["request"] == 1
    assert (await server.http.get("/health")).status_code == 200


async def test_an_answer_that_fails_after_its_beginning_is_cut(
    server: InsideServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_asset: object, _scope: object, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise BrokenError

    monkeypatch.setattr(server.application.client_files, "find", lambda _path: object())
    monkeypatch.setattr(server.application.client_files, "send", fail)
    with pytest.raises(httpx.RemoteProtocolError):
        await server.http.get("/")

    assert server.application.services.background.failures["request"] == 1


async def test_one_session_that_cannot_be_closed_keeps_no_other_open(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start_server(stats_interval=3600)
    (anna, one), (_, other), _ = await server.pair()
    link = next(live.link for live in server.lives() if live.guest.id == anna.id)
    victim = link.socket._client.session  # type: ignore[union-attr]  # a SocketLink
    close = Session.close

    def fail(session: Session, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - as the original
        if session is victim:
            raise BrokenError
        close(session, *arguments, **named)

    monkeypatch.setattr(Session, "close", fail)
    await server.application.stop()

    for client in (one, other):
        await client.gone()
    assert server.application.server.engine.sessions == {}
