"""Room logs in this process's memory, with a copy of each in Redis that outlives the process.

The memory decides: it numbers the messages, knows duplicates, and is replayed. A message is done once Redis has it.
While Redis cannot be used, or has lost what it had, messages are done at once, and the room is written again later.

All messages of one turn of the event loop are one script, or one for each room in a Cluster. It appends to a room only
if Redis holds what this process expects: the owner, the number of the last message, the length of the log. If not, the
room is written again as a whole, and what was refused is done after that. So nothing depends on whether a lost command
was applied.
"""

from __future__ import annotations

import asyncio
import itertools
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from passerby.chat.log import CLIENT_IDS, Replay, SavedRoom
from passerby.chat.log_batches import Batch, LoggedRoom
from passerby.chat.log_contents import restored
from passerby.chat.log_memory import MemoryRoomLog, never
from passerby.clock import sleep
from passerby.models import Message
from passerby.redis.client import RedisError, RefusedError, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from passerby.background import Background
    from passerby.chat.log import Done
    from passerby.chat.log_batches import Told
    from passerby.clock import Clock
    from passerby.redis.client import Part, Redis, Reply

LIFETIME: Final = 600
"""Seconds that Redis keeps a room whose process has died: more than any outage that guests wait for."""
RENEWAL: Final = 60.0
"""Seconds in which each open room is renewed once."""
_STEP: Final = 1.0
"""Seconds between two steps of the renewal, each of as many rooms as are needed to renew all in time."""
_SLICE: Final = 100
"""Rooms that are renewed or written again before the answers are awaited, so that messages need not wait long."""
_SLICE_BYTES: Final = 1_048_576
"""Bytes of logs that are written again before the answers are awaited."""
_NEW: Final = 0.02
"""Seconds until a new room is written, if it has no message before: many are written together, some never. Until then
the searches of its members are kept, see `MatchQueue.forget`."""
_NOTES_LATE: Final = 0.05
"""Seconds that notes are collected before they are written."""
_ROOMS_A_SCRIPT: Final = 32
"""Rooms to which one script appends, so that it does not take long."""
TRIM: Final = 32
"""Evicted messages that are removed from a log in Redis together; until then it is longer than here."""
_TRIM_SIZE: Final = 0.5
"""The part of its limit of bytes from which a log in Redis is as short as it is here."""
_RETRY: Final = 1.0
"""Seconds until rooms are written again that Redis has refused, for example because its memory was full."""
_IDENTITIES: Final = 6
"""The limit for the list of identities of evicted messages, in CLIENT_IDS: written again, it has at most four times
as many, of two senders and two generations each; so this is needed once in hundreds of messages."""

_REFUSED: Final = -1
"""What the scripts return when Redis holds something else than expected."""


def _script(name: str) -> Script:
    return Script(Path(__file__).with_name(name))


_APPEND: Final = _script("log_append.lua")
_WRITE: Final = _script("log_write.lua")
_RENEW: Final = _script("log_renew.lua")
_NOTE: Final = _script("log_note.lua")
_FORGET: Final = _script("log_forget.lua")
_RECALL: Final = _script("log_recall.lua")
_INDEX: Final = _script("log_index.lua")
_DIGITS: Final = 18
"""Maximum decimal digits of an epoch."""


class RedisRoomLog:
    """Logs of this process's rooms. `resync` is to be called whenever Redis can be used again, `renew` repeatedly."""

    is_durable = True

    def __init__(
        self,
        redis: Redis,
        clock: Clock,
        background: Background,
        max_messages: int,
        max_bytes: int,
        *,
        node: str,
        client_ids: int = CLIENT_IDS,
        trim: int = TRIM,
    ) -> None:
        """`node` is this node's id. The limits of a room are those of MemoryRoomLog. `trim`, ≥ 1: see TRIM."""
        self._redis = redis
        self._clock = clock
        self._background = background
        self._memory = MemoryRoomLog(max_messages, max_bytes, client_ids)
        self._client_ids = client_ids
        self._identities = _IDENTITIES * client_ids
        self._trim = trim
        self._trim_size = int(_TRIM_SIZE * max_bytes)
        self.node = node
        """The owner of this process's rooms, in Redis. A process that was replaced may not write any more."""
        self.taken: Callable[[str, int], None] = _nobody_knows
        self.may_be_elsewhere: Callable[[str], bool] = never
        self._rooms_a_script = 1 if redis.is_cluster else _ROOMS_A_SCRIPT
        self._index = redis.key(f"rooms:{node}")
        self._nodes = redis.key("rooms")
        self._rooms: dict[str, LoggedRoom] = {}
        self._queued: list[LoggedRoom] = []
        """Rooms with a pending batch."""
        self._is_queued = False
        self._behind: dict[str, LoggedRoom] = {}
        """Rooms that Redis has not, or not as they are, and that are to be written again."""
        self._is_retrying = False
        self._new: dict[str, LoggedRoom] = {}
        """Rooms that were opened a moment ago, and perhaps are not written yet. One that closes at once leaves it, so
        that its memory is used again while it is in the CPU's cache."""
        self._is_writing_new = False
        """Whether `_write_new` is due."""
        self._noted: list[LoggedRoom] = []
        self._graves: dict[str, tuple[int, float]] = {}
        """Epochs of rooms that are forgotten, but perhaps not by Redis, and when its keys expire there (monotonic)."""
        self._dug: list[tuple[str, int]] = []
        """Forgotten rooms that this turn removes from Redis."""
        self._listed = 0
        """When this node was put into the list of nodes with rooms; Unix time."""
        self._indexed: list[str] = []
        self._unindexed: list[str] = []
        self._to_renew: list[LoggedRoom] = []
        """Rooms that this minute has not renewed yet."""
        self._each_step = 1
        self._renewal = 0.0
        """When the next renewal of all begins; monotonic seconds."""
        self.unlogged = 0
        """Number of messages that were done although Redis did not have them."""

    # ── messages ──────────────────────────────────────────────────────────────────────────────────

    def append(self, room_id: str, epoch: int, message: Message, done: Done, context: Any) -> None:  # noqa: ANN401 - as in RoomLog
        """See RoomLog. The memory answers at once; this is the hot path."""
        room = self._rooms.get(room_id)
        if room is None or room.epoch != epoch:
            return
        encoded = self._memory.add(room.log, message)
        batch = room.pending
        if batch is None:
            if encoded is None or not (room.is_current or room.is_new) or not self._redis.is_usable:
                self._append_without_redis(room, (done, context, message, encoded))
                return
            batch = self._begin(room)
        if encoded is not None:
            batch.messages.append(encoded)
        batch.told.append((done, context, message, encoded))

    def _append_without_redis(self, room: LoggedRoom, told: Told) -> None:
        done, context, message, encoded = told
        if encoded is not None:
            self._mark(room)
            waits = self.may_be_elsewhere(room.id)
            self.unlogged += not waits
            if waits and not room.batches:
                room.batches.append(Batch(room))
        if room.batches:
            room.batches[-1].told.append(told)
        else:
            if encoded is not None:
                room.told = message.seq
            done(context, message, encoded, None)

    def go_on(self, room_id: str) -> None:
        """See RoomLog."""
        room = self._rooms.get(room_id)
        if room is not None and not self._redis.is_usable and not self.may_be_elsewhere(room_id):
            self._answer_all(room)

    def _answer_all(self, room: LoggedRoom) -> None:
        """What waits is done now, whatever Redis has of it."""
        for batch in room.batches:
            batch.is_answered = True
            self.unlogged += sum(encoded is not None for *_, encoded in batch.told)
        self._tell(room)

    def _begin(self, room: LoggedRoom) -> Batch:
        """Return the batch that this turn sends."""
        batch = room.pending = Batch(room)
        room.is_new = False
        if not room.keys:
            self._name(room)
        room.batches.append(batch)
        self._queued.append(room)
        if not self._is_queued:
            self._queue()
        return batch

    def _queue(self) -> None:
        self._is_queued = True
        asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Send everything of this turn: removals, the index, rooms and messages."""
        self._is_queued = False
        if self._dug:
            self._dig()
        queued, self._queued = self._queued, []
        # First the index: if the process dies between two commands, no room is kept that is not found.
        self._indexed += [room.id for room in queued if room.is_open and not room.is_current]
        if self._indexed or self._unindexed:
            self._background.attempt("index of rooms", self._write_index)
        batches: list[Batch] = []
        keys: list[str] = []
        arguments: list[Part] = []
        for room in queued:
            batch = room.pending
            if batch is None or not room.is_open:
                continue
            room.pending = None
            if not room.is_current:
                try:
                    self._write(room, batch)
                except Exception as error:  # noqa: BLE001 - the other rooms' messages must be sent
                    self._not_sent([batch], error)
                continue
            log, messages = room.log, batch.messages
            count, length = len(messages), room.length + len(messages)
            drop = length - len(log.entries)
            if drop < self._trim and log.size <= self._trim_size:
                drop = 0
            batches.append(batch)
            keys += room.keys
            arguments += (room.owner, room.seq, room.length, drop, count, *messages)
            room.seq, room.length = log.seq, length - drop
            if len(batches) == self._rooms_a_script:
                self._append(batches, keys, arguments)
                batches, keys, arguments = [], [], []
        if batches:
            self._append(batches, keys, arguments)

    def _append(self, batches: list[Batch], keys: list[str], arguments: list[Part]) -> None:
        """Send the messages of some rooms."""
        try:
            self._redis.run_then(partial(self._appended, batches), _APPEND, keys, *arguments)
        except Exception as error:  # noqa: BLE001 - the other rooms' messages must be sent
            self._not_sent(batches, error)

    def _not_sent(self, batches: list[Batch], error: Exception) -> None:
        self._background.failed("sending a room's messages", error)
        for batch in batches:
            self._not_applied(batch, RedisError(str(error)))

    # ── answers of Redis ──────────────────────────────────────────────────────────────────────────

    def _appended(self, batches: list[Batch], reply: Reply | RedisError) -> None:
        """Take the answer to `_append`: one for each room, or an error for all."""
        if isinstance(reply, list) and len(reply) == len(batches):
            answers: Iterable[Reply | RedisError] = reply
        else:
            answers = itertools.repeat(reply)
        for batch, answer in zip(batches, answers, strict=False):
            try:
                self._answered(batch, answer)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the other rooms must get their answers
                self._background.failed("answer to a room's messages", error)

    def _answered(self, batch: Batch, reply: Reply | RedisError) -> None:
        room = batch.room
        if not isinstance(reply, int) or reply == _REFUSED:
            self._not_applied(batch, reply)
        elif not room.is_open:
            if batch.is_write:  # the removal was faster
                self._bury(room)
        elif not batch.is_answered:
            batch.is_answered = True
            if batch.is_write:
                self._settle_before(batch)
            self._tell(room)
            if reply > self._identities and room.is_current and not any(other.is_write for other in room.batches):
                self._rewrite(room)

    def _not_applied(self, batch: Batch, reply: Reply | RedisError) -> None:
        """The messages are done when the room is written again: after a refusal, at once; after an error, not for them.

        A write that was sent later settles it, whatever its answer is.
        """
        room = batch.room
        if not room.is_open or batch.is_answered or self._is_written_after(batch):
            return
        if isinstance(reply, RedisError):
            self._mark(room)
            if not self._redis.is_usable and self.may_be_elsewhere(room.id):
                return  # all batches wait until the room is written
        elif batch.is_write:
            room.is_foreign, room.is_current = True, False
            self._background.attempt("loss of a room", self.taken, room.id, room.epoch)
            return
        elif room.is_current:
            self._rewrite(room)
            return
        batch.is_answered = True
        self.unlogged += len(batch.messages)
        if batch.is_write:
            self.unlogged += self._settle_before(batch)
        self._tell(room)

    @staticmethod
    def _is_written_after(batch: Batch) -> bool:
        room = batch.room
        later = False
        for other in room.batches:
            if later and (other.is_write or (other is room.pending and not room.is_current)):
                return True
            later = later or other is batch
        return False

    @staticmethod
    def _settle_before(batch: Batch) -> int:
        """All batches before are answered by the answer to this one. Return how many messages they have."""
        messages = 0
        for other in batch.room.batches:
            if other is batch:
                break
            if not other.is_answered:
                other.is_answered = True
                messages += len(other.messages)
        return messages

    def _tell(self, room: LoggedRoom) -> None:
        """Call `done` for all that is answered, in order."""
        batches = room.batches
        while batches and batches[0].is_answered:
            batch = batches[0]
            for done, context, message, encoded in batch.told:  # it may grow meanwhile
                if encoded is not None:
                    room.told = message.seq
                try:
                    done(context, message, encoded, None)
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the other messages must be done
                    self._background.failed("delivery of a message", error)
                if not room.is_open:
                    return
            batches.popleft()
            if batch.waiter is not None and not batch.waiter.done():
                batch.waiter.set_result(None)

    def _mark(self, room: LoggedRoom) -> None:
        """Redis has not got everything: the room is written again later."""
        room.is_current = False
        if not room.is_foreign:
            self._behind[room.id] = room
            self._retry_later()

    def _rewrite(self, room: LoggedRoom) -> None:
        """Write the whole room in this turn."""
        room.is_current = False
        if room.pending is None:
            self._begin(room)

    def _write(self, room: LoggedRoom, batch: Batch) -> None:
        """Send the whole room."""
        log = room.log
        entries = list(log.entries)
        identities = log.identities(entries) if log.seq > len(entries) else []
        batch.is_write = True
        room.is_current = True
        room.seq, room.length = log.seq, len(entries)
        room.noted.clear()
        self._behind.pop(room.id, None)
        self._redis.run_then(
            partial(self._answered, batch),
            _WRITE,
            room.keys,
            *(room.epoch, room.owner, log.seq, msgspec.json.encode(room.members), LIFETIME),
            *(len(entries), len(identities)),
            *entries,
            *identities,
            *(part for note in room.notes.items() for part in note),
        )

    # ── rooms ─────────────────────────────────────────────────────────────────────────────────────

    def open(self, room_id: str, epoch: int, members: tuple[str, str] = ("", "")) -> None:
        """See RoomLog."""
        before = self._rooms.get(room_id)
        if before is not None:
            self._end(before)
        self._memory.open(room_id, epoch)
        room = self._add(room_id, members)
        if not self._redis.is_usable:
            self._mark(room)
        elif before is None or before.is_new:
            room.is_new = True
            self._new[room_id] = room
            if not self._is_writing_new:
                self._is_writing_new = True
                self._background.call_later("writing of new rooms", _NEW, self._write_new)
        else:  # it takes the place of what Redis has
            self._begin(room)

    def _write_new(self) -> None:
        self._is_writing_new = False
        rooms, self._new = self._new, {}
        for room in rooms.values():
            if room.is_new and room.is_open:
                self._begin(room)

    def _add(self, room_id: str, members: tuple[str, str]) -> LoggedRoom:
        room = self._rooms[room_id] = LoggedRoom(room_id, members, self._memory.logs[room_id])
        return room

    def _name(self, room: LoggedRoom) -> None:
        """Set what the room, and this process, are called in Redis."""
        room.keys, room.owner = self._keys(room.id), self._owner(room.epoch)

    def _keys(self, room_id: str) -> tuple[str, str, str]:
        start = self._redis.key(f"{{room:{room_id}}}:")
        return f"{start}state", f"{start}log", f"{start}ids"

    def _owner(self, epoch: int) -> str:
        return f"{self.node}:{epoch}"

    def _end(self, room: LoggedRoom) -> None:
        """Nothing more is done or written of this room."""
        room.is_open = False
        self._behind.pop(room.id, None)
        for batch in room.batches:
            if batch.waiter is not None and not batch.waiter.done():
                batch.waiter.set_result(None)

    def release(self, room_id: str, epoch: int) -> None:
        """See RoomLog."""
        room = self._rooms.get(room_id)
        if room is not None and room.epoch == epoch:
            room.is_foreign = True
            self.forget(room_id, epoch)
            self._unindexed.append(room_id)
            if not self._is_queued:
                self._queue()

    def forget(self, room_id: str, epoch: int) -> None:
        """See RoomLog."""
        room = self._rooms.get(room_id)
        if room is None or room.epoch != epoch:
            return
        del self._rooms[room_id]
        self._memory.forget(room_id, epoch)
        self._end(room)
        if room.is_new:
            self._new.pop(room_id, None)
        elif not room.is_foreign:
            self._bury(room)

    def park(self, room_id: str, epoch: int) -> Callable[[], None] | None:
        """See RoomLog. Redis forgets it at once, so that no later process finds it."""
        room = self._rooms.get(room_id)
        if room is None or room.epoch != epoch or room.is_foreign:
            return None
        self._settle(room)
        room.pending = None
        self.forget(room_id, epoch)
        return partial(self._unpark, room)

    def settle(self, room_id: str, epoch: int) -> None:
        """See RoomLog. If the room goes on, it is written again: what is not answered has perhaps not come."""
        room = self._rooms.get(room_id)
        if room is None or room.epoch != epoch or room.is_foreign or not room.batches:
            return
        self._settle(room)
        if not room.is_open:
            return
        room.pending, room.is_current = None, False
        if self._redis.is_usable:
            self._begin(room)
        else:
            self._mark(room)

    def _settle(self, room: LoggedRoom) -> None:
        while room.batches:  # what is done with one message may append another
            self._answer_all(room)

    def _unpark(self, room: LoggedRoom) -> None:
        """Open a log again that was parked, and write it as a new one. Late answers to earlier batches mean nothing."""
        self._memory.logs[room.id] = room.log
        self._rooms[room.id] = room
        room.is_open, room.is_new, room.is_current = True, False, False
        self._graves.pop(room.id, None)  # its removal is not tried again
        if self._redis.is_usable:
            self._begin(room)
        else:
            self._mark(room)

    def _bury(self, room: LoggedRoom) -> None:
        self._remove(room.id, room.epoch)

    def _remove(self, room_id: str, epoch: int) -> None:
        """Remove what Redis has of a room, now or as soon as it can be used."""
        later, _ = self._graves.get(room_id, (epoch, 0.0))
        self._graves[room_id] = max(epoch, later), self._clock.monotonic() + LIFETIME
        if self._redis.is_usable:
            self._dug.append((room_id, epoch))
            if not self._is_queued:
                self._queue()

    def _dig(self) -> None:
        dug, self._dug = self._dug, []
        for some in self._scripts(dug):
            self._redis.run_then(partial(self._removed, some), _FORGET, *self._removal(some))
        self._unindexed += [room_id for room_id, _ in dug]

    def _scripts(self, rooms: list[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
        """Yield the rooms that one run of a script removes."""
        for start in range(0, len(rooms), self._rooms_a_script):
            yield rooms[start : start + self._rooms_a_script]

    def _removal(self, rooms: list[tuple[str, int]]) -> tuple[list[str], *tuple[Part, ...]]:
        """Return keys and arguments of the script that removes these rooms."""
        keys = [key for room_id, _ in rooms for key in self._keys(room_id)]
        return keys, *(part for _, epoch in rooms for part in (epoch, self._owner(epoch)))

    def _removed(self, rooms: list[tuple[str, int]], reply: Reply | RedisError) -> None:
        if isinstance(reply, RedisError):
            self._retry_later()
            return
        for room_id, epoch in rooms:
            if room_id in self._graves and self._graves[room_id][0] <= epoch:
                del self._graves[room_id]

    def _write_index(self) -> None:
        """Put rooms into the index of all rooms, and remove others. Those that live are put again by each renewal."""
        rooms = self._rooms
        living, self._indexed = self._indexed, []
        gone, self._unindexed = [room_id for room_id in self._unindexed if room_id not in rooms], []
        now = int(self._clock.time())
        if living and now - self._listed >= RENEWAL:
            self._listed = now
            self._redis.run_then(_ignore, _INDEX, (self._nodes,), now, LIFETIME, 0, self.node)
        written = partial(self._index_written, gone) if gone else _ignore
        self._redis.run_then(written, _INDEX, (self._index,), now, LIFETIME, len(gone), *gone, *living)

    def _index_written(self, gone: list[str], reply: Reply | RedisError) -> None:
        if isinstance(reply, RedisError):
            self._unindexed += gone
            self._retry_later()

    # ── notes ─────────────────────────────────────────────────────────────────────────────────────

    def note(self, room_id: str, epoch: int, name: str, value: bytes | None) -> None:
        """See RoomLog."""
        room = self._rooms.get(room_id)
        if room is None or room.epoch != epoch:
            return
        if value is not None:
            room.notes[name] = value
        elif room.notes.pop(name, None) is None:
            return
        if not room.noted:
            if not self._noted:
                self._background.call_later("notes of rooms", _NOTES_LATE, self._write_notes)
            self._noted.append(room)
        room.noted.add(name)

    def _write_notes(self) -> None:
        rooms, self._noted = self._noted, []
        for room in rooms:
            names = room.noted
            if not names or not room.is_open or not room.is_current:  # a room that is written has its notes
                names.clear()
                continue
            if not self._redis.is_usable:
                names.clear()
                self._mark(room)
                continue
            kept: list[Part] = []
            removed: list[Part] = []
            for name in names:
                value = room.notes.get(name)
                if value is None:
                    removed.append(name)
                else:
                    kept += (name, value)
            names.clear()
            answered = partial(self._noted_answered, room)
            self._redis.run_then(answered, _NOTE, room.keys[:1], room.owner, len(kept) // 2, *kept, *removed)

    def _noted_answered(self, room: LoggedRoom, reply: Reply | RedisError) -> None:
        if not room.is_open or not room.is_current:
            return
        if isinstance(reply, RedisError):
            self._mark(room)
        elif reply == _REFUSED:
            self._rewrite(room)

    # ── replay and recall ─────────────────────────────────────────────────────────────────────────

    async def replay(self, room_id: str, epoch: int, after: int, limit: int | None = None) -> Replay:
        """See RoomLog. The memory is read, up to the message that was done last."""
        room = self._rooms.get(room_id)
        if room is None or room.epoch != epoch:
            return Replay([], 0)
        log = room.log
        done = max(0, room.told - max(after, log.seq - len(log.entries)))
        replay = await self._memory.replay(room_id, epoch, after, done if limit is None else min(limit, done))
        gap = max(0, room.told - after)
        return replay if replay.gap <= gap else Replay(replay.messages, gap)

    def entries(self, room_id: str, epoch: int) -> list[bytes]:
        """See RoomLog."""
        room = self._rooms.get(room_id)
        if room is None or room.epoch != epoch:
            return []
        entries = self._memory.entries(room_id, epoch)
        return entries[: max(0, len(entries) - (room.log.seq - room.told))]

    async def owner(self, room_id: str) -> str | None:
        """See RoomLog."""
        owner = await self._field(room_id, "owner")
        return None if owner is None else owner.decode(errors="replace").rpartition(":")[0]

    async def epoch(self, room_id: str) -> int | None:
        """See RoomLog."""
        epoch = await self._field(room_id, "epoch")
        return int(epoch) if epoch is not None and epoch.isdigit() and len(epoch) <= _DIGITS else None

    async def _field(self, room_id: str, name: str) -> bytes | None:
        try:
            reply = await self._redis.command("HGET", self._keys(room_id)[0], name)
        except RefusedError as error:
            if error.code != "WRONGTYPE":
                raise
            return None
        return reply if isinstance(reply, bytes) else None

    async def owners(self) -> list[str]:
        """See RoomLog."""
        return [node for node in await self._members(self._nodes) if node != self.node]

    async def rooms(self, owner: str) -> list[str]:
        """See RoomLog."""
        saved = await self._members(self._redis.key(f"rooms:{owner}"))
        return [room_id for room_id in saved if room_id not in self._rooms and room_id not in self._graves]

    async def _members(self, index: str) -> list[str]:
        """Return what an index has that has not expired."""
        try:
            reply = await self._redis.command("ZRANGE", index, f"({int(self._clock.time())}", "+inf", "BYSCORE")
        except RefusedError as error:
            if error.code != "WRONGTYPE":
                raise
            reply = []  # the next write of the index replaces it
        return [member.decode(errors="replace") for member in cast("list[bytes]", reply)]

    async def recall(self, room_id: str, owners: Collection[str]) -> SavedRoom | None:
        """See RoomLog. It is in an index all the time, so that it is found whenever this process dies."""
        if room_id in self._rooms or room_id in self._graves:
            return None
        self._indexed.append(room_id)
        self._write_index()
        reply = await self._redis.run(_RECALL, self._keys(room_id), self.node, LIFETIME, *owners)
        for owner in owners:
            self._redis.send(_ignore, "ZREM", self._redis.key(f"rooms:{owner}"), room_id)
        if reply == _REFUSED:
            self._unindex(room_id)
            return None
        if room_id in self._rooms or room_id in self._graves:  # meanwhile
            return None
        epoch = 0
        try:
            state, entries, identities = _read_saved(reply)
            fields = dict(zip(state[::2], state[1::2], strict=True))
            epoch = int(fields[b"epoch"])
            log = restored(epoch, int(fields[b"seq"]), entries, identities, self._client_ids)
            members = msgspec.json.decode(fields[b"members"], type=tuple[str, str])
            notes = {
                name.removeprefix(b"note:").decode(): value
                for name, value in fields.items()
                if name.startswith(b"note:")
            }
        except (ValueError, KeyError, RecursionError, msgspec.MsgspecError) as error:
            if reply is not None:
                self._background.failed("recall of a room", error)
            self._unindex(room_id)
            self._remove(room_id, epoch)
            return None
        self._memory.put(room_id, log, entries)
        identities += entries[: len(entries) - len(log.entries)]
        room = self._add(room_id, members)
        self._name(room)
        room.notes = notes
        room.length = len(entries)
        room.is_current = True
        return SavedRoom(room_id, epoch, log.seq, members, dict(notes), list(log.entries), identities)

    # ── going on after Redis was away ─────────────────────────────────────────────────────────────

    def _unindex(self, room_id: str) -> None:
        self._unindexed.append(room_id)
        self._write_index()

    async def resync(self) -> None:
        """Remove from Redis what was forgotten meanwhile, and write all rooms that it has not, or not as they are.

        Raises RedisError if it cannot be used again. Rooms that Redis alone refuses are written again later.
        """
        self._listed = 0
        error = await self._remove_forgotten()
        if error is not None:
            raise error
        await self._look_after(list(self._rooms.values()))

    async def renew(self) -> None:
        """One step of a loop: let a part of the open rooms live on in Redis, so that all are renewed each minute."""
        await sleep(self._clock, _STEP)
        now = self._clock.monotonic()
        for room_id in [room_id for room_id, (_, until) in self._graves.items() if until < now]:
            del self._graves[room_id]  # expired in Redis
        if not self._redis.is_usable:
            return
        if not self._to_renew and now >= self._renewal:
            self._renewal = now + RENEWAL
            self._listed = 0
            self._to_renew = list(self._rooms.values())
            self._each_step = 1 + int(len(self._to_renew) * _STEP / RENEWAL)
        self._to_renew, rooms = self._to_renew[self._each_step :], self._to_renew[: self._each_step]
        if rooms:
            await self._look_after(rooms)

    def _retry_later(self) -> None:
        """Write rooms again in a moment. While Redis cannot be used, this waits for `resync`."""
        if self._redis.is_usable and not self._is_retrying:
            self._is_retrying = True
            self._background.call_later("writing rooms again", _RETRY, self._retry)

    def _retry(self) -> None:
        self._is_retrying = False
        if self._redis.is_usable:
            self._background.start("writing rooms again", self._write_behind())

    async def _write_behind(self) -> None:
        await self._remove_forgotten()
        await self._look_after(list(self._behind.values()))

    async def _remove_forgotten(self) -> RedisError | None:
        """Remove everything that was forgotten. Return an error if something was not removed."""
        failed = None
        if self._unindexed:
            self._write_index()
        graves = [(room_id, epoch) for room_id, (epoch, _) in self._graves.items()]
        for start in range(0, len(graves), _SLICE):
            some = graves[start : start + _SLICE]
            removed = list(self._scripts(some))
            removals = [self._redis.run(_FORGET, *self._removal(rooms)) for rooms in removed]
            self._unindexed += [room_id for room_id, _ in some]
            self._write_index()
            await asyncio.wait(removals)
            for rooms, removal in zip(removed, removals, strict=True):
                error = removal.exception()
                reply = error if isinstance(error, RedisError) else 0
                self._removed(rooms, reply)
                if isinstance(reply, RedisError):
                    failed = reply
        return failed

    async def _look_after(self, rooms: list[LoggedRoom]) -> None:
        """Renew rooms, or write those that Redis has not as they are, and wait for the answers."""
        loop = asyncio.get_running_loop()
        waiters: list[asyncio.Future[None]] = []
        size = 0
        for room in rooms:
            if not room.is_open or room.is_foreign:
                continue
            if room.is_current:
                batch = self._renew(room)
            else:
                batch = room.pending or self._begin(room)
                size += room.log.size
            if batch.waiter is None:
                batch.waiter = loop.create_future()
            waiters.append(batch.waiter)
            if len(waiters) >= _SLICE or size > _SLICE_BYTES:
                await asyncio.wait(waiters)
                waiters.clear()
                size = 0
        if waiters:
            await asyncio.wait(waiters)

    def _renew(self, room: LoggedRoom) -> Batch:
        batch = Batch(room)
        if room.pending is None:
            room.batches.append(batch)
        else:
            room.batches.insert(len(room.batches) - 1, batch)  # it is sent before
        self._redis.run_then(
            partial(self._answered, batch), _RENEW, room.keys, room.owner, room.seq, room.length, LIFETIME
        )
        self._indexed.append(room.id)
        if not self._is_queued:
            self._queue()
        return batch

    # ── the rest of the port ──────────────────────────────────────────────────────────────────────

    async def check(self) -> None:
        """See RoomLog. While Redis cannot be used, the memory goes on."""

    async def close(self) -> None:
        """See RoomLog. The rooms stay in Redis, for the next process; what was sent to it is awaited."""
        self._write_new()
        self._write_notes()
        self._flush()
        waiters = []
        for room in self._rooms.values():
            if room.batches and (self._redis.is_usable or not self.may_be_elsewhere(room.id)):
                batch = room.batches[-1]
                if batch.waiter is None:
                    batch.waiter = asyncio.get_running_loop().create_future()
                waiters.append(batch.waiter)
        self.may_be_elsewhere = never
        if waiters:
            await asyncio.wait(waiters)
        await self._memory.close()


def _read_saved(reply: Reply) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the three lists of what is kept of a room. Raises ValueError if that is something else."""
    match reply:
        case [list(state), list(entries), list(identities)]:
            lists = state, entries, identities
            if all(isinstance(part, bytes) for found in lists for part in found):
                return cast("tuple[list[bytes], list[bytes], list[bytes]]", lists)
    raise ValueError("no room")


def _nobody_knows(_room_id: str, _epoch: int) -> None:
    """Do nothing, until somebody wants to know of rooms that were taken."""


def _ignore(_: Reply | RedisError) -> None:
    """Do nothing: for answers that nobody needs."""
