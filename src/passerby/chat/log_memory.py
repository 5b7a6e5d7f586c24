"""Room logs in this process's memory."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from passerby.chat.log import Replay
from passerby.models import Message

if TYPE_CHECKING:
    from passerby.chat.log import Done


class _Log:
    """One room's log: messages as JSON, oldest first; those with a client id also by key."""

    __slots__ = ("by_key", "entries", "epoch", "seq", "size")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.seq = 0
        self.size = 0
        self.entries: deque[tuple[bytes, str | None]] = deque()
        self.by_key: dict[str, bytes] = {}

    def trim(self, max_messages: int, max_bytes: int) -> None:
        """Evict the oldest messages beyond either limit."""
        entries = self.entries
        while len(entries) > max_messages or self.size > max_bytes:
            encoded, key = entries.popleft()
            self.size -= len(encoded)
            if key is not None:
                del self.by_key[key]


class MemoryRoomLog:
    """Logs of this process's rooms, stored as JSON: replay returns copies, and a full log takes little memory."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        """Keep at most `max_messages` and `max_bytes` of them per room."""
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._logs: dict[str, _Log] = {}
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Message).decode

    def open(self, room_id: str, epoch: int) -> None:
        """See RoomLog."""
        self._logs[room_id] = _Log(epoch)

    def append(self, room_id: str, epoch: int, message: Message, done: Done) -> None:
        """See RoomLog."""
        log = self._logs.get(room_id)
        if log is None or log.epoch != epoch:
            return
        client_id = message.client_id
        key = None
        if client_id is not UNSET:
            key = f"{message.sender_id} {client_id}"
            if key in log.by_key:
                done(self._decode(log.by_key[key]), None, None)
                return
        message.seq = log.seq = log.seq + 1
        encoded = self._encode(message)
        if key is not None:
            log.by_key[key] = encoded
        log.entries.append((encoded, key))
        log.size += len(encoded)
        log.trim(self._max_messages, self._max_bytes)
        done(message, encoded, None)

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        """See RoomLog."""
        log = self._logs.get(room_id)
        if log is None or log.epoch != epoch:
            return Replay([], 0)
        oldest = log.seq - len(log.entries)
        first = max(0, after - oldest)
        entries = islice(log.entries, first, None if limit is None else first + limit)
        return Replay([self._decode(encoded) for encoded, _ in entries], max(0, oldest - after))

    def forget(self, room_id: str, epoch: int) -> None:
        """See RoomLog."""
        log = self._logs.get(room_id)
        if log is not None and log.epoch == epoch:
            del self._logs[room_id]

    async def check(self) -> None:
        """See RoomLog."""

    async def close(self) -> None:
        """See RoomLog."""
        self._logs.clear()
