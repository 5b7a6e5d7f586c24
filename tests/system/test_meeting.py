"""Guests who say whom they want to meet, on running servers."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.server import SECRET, RunningServer, http_client
from tests.support.valkey import until, valkey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import StartServer
    from tests.support.client import Client
    from tests.support.server import ServerProcess

LONG = "600"
"""Seconds: nothing is given up, or met again, during a test."""


async def search(client: Client, **wish: object) -> dict[str, Any]:
    await client.emit("user:match", wish)
    searching: dict[str, Any] = await client.until("user:match:searching")
    return searching


async def test_those_who_share_something_meet_and_are_told_what(start_server: StartServer) -> None:
    server = await start_server(match_interests=600, match_language=600)
    clients = [(await server.visitor())[1] for _ in range(4)]
    chess = await search(clients[0], interests=["Chess"], languages=["pt-BR"])
    assert (chess["stage"], chess["elapsed"]) == ("interests", 0.0)
    assert (await search(clients[1], languages=["pt"]))["stage"] == "language"
    await clients[1].until("user:match:no_users")
    await search(clients[2], interests=["CHESS ", "go"], languages=["pt", "en"])
    await search(clients[3], languages=["pt"])

    told = [(await client.until("user:matched"))["shared"] for client in clients]
    assert told == [
        {"interests": ["Chess"], "language": "pt"},
        {"interests": [], "language": "pt"},
        {"interests": ["CHESS"], "language": "pt"},
        {"interests": [], "language": "pt"},
    ]


async def test_each_stage_comes_by_itself(start_server: StartServer) -> None:
    server = await start_server(match_interests=0.1, match_language=0.1)
    _, one = await server.visitor()
    _, other = await server.visitor()
    await search(one, interests=["chess"], languages=["fi"])
    stages = [(await one.until("user:match:searching"))["stage"] for _ in range(2)]
    await search(other, interests=["go"], languages=["no"])

    assert stages == ["language", "anyone"]
    assert (await one.until("user:matched"))["shared"] == {"interests": [], "language": None}


@pytest.mark.parametrize("payload", ["chess", 7, None, ["interests"], {"interest": "chess"}, True])
async def test_old_clients_meet_as_ever(start_server: StartServer, payload: object) -> None:
    server = await start_server()
    _, one = await server.visitor()
    _, other = await server.visitor()
    await one.emit("user:match", payload)
    await one.until("user:match:no_users")
    await other.emit("user:match")

    assert (await one.until("user:matched"))["shared"] == {"interests": [], "language": None}
    await other.until("user:matched")


async def test_a_refused_search_names_the_field_and_disturbs_nobody(start_server: StartServer) -> None:
    server = await start_server()
    _, one = await server.visitor()
    await one.emit("user:match", {"interests": ["<b>"]})
    refused = await one.until("user:match:error")
    assert (refused["code"], refused["field"]) == ("interest_invalid", "interests")

    await one.emit("user:match", {"wants": {"gender": 7}})
    refused = await one.until("user:match:error")
    assert (refused["code"], refused["field"]) == ("wants_invalid", "wants.gender")
    await search(one, interests=["b"])


async def test_a_restart_forgets_neither_whom_one_has_met_nor_what_one_searches(
    start_process: Callable[..., ServerProcess],
) -> None:
    async with valkey() as store:
        settings = {"JWT_SECRET": SECRET, "REDIS_URL": store.url, "MATCH_INTERESTS": LONG, "MATCH_AGAIN": LONG}
        process = start_process(**settings).wait_until_ready()
        async with http_client(process.url) as http:
            server = RunningServer(process.url, http)
            (anna, one), (berta, other), _ = await server.pair()
            await one.emit("chat:clear")
            await other.until("chat:cleared")
            await search(one, interests=["chess"], languages=["en"])

            async def are_written() -> bool:
                met = [await store.command("GET", f"guest:{account.session_id}") for account in (anna, berta)]
                tickets = await store.command("HLEN", "{mm}:tickets")
                return all(b'"met":[["guest_' in (each or b"") for each in met) and tickets == 1

            await until(are_written)
            os.kill(process.pid, signal.SIGKILL)
            await server.close()

        process = start_process(**settings).wait_until_ready()
        async with http_client(process.url) as http:
            server = RunningServer(process.url, http)
            one = await server.connect(anna)
            assert (await one.until("user:match:searching"))["stage"] == "interests"
            other = await server.connect(berta)
            await other.next("connection:established")
            await search(other, interests=["chess"], languages=["en"])
            await other.until("user:match:no_users")
            _, third = await server.visitor()
            await search(third, interests=["chess"], languages=["en"])

            assert (await third.until("user:matched"))["matchedUser"]["id"] == anna.id
            await server.close()
