"""Who is alive: over each adapter, and with the real server."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from passerby.background import Background
from passerby.clock import SystemClock
from passerby.nodes.bus import VERSION
from passerby.nodes.bus_memory import MemoryBus, MemoryHub
from passerby.nodes.bus_redis import RedisBus
from passerby.nodes.members import boottime
from passerby.nodes.membership import LEASE, OWN_LEASE, RENEWAL, Membership
from passerby.nodes.membership_memory import MemoryLeases, MemoryMembership
from passerby.nodes.membership_redis import RedisMembership
from passerby.nodes.processes import identity
from passerby.redis.client import State
from tests.support.clock import ManualClock, turns
from tests.support.valkey import PATIENCE, change, cluster, connected, reached, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from tests.support.valkey import Valkey

NOTICED = 6.0
"""Seconds after its last renewal within which a dead node is noticed."""


class Boot:
    """A clock that goes on during pauses, which a test makes."""

    def __init__(self) -> None:
        self.paused = 0.0

    def __call__(self) -> float:
        return boottime() + self.paused


class Node:
    def __init__(self, membership: Membership, boot: Callable[[], float], background: Background, bus: Any) -> None:  # noqa: ANN401 - of either kind
        self.membership = membership
        self.name = membership.node
        self.boot = boot
        self.background = background
        self.bus = bus
        self.gone: list[str] = []
        self.certain = False
        """Whether the last one was certainly gone."""
        self.expired = 0
        self._changed = asyncio.Event()
        membership.on_gone(self._note)
        membership.on_expired(self._expire)

    def _note(self, node: str, is_certain: bool) -> None:
        self.gone.append(node)
        self.certain = is_certain
        self._changed.set()

    def _expire(self) -> None:
        self.expired += 1
        self._changed.set()

    async def look(self) -> bool:
        member: Any = self.membership
        return bool(await member.look())

    async def until(self, condition: Callable[[], bool], patience: float = PATIENCE) -> None:
        async with asyncio.timeout(patience):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Club(Protocol):
    async def node(self, name: str) -> Node: ...


class MemoryClub:
    def __init__(self) -> None:
        self.hub = MemoryHub()
        self.leases = MemoryLeases()

    async def node(self, name: str) -> Node:
        background, boot = Background(SystemClock()), Boot()
        bus = MemoryBus(self.hub, name, background)
        bus.start()
        return Node(MemoryMembership(self.leases, bus, background, boot), boot, background, bus)


class RedisClub:
    def __init__(self, url: str, stack: AsyncExitStack, server: Valkey | None, prefix: str = "") -> None:
        self.url = url
        self.stack = stack
        self.server = server
        self.prefix = prefix
        self.redis: dict[str, Any] = {}

    async def node(self, name: str) -> Node:
        redis = self.redis[name] = await self.stack.enter_async_context(connected(self.url, self.prefix))
        background, boot = Background(SystemClock()), Boot()
        bus = RedisBus(redis, name, background)
        self.stack.push_async_callback(background.stop, 1)
        self.stack.push_async_callback(bus.close)
        bus.start()
        assert await bus.ready(PATIENCE)
        return Node(RedisMembership(redis, bus, background, boot), boot, background, bus)


@asynccontextmanager
async def memory_club() -> AsyncIterator[Club]:
    yield MemoryClub()


@asynccontextmanager
async def redis_club() -> AsyncIterator[RedisClub]:
    async with valkey() as server, AsyncExitStack() as stack:
        yield RedisClub(server.url, stack, server, "p:")


CLUBS: dict[str, Callable[[], AbstractAsyncContextManager[Club]]] = {"memory": memory_club, "valkey": redis_club}


@pytest.fixture(params=sorted(CLUBS))
async def club(request: pytest.FixtureRequest) -> AsyncIterator[Club]:
    async with CLUBS[request.param]() as club:
        yield club


@pytest.fixture
async def real() -> AsyncIterator[RedisClub]:
    async with redis_club() as club:
        yield club


async def three(club: Club) -> tuple[Node, Node, Node]:
    """Return three nodes that know each other."""
    nodes = await club.node("anna"), await club.node("ben"), await club.node("carl")
    for _ in range(2):
        for node in nodes:
            assert await node.look()
    for node in nodes:
        assert node.membership.alive() == {"anna", "ben", "carl"}
    return nodes


# ── the contract ──────────────────────────────────────────────────────────────────────────────────


async def test_nodes_find_each_other(club: Club) -> None:
    anna, ben = await club.node("anna"), await club.node("ben")
    assert anna.membership.alive() == {"anna"}
    assert await anna.membership.is_alive("anna")
    assert not await anna.membership.is_alive("ben")
    await ben.look()
    assert await anna.membership.is_alive("ben")
    assert anna.membership.alive() == {"anna", "ben"}
    assert anna.membership.version("ben") == anna.membership.version("anna") == VERSION
    assert anna.membership.version("carl") == 0
    assert anna.gone == ben.gone == []


async def test_who_leaves_says_so_and_is_alive(club: Club) -> None:
    anna, ben, carl = await three(club)
    assert anna.membership.staying() == {"ben", "carl"}
    ben.membership.leave()
    async with asyncio.timeout(PATIENCE):
        while anna.membership.staying() != {"carl"} or carl.membership.staying() != {"anna"}:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)
    assert anna.membership.alive() == carl.membership.alive() == {"anna", "ben", "carl"}
    assert ben.membership.staying() == {"anna", "carl"}
    await ben.membership.close()
    await anna.until(lambda: anna.gone == ["ben"])
    assert anna.membership.staying() == {"carl"}


async def test_they_renew_by_themselves(club: Club) -> None:
    anna, ben = await club.node("anna"), await club.node("ben")
    anna.membership.start()
    ben.membership.start()
    async with asyncio.timeout(3):
        while anna.membership.alive() != ben.membership.alive():  # noqa: ASYNC110 - nobody is told who comes
            await asyncio.sleep(0.01)
    assert anna.membership.holds()
    for node in (anna, ben):
        await node.background.stop(1)


async def test_goodbye_is_heard_at_once(club: Club) -> None:
    anna, ben, carl = await three(club)
    anna.bus.send("ben", (99,))
    await anna.membership.close()
    await ben.until(lambda: bool(ben.gone))
    await carl.until(lambda: bool(carl.gone))
    assert ben.gone == carl.gone == ["anna"]
    assert ben.certain
    assert not await ben.membership.is_alive("anna")
    assert not await anna.look()
    assert ben.membership.alive() == {"ben", "carl"}
    await ben.look()
    assert ben.gone == ["anna"]


async def test_gone_is_told_to_all_once_and_the_pair_is_lost_before(club: Club) -> None:
    anna, ben, carl = await three(club)
    order: list[str] = []
    ben.bus.on_lost(lambda node: order.append(f"lost {node}"))
    ben.membership.on_gone(lambda node, _: order.append(f"gone {node}"))
    ben.bus.send("anna", (99,))
    await turns()
    carl.membership.gone("anna")
    assert carl.gone == ["anna"], "before it returns"
    carl.membership.gone("anna")
    ben.membership.gone("anna")
    await ben.until(lambda: bool(ben.gone))
    await turns()
    assert ben.gone == carl.gone == ["anna"]
    assert order[-2:] == ["lost anna", "gone anna"]
    assert not await ben.membership.is_alive("anna")
    assert anna.gone == []

    # It was alive after all.
    await anna.look()
    assert await ben.membership.is_alive("anna")
    ben.membership.gone("anna")
    assert ben.gone == ["anna", "anna"]


async def test_a_node_cannot_be_told_that_it_is_gone_itself(club: Club) -> None:
    anna, ben, _ = await three(club)
    ben.bus.send("anna", (21, "anna"))
    anna.membership.gone("anna")
    await turns()
    assert anna.gone == []
    assert "anna" in anna.membership.alive()


async def test_a_look_from_before_the_end_brings_nobody_back(club: Club) -> None:
    _, ben, _ = await three(club)
    look = asyncio.ensure_future(ben.look())
    await asyncio.sleep(0)
    ben.membership.gone("anna")
    await look
    assert ben.membership.alive() == {"ben", "carl"}
    assert ben.gone == ["anna"]


async def test_a_pause_ends_the_own_lease_before_anything_else(club: Club) -> None:
    anna, _, _ = await three(club)
    boot: Any = anna.boot
    boot.paused += OWN_LEASE - 1
    assert anna.membership.holds()
    assert anna.expired == 0
    boot.paused += 2
    seen: list[int] = []
    anna.membership.on_gone(lambda *_: seen.append(anna.expired))
    assert not anna.membership.holds()
    assert not anna.membership.holds()
    assert anna.expired == 1
    assert await anna.look()
    assert anna.membership.holds()
    assert anna.expired == 1
    boot.paused += 10
    await anna.look()
    assert anna.expired == 2
    assert all(count == 2 for count in seen)
    assert anna.membership.holds()


async def test_before_the_first_renewal_there_is_nothing_to_expire(club: Club) -> None:
    anna = await club.node("anna")
    boot: Any = anna.boot
    assert anna.membership.holds()
    boot.paused += 100
    assert anna.membership.holds()
    await anna.look()
    assert anna.expired == 0


# ── leases that end ───────────────────────────────────────────────────────────────────────────────


async def test_a_node_that_dies_is_noticed_in_time(real: RedisClub) -> None:
    anna, ben, carl = await three(real)
    for node in (ben, carl):
        node.membership.start()
    await anna.look()
    began = time.monotonic()
    await asyncio.gather(*(node.until(lambda node=node: bool(node.gone)) for node in (ben, carl)))  # type: ignore[misc]
    assert LEASE - 0.1 < time.monotonic() - began < NOTICED
    assert ben.gone == carl.gone == ["anna"]
    assert [ben.certain, carl.certain] == [False, False], "it may be cut off"
    assert ben.membership.alive() == carl.membership.alive() == {"ben", "carl"}
    assert ben.expired == carl.expired == 0


async def test_a_node_that_was_paused_lets_go_before_the_others_take_over(real: RedisClub) -> None:
    anna, _, _ = await three(real)
    begun = boottime()
    await anna.look()
    ended = begun + OWN_LEASE + RENEWAL
    rest = await real.redis["anna"].command("ZSCORE", "p:alive", f"anna {VERSION} {identity()}")
    now = await real.redis["anna"].command("TIME")
    left = float(rest) / 1000 - int(now[0]) - int(now[1]) / 1e6
    assert boottime() + left > ended


async def test_while_redis_is_away_nobody_is_gone_but_the_own_lease_ends(real: RedisClub) -> None:
    assert real.server is not None
    anna, ben, carl = await three(real)
    for node in (anna, ben):
        node.membership.start()
    await carl.look()
    real.server.freeze()
    await anna.until(lambda: anna.expired == 1)
    await asyncio.sleep(LEASE - OWN_LEASE + 0.5)  # nothing happens
    assert anna.gone == ben.gone == []
    assert anna.membership.alive() == {"anna", "ben", "carl"}
    real.server.thaw()
    for node in (anna, ben):
        await reached(real.redis[node.name], State.NORMAL)
    assert await anna.look()
    assert anna.membership.alive() == {"anna", "ben", "carl"}
    assert anna.membership.holds()
    assert anna.expired == 1
    await anna.until(lambda: anna.gone == ["carl"])  # which has not come back
    await ben.until(lambda: ben.gone == ["carl"])
    assert ben.membership.alive() == {"anna", "ben"}


async def test_nobody_is_gone_because_data_was_removed(real: RedisClub) -> None:
    assert real.server is not None
    anna, ben, _ = await three(real)
    async with change(real.redis["anna"], State.RESYNC):
        await real.server.command("FLUSHALL")
    assert await anna.look()
    assert anna.membership.alive() == {"anna", "ben", "carl"}
    assert anna.gone == []
    await ben.look()
    await anna.look()
    assert anna.gone == []


async def test_another_value_under_the_key_is_replaced_and_damaged_members_are_ignored(real: RedisClub) -> None:
    assert real.server is not None
    await real.server.command("SET", "p:alive", "what")
    anna, ben, _ = await three(real)
    for member in (b"", b"x", b"\xff 1", b"x y", b" 1", b"ghost 1", b"long " + b"1" * 5000):
        await real.server.command("ZADD", "p:alive", 1e15, member)
    await real.server.command("ZADD", "p:alive", "inf", "ever 1")
    assert await anna.look()
    assert anna.membership.alive() == {"anna", "ben", "carl"}
    assert ben.gone == []


async def test_what_is_dead_leaves_nothing(real: RedisClub) -> None:
    assert real.server is not None
    anna, ben, carl = await three(real)
    for node in (anna, ben, carl):
        await node.membership.close()
    await turns()
    await real.redis["carl"].command("PING")
    assert await real.server.command("KEYS", "*alive*") == []


async def test_in_a_cluster() -> None:
    async with cluster() as group, AsyncExitStack() as stack:
        anna, ben, carl = await three(RedisClub(group.url, stack, None))
        await anna.membership.close()
        await ben.until(lambda: ben.gone == ["anna"])
        await carl.until(lambda: carl.gone == ["anna"])


async def test_a_paused_machine_is_a_pause() -> None:
    """The renewal is a timer, but the lease is not: timers stand still during a pause."""
    clock, hub, leases = ManualClock(), MemoryHub(), MemoryLeases()
    background, boot = Background(clock), Boot()
    bus = MemoryBus(hub, "anna", background)
    bus.start()
    node = Node(MemoryMembership(leases, bus, background, boot), boot, background, bus)
    node.membership.start()
    await clock.run(RENEWAL)
    boot.paused += 10
    await clock.run(RENEWAL)
    assert node.expired == 1
    assert node.membership.holds()
    await background.stop(1)
