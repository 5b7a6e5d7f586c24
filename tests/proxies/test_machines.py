"""The examples of docs/operations.md for several machines: two nodes with one Valkey, behind the real programs."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.proxies import proxy
from tests.proxies.guest import Guest, Street
from tests.support.server import SECRET, ServerProcess, http_client
from tests.support.valkey import valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.valkey import Valkey

TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]
MOST = 32
"""Guests after which it is no chance any more that all are on one node."""


class Machines(Street):
    """Two nodes behind a balancer."""

    def __init__(self, nodes: list[ServerProcess], before: proxy.Proxy, stack: AsyncExitStack) -> None:
        super().__init__(before, stack)
        self.nodes = nodes

    async def connections(self) -> list[int]:
        """Return how many connections each node has, as it says itself."""
        found = []
        for node in self.nodes:
            async with http_client(node.url) as http:
                found.append((await http.get("/api/socket/stats")).json()["data"]["connections"])
        return found

    async def on_each(self, transports: list[str]) -> list[Guest]:
        """Return a connected guest of each node. Others may be there, who look for nobody."""
        guests: dict[int, Guest] = {}
        for _ in range(MOST):
            guest = await self.guest()
            before = await self.connections()
            await guest.connect(self.proxy.url, transports)
            after = await self.connections()
            (place,) = (number for number in range(len(self.nodes)) if after[number] > before[number])
            guests.setdefault(place, guest)
            if len(guests) == len(self.nodes):
                return [guests[number] for number in sorted(guests)]
        raise AssertionError("the balancer sends all guests to one node")


@pytest.fixture(params=proxy.BALANCERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def shared() -> AsyncIterator[Valkey]:
    async with valkey() as server:
        yield server


@pytest.fixture
async def machines(name: str, shared: Valkey, tmp_path: Path) -> AsyncIterator[Machines]:
    try:
        program = proxy.ensure(name)
    except proxy.NoProxyError as error:
        pytest.fail(str(error), pytrace=False)
    async with AsyncExitStack() as stack:
        nodes = []
        for _ in range(2):
            nodes.append(
                ServerProcess(
                    *("--limits-scale", "1000", "--trusted-proxies", ",".join(proxy.trusted_proxies())),
                    REDIS_URL=shared.url,
                    JWT_SECRET=SECRET,
                )
            )
            stack.callback(nodes[-1].stop)
        for node in nodes:
            await asyncio.to_thread(node.wait_until_ready)
        ports = [int(node.url.rpartition(":")[2]) for node in nodes]
        before = stack.enter_context(proxy.running(name, program, tmp_path, *ports))
        yield Machines(nodes, before, stack)


async def talk(one: Guest, other: Guest, text: str) -> int:
    """Let one say something to the other; return its number."""
    sent = await one.say({"type": "text", "content": text})
    while (received := await other.next("chat:message"))["content"] != text:
        pass
    assert received["seq"] == sent["seq"]
    return int(sent["seq"])


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_guests_of_two_machines_talk(machines: Machines, transports: list[str]) -> None:
    anna, berta = await machines.on_each(transports)
    await machines.match(anna, berta)

    for number in range(5):
        await talk(anna, berta, f"Anna {number}")
        await talk(berta, anna, f"Berta {number}")
    assert {guest.client.transport() for guest in (anna, berta)} == {transports[-1]}


async def test_a_file_goes_from_one_machine_to_the_other(machines: Machines) -> None:
    anna, berta = await machines.on_each(["websocket"])
    room = (await machines.match(anna, berta))["roomId"]

    for number, (one, other) in enumerate(((anna, berta), (berta, anna))):
        body = random.Random(number).randbytes(1 << 20)
        headers = one.headers | {"X-File-Name": "a.bin"}
        async with one.http.put(f"/api/files/{room}", data=io.BytesIO(body), headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            sent = (await answer.json())["data"]
        await one.say({"type": "file", "content": sent})
        received = (await other.next("chat:message"))["content"]
        async with other.http.get(received["fileUrl"]) as answer:
            assert (answer.status, await answer.read()) == (200, body)


# python-socketio forgets a connection that fails while it is opened.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function Connection.__del__")
@pytest.mark.parametrize("transports", [["websocket"], ["polling"]], ids="-".join)
@pytest.mark.parametrize("dead", [0, 1])
async def test_guests_of_a_dead_machine_are_back_on_the_other(
    machines: Machines, transports: list[str], dead: int
) -> None:
    guests = await machines.on_each(transports)
    matched = await machines.match(*guests)
    resume = {"roomId": matched["roomId"], "epoch": matched["epoch"]}
    await talk(guests[0], guests[1], "before")

    os.kill(machines.nodes[dead].pid, signal.SIGKILL)

    async def back(guest: Guest) -> None:
        await guest.next("disconnect")
        await guest.return_to(machines.proxy.url, transports, resume | {"seq": 1})

    # The guest of the dead node, and the other one too if their room was there.
    returns = [asyncio.ensure_future(back(guest)) for guest in guests]
    try:
        await returns[dead]
        await talk(guests[dead], guests[1 - dead], "after")
        await talk(guests[1 - dead], guests[dead], "and again")
    finally:
        for task in returns:
            task.cancel()
        await asyncio.gather(*returns, return_exceptions=True)
