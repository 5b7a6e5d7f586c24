"""A guest who blocks another never meets them again, on a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.server import SECRET, Account, RunningServer, http_client
from tests.support.valkey import valkey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import StartServer
    from tests.support.client import Client
    from tests.support.server import InsideServer, ServerProcess

CONFIRMED = {"message": "You have left the conversation"}


async def visitor(server: RunningServer, former: Account | None = None) -> tuple[Account, Client]:
    """Come with a new session; in the browser of a `former` one, in place of that."""
    headers = {} if former is None else {"authorization": f"Bearer {former.token}"}
    created = (await server.http.post("/api/guest", headers=headers)).json()["data"]
    account = Account(created["token"], created["user"])
    client = await server.connect(account, features=["undo"])
    await client.next("connection:established")
    return account, client


async def block(one: Client, other: Client) -> None:
    await one.emit("chat:block")
    assert await one.until("chat:clear:confirmed") == CONFIRMED
    assert "undo" not in await other.until("room:user_left")
    assert (await other.next("chat:cleared"))["reason"] == "user_left"


async def never_meet(server: RunningServer, *clients: Client) -> None:
    """Check that nobody of them meets another; whoever else comes meets them."""
    for client in clients:
        await client.emit("user:match")
        await client.until("user:match:no_users")
    for _ in clients:
        _, third = await visitor(server)
        await third.emit("user:match")
        await third.until("user:matched")
    for client in clients:
        await client.until("user:matched")


@pytest.mark.parametrize("new", ["nobody", "the one who blocks", "the one who is blocked", "both"])
async def test_the_two_do_not_meet_again(server: InsideServer, new: str) -> None:
    (one, anna), (other, berta) = await visitor(server), await visitor(server)
    await server.match(anna, berta)
    await block(anna, berta)
    if new in ("the one who blocks", "both"):
        _, anna = await visitor(server, one)
    if new in ("the one who is blocked", "both"):
        _, berta = await visitor(server, other)

    await never_meet(server, anna, berta)


@pytest.mark.parametrize("payload", [None, {}, [], "anna", {"userId": "guest_0"}])
async def test_the_payload_does_not_matter(server: InsideServer, payload: object) -> None:
    (_, anna), (_, berta) = await visitor(server), await visitor(server)
    await server.match(anna, berta)
    await anna.emit("chat:block", payload)
    assert await anna.until("chat:clear:confirmed") == CONFIRMED

    await anna.emit("chat:block", payload)
    assert (await anna.until("chat:error"))["code"] == "not_in_room"


async def test_who_could_come_back_can_not_any_more(start_server: StartServer) -> None:
    server = await start_server(undo_seconds=60)
    (_, anna), (_, berta) = await visitor(server), await visitor(server)
    matched = await server.match(anna, berta)
    await anna.emit("chat:clear", {"undo": True})
    assert (await berta.until("room:user_left"))["undo"] == 60
    await berta.emit("chat:block")
    assert await berta.until("chat:clear:confirmed") == CONFIRMED
    await anna.emit("chat:undo", {"resume": {"roomId": matched["roomId"], "epoch": matched["epoch"], "seq": 0}})

    assert (await anna.until("chat:undo:error"))["code"] == "undo_impossible"
    await never_meet(server, anna, berta)


async def test_it_is_kept_by_redis_when_the_process_is_killed(start_process: Callable[..., ServerProcess]) -> None:
    async with valkey() as store:
        settings: dict[str, Any] = {"JWT_SECRET": SECRET, "REDIS_URL": store.url}
        process = start_process(**settings).wait_until_ready()
        async with http_client(process.url) as http:
            server = RunningServer(process.url, http)
            (one, anna), (other, berta) = await visitor(server), await visitor(server)
            await server.match(anna, berta)
            await block(anna, berta)
            await berta.emit("user:match")
            await berta.until("user:match:no_users")
            process.stop()
            await server.close()

        process = start_process(**settings).wait_until_ready()
        async with http_client(process.url) as http:
            server = RunningServer(process.url, http)
            (_, anna), (_, berta) = await visitor(server, one), await visitor(server, other)
            await never_meet(server, anna, berta)
            await server.close()
