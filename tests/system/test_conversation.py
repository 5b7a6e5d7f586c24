"""The contract's table of events, row by row, on a running server."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

import pytest
import socketio  # type: ignore[import-untyped]  # has no types

from passerby import app
from tests.support.client import PATIENCE
from tests.support.conversation import JumpingClock

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.support.server import InsideServer, RunningServer

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MESSAGE_ID = re.compile(r"msg_\d{13}_[0-9a-z]+")


async def test_the_greeting(shared_server: RunningServer) -> None:
    anna = await shared_server.newcomer(username="Anna")
    client = await shared_server.connect(anna)

    greeting = await client.next("connection:established")

    socket_id = greeting.pop("socketId")
    assert isinstance(socket_id, str)
    assert socket_id
    limits = greeting.pop("limits")
    assert limits == (await shared_server.http.get("/api/limits")).json()["data"]
    assert (limits["textLength"], limits["fileSize"], limits["filesPerMessage"]) == (1000, 10 << 20, 20)
    assert limits["pictureTypes"] == ["image/jpeg", "image/png", "image/webp", "image/gif"]
    assert greeting == {
        "userId": anna.id,
        "username": "Anna",
        "isGuest": True,
        "sessionId": anna.session_id,
        "room": None,
    }


async def test_the_size_of_a_file_is_told_as_it_holds(start_server: StartServer) -> None:
    for changes, size in (
        ({"file_limit": 20 << 20}, 20 << 20),
        ({"file_limit": 60 << 20}, 40 << 20),
        ({"file_limit": 60 << 20, "guest_files_limit": 50 << 20, "room_files_limit": 45 << 20}, 45 << 20),
    ):
        server = await start_server(**changes)
        assert (await server.http.get("/api/limits")).json()["data"]["fileSize"] == size


async def test_everybody_is_told_the_counts_when_somebody_comes(server: InsideServer) -> None:
    anna, one = await server.visitor()
    berta, other = await server.visitor()
    stats = await one.next("realtime:stats")
    while stats["stats"]["onlineUsers"] < 2:
        stats = await one.next("realtime:stats")

    assert set(stats) == {"stats", "onlineUsers", "timestamp"}
    assert stats["stats"]["onlineUsers"] == 2
    assert {user["id"] for user in stats["onlineUsers"]} == {anna.id, berta.id}
    assert set(stats["onlineUsers"][0]) == {
        "id",
        "username",
        "isOnline",
        "isSearching",
        "lastSeen",
        "location",
        "gender",
        "language",
        "isGuest",
    }
    assert TIMESTAMP.fullmatch(stats["timestamp"])
    assert other.is_open


async def test_the_counts_can_be_asked_for(start_server: StartServer) -> None:
    server = await start_server(stats_interval=1000.0)  # prevents broadcasts during the test
    _, client = await server.visitor()
    await client.emit("get:stats")
    stats = await client.next("realtime:stats")
    while stats["stats"]["onlineUsers"] < 1:  # skip the broadcast from before the first guest
        stats = await client.next("realtime:stats")

    assert set(stats["stats"]) == {"totalUsers", "onlineUsers", "activeUsers", "availableUsers", "connectedUsers"}


async def test_two_meet(shared_server: RunningServer) -> None:
    anna, one = await shared_server.visitor(username="Anna")
    berta, other = await shared_server.visitor(username="Berta", location="Oslo", gender="x", language="no")
    await one.emit("user:match", {"topics": ["tea"], "preferredGender": None})
    assert set(await one.next("user:match:searching")) - {"usualWait"} == {"message", "stage", "waiting", "elapsed"}
    assert set(await one.next("user:match:no_users")) == {"message"}
    await other.emit("user:match")
    await other.next("user:match:searching")

    to_one, to_other = await one.next("user:matched"), await other.next("user:matched")

    assert to_one["matchedUser"] == {
        "id": berta.id,
        "username": "Berta",
        "isGuest": True,
        "location": "Oslo",
        "gender": "x",
        "language": "no",
    }
    assert to_other["matchedUser"]["id"] == anna.id
    assert to_one["roomId"] == to_other["roomId"] == "_".join(sorted([anna.id, berta.id]))
    for client in (one, other):
        joined = [await client.next("room:user_joined") for _ in range(2)]
        assert {member["userId"] for member in joined} == {anna.id, berta.id}
        assert all(set(member) == {"userId", "username", "message"} for member in joined)


async def test_a_search_can_be_cancelled_once(shared_server: RunningServer) -> None:
    _, client = await shared_server.visitor()
    await client.emit("user:match")
    await client.next("user:match:searching")
    await client.next("user:match:no_users")
    await client.emit("user:match:cancel")
    assert set(await client.next("user:match:cancelled")) == {"message"}
    await client.emit("user:match:cancel", {"whatever": 1})

    error = await client.next("user:match:cancel:error")

    assert error["code"] == "not_searching"
    assert error["message"]


async def test_searching_in_a_room_is_an_error_and_the_room_goes_on(shared_server: RunningServer) -> None:
    (_, one), (_, other), _ = await shared_server.pair()
    await one.emit("user:match")
    assert (await one.next("user:match:error"))["code"] == "already_in_room"
    await one.say("still here")

    assert (await other.next("chat:message"))["content"] == "still here"


async def test_a_message_goes_its_whole_way(shared_server: RunningServer) -> None:
    (anna, one), (_, other), _ = await shared_server.pair()
    await one.emit("chat:message", {"type": "text", "content": "hello", "timestamp": "x", "clientId": "c-1"})
    sent = await one.next("chat:message:sent")
    assert MESSAGE_ID.fullmatch(sent["messageId"])
    assert TIMESTAMP.fullmatch(sent["timestamp"])
    assert (sent["status"], sent["seq"], sent["clientId"]) == ("sent", 1, "c-1")

    message = await other.next("chat:message")
    assert message == {
        "id": sent["messageId"],
        "senderId": anna.id,
        "senderUsername": "Anna",
        "type": "text",
        "content": "hello",
        "timestamp": sent["timestamp"],
        "status": "sent",
        "seq": 1,
        "clientId": "c-1",
    }
    delivered = await other.next("chat:message:delivered")
    assert delivered == {"messageId": sent["messageId"], "timestamp": sent["timestamp"]}

    await other.emit("chat:message:delivered", {"messageId": sent["messageId"]})
    confirmed = await one.next("chat:message:delivered")
    assert set(confirmed) == {"messageId", "timestamp"}
    assert confirmed["messageId"] == sent["messageId"]


async def test_an_acknowledgement_says_what_the_event_says(shared_server: RunningServer) -> None:
    (_, one), _, _ = await shared_server.pair()

    assert await one.say("hello", "c-1") == await one.next("chat:message:sent")


async def test_a_message_sent_again_comes_once_with_the_same_acknowledgement(shared_server: RunningServer) -> None:
    (_, one), (_, other), _ = await shared_server.pair()
    first = await one.say("hello", "c-1")

    assert await one.say("hello", "c-1") == first
    await one.say("next", "c-2")
    assert (await other.next("chat:message"))["content"] == "hello"
    await other.next("chat:message:delivered")
    assert (await other.next("chat:message"))["content"] == "next"


async def test_five_hundred_messages_arrive_in_order(start_server: StartServer) -> None:
    server = await start_server(limits_scale=1000.0)
    (_, one), (_, other), _ = await server.pair()
    for number in range(500):
        await one.emit("chat:message", {"type": "text", "content": str(number)})
        await other.emit("chat:message", {"type": "text", "content": str(number)})
    for client in (one, other):
        messages = [await client.until("chat:message") for _ in range(500)]
        assert [message["content"] for message in messages] == [str(number) for number in range(500)]
        numbers = [message["seq"] for message in messages]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("payload", [None, {}, {"roomId": "guest_x_guest_y"}, "text", 7, [1, [2]], True])
async def test_typing_is_told_whatever_comes_with_it(shared_server: RunningServer, payload: object) -> None:
    (anna, one), (_, other), _ = await shared_server.pair()
    for event in ("chat:typing:start", "chat:typing:stop"):
        await one.emit(event, *(() if payload is None else (payload,)))
        assert await other.next(event) == {"userId": anna.id, "username": "Anna"}


@pytest.mark.parametrize("event", ["chat:clear", "leave-room", "close-room"])
@pytest.mark.parametrize("payload", [None, {"roomId": "guest_x_guest_y"}, "nonsense"])
async def test_leaving_is_confirmed_and_told(shared_server: RunningServer, event: str, payload: object) -> None:
    (anna, one), (_, other), _ = await shared_server.pair()
    await one.emit(event, *(() if payload is None else (payload,)))

    assert set(await one.next("chat:clear:confirmed")) == {"message"}
    left = await other.next("room:user_left")
    assert set(left) == {"userId", "username", "message"}
    assert left["userId"] == anna.id
    cleared = await other.next("chat:cleared")
    assert cleared == {"userId": anna.id, "username": "Anna", "reason": "user_left"}
    await shared_server.match(one, other)


async def test_leaving_without_a_room_is_confirmed_too(shared_server: RunningServer) -> None:
    _, client = await shared_server.visitor()
    await client.emit("chat:clear")

    await client.next("chat:clear:confirmed")


async def test_a_guest_back_in_time_goes_on_where_they_were(shared_server: RunningServer) -> None:
    (anna, one), (berta, other), room = await shared_server.pair()
    await other.say("1")
    await one.next("chat:message")
    await one.cut()
    away = await other.until("room:partner_away")
    assert set(away) == {"userId", "username", "message", "grace"}
    assert (away["userId"], away["grace"]) == (anna.id, 20)
    await other.say("2")
    await other.say("3")

    back = await shared_server.connect(anna, {**room, "seq": 1})

    greeting = await back.next("connection:established")
    assert greeting["room"]["roomId"] == room["roomId"]
    assert (greeting["room"]["epoch"], greeting["room"]["seq"]) == (room["epoch"], 3)
    resumed = await back.next("room:resumed")
    assert set(resumed) >= {"roomId", "epoch", "seq", "partner", "gap"}
    assert (resumed["roomId"], resumed["epoch"], resumed["seq"], resumed["gap"]) == (*room.values(), 3, 0)
    assert resumed["partner"]["id"] == berta.id
    assert [(await back.next("chat:message"))["content"] for _ in range(2)] == ["2", "3"]
    assert set(await other.until("room:partner_back")) == {"userId", "username", "message"}
    await back.say("4")
    assert (await other.until("chat:message"))["content"] == "4"


async def test_a_reload_without_resume_gets_what_was_missed(shared_server: RunningServer) -> None:
    (anna, one), (_, other), _ = await shared_server.pair()
    await one.close()
    await other.until("room:partner_away")
    await other.say("while you were away")

    back = await shared_server.connect(anna)

    await back.next("connection:established")
    await back.next("room:resumed")
    assert (await back.next("chat:message"))["content"] == "while you were away"


async def test_an_explicit_gap(start_server: StartServer) -> None:
    server = await start_server(room_log_messages=3)
    (anna, one), (_, other), room = await server.pair()
    await one.cut()
    await other.until("room:partner_away")
    for number in range(1, 9):
        await other.say(str(number))

    back = await server.connect(anna, {**room, "seq": 0})

    assert (await back.until("room:resumed"))["gap"] == 5
    assert [(await back.next("chat:message"))["content"] for _ in range(3)] == ["6", "7", "8"]


async def test_when_the_grace_ends_the_room_closes_with_what_never_arrived(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = JumpingClock()
    monkeypatch.setattr(app, "PatientClock", lambda _watch: clock)
    server = await start_server(grace=20.0)
    (anna, one), (_, other), room = await server.pair()
    await one.cut()
    await other.until("room:partner_away")
    lost = await other.say("anybody?", "c-9")

    clock.jump(20)
    closed = await other.until("room:closed")

    assert set(closed) == {"userId", "username", "message", "reason", "undelivered"}
    assert (closed["userId"], closed["reason"]) == (anna.id, "user_disconnected")
    assert closed["undelivered"] == [{"messageId": lost["messageId"], "clientId": "c-9"}]
    with pytest.raises(Exception, match="Guest session not found or expired"):
        await server.connect(anna, {**room, "seq": 0})
    answer = await server.http.get("/api/guest/me", headers=anna.headers)
    assert answer.json()["message"] == "Guest session not found or expired"


async def test_whoever_returns_and_finds_nobody_is_told(server: InsideServer) -> None:
    (anna, one), (berta, other), room = await server.pair()
    await one.cut()
    await other.until("room:partner_away")
    await server.http.delete("/api/guest/me", headers=berta.headers)

    back = await server.connect(anna, {**room, "seq": 0})

    assert (await back.next("connection:established"))["room"] is None
    closed = await back.next("room:closed")
    assert closed["userId"] == berta.id
    carla, _ = await server.visitor()
    again = await server.connect(carla, {**room, "seq": 0})
    await again.next("connection:established")
    assert (await again.next("room:closed"))["reason"] == "partner_offline"


async def test_a_second_socket_replaces_the_first_which_is_told_why(shared_server: RunningServer) -> None:
    (anna, first), (_, other), room = await shared_server.pair()
    second = await shared_server.connect(anna, {**room, "seq": 0})

    closing = await first.next("connection:closing")
    assert closing["code"] == "replaced"
    assert closing["message"]
    await asyncio.wait_for(first.disconnected.wait(), PATIENCE)
    await second.next("connection:established")
    await second.next("room:resumed")
    with contextlib.suppress(ConnectionError):  # it may already be closed
        await first.send('42["chat:message",{"type":"text","content":"from the old one"}]')
    await second.say("from the new one")
    assert (await other.next("chat:message"))["content"] == "from the new one"
    assert second.is_open


async def test_a_connected_guest_gets_a_fresh_token_in_time(start_server: StartServer) -> None:
    server = await start_server(session_ttl=3.0, renew_before=2.0, refresh_interval=0.2)
    anna, client = await server.visitor()

    renewed = await client.next("session:renewed")

    assert set(renewed) == {"token", "expiresAt"}
    assert renewed["token"] != anna.token
    assert TIMESTAMP.fullmatch(renewed["expiresAt"])
    answer = await server.http.get("/api/guest/me", headers={"Authorization": f"Bearer {renewed['token']}"})
    assert answer.json()["data"]["user"]["id"] == anna.id
    again = await client.next("session:renewed")
    assert again["token"] != renewed["token"]


# ── third-party clients ───────────────────────────────────────────────────────────────────────────


class Foreign:
    """python-socketio's client, with its received events."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("*", self._note)
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def _note(self, event: str, *arguments: object) -> None:
        await self._events.put((event, arguments[0] if arguments else None))

    async def until(self, name: str) -> Any:  # noqa: ANN401 - any JSON
        async with asyncio.timeout(PATIENCE):
            while True:
                event, payload = await self._events.get()
                if event == name:
                    return payload


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids="+".join)
async def test_two_foreign_clients_talk(shared_server: RunningServer, transports: list[str]) -> None:
    one, other = Foreign(), Foreign()
    try:
        for foreign in (one, other):
            account = await shared_server.newcomer()
            await foreign.client.connect(shared_server.url, auth={"token": account.token}, transports=transports)
            await foreign.until("connection:established")
        await one.client.emit("user:match")
        await one.until("user:match:searching")
        await other.client.emit("user:match", {})
        await one.until("user:matched")
        await other.until("user:matched")

        answer = await one.client.call("chat:message", {"type": "text", "content": "grüezi 👋"}, timeout=PATIENCE)
        message = await other.until("chat:message")

        assert message["content"] == "grüezi 👋"
        assert message["id"] == answer["messageId"]
        await other.client.emit("chat:message:delivered", {"messageId": message["id"]})
        assert (await one.until("chat:message:delivered"))["messageId"] == message["id"]
        await one.client.disconnect()
        await other.until("room:partner_away")
    finally:
        for foreign in (one, other):
            await foreign.client.disconnect()
