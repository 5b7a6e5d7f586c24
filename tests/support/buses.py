"""The buses that the contract suite tests, and what the tests of nodes share."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from passerby.background import Background
from passerby.clock import SystemClock
from passerby.nodes.bus_memory import MemoryBus, MemoryHub
from passerby.nodes.bus_redis import RedisBus
from passerby.nodes.pairs import OUTBOX_LIMIT
from tests.support.valkey import PATIENCE, Valkey, connected, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from passerby.nodes.bus import Frame
    from passerby.nodes.pairs import Pairs
    from passerby.redis.client import Redis

KIND = 1
"""Of the frames of the tests."""
LOST = "lost"


class TestedBus(Protocol):
    """A bus, with its counts."""

    node: str
    pairs: Pairs

    def take(self, kind: int, take: Callable[[str, Frame], None]) -> None: ...

    def on_lost(self, lost: Callable[[str], None]) -> None: ...

    def send(self, node: str, frame: Frame) -> None: ...

    def gone(self, node: str) -> None: ...

    async def close(self) -> None: ...


class End:
    """One node, which records what comes from each other node: what frames hold, and LOST."""

    def __init__(self, bus: TestedBus, background: Background) -> None:
        self.bus = bus
        self.background = background
        self.node = bus.node
        self.came: dict[str, list[Any]] = defaultdict(list)
        self._changed = asyncio.Event()
        bus.take(KIND, lambda node, frame: self._note(node, frame[1]))
        bus.on_lost(lambda node: self._note(node, LOST))

    def _note(self, node: str, what: object) -> None:
        self.came[node].append(what)
        self._changed.set()

    def send(self, to: End, *what: object) -> None:
        for each in what:
            self.bus.send(to.node, (KIND, each))

    async def has(self, other: End, *what: object) -> None:
        """Wait until exactly this came from `other`, since the last call."""
        await self.until(lambda: len(self.came[other.node]) >= len(what))
        assert self.came.pop(other.node) == list(what)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Net(Protocol):
    """A bus with any number of nodes."""

    async def node(self, name: str, outbox_limit: int = OUTBOX_LIMIT) -> End:
        """Return a new node, which can send and receive."""

    async def cut(self, end: End) -> None:
        """Lose the subscription of a node; return when it has another one."""


class MemoryNet:
    def __init__(self) -> None:
        self.hub = MemoryHub()

    async def node(self, name: str, outbox_limit: int = OUTBOX_LIMIT) -> End:
        background = Background(SystemClock())
        bus = MemoryBus(self.hub, name, background, outbox_limit)
        end = End(bus, background)
        bus.start()
        return end

    async def cut(self, end: End) -> None:
        assert isinstance(end.bus, MemoryBus)
        end.bus.cut()
        end.bus.start()


class RedisNet:
    """Each node has a Redis of its own, as processes have."""

    def __init__(self, url: str, stack: AsyncExitStack, server: Valkey | None = None, prefix: str = "") -> None:
        self.url = url
        self.server = server
        self.prefix = prefix
        self._stack = stack
        self.redis: dict[str, Redis] = {}

    async def node(self, name: str, outbox_limit: int = OUTBOX_LIMIT) -> End:
        redis = self.redis[name] = await self._stack.enter_async_context(connected(self.url, self.prefix))
        background = Background(redis.watch._background.clock)
        bus = RedisBus(redis, name, background, outbox_limit)
        end = End(bus, background)

        async def stop() -> None:
            await bus.close()
            await background.stop(1)

        self._stack.push_async_callback(stop)
        bus.start()
        assert await bus.ready(PATIENCE)
        return end

    async def cut(self, end: End) -> None:
        bus = end.bus
        assert isinstance(bus, RedisBus)
        before = bus.subscriptions
        assert bus._subscription is not None
        bus._subscription.close("cut")
        await resubscribed(end, before)


async def resubscribed(end: End, before: int) -> None:
    """Wait until a node has subscribed once more; `before` is how often it had."""
    bus = end.bus
    assert isinstance(bus, RedisBus)
    async with asyncio.timeout(PATIENCE):
        while bus.subscriptions == before:  # noqa: ASYNC110 - the bus tells nobody
            await asyncio.sleep(0.002)


@asynccontextmanager
async def memory_net() -> AsyncIterator[Net]:
    yield MemoryNet()


@asynccontextmanager
async def redis_net(prefix: str = "", *options: str) -> AsyncIterator[RedisNet]:
    async with valkey(*options) as server, AsyncExitStack() as stack:
        yield RedisNet(server.url, stack, server, prefix)


NETS: dict[str, Callable[[], AbstractAsyncContextManager[Net]]] = {"memory": memory_net, "valkey": redis_net}
