"""Room logs in this process's memory."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from passerby.chat.log import CLIENT_ID_BYTES, CLIENT_IDS, Replay
from passerby.models import Message

if TYPE_CHECKING:
    from passerby.chat.log import Done


class _Sent:
    """The newest client ids of one sender, each with `seq timestamp id` of its message, in two generations.

    A full generation replaces the one before. Nothing is removed one by one, because this is on the hot path.
    """

    __slots__ = ("before", "now", "size")

    def __init__(self) -> None:
        self.now: dict[str, str] = {}
        self.before: dict[str, str] = {}
        self.size = 0
        """The bytes of `now`."""

    def turn(self) -> None:
        """Begin a generation."""
        self.before, self.now, self.size = self.now, {}, 0


class _Log:
    """One room's log: messages as JSON, oldest first, and what is remembered of each sender."""

    __slots__ = ("entries", "epoch", "sent", "seq", "size")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.seq = 0
        self.size = 0
        self.entries: deque[bytes] = deque()
        self.sent: dict[str, _Sent] = {}


class MemoryRoomLog:
    """Logs of this process's rooms, stored as JSON: replay returns copies, and a full log takes little memory."""

    def __init__(
        self,
        max_messages: int,
        max_bytes: int,
        client_ids: int = CLIENT_IDS,
        client_id_bytes: int = CLIENT_ID_BYTES,
    ) -> None:
        """Keep at most `max_messages` and `max_bytes` of them per room; for client ids, see `CLIENT_IDS`."""
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._client_ids = client_ids
        self._client_id_bytes = client_id_bytes
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
        if not isinstance(client_id, str):
            done(message, self._keep(log, message), None)
            return
        sent = log.sent.get(message.sender_id)
        if sent is None:
            sent = log.sent[message.sender_id] = _Sent()
        told = sent.now.get(client_id) or sent.before.get(client_id)
        if told is not None:
            _answer(message, told)
            done(message, None, None)
            return
        encoded = self._keep(log, message)
        sent.now[client_id] = told = f"{message.seq} {message.timestamp} {message.id}"
        sent.size += len(told) + (len(client_id) if client_id.isascii() else len(client_id.encode()))
        if len(sent.now) >= self._client_ids or sent.size >= self._client_id_bytes:
            sent.turn()
        done(message, encoded, None)

    def _keep(self, log: _Log, message: Message) -> bytes:
        """Number a message and keep it; return its JSON."""
        message.seq = seq = log.seq + 1
        encoded = self._encode(message)
        log.seq = seq
        entries = log.entries
        entries.append(encoded)
        log.size += len(encoded)
        while len(entries) > self._max_messages or log.size > self._max_bytes:
            log.size -= len(entries.popleft())
        return encoded

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        """See RoomLog."""
        log = self._logs.get(room_id)
        if log is None or log.epoch != epoch:
            return Replay([], 0)
        oldest = log.seq - len(log.entries)
        first = max(0, after - oldest)
        entries = islice(log.entries, first, None if limit is None else first + limit)
        return Replay([self._decode(encoded) for encoded in entries], max(0, oldest - after))

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


def _answer(message: Message, told: str) -> None:
    """Give `message` what was told of it the first time."""
    seq, message.timestamp, message.id = told.split(" ", 2)
    message.seq = int(seq)
