"""Room logs in this process's memory."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from passerby.chat.log import CLIENT_IDS, Replay
from passerby.models import SMALL_MESSAGE, Message, read_identity, without_content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from passerby.chat.log import Done, SavedRoom


MOST_CLIENT_IDS: Final = 7 / 4
"""How many times the client ids of one sender that must be remembered there are, at most: with up to 682 entries, a
dict takes half the memory of one with 768."""


class Log:
    """One room's log: messages as JSON, oldest first, and what is remembered of each sender."""

    __slots__ = (
        "entries",
        "epoch",
        "first",
        "most_client_ids",
        "second",
        "sent",
        "sent_by_first",
        "sent_by_second",
        "seq",
        "size",
    )

    def __init__(self, epoch: int, most_client_ids: int) -> None:
        self.epoch = epoch
        self.most_client_ids = most_client_ids
        """Client ids of one sender at which the oldest are forgotten."""
        self.seq = 0
        self.size = 0
        self.entries: deque[bytes] = deque()
        self.sent: dict[str, dict[str, bytes]] = {}
        """The newest messages of each sender by client id, as JSON for `read_identity`, oldest first."""
        self.first: str | None = None
        self.second: str | None = None
        self.sent_by_first: dict[str, bytes] = {}
        """The same as `sent[first]`, without looking it up."""
        self.sent_by_second: dict[str, bytes] = {}

    def introduce(self, sender_id: str) -> dict[str, bytes]:
        """Return what is remembered of a sender who is not the first or second."""
        sent = self.sent.setdefault(sender_id, {})
        if self.first is None:
            self.first, self.sent_by_first = sender_id, sent
        else:
            self.second, self.sent_by_second = sender_id, sent
        return sent

    def shorten(self, sender_id: str, count: int) -> None:
        """Remember only the `count` newest messages of a sender."""
        sent = self.sent[sender_id]
        shorter = self.sent[sender_id] = dict(islice(sent.items(), max(0, len(sent) - count), None))
        if self.sent_by_first is sent:
            self.sent_by_first = shorter
        if self.sent_by_second is sent:
            self.sent_by_second = shorter


class MemoryRoomLog:
    """Logs of this process's rooms, stored as JSON: replay returns copies, and a full log takes little memory."""

    is_durable = False

    def __init__(self, max_messages: int, max_bytes: int, client_ids: int = CLIENT_IDS) -> None:
        """Keep at most `max_messages` and `max_bytes` of them per room; for client ids, see `CLIENT_IDS`."""
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._client_ids = client_ids
        self._most_client_ids = int(MOST_CLIENT_IDS * client_ids)
        self.logs: dict[str, Log] = {}
        """The open logs by room id, for an adapter that keeps copies of them elsewhere."""
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Message).decode

    def open(self, room_id: str, epoch: int, members: tuple[str, str] = ("", "")) -> None:  # noqa: ARG002 - as in RoomLog
        """See RoomLog."""
        self.logs[room_id] = Log(epoch, self._most_client_ids)

    def append(self, room_id: str, epoch: int, message: Message, done: Done, context: Any) -> None:  # noqa: ANN401 - as in RoomLog
        """See RoomLog. This is the hot path: one hash lookup finds a duplicate and remembers a new client id."""
        log = self.logs.get(room_id)
        if log is None or log.epoch != epoch:
            return
        message.seq = seq = log.seq + 1
        encoded = self._encode(message)
        size = len(encoded)
        client_id = message.client_id
        if client_id is not UNSET:
            sender_id = message.sender_id
            if sender_id is log.first:
                sent = log.sent_by_first
            elif sender_id is log.second:
                sent = log.sent_by_second
            else:
                sent = log.introduce(sender_id)
            kept = encoded if size <= SMALL_MESSAGE else without_content(message)
            first = sent.setdefault(client_id, kept)
            if first is not kept:
                sent[client_id] = sent.pop(client_id)  # it counts as new for how long it is remembered
                original = read_identity(first)
                message.id, message.timestamp, message.seq = original.id, original.timestamp, original.seq
                done(context, message, None, None)
                return
            if len(sent) >= log.most_client_ids:
                log.shorten(sender_id, self._client_ids)
        log.seq = seq
        entries = log.entries
        entries.append(encoded)
        size += log.size
        while size > self._max_bytes or len(entries) > self._max_messages:
            size -= len(entries.popleft())
        log.size = size
        done(context, message, encoded, None)

    def fill(self, log: Log, entries: Iterable[bytes]) -> None:
        """Log messages as JSON, oldest first, that have their numbers already; the limits evict the oldest."""
        log.entries.extend(entries)
        log.size = sum(map(len, log.entries))
        while log.size > self._max_bytes or len(log.entries) > self._max_messages:
            log.size -= len(log.entries.popleft())

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        """See RoomLog."""
        log = self.logs.get(room_id)
        if log is None or log.epoch != epoch:
            return Replay([], 0)
        oldest = log.seq - len(log.entries)
        first = max(0, after - oldest)
        entries = islice(log.entries, first, None if limit is None else first + limit)
        return Replay([self._decode(encoded) for encoded in entries], max(0, oldest - after))

    def note(self, room_id: str, epoch: int, name: str, value: bytes | None) -> None:
        """See RoomLog. Nobody could read it."""

    def forget(self, room_id: str, epoch: int) -> None:
        """See RoomLog."""
        log = self.logs.get(room_id)
        if log is not None and log.epoch == epoch:
            del self.logs[room_id]

    async def rooms(self) -> list[str]:
        """See RoomLog. Nothing is left of an earlier process."""
        return []

    async def recall(self, room_id: str) -> SavedRoom | None:  # noqa: ARG002 - as in RoomLog
        """See RoomLog."""
        return None

    async def check(self) -> None:
        """See RoomLog."""

    async def close(self) -> None:
        """See RoomLog."""
        self.logs.clear()
