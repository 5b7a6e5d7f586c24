"""The ports in this process's memory: the default, for one node."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from passerby.models import Guest, Message
from passerby.ports import Replay, Tally, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.clock import Clock


class MemorySessionStore:
    """Sessions as encoded JSON, so that what comes out is a copy, as from any store."""

    def __init__(self, clock: Clock) -> None:
        """Expire by `clock`."""
        self._clock = clock
        self._sessions: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Guest)

    async def save(self, guest: Guest, lifetime: float) -> None:
        """See SessionStore."""
        self._sessions.pop(guest.session_id, None)
        self._sessions[guest.session_id] = (
            self._clock.monotonic() + lifetime,
            self._encoder.encode(guest),
        )

    async def load(self, session_id: str) -> Guest | None:
        """See SessionStore."""
        entry = self._sessions.get(session_id)
        if entry is None or entry[0] <= self._clock.monotonic():
            return None
        return self._decoder.decode(entry[1])

    async def remove(self, session_id: str) -> None:
        """See SessionStore."""
        self._sessions.pop(session_id, None)

    async def count(self) -> int:
        """See SessionStore."""
        # Those saved longest ago stand first, and mostly are the first to expire.
        now = self._clock.monotonic()
        while self._sessions and next(iter(self._sessions.values()))[0] <= now:
            self._sessions.popitem(last=False)
        return len(self._sessions)

    async def sweep(self) -> int:
        """See SessionStore."""
        now = self._clock.monotonic()
        expired = [key for key, (expires, _) in self._sessions.items() if expires <= now]
        for key in expired:
            del self._sessions[key]
        return len(expired)


class MemoryMatchQueue:
    """Tickets in a list, so that a random one is one step away; removal swaps with the last."""

    def __init__(self, choose: random.Random | None = None) -> None:
        """Draw with `choose`, by default the system's source."""
        self._choose = choose or random.SystemRandom()
        self._tickets: list[Ticket] = []
        self._places: dict[str, int] = {}

    async def enter(self, ticket: Ticket) -> Ticket | None:
        """See MatchQueue."""
        self._remove(ticket.guest_id)
        if not self._tickets:
            self._places[ticket.guest_id] = 0
            self._tickets.append(ticket)
            return None
        found = self._tickets[self._choose.randrange(len(self._tickets))]
        self._remove(found.guest_id)
        return found

    async def cancel(self, ticket: Ticket) -> bool:
        """See MatchQueue."""
        place = self._places.get(ticket.guest_id)
        if place is None or self._tickets[place].id != ticket.id:
            return False
        self._remove(ticket.guest_id)
        return True

    async def size(self) -> int:
        """See MatchQueue."""
        return len(self._tickets)

    def _remove(self, guest_id: str) -> None:
        place = self._places.pop(guest_id, None)
        if place is None:
            return
        last = self._tickets.pop()
        if place < len(self._tickets):
            self._tickets[place] = last
            self._places[last.guest_id] = place


class _Log:
    """One room's: messages as JSON, oldest first, and by key where the sender has given an id."""

    __slots__ = ("by_key", "entries", "epoch", "seq", "size")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.seq = 0
        self.size = 0
        self.entries: deque[tuple[bytes, str | None]] = deque()
        self.by_key: dict[str, bytes] = {}

    def trim(self, max_messages: int, max_bytes: int) -> None:
        """Forget the oldest messages beyond either bound."""
        entries = self.entries
        while len(entries) > max_messages or self.size > max_bytes:
            encoded, key = entries.popleft()
            self.size -= len(encoded)
            if key is not None:
                del self.by_key[key]


class MemoryRoomLog:
    """The logs of this process's rooms, as JSON: what comes out is a copy, and a full log takes little memory."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        """Keep at most so many messages, and bytes of them, a room."""
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._logs: dict[str, _Log] = {}
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Message).decode

    def open(self, room_id: str, epoch: int) -> None:
        """See RoomLog."""
        self._logs[room_id] = _Log(epoch)

    def append(
        self, room_id: str, epoch: int, message: Message, accepted: Callable[[Message, bytes | None], None]
    ) -> None:
        """See RoomLog."""
        log = self._logs.get(room_id)
        if log is None or log.epoch != epoch:
            return
        client_id = message.client_id
        key = None
        if client_id is not UNSET:
            key = f"{message.sender_id} {client_id}"
            if key in log.by_key:
                accepted(self._decode(log.by_key[key]), None)
                return
        message.seq = log.seq = log.seq + 1
        encoded = self._encode(message)
        if key is not None:
            log.by_key[key] = encoded
        log.entries.append((encoded, key))
        log.size += len(encoded)
        log.trim(self._max_messages, self._max_bytes)
        accepted(message, encoded)

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        """See RoomLog."""
        log = self._logs.get(room_id)
        if log is None or log.epoch != epoch:
            return Replay([], 0)
        oldest = log.seq - len(log.entries)
        first = max(0, after - oldest)
        entries = islice(log.entries, first, None if limit is None else first + limit)
        return Replay([self._decode(encoded) for encoded, _ in entries], max(0, oldest - after))

    def close(self, room_id: str, epoch: int) -> None:
        """See RoomLog."""
        log = self._logs.get(room_id)
        if log is not None and log.epoch == epoch:
            del self._logs[room_id]


class MemoryCounters:
    """The tallies of the nodes in this process: one, outside of tests."""

    def __init__(self, clock: Clock) -> None:
        """Expire by `clock`."""
        self._clock = clock
        self._reports: dict[str, tuple[float, Tally]] = {}

    async def report(self, node: str, tally: Tally, lifetime: float) -> None:
        """See Counters."""
        self._reports[node] = (self._clock.monotonic() + lifetime, tally)

    async def total(self) -> Tally:
        """See Counters."""
        now = self._clock.monotonic()
        live = [tally for expires, tally in self._reports.values() if expires > now]
        return Tally(
            online=sum(tally.online for tally in live),
            chatting=sum(tally.chatting for tally in live),
            pairs=sum(tally.pairs for tally in live),
        )
