"""The adapters that the contract suites run over. A new one is one more entry in `BACKENDS`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from passerby.adapters.memory import MemoryCounters, MemoryMatchQueue, MemoryRoomLog, MemorySessionStore
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from passerby.ports import Counters, MatchQueue, RoomLog, SessionStore


class Backend(Protocol):
    """One set of adapters, empty at first."""

    def session_store(self) -> SessionStore: ...

    def match_queue(self) -> MatchQueue: ...

    def room_log(self, max_messages: int, max_bytes: int) -> RoomLog: ...

    def counters(self) -> Counters: ...

    async def pass_time(self, seconds: float) -> None:
        """Make the adapters believe that `seconds` have passed."""


class MemoryBackend:
    def __init__(self) -> None:
        self._clock = ManualClock()

    def session_store(self) -> SessionStore:
        return MemorySessionStore(self._clock)

    def match_queue(self) -> MatchQueue:
        return MemoryMatchQueue()

    def room_log(self, max_messages: int, max_bytes: int) -> RoomLog:
        return MemoryRoomLog(max_messages, max_bytes)

    def counters(self) -> Counters:
        return MemoryCounters(self._clock)

    async def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)


@asynccontextmanager
async def memory() -> AsyncIterator[Backend]:
    yield MemoryBackend()


BACKENDS: dict[str, Callable[[], AbstractAsyncContextManager[Backend]]] = {"memory": memory}
