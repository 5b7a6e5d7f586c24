"""The adapters that the contract suites test. To test a new adapter, add it to `BACKENDS` or `BLOBS`."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, cast

from passerby import ids
from passerby.background import Background
from passerby.chat.log import CLIENT_IDS
from passerby.chat.log_memory import MemoryRoomLog
from passerby.chat.log_redis import RedisRoomLog
from passerby.files.blobs_disk import DiskBlobStore
from passerby.files.blobs_memory import MemoryBlobStore
from passerby.files.blobs_redis import RedisBlobStore
from passerby.guests.store_memory import MemorySessionStore
from passerby.guests.store_redis import RedisSessionStore
from passerby.matching.queue_memory import MemoryMatchQueue
from passerby.matching.queue_redis import RedisMatchQueue
from passerby.nodes.buckets_memory import MemoryBuckets
from passerby.nodes.buckets_redis import RedisBuckets
from passerby.stats.counters_memory import MemoryCounters
from passerby.stats.counters_redis import RedisCounters
from tests.support.aging import age
from tests.support.clock import ManualClock
from tests.support.valkey import connected, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from passerby.chat.log import RoomLog
    from passerby.files.blobs import BlobStore
    from passerby.guests.store import SessionStore
    from passerby.limits import Rate
    from passerby.matching.queue import MatchQueue
    from passerby.nodes.buckets import Buckets
    from passerby.redis.client import Redis
    from passerby.stats.counters import Counters


class Backend(Protocol):
    """One set of adapters, initially empty."""

    def session_store(self) -> SessionStore: ...

    def match_queue(self) -> MatchQueue: ...

    def room_log(self, max_messages: int, max_bytes: int, client_ids: int = CLIENT_IDS) -> RoomLog: ...

    def counters(self) -> Counters: ...

    def buckets(self, rate: Rate, limit: str = "connects") -> Buckets: ...

    async def pass_time(self, seconds: float) -> None:
        """Advance the adapters' time by `seconds`."""

    async def lose(self, keys: str) -> None:
        """Lose what is kept elsewhere under keys of this pattern, as by FLUSHALL or an eviction."""


class MemoryBackend:
    def __init__(self) -> None:
        self._clock = ManualClock()

    def session_store(self) -> SessionStore:
        return MemorySessionStore(self._clock)

    def match_queue(self) -> MatchQueue:
        return MemoryMatchQueue(self._clock)

    def room_log(self, max_messages: int, max_bytes: int, client_ids: int = CLIENT_IDS) -> RoomLog:
        return MemoryRoomLog(max_messages, max_bytes, client_ids)

    def counters(self) -> Counters:
        return MemoryCounters(self._clock)

    def buckets(self, rate: Rate, limit: str = "connects") -> Buckets:
        return MemoryBuckets(rate, self._clock)

    async def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)

    async def lose(self, keys: str) -> None:
        pass


@asynccontextmanager
async def memory() -> AsyncIterator[Backend]:
    yield MemoryBackend()


SESSION_TTL = 7200.0


class ValkeyBackend(MemoryBackend):
    """Adapters of an empty Valkey of their own."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self._redis = redis
        self._background = Background(self._clock)

    def match_queue(self) -> MatchQueue:
        return RedisMatchQueue(self._redis, self._clock, self._background)

    def room_log(self, max_messages: int, max_bytes: int, client_ids: int = CLIENT_IDS) -> RoomLog:
        return RedisRoomLog(
            self._redis,
            self._clock,
            self._background,
            max_messages,
            max_bytes,
            node=ids.node_id(),
            client_ids=client_ids,
        )

    def session_store(self) -> SessionStore:
        return RedisSessionStore(self._redis, self._clock, SESSION_TTL)

    def counters(self) -> Counters:
        return RedisCounters(self._redis, self._clock)

    def buckets(self, rate: Rate, limit: str = "connects") -> Buckets:
        return RedisBuckets(self._redis, self._clock, limit, rate, others=("another node",))

    async def pass_time(self, seconds: float) -> None:
        await super().pass_time(seconds)
        await age(self._redis, seconds)

    async def lose(self, keys: str) -> None:
        for key in cast("list[bytes]", await self._redis.command("KEYS", keys)):
            await self._redis.command("DEL", key)


@asynccontextmanager
async def valkey_backend() -> AsyncIterator[Backend]:
    async with valkey() as server, connected(server.url) as redis:
        yield ValkeyBackend(redis)


BACKENDS: dict[str, Callable[[], AbstractAsyncContextManager[Backend]]] = {"memory": memory, "valkey": valkey_backend}


class Blobs:
    """A store of files, initially empty, and its clock."""

    def __init__(self, store: BlobStore, clock: ManualClock) -> None:
        self.store = store
        self._clock = clock

    async def pass_time(self, seconds: float) -> None:
        """Advance the store's time by `seconds`."""
        self._clock.advance(seconds)


class RedisBlobs(Blobs):
    """A store of files in a Redis of its own."""

    def __init__(self, store: BlobStore, clock: ManualClock, redis: Redis) -> None:
        super().__init__(store, clock)
        self._redis = redis

    async def pass_time(self, seconds: float) -> None:
        await super().pass_time(seconds)
        await age(self._redis, seconds)


@asynccontextmanager
async def memory_blobs() -> AsyncIterator[Blobs]:
    clock = ManualClock()
    yield Blobs(MemoryBlobStore(clock), clock)


@asynccontextmanager
async def disk_blobs() -> AsyncIterator[Blobs]:
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as directory:
        store = DiskBlobStore(clock, directory)
        try:
            yield Blobs(store, clock)
        finally:
            await store.close()


@asynccontextmanager
async def kept_disk_blobs() -> AsyncIterator[Blobs]:
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as directory:
        store = DiskBlobStore(clock, directory, keep=True)
        try:
            yield Blobs(store, clock)
        finally:
            await store.close()


@asynccontextmanager
async def redis_blobs() -> AsyncIterator[Blobs]:
    clock = ManualClock()
    async with valkey() as server, connected(server.url) as redis:
        store = RedisBlobStore(redis, limit=1 << 28, upload_timeout=600)
        yield RedisBlobs(store, clock, redis)
        await store.close()


BLOBS: dict[str, Callable[[], AbstractAsyncContextManager[Blobs]]] = {
    "memory": memory_blobs,
    "disk": disk_blobs,
    "disk, kept": kept_disk_blobs,
    "redis": redis_blobs,
}
