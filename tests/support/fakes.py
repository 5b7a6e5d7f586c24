"""Slow adapters: they work like those in memory, but wait at gates that the test opens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from passerby.chat.log_memory import MemoryRoomLog
from passerby.guests.store_memory import MemorySessionStore
from passerby.matching.queue_memory import MemoryMatchQueue
from passerby.matching.stages import OPEN, Openness
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from passerby.chat.log import Replay
    from passerby.models import Guest, Ticket


class Gate:
    """A gate: callers wait while it is closed."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._arrived = asyncio.Condition()
        self.waiting = 0

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def passing(self) -> None:
        """Wait until the gate is open."""
        if self._open.is_set():
            return
        async with self._arrived:
            self.waiting += 1
            self._arrived.notify_all()
        try:
            await self._open.wait()
        finally:
            self.waiting -= 1

    async def arrival(self, count: int = 1) -> None:
        """Wait until `count` callers wait at the gate."""
        async with asyncio.timeout(30), self._arrived:
            await self._arrived.wait_for(lambda: self.waiting >= count)


class SlowMatchQueue(MemoryMatchQueue):
    """The gate `asked` is before each operation, `told` between the operation and its return."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.asked = Gate()
        self.told = Gate()

    async def enter(self, ticket: Ticket, openness: Openness = OPEN, patience: float = 0.0) -> Ticket | None:
        await self.asked.passing()
        found = await super().enter(ticket, openness, patience)
        await self.told.passing()
        return found

    async def cancel(self, ticket: Ticket) -> bool:
        await self.asked.passing()
        cancelled = await super().cancel(ticket)
        await self.told.passing()
        return cancelled

    async def suspend(self, ticket: Ticket, seconds: float) -> None:
        await self.asked.passing()
        await super().suspend(ticket, seconds)
        await self.told.passing()


class SlowRoomLog(MemoryRoomLog):
    """The gate `told` is between reading a replay and returning it."""

    def __init__(self, max_messages: int = 200, max_bytes: int = 262_144) -> None:
        super().__init__(max_messages, max_bytes)
        self.told = Gate()

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        replay = await super().replay(room_id, epoch, after, limit)
        await self.told.passing()
        return replay


class SlowSessionStore(MemorySessionStore):
    """The gate `asked` is before each save and removal; `failing` makes both fail."""

    failing = False
    saves = 0
    _gate: Gate | None = None

    @property
    def asked(self) -> Gate:
        if self._gate is None:
            self._gate = Gate()
        return self._gate

    async def save(self, guest: Guest, lifetime: float) -> None:
        await self._arrive()
        await super().save(guest, lifetime)
        self.saves += 1

    async def remove(self, session_id: str) -> None:
        await self._arrive()
        await super().remove(session_id)

    async def _arrive(self) -> None:
        await self.asked.passing()
        if self.failing:
            raise OSError("the store is out of reach")
