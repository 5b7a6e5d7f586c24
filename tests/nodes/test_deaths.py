"""What was going on when a node died: it goes on at another one. Nodes are processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis

from tests.nodes.test_processes import Node, match, node, until_connected
from tests.support.conversation import Two, Wire, noise
from tests.support.valkey import PATIENCE, Valkey, until, valkey

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.server import Account

MIB = 1 << 20
DESCRIPTION = "v=0\r\no=- 4611731400430051336 2 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\n"
MESSAGES = 200
"""As many as a room keeps."""


def kill(victim: Node) -> None:
    os.kill(victim.process.pid, signal.SIGKILL)


def freeze(victim: Node) -> None:
    os.kill(victim.process.pid, signal.SIGSTOP)


def thaw(victim: Node) -> None:
    os.kill(victim.process.pid, signal.SIGCONT)


async def back(place: Node, account: Account, room: dict[str, Any], seq: int = 0) -> Client:
    """Come back to a room at a node as soon as it lets one in; nothing is read yet."""
    return await until_connected(place, account, {**room, "seq": seq})


async def resumed(place: Node, account: Account, room: dict[str, Any], seq: int = 0) -> Client:
    """Do so, and read until the client knows what it has missed."""
    client = await back(place, account, room, seq)
    assert (await client.until("room:resumed"))["roomId"] == room["roomId"]
    return client


# ── a call ────────────────────────────────────────────────────────────────────────────────────────


async def kept(store: Valkey, room: dict[str, Any], state: str) -> None:
    """Wait until Redis has the room's call in this state."""

    async def is_kept() -> bool:
        found = await store.command("HGETALL", f"{{room:{room['roomId']}}}:state")
        return f'"state":"{state}"'.encode() in b"".join(found)

    await until(is_kept)


def signal_of(kind: str, call_id: str | None = None) -> dict[str, Any]:
    return {
        kind: {"type": kind, "sdp": DESCRIPTION},
        "callId": call_id,
        **({"type": "audio"} if kind == "offer" else {}),
    }


async def test_a_call_rings_on_when_its_home_dies() -> None:
    async with valkey() as store, node(store) as first, node(store) as second:
        (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        room = await match(anna, berta)  # the home of both is the second
        await anna.emit("webrtc:offer", signal_of("offer"))
        call_id = (await anna.until("webrtc:ringing"))["callId"]
        await berta.until("webrtc:offer", callId=call_id)
        await kept(store, room, "ringing")
        kill(second)
        await anna.gone()

        anna, berta = await back(first, one, room), await back(first, other, room)
        await berta.until("webrtc:offer", callId=call_id)
        await berta.emit("webrtc:answer", signal_of("answer", call_id))
        assert (await anna.until("webrtc:answer"))["callId"] == call_id
        await anna.emit("webrtc:call-end", {"callId": call_id})
        assert (await berta.until("webrtc:call-end"))["callId"] == call_id


async def test_a_call_goes_on_when_its_home_dies() -> None:
    async with valkey() as store, node(store) as first, node(store) as second:
        (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        room = await match(anna, berta)
        await anna.emit("webrtc:offer", signal_of("offer"))
        call_id = (await berta.until("webrtc:offer"))["callId"]
        await berta.emit("webrtc:answer", signal_of("answer", call_id))
        await anna.until("webrtc:answer")
        for client in (anna, berta):
            await client.emit("webrtc:connected", {"callId": call_id})
        await kept(store, room, "active")
        kill(second)
        await anna.gone()

        anna, berta = await back(first, one, room), await back(first, other, room)
        await berta.emit("webrtc:offer", signal_of("offer", call_id))  # the network has changed
        assert (await anna.until("webrtc:offer"))["callId"] == call_id
        await anna.emit("webrtc:call-end", {"callId": call_id})
        assert (await berta.until("webrtc:call-end"))["callId"] == call_id
        for client in (anna, berta):
            assert "webrtc:call-timeout" not in [name for name, _ in client.heard]


# ── messages and files ────────────────────────────────────────────────────────────────────────────


def reading(client: Client, *, does: bool) -> None:
    """Let a client read on, or nothing more: what is sent to it waits."""
    connection = client._websocket._response.connection
    assert connection is not None
    assert connection.transport is not None
    transport: Any = connection.transport
    (transport.resume_reading if does else transport.pause_reading)()


async def test_a_replay_goes_on_when_its_home_dies() -> None:
    settings = {"LIMITS_SCALE": "1000", "ROOM_LOG_BYTES": "4000000"}
    async with valkey() as store, node(store, **settings) as first, node(store, **settings) as second:
        (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        room = await match(anna, berta)
        await anna.cut()
        await berta.until("room:partner_away")
        sent = await asyncio.gather(*(berta.say("\U0001f600" * 1000, str(number)) for number in range(MESSAGES)))
        assert [one["seq"] for one in sent] == list(range(1, MESSAGES + 1))

        anna = await resumed(first, one, room)
        reading(anna, does=False)
        kill(second)
        await berta.gone()
        reading(anna, does=True)
        await anna.gone()
        assert anna.close_code == 1012
        begun = [payload["seq"] for name, payload in anna.heard if name == "chat:message"]
        assert begun == list(range(1, len(begun) + 1))
        assert len(begun) < MESSAGES, "the replay was not over"

        anna = await resumed(first, one, room, len(begun))
        for seq in range(len(begun) + 1, MESSAGES + 1):
            assert (await anna.until("chat:message"))["seq"] == seq
        berta = await resumed(first, other, room, MESSAGES)
        assert (await berta.say("and on", "and on"))["seq"] == MESSAGES + 1
        assert (await anna.until("chat:message"))["content"] == "and on"


async def test_a_download_survives_the_home_of_its_room() -> None:
    async with valkey() as store, node(store) as first, node(store) as second:
        anna, berta = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        room = await match(anna[1], berta[1])
        talk = Two(second, anna, berta, room)
        body = noise(10 * MIB)
        info = await talk.upload(body)
        wire = await Wire.open(first, 1024)
        await wire.send(f"GET {info['fileUrl']} HTTP/1.1")
        assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        kill(second)
        await anna[1].gone()
        for account, _ in (anna, berta):
            await resumed(first, account, room)

        received = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while len(received) < len(body) and (data := await wire.reader.read(65_536)):
                    received += data
        await wire.abort()
        assert body == received
        rest = await first.http.get(info["downloadUrl"], headers={"Range": f"bytes={5 * MIB}-"})
        assert (rest.status_code, rest.content) == (206, body[5 * MIB :])


# ── who is elsewhere ──────────────────────────────────────────────────────────────────────────────


async def left(store: Valkey) -> list[bytes]:
    """Return the keys of guests, rooms and searches that are in Redis."""
    return [
        key for key in await store.command("KEYS", "*") if key.startswith((b"guest:", b"home:", b"{room:", b"{mm}"))
    ]


@pytest.mark.parametrize("returning", ["both", "one", "none"])
async def test_a_home_dies_while_both_members_are_elsewhere(returning: str) -> None:
    async with (
        valkey() as store,
        node(store, GRACE="3") as first,
        node(store, GRACE="3") as second,
        node(store, GRACE="3") as third,
    ):
        (one, anna), (other, berta) = await third.visitor(username="Anna"), await third.visitor(username="Berta")
        room = await match(anna, berta)
        for client in (anna, berta):
            await client.cut()
        anna, berta = await resumed(first, one, room), await resumed(second, other, room)
        assert (await anna.say("hello", "hello"))["seq"] == 1
        await berta.until("chat:message")
        await no_tickets(store)  # else both are kept as those who were matched and have no room yet
        kill(third)
        for client in (anna, berta):
            await client.gone()
            assert client.close_code == 1012
        if returning == "both":
            anna, berta = await asyncio.gather(resumed(first, one, room), resumed(second, other, room, 1))
            assert (await anna.until("chat:message"))["content"] == "hello"
            assert (await berta.say("still here", "x"))["seq"] == 2
            assert (await anna.until("chat:message"))["content"] == "still here"
        elif returning == "one":
            anna = await resumed(first, one, room, 1)
            assert (await anna.say("are you there?", "x"))["seq"] == 2
            closed = await anna.until("room:closed")
            assert closed["reason"] == "user_disconnected"
            assert closed["undelivered"][-1]["clientId"] == "x"
            answer = await first.http.get("/api/guest/me", headers=other.headers)
            assert answer.status_code == 401
            await anna.emit("user:match")
            await anna.until("user:match:searching")
        else:

            async def is_empty() -> bool:
                return await left(store) == []

            await until(is_empty, patience=2 * PATIENCE)


# ── a match ───────────────────────────────────────────────────────────────────────────────────────


async def no_tickets(store: Valkey) -> None:
    async def are_gone() -> bool:
        return await store.command("EXISTS", "{mm}:tickets") == 0  # type: ignore[no-any-return]

    await until(are_gone)


async def waiting(client: Client) -> None:
    await client.emit("user:match")
    await client.until("user:match:no_users")


async def reserved(store: Valkey, account: Account) -> None:
    """Wait until nobody else can find the guest."""

    async def is_reserved() -> bool:
        return account.id.encode() not in await store.command("SMEMBERS", "{mm}:waiting")

    await until(is_reserved)


async def entered(store: Valkey, account: Account) -> float:
    """Return when the guest has begun to search, as Redis has it."""
    ticket = json.loads(await store.command("HGET", "{mm}:tickets", account.id))
    return float(ticket["enteredAt"])


async def test_a_partner_who_is_reserved_dies_before_the_move() -> None:
    async with valkey() as store, node(store) as first, node(store) as second:
        (_, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        await waiting(berta)
        freeze(second)
        await anna.emit("user:match")
        await reserved(store, other)
        kill(second)
        await berta.gone()

        _, carla = await first.visitor(username="Carla")
        await carla.emit("user:match")
        assert (await anna.until("user:matched"))["matchedUser"]["username"] == "Carla"
        assert "user:match:error" not in [name for name, _ in anna.heard]
        berta = await until_connected(first, other)
        await berta.until("connection:established")
        await berta.emit("user:match")
        await berta.until("user:match:searching")


@pytest.mark.parametrize("when", ["before the partner moves", "while the partner is on the way"])
async def test_a_seeker_dies(when: str) -> None:
    async with (
        valkey() as store,
        node(store) as first,
        node(store) as second,
        Redis(unix_socket_path=str(store.path)) as listener,
        listener.pubsub() as bus,
    ):
        await bus.psubscribe("bus:*")
        (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        await waiting(berta)
        begun = await entered(store, other)
        freeze(second)
        await anna.emit("user:match")
        async with asyncio.timeout(PATIENCE):
            async for message in bus.listen():
                if message["type"] == "pmessage" and b"bring" in message["data"]:
                    break  # the partner's node is asked for her
        if when == "before the partner moves":
            kill(first)
            thaw(second)
        else:
            freeze(first)  # what comes to it from now on is not read
            thaw(second)

            async def has_left() -> bool:
                homes = [await store.command("GET", f"home:{guest.session_id}") for guest in (one, other)]
                return bool(homes[0] == homes[1])

            await until(has_left)
            kill(first)
        await berta.gone()
        assert berta.close_code == 1012

        berta = await until_connected(second, other)
        await berta.until("user:match:searching")
        assert await entered(store, other) == begun, "the place in the queue is kept"
        _, carla = await second.visitor(username="Carla")
        await carla.emit("user:match")
        assert (await berta.until("user:matched"))["matchedUser"]["username"] == "Carla"
