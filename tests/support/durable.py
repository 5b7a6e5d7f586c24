"""Adapters that outlive the process: a Disk keeps their data as bytes, `restart` begins a new process on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct

from passerby.chat.log import CLIENT_IDS, SavedRoom
from passerby.chat.log_contents import Log
from passerby.chat.log_memory import MemoryRoomLog
from passerby.files.blobs_memory import MemoryBlobStore
from passerby.guests.store_memory import MemorySessionStore
from passerby.matching.queue_memory import MemoryMatchQueue
from passerby.matching.stages import OPEN, Openness
from passerby.models import Message, Ticket, without_content
from tests.support.clock import turns
from tests.support.house import House

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from passerby.chat.log import Done
    from passerby.models import Guest, StoredFile
    from tests.support.clock import ManualClock
    from tests.support.house import Person

LOG_MESSAGES = 200
LOG_BYTES = 262_144


class _Room(Struct):
    """A room on the disk."""

    epoch: int
    members: tuple[str, str]
    seq: int = 0
    notes: dict[str, bytes] = {}
    messages: list[bytes] = []
    sent: list[bytes] = []
    """Messages with client ids, without their contents."""


class Disk:
    """What outlives the process."""

    def __init__(self, clock: ManualClock, *, messages: int = LOG_MESSAGES) -> None:
        self.clock = clock
        self.messages = messages
        self.rooms: dict[str, bytes] = {}
        self.tickets: dict[str, tuple[bytes, float | None]] = {}
        """Searches by guest id, and when those that are suspended end."""
        self.sessions = MemorySessionStore(clock)
        self.blobs = MemoryBlobStore(clock)
        self.process = _Process()

    def adapters(self) -> dict[str, Any]:
        """Return the adapters of a new process; those of the process before change nothing any more."""
        self.kill()
        self.process = process = _Process()
        return {
            "store": DurableSessionStore(self, process),
            "queue": DurableMatchQueue(self, process),
            "log": DurableRoomLog(self, process),
            "blobs": DurableBlobStore(self, process),
        }

    def kill(self) -> None:
        """From now on nothing that the process does has an effect."""
        self.process.is_alive = False

    def room(self, room_id: str) -> _Room:
        return msgspec.msgpack.decode(self.rooms[room_id], type=_Room)


class _Process:
    is_alive = True
    is_silent = False
    """Messages are logged, but nobody learns of it any more."""


class DurableSessionStore(MemorySessionStore):
    """Keeps bytes anyway."""

    def __init__(self, disk: Disk, process: _Process) -> None:
        super().__init__(disk.clock)
        self._sessions = disk.sessions._sessions
        self._process = process

    async def save(self, guest: Guest, lifetime: float) -> None:
        if self._process.is_alive:
            await super().save(guest, lifetime)

    async def remove(self, session_id: str) -> None:
        if self._process.is_alive:
            await super().remove(session_id)

    async def close(self) -> None:
        pass


class DurableBlobStore(MemoryBlobStore):
    is_durable = True  # type: ignore[misc]  # unlike that in memory

    def __init__(self, disk: Disk, process: _Process) -> None:
        super().__init__(disk.clock)
        self._index, self._pieces = disk.blobs._index, disk.blobs._pieces
        self._process = process

    async def write(self, file_id: str, piece: bytes) -> None:
        if self._process.is_alive:
            await super().write(file_id, piece)

    async def publish(self, file: StoredFile, lifetime: float) -> None:
        if self._process.is_alive:
            await super().publish(file, lifetime)

    async def remove(self, file_id: str) -> None:
        if self._process.is_alive:
            await super().remove(file_id)

    async def close(self) -> None:
        pass


class DurableMatchQueue(MemoryMatchQueue):
    """Pairs only the searches that this process has entered: the other guests are not back yet."""

    is_durable = True

    def __init__(self, disk: Disk, process: _Process) -> None:
        super().__init__(disk.clock)
        self._disk = disk
        self._process = process

    async def enter(self, ticket: Ticket, openness: Openness = OPEN, patience: float = 0.0) -> Ticket | None:
        if self._process.is_alive:
            self._disk.tickets[ticket.guest_id] = (msgspec.json.encode(ticket), None)
        return await super().enter(ticket, openness, patience)

    async def cancel(self, ticket: Ticket) -> bool:
        self.forget(ticket)
        return await super().cancel(ticket)

    async def suspend(self, ticket: Ticket, seconds: float) -> None:
        await super().suspend(ticket, seconds)
        if self._process.is_alive and self._is_kept(ticket):
            until = self._disk.clock.monotonic() + seconds
            self._disk.tickets[ticket.guest_id] = (msgspec.json.encode(ticket), until)

    async def recall(self, guest_id: str) -> Ticket | None:
        kept, until = self._disk.tickets.get(guest_id, (None, None))
        if kept is None or (until is not None and until <= self._disk.clock.monotonic()):
            return None
        return _ticket(kept)

    def forget(self, *tickets: Ticket) -> None:
        for ticket in tickets:
            if self._process.is_alive and self._is_kept(ticket):
                del self._disk.tickets[ticket.guest_id]

    def _is_kept(self, ticket: Ticket) -> bool:
        kept = self._disk.tickets.get(ticket.guest_id)
        return kept is not None and _ticket(kept[0]).id == ticket.id


def _ticket(encoded: bytes) -> Ticket:
    return msgspec.json.decode(encoded, type=Ticket)


class DurableRoomLog(MemoryRoomLog):
    """Writes each room to the disk at each change."""

    is_durable = True

    def __init__(self, disk: Disk, process: _Process) -> None:
        super().__init__(disk.messages, LOG_BYTES)
        self._disk = disk
        self._process = process

    def _write(self, room_id: str, room: _Room) -> None:
        if self._process.is_alive:
            self._disk.rooms[room_id] = msgspec.msgpack.encode(room)

    def open(self, room_id: str, epoch: int, members: tuple[str, str] = ("", "")) -> None:
        super().open(room_id, epoch, members)
        self._write(room_id, _Room(epoch, members))

    def append(self, room_id: str, epoch: int, message: Message, done: Done, context: Any) -> None:  # noqa: ANN401 - as in RoomLog
        def logged(context: Any, message: Message, encoded: bytes | None, error: Exception | None) -> None:  # noqa: ANN401 - as in RoomLog
            if encoded is not None:
                room = self._disk.room(room_id)
                room.seq = message.seq
                room.messages = list(self.logs[room_id].entries)
                if message.client_id is not UNSET:
                    room.sent.append(without_content(message))
                self._write(room_id, room)
            if not self._process.is_silent:
                done(context, message, encoded, error)

        super().append(room_id, epoch, message, logged, context)

    def note(self, room_id: str, epoch: int, name: str, value: bytes | None) -> None:
        log = self.logs.get(room_id)
        if log is None or log.epoch != epoch:
            return
        room = self._disk.room(room_id)
        room.notes.pop(name, None)
        if value is not None:
            room.notes[name] = value
        self._write(room_id, room)

    def forget(self, room_id: str, epoch: int) -> None:
        log = self.logs.get(room_id)
        if log is not None and log.epoch == epoch and self._process.is_alive:
            del self._disk.rooms[room_id]
        super().forget(room_id, epoch)

    def park(self, room_id: str, epoch: int) -> Callable[[], None] | None:
        open_log = super().park(room_id, epoch)
        if open_log is None:
            return None
        kept = self._disk.rooms[room_id]
        if self._process.is_alive:
            del self._disk.rooms[room_id]

        def open_again() -> None:
            open_log()
            if self._process.is_alive:
                self._disk.rooms[room_id] = kept

        return open_again

    async def owners(self) -> list[str]:
        return ["before"]

    async def rooms(self, owner: str) -> list[str]:
        return [room_id for room_id in self._disk.rooms if room_id not in self.logs]

    async def recall(self, room_id: str, owners: Collection[str]) -> SavedRoom | None:
        await asyncio.sleep(0)
        if room_id in self.logs or room_id not in self._disk.rooms:
            return None
        room = self._disk.room(room_id)
        log = self.logs[room_id] = Log(room.epoch, CLIENT_IDS, len(room.sent))
        log.seq = room.seq
        log.entries.extend(room.messages)
        log.size = sum(map(len, room.messages))
        for encoded in room.sent:
            message = msgspec.json.decode(encoded, type=Message)
            log.sent.setdefault(message.sender_id, {})[str(message.client_id)] = encoded
        return SavedRoom(room_id, room.epoch, room.seq, room.members, room.notes, list(room.messages), room.sent)

    async def close(self) -> None:
        self.logs.clear()


async def kill(house: House, disk: Disk, people: Sequence[Person]) -> None:
    """End the process of `house` in the middle of whatever it does."""
    disk.kill()
    for person in people:
        person.link.lost = True
    await turns()  # what has been started is no coroutine that nobody has awaited
    for timer in list(house.background.timers):
        timer.cancel()
    tasks = [*house.background._tasks, *house.background._loops]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    house.background._is_stopped = True


async def stop(house: House, people: Sequence[Person]) -> None:
    """End the process of `house` as SIGTERM does: connections are closed first."""
    house.prepare_stop()
    for person in people:
        live = house.guests.live(person.session_id)
        if live is not None and live.link is person.link:
            person.drop()
    await house.stop()


async def begin(disk: Disk, people: Sequence[Person], **settings: object) -> House:
    """Return a new process on the disk, with people who are not connected yet."""
    house = House(clock=disk.clock, stand_ins=disk.adapters(), **settings)
    for person in people:
        person.house = house
        person.link.lost = True
    await house.recovery.run()
    return house


async def restart(house: House, disk: Disk, *people: Person, gently: bool = False) -> House:
    """End the process (`gently`: by SIGTERM), and begin a new one."""
    await (stop(house, people) if gently else kill(house, disk, people))
    return await begin(disk, people)
