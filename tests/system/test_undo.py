"""A guest who has left by mistake comes back, on a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.conversation import PNG, Two
from tests.support.server import SECRET, RunningServer, http_client
from tests.support.valkey import until, valkey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import StartServer
    from tests.support.client import Client
    from tests.support.server import Account, InsideServer, ServerProcess

SECONDS = 60.0
"""So long that no test is slower."""


async def visitor(server: RunningServer, name: str, *features: str) -> tuple[Account, Client]:
    account = await server.newcomer(username=name)
    client = await server.connect(account, features=features)
    await client.next("connection:established")
    return account, client


async def pair(server: RunningServer) -> tuple[tuple[Account, Client], tuple[Account, Client], dict[str, Any]]:
    """Return Anna and Berta in a room, and what names it. Only Berta's client has said what it knows."""
    anna, berta = await visitor(server, "Anna"), await visitor(server, "Berta", "undo", "anything")
    matched = await server.match(anna[1], berta[1])
    return anna, berta, {"roomId": matched["roomId"], "epoch": matched["epoch"]}


async def leave(anna: Client, berta: Client) -> None:
    await anna.emit("chat:clear", {"undo": True})
    assert await anna.next("chat:clear:confirmed") == {"message": "You have left the conversation", "undo": SECONDS}
    left = await berta.next("room:user_left")
    assert (left["undo"], left["username"]) == (SECONDS, "Anna")
    assert (await berta.next("chat:cleared"))["reason"] == "user_left"


async def test_who_presses_next_by_mistake_comes_back(start_server: StartServer) -> None:
    server = await start_server(undo_seconds=SECONDS)
    (one, anna), (other, berta), room = await pair(server)
    two = Two(server, (one, anna), (other, berta), room)
    file = await two.upload(PNG, "a.png")
    for number in range(3):
        await anna.say(f"{number}", f"a-{number}")
        await berta.until("chat:message")
        await berta.next("chat:message:delivered")
    await anna.until("chat:message:sent", clientId="a-2")
    await leave(anna, berta)
    assert (await server.stats(one))["connectedUsers"] == 0
    await anna.emit("user:match")
    await anna.until("user:match:no_users")

    await anna.emit("chat:undo", {"resume": room | {"seq": 1}})

    restored = await anna.next("room:restored")
    assert restored["partner"]["id"] == other.id
    assert {name: restored[name] for name in ("userId", "username", "roomId", "epoch", "seq")} == {
        "userId": one.id,
        "username": "Anna",
        **room,
        "seq": 3,
    }
    assert (await anna.next("room:resumed"))["seq"] == 3
    assert [(await anna.next("chat:message"))["content"] for _ in range(2)] == ["1", "2"]
    told = await berta.next("room:restored")
    assert told["partner"]["id"] == one.id
    assert told | {"partner": None} == restored | {"partner": None}
    assert await two.read(file) == PNG
    assert (await berta.say("go on"))["seq"] == 4
    assert (await anna.next("chat:message"))["content"] == "go on"
    assert (await server.stats(one))["connectedUsers"] == 1

    await anna.emit("chat:clear", {"undo": True})
    assert await anna.until("chat:clear:confirmed") == {"message": "You have left the conversation"}
    assert "undo" not in await berta.until("room:user_left")
    assert (await server.http.get(file["fileUrl"])).status_code == 404
    await anna.emit("chat:undo", {"resume": room | {"seq": 4}})
    assert (await anna.next("chat:undo:error"))["code"] == "undo_impossible"


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        [],
        [True],
        "undo",
        True,
        1,
        {"undo": 1},
        {"undo": "true"},
        {"undo": None},
        {"undo": False},
        {"Undo": True},
    ],
)
async def test_old_clients_may_send_anything(server: InsideServer, payload: object) -> None:
    (_, anna), (_, berta), room = await pair(server)
    await anna.emit("chat:clear", payload)

    assert await anna.next("chat:clear:confirmed") == {"message": "You have left the conversation"}
    assert "undo" not in await berta.next("room:user_left")
    await anna.emit("chat:undo", {"resume": room | {"seq": 0}})
    assert (await anna.next("chat:undo:error"))["code"] == "undo_impossible"


@pytest.mark.parametrize("event", ["leave-room", "close-room"])
async def test_other_names_of_the_event_are_final(server: InsideServer, event: str) -> None:
    (_, anna), (_, berta), _ = await pair(server)
    await anna.emit(event, {"undo": True})

    assert "undo" not in await anna.next("chat:clear:confirmed")
    assert "undo" not in await berta.next("room:user_left")


async def test_a_client_that_does_not_know_it_is_left_for_good(server: InsideServer) -> None:
    (_, anna), (_, berta), _ = await pair(server)
    await berta.emit("chat:clear", {"undo": True})

    assert "undo" not in await berta.next("chat:clear:confirmed")
    assert await anna.next("room:user_left") == {
        "userId": (await anna.next("chat:cleared"))["userId"],
        "username": "Berta",
        "message": "Berta has left",
    }


@pytest.mark.parametrize("payload", [None, {}, {"resume": None}, {"resume": {"roomId": "x", "epoch": 1}}])
async def test_an_undo_without_a_position_is_refused(server: InsideServer, payload: object) -> None:
    (_, anna), (_, berta), _ = await pair(server)
    await anna.emit("chat:undo", payload)

    assert (await anna.next("chat:undo:error"))["code"] == "invalid_payload"
    await anna.say("still here")
    assert (await berta.next("chat:message"))["content"] == "still here"


async def test_a_process_that_is_killed_leaves_nothing_of_a_parked_room(
    start_process: Callable[..., ServerProcess],
) -> None:
    async with valkey() as store:
        settings = {"JWT_SECRET": SECRET, "REDIS_URL": store.url, "UNDO_SECONDS": str(SECONDS), "FILE_STORE": "redis"}
        process = start_process(**settings).wait_until_ready()
        async with http_client(process.url) as http:
            server = RunningServer(process.url, http)
            (one, anna), (other, berta), room = await pair(server)
            await Two(server, (one, anna), (other, berta), room).upload(PNG, "a.png")
            await anna.say("a secret")
            await berta.until("chat:message")
            await anna.emit("chat:clear", {"undo": True})
            assert (await anna.until("chat:clear:confirmed"))["undo"] == SECONDS
            await berta.until("room:user_left")

            async def is_forgotten() -> bool:
                return not await store.command("KEYS", "{room:*")

            await until(is_forgotten)
            process.stop()
            await server.close()

        process = start_process(**settings).wait_until_ready()
        async with http_client(process.url) as http:
            server = RunningServer(process.url, http)
            anna = await server.connect(one, features=["undo"])
            berta = await server.connect(other, room | {"seq": 1}, features=["undo"])
            for client in (anna, berta):
                assert (await client.until("connection:established"))["room"] is None
            assert (await berta.until("room:closed"))["reason"] == "partner_offline"
            await anna.emit("chat:undo", {"resume": room | {"seq": 1}})
            assert (await anna.until("chat:undo:error"))["code"] == "undo_impossible"

            async def has_no_file() -> bool:
                return not await store.command("KEYS", "file:*")

            await until(has_no_file)
            assert await store.command("KEYS", "{room:*") == []
            await server.close()
