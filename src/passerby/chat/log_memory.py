"""Room logs in this process's memory."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from passerby.chat.log import CLIENT_IDS, Replay
from passerby.chat.log_contents import Log
from passerby.models import SMALL_MESSAGE, Message, read_identity, without_content

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from passerby.chat.log import Done, SavedRoom


class MemoryRoomLog:
    """Logs of this process's rooms, stored as JSON: replay returns copies, and a full log takes little memory."""

    is_durable = False

    def __init__(self, max_messages: int, max_bytes: int, client_ids: int = CLIENT_IDS) -> None:
        """Keep at most `max_messages` and `max_bytes` of them per room; for client ids, see `CLIENT_IDS`."""
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._client_ids = client_ids
        self.logs: dict[str, Log] = {}
        """The open logs by room id, for an adapter that keeps copies of them elsewhere."""
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Message).decode
        self.taken: Callable[[str, int], None] = _ignore
        self.may_be_elsewhere: Callable[[str], bool] = never

    def go_on(self, room_id: str) -> None:
        """See RoomLog. Nothing waits."""

    def open(self, room_id: str, epoch: int, members: tuple[str, str] = ("", "")) -> None:  # noqa: ARG002 - as in RoomLog
        """See RoomLog."""
        self.logs[room_id] = Log(epoch, self._client_ids)

    def append(self, room_id: str, epoch: int, message: Message, done: Done, context: Any) -> None:  # noqa: ANN401 - as in RoomLog
        """See RoomLog."""
        log = self.logs.get(room_id)
        if log is not None and log.epoch == epoch:
            done(context, message, self.add(log, message), None)

    def add(self, log: Log, message: Message) -> bytes | None:
        """Number the message, log it, and return its JSON; or None: it is a duplicate, and now as the first time.

        This is the hot path: one hash lookup finds a duplicate and remembers a new client id.
        """
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
                return None
            if len(sent) >= log.most_client_ids:
                log.shorten(sender_id, self._client_ids)
        log.seq = seq
        entries = log.entries
        entries.append(encoded)
        size += log.size
        while size > self._max_bytes or len(entries) > self._max_messages:
            size -= len(entries.popleft())
        log.size = size
        return encoded

    def put(self, room_id: str, log: Log, entries: Iterable[bytes]) -> None:
        """Open a restored log with these messages as JSON, oldest first, for an adapter that keeps them elsewhere."""
        log.fill(entries, self._max_messages, self._max_bytes)
        self.logs[room_id] = log

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        """See RoomLog."""
        log = self.logs.get(room_id)
        if log is None or log.epoch != epoch:
            return Replay([], 0)
        oldest = log.seq - len(log.entries)
        first = max(0, after - oldest)
        entries = islice(log.entries, first, None if limit is None else first + limit)
        return Replay([self._decode(encoded) for encoded in entries], max(0, oldest - after))

    def entries(self, room_id: str, epoch: int) -> list[bytes]:
        """See RoomLog."""
        log = self.logs.get(room_id)
        return [] if log is None or log.epoch != epoch else [*log.entries]

    def settle(self, room_id: str, epoch: int) -> None:
        """See RoomLog. All is done at once."""

    def note(self, room_id: str, epoch: int, name: str, value: bytes | None) -> None:
        """See RoomLog. Nobody could read it."""

    def forget(self, room_id: str, epoch: int) -> None:
        """See RoomLog."""
        log = self.logs.get(room_id)
        if log is not None and log.epoch == epoch:
            del self.logs[room_id]

    def park(self, room_id: str, epoch: int) -> Callable[[], None] | None:
        """See RoomLog."""
        log = self.logs.get(room_id)
        if log is None or log.epoch != epoch:
            return None
        del self.logs[room_id]
        return partial(self.logs.__setitem__, room_id, log)

    def release(self, room_id: str, epoch: int) -> None:
        """See RoomLog."""
        self.forget(room_id, epoch)

    async def owner(self, room_id: str) -> str | None:  # noqa: ARG002 - as in RoomLog
        """See RoomLog. Nothing is left of another process."""
        return None

    async def epoch(self, room_id: str) -> int | None:
        """See RoomLog."""
        log = self.logs.get(room_id)
        return None if log is None else log.epoch

    async def owners(self) -> list[str]:
        """See RoomLog."""
        return []

    async def rooms(self, owner: str) -> list[str]:  # noqa: ARG002 - as in RoomLog
        """See RoomLog."""
        return []

    async def recall(self, room_id: str, owners: Collection[str]) -> SavedRoom | None:  # noqa: ARG002 - as in RoomLog
        """See RoomLog."""
        return None

    async def check(self) -> None:
        """See RoomLog."""

    async def close(self) -> None:
        """See RoomLog."""
        self.logs.clear()


def never(_room_id: str) -> bool:
    """Return that no other process may have a room: there is none."""
    return False


def _ignore(_room_id: str, _epoch: int) -> None:
    """Nobody can take a room."""
