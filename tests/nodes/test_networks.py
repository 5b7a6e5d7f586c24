"""Two nodes, Redis and guests on hosts of their own, and what the network between them does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import networks
from tests.support.client import PATIENCE
from tests.support.lasting import Company, LastingClient
from tests.support.valkey import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from contextlib import AbstractAsyncContextManager
    from typing import TypeAlias

    from tests.support.networks import Network, Node

Make: TypeAlias = "Callable[[], AbstractAsyncContextManager[Network]]"

KINDS = networks.possible()
RATE = 40.0
"""Messages a second of all guests together: a room's log holds what is said in a cut."""
CUT = 8.0
"""Seconds: longer than a lease."""
DELAY = 0.1
LOSS = 0.05
LOSSES = 5
"""Losses after which a test has seen enough."""
NOTICED = 3.0
"""Seconds in which a node notices that Redis is cut off; see docs/operations.md."""
GONE = 7.0
"""Seconds in which the others know that a node is gone; see docs/operations.md."""
SECONDS = 30.0
"""Timeout for what follows a failure; it only limits the duration of a failing test."""


class Town(Company):
    """Pairs of guests who come through a balancer: to their node, or to another one while that is not well."""

    def __init__(self, network: Network, first: Node, second: Node) -> None:
        super().__init__(first.url, 0.2)
        self.network = network
        self.first = first
        self.second = second
        self.nodes = {node.place: node for node in (first, second)}
        self.down: set[str] = set()
        """Places of nodes that the balancer takes for gone."""
        self._usual: dict[LastingClient, str] = {}

    def place_of(self, client: LastingClient) -> str:
        """See Company."""
        usual = self._usual[client]
        return next(place for place in (usual, *self.nodes) if place not in self.down)

    def guests_of(self, node: Node) -> list[LastingClient]:
        """Return the guests who usually come to a node."""
        return [client for client in self.clients if self._usual[client] == node.place]

    def is_local(self, client: LastingClient) -> bool:
        """Return whether the partner usually comes to the same node."""
        assert client.partner is not None
        return self._usual[client] == self._usual[client.partner]

    async def pair(self, one: Node, other: Node) -> None:
        """Let two guests meet; the node of the other one is the home of both."""
        pair: list[LastingClient] = []
        for node in (one, other):
            client = LastingClient(self, (await node.newcomer()).token, self.network.guests)
            self._usual[client] = node.place
            self.clients.append(client)
            client.start()
            await asyncio.wait_for(client.established, PATIENCE)
            client.seek()
            pair.append(client)
            await self.until(lambda: pair[0].waits or pair[0].is_ready)
        await self.until(self.all_ready)
        pair[0].partner, pair[1].partner = pair[1], pair[0]
        assert pair[0].partner_id == pair[1].id

    async def return_home(self) -> None:
        """Let a guest of a pair of one node lose the connection and come back, and wait until the two talk again."""
        guest = next(filter(self.is_local, self.clients))
        partner = guest.partner
        assert partner is not None
        guest.cut()
        await self.until(lambda: bool(partner.away_at), SECONDS)
        partner.say()  # it waits: the guest may come to another node
        await self.until(lambda: bool(guest.back_at), SECONDS)
        heard = len(guest.heard)
        await self.until(lambda: len(guest.heard) > heard + 2, SECONDS)

    async def all_hear(self) -> None:
        """Wait until every guest has heard something new."""
        self.listen()
        await self.until(lambda: self.happenings.listeners == len(self.clients), SECONDS)

    async def until_normal(self) -> None:
        """Wait until both nodes have Redis and know each other, and every guest is in one room, everywhere."""
        count = len(self.clients)

        async def is_normal() -> bool:
            alive = await self.network.store.command("ZCARD", "alive")
            indexes = await self.network.store.command("KEYS", "rooms:*")
            kept = sum([await self.network.store.command("ZCARD", index) for index in indexes])
            told = [await stats(node) for node in self.nodes.values()]
            return (
                alive == len(told)
                and all(one["redis"]["state"] == "normal" for one in told)
                and sum(one["guests"] for one in told) == count
                and sum(one["rooms"] for one in told) == kept == count // 2
            )

        await until(is_normal, patience=SECONDS)


async def stats(node: Node) -> dict[str, Any]:
    """Return what a node tells of itself."""
    data: dict[str, Any] = (await node.http.get("/api/socket/stats")).json()["data"]
    return data


async def state(node: Node) -> str:
    """Return how a node fares with Redis."""
    return str((await stats(node))["redis"]["state"])


async def until_state(node: Node, wanted: str, seconds: float) -> None:
    async def is_so() -> bool:
        return await state(node) == wanted

    await until(is_so, patience=seconds)


def losses(clients: Iterable[LastingClient]) -> int:
    """Return how many connections they have lost."""
    return sum(len(client.lost_at) for client in clients)


@asynccontextmanager
async def talking(make: Make) -> AsyncIterator[Town]:
    """Let pairs talk, within two nodes and between them, whatever happens. In the end all has come, and all is well."""
    async with make() as network:
        async with asyncio.TaskGroup() as group:
            beginning = [group.create_task(network.begin(LIMITS_SCALE="1000")) for _ in range(2)]
        first, second = (node.result() for node in beginning)
        await asyncio.gather(*(until_state(node, "normal", PATIENCE) for node in (first, second)))
        async with Town(network, first, second) as town:
            for one in (first, second):
                for other in (first, second):
                    await town.pair(one, other)
            talk = asyncio.create_task(town.talk(1 << 62, RATE))
            try:
                await town.all_hear()
                yield town
                await town.until(town.all_ready, SECONDS)
                await town.all_hear()
                await town.until_normal()
            finally:
                talk.cancel()
            await assert_all_came(town)
            await town.pair(second, first)
            for client in town.clients:
                client.say()
            await assert_all_came(town)


async def assert_all_came(town: Town) -> None:
    """Check that every message has been acknowledged, and has come once, and in order."""
    account = await town.settle(SECONDS)
    assert account.is_clean, account
    assert not town.happenings.faults


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Make:
    return KINDS[request.param]


async def test_one_node_is_cut_off_from_redis(make: Make) -> None:
    async with talking(make) as town:
        town.first.to_redis.swallow()
        cut = asyncio.create_task(asyncio.sleep(CUT))
        await until_state(town.first, "degraded", NOTICED)
        await town.until(lambda: any(client.back_at for client in town.guests_of(town.second)), GONE)
        for client in town.guests_of(town.first):
            if not town.is_local(client):
                client.cut()  # who lives there comes back there, although the partner has gone on elsewhere
        await cut
        assert await state(town.second) == "normal"
        town.first.to_redis.flow()
    assert losses(filter(town.is_local, town.clients)) == 0, "guests of one node notice nothing"


async def test_redis_is_cut_off_from_all_nodes(make: Make) -> None:
    async with talking(make) as town:
        nodes = town.first, town.second
        for node in nodes:
            node.to_redis.swallow()
        cut = asyncio.create_task(asyncio.sleep(CUT))
        await asyncio.gather(*(until_state(node, "degraded", NOTICED) for node in nodes))
        await town.return_home()
        await cut
        for node in nodes:
            node.to_redis.flow()
    assert losses(filter(town.is_local, town.clients)) == 1, "guests of one node notice nothing but what is theirs"


async def test_redis_is_far_from_one_node(make: Make) -> None:
    async with talking(make) as town:
        town.first.to_redis.delay = DELAY
        await town.all_hear()
        town.happenings.trips.clear()
        await town.all_hear()
        assert max(trip.seconds for trip in town.happenings.trips) >= 2 * DELAY
    assert town.happenings.losses == 0


async def test_the_network_to_redis_loses_packets(make: Make) -> None:
    async with talking(make) as town:
        town.first.to_redis.loss = LOSS
        while town.first.to_redis.lost < LOSSES:
            await town.all_hear()


async def test_a_host_is_cut_off_from_everybody(make: Make) -> None:
    async with talking(make) as town:
        gone = town.second
        guests = town.guests_of(gone)
        partners = [client.partner for client in guests if client.partner is not None and not town.is_local(client)]
        gone.to_redis.swallow()
        gone.to_guests.swallow()
        await town.until(lambda: all(partner.away_at or partner.lost_at for partner in partners), GONE)
        town.down.add(gone.place)
        for client in guests:
            client.cut()  # as a balancer does that knows that the host is gone
        await town.until(lambda: all(client.back_at for client in guests) and town.all_ready(), SECONDS)
        lost = town.happenings.losses
        await town.all_hear()

        gone.to_redis.flow()
        gone.to_guests.flow()
        town.down.clear()
        await until_state(gone, "normal", SECONDS)
    assert town.happenings.losses == lost, "it harms nobody"
