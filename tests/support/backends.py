"""The adapters that the contract suites test. To test a new adapter, add it to `BACKENDS` or `BLOBS`."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

from passerby.background import Background
from passerby.chat.log import CLIENT_IDS
from passerby.chat.log_memory import MemoryRoomLog
from passerby.chat.log_redis import RedisRoomLog
from passerby.files.blobs_disk import DiskBlobStore
from passerby.files.blobs_memory import MemoryBlobStore
from passerby.guests.store_memory import MemorySessionStore
from passerby.matching.queue_memory import MemoryMatchQueue
from passerby.stats.counters_memory import MemoryCounters
from tests.support.clock import ManualClock
from tests.support.valkey import connected, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from passerby.chat.log import RoomLog
    from passerby.files.blobs import BlobStore
    from passerby.guests.store import SessionStore
    from passerby.matching.queue import MatchQueue
    from passerby.redis.client import Redis
    from passerby.stats.counters import Counters


class Backend(Protocol):
    """One set of adapters, initially empty."""

    def session_store(self) -> SessionStore: ...

    def match_queue(self) -> MatchQueue: ...

    def room_log(self, max_messages: int, max_bytes: int, client_ids: int = CLIENT_IDS) -> RoomLog: ...

    def counters(self) -> Counters: ...

    async def pass_time(self, seconds: float) -> None:
        """Advance the adapters' time by `seconds`."""


class MemoryBackend:
    def __init__(self) -> None:
        self._clock = ManualClock()

    def session_store(self) -> SessionStore:
        return MemorySessionStore(self._clock)

    def match_queue(self) -> MatchQueue:
        return MemoryMatchQueue()

    def room_log(self, max_messages: int, max_bytes: int, client_ids: int = CLIENT_IDS) -> RoomLog:
        return MemoryRoomLog(max_messages, max_bytes, client_ids)

    def counters(self) -> Counters:
        return MemoryCounters(self._clock)

    async def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)


@asynccontextmanager
async def memory() -> AsyncIterator[Backend]:
    yield MemoryBackend()


_AGE: Final = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then
    redis.call('PEXPIRE', key, left - ARGV[1])
  end
  if redis.call('TYPE', key).ok == 'zset' then
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      redis.call('ZINCRBY', key, -ARGV[1], member)
    end
  end
end
"""
"""Lets all that expires do so earlier, by ARGV[1] milliseconds."""


class ValkeyBackend(MemoryBackend):
    """Adapters of an empty Valkey of their own."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self._redis = redis
        self._background = Background(self._clock)

    def room_log(self, max_messages: int, max_bytes: int, client_ids: int = CLIENT_IDS) -> RoomLog:
        return RedisRoomLog(self._redis, self._clock, self._background, max_messages, max_bytes, client_ids=client_ids)

    async def pass_time(self, seconds: float) -> None:
        await super().pass_time(seconds)
        await age(self._redis, seconds)


async def age(redis: Redis, seconds: float) -> None:
    """Advance the time of all that Redis keeps by `seconds`."""
    await redis.command("EVAL", _AGE, 0, round(seconds * 1000))


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

    def pass_time(self, seconds: float) -> None:
        """Advance the store's time by `seconds`."""
        self._clock.advance(seconds)


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


BLOBS: dict[str, Callable[[], AbstractAsyncContextManager[Blobs]]] = {"memory": memory_blobs, "disk": disk_blobs}
