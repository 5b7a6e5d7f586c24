"""Sessions in Redis, and in this process's memory, which goes on alone while Redis is away.

| key | |
|---|---|
| `guest:<session id>` | JSON with the fields of the contract, written by SETEX; every client of Redis can read it |
| `sessions` | sorted set of all session ids by expiry, so that they can be counted |
"""

from __future__ import annotations

import contextlib
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec

from passerby.guests.store_memory import MemorySessionStore
from passerby.logs import Sampled
from passerby.models import Guest
from passerby.redis.answers import Answers
from passerby.redis.client import LostError, RedisError, RefusedError, Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from passerby.clock import Clock
    from passerby.redis.client import Part, Redis, Reply

log = logging.getLogger(__name__)

_LIST: Final = Script(Path(__file__).with_name("sessions_list.lua"))
_COUNT: Final = Script(Path(__file__).with_name("sessions_count.lua"))
_RESTORE: Final = Script(Path(__file__).with_name("session_restore.lua"))

_SLACK: Final = 600
"""Seconds that the list of sessions outlives them: what nobody uses any more goes by itself."""
_TOGETHER: Final = 100
"""Sessions that are written again, or removed, at the same time: each is two commands, and their answers take about
a millisecond of one turn of the event loop."""
_FAILOVER: Final = 60.0
"""Seconds that a removal is remembered after Redis had it. A failover may undo only the last few seconds."""
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What JSON that is none raises."""


class RedisSessionStore:
    """What was saved or removed here while Redis was away is written by `resync`, and otherwise by `sweep`.

    Memory keeps the sessions that this process has saved, until they expire. If Redis has lost one of them, it is
    written again when it is asked for.
    """

    def __init__(self, redis: Redis, clock: Clock, session_ttl: float) -> None:
        """`session_ttl` is the longest lifetime of a session in seconds."""
        self._redis = redis
        self._clock = clock
        self._ttl = session_ttl
        self._memory = MemorySessionStore(clock)
        self._decode = msgspec.json.Decoder(Guest).decode
        self._sessions = redis.key("sessions")
        self._unwritten: dict[str, None] = {}
        """The sessions of which memory has a version that Redis may not have."""
        self._removed: dict[str, float] = {}
        """The sessions that Redis may still have, though they are removed; and until when (monotonic seconds)."""
        self._gone: dict[str, float] = {}
        """The same, of removals that Redis had, but may lose."""
        self._damaged = Sampled(log.warning, "values under guest:* are no sessions and are ignored", clock.monotonic)

    def _key(self, session_id: str) -> str:
        return self._redis.key(f"guest:{session_id}")

    # ── the port ──────────────────────────────────────────────────────────────────────────────────

    async def save(self, guest: Guest, lifetime: float) -> None:
        """See SessionStore. It succeeds also if Redis is away, or refuses."""
        session_id = guest.session_id
        await self._memory.save(guest, lifetime)
        self._removed.pop(session_id, None)
        self._gone.pop(session_id, None)
        if not self._redis.is_usable:
            self._unwritten[session_id] = None
            return
        self._unwritten.pop(session_id, None)
        answers = Answers()
        self._list(answers, session_id, lifetime)
        self._redis.send(answers.next(), *self._setting(session_id, lifetime), msgspec.json.encode(guest))
        try:
            await answers.all()
        except RedisError:
            self._unwritten[session_id] = None
        except BaseException:
            self._unwritten[session_id] = None
            raise

    def _setting(self, session_id: str, lifetime: float) -> tuple[Part, ...]:
        if lifetime == int(lifetime):
            return "SETEX", self._key(session_id), int(lifetime)
        return "PSETEX", self._key(session_id), _milliseconds(lifetime)

    def _list(self, answers: Answers, session_id: str, lifetime: float) -> None:
        """List a session before it is written, so that no process can die between and leave one that nobody finds."""
        kept = math.ceil(self._ttl) + _SLACK
        self._redis.run_then(answers.next(), _LIST, [self._sessions], session_id, lifetime, kept)

    async def load(self, session_id: str) -> Guest | None:
        """See SessionStore. Raises OSError when Redis cannot be asked, and memory does not have the session."""
        if self._is_removed(session_id):
            return None
        if session_id in self._unwritten or not self._redis.is_usable:
            guest = await self._memory.load(session_id)
            if guest is not None:
                return guest
        try:
            found = await self._redis.command("GET", self._key(session_id))
        except RedisError as error:
            return await self._unread(session_id, error)
        if self._is_removed(session_id):
            return None
        if found is None:
            return await self._missing(session_id)
        return await self._read(session_id, found)

    async def _unread(self, session_id: str, error: RedisError) -> Guest | None:
        """Return what memory has if Redis has answered with an error. Raises RedisError if it has nothing."""
        if isinstance(error, RefusedError) and error.code == "WRONGTYPE":
            await self._ignore(session_id)
            return None
        guest = None if self._is_removed(session_id) else await self._memory.load(session_id)
        if guest is None:
            raise error
        return guest

    async def _missing(self, session_id: str) -> Guest | None:
        """Return a session that Redis does not have: it has expired, or Redis was flushed, or has evicted it."""
        found = self._memory.read(session_id)
        if found is None:
            self._redis.send(_nobody_waits, "ZREM", self._sessions, session_id)  # else it would be counted
            return None
        left, data = found
        answers = Answers()
        self._list(answers, session_id, left)
        self._redis.send(answers.next(), "SET", self._key(session_id), data, "PX", _milliseconds(left), "NX")
        try:
            await answers.all()
        except RedisError:
            self._unwritten[session_id] = None
        return None if self._is_removed(session_id) else self._decode(data)

    async def _read(self, session_id: str, found: Reply) -> Guest | None:
        guest = None
        with contextlib.suppress(*_UNREADABLE):
            guest = self._decode(found)  # type: ignore[arg-type]  # GET answers with bytes
        if guest is None or guest.session_id != session_id:
            await self._ignore(session_id)
            return None
        return guest

    async def _ignore(self, session_id: str) -> None:
        """The value is damaged, or of somebody else: there is no such session."""
        self._damaged.note()
        self._unwritten.pop(session_id, None)
        await self._memory.remove(session_id)
        self._redis.send(_nobody_waits, "ZREM", self._sessions, session_id)

    async def saved(self) -> AsyncIterator[Guest]:
        """See SessionStore. Raises RedisError. What only memory has is of this process."""
        try:
            listed = await self._redis.command("ZRANGE", self._sessions, 0, -1)
        except RefusedError as error:
            if error.code != "WRONGTYPE":
                raise
            listed = []  # the next session that is listed replaces it
        ids = [listing.decode(errors="replace") for listing in cast("list[bytes]", listed)]
        for some in _in_parts(ids):
            answers = Answers()
            for session_id in some:
                self._redis.send(answers.next(), "GET", self._key(session_id))
            for session_id, found in zip(some, await answers.each(), strict=True):
                if isinstance(found, LostError):
                    raise found
                if found is None:  # only listed, or only removed: a process has died between
                    self._redis.send(_nobody_waits, "ZREM", self._sessions, session_id)
                elif isinstance(found, bytes) and not self._is_removed(session_id):
                    guest = await self._read(session_id, found)
                    if guest is not None:
                        yield guest

    async def remove(self, session_id: str) -> None:
        """See SessionStore. It succeeds also if Redis is away, or refuses."""
        await self._memory.remove(session_id)
        self._unwritten.pop(session_id, None)
        self._forget_removals()
        now = self._clock.monotonic()
        self._removed[session_id] = now + self._ttl
        if self._redis.is_usable:
            answers = Answers()
            self._erase(answers, session_id)
            try:
                await answers.all()
            except RedisError:
                return
            self._is_erased(session_id)

    async def release(self, session_id: str) -> None:
        """See SessionStore."""
        await self._memory.remove(session_id)
        self._unwritten.pop(session_id, None)

    async def ended(self, session_id: str) -> None:
        """See SessionStore. Redis is asked only if this process may have written it after its removal."""
        if self._memory.read(session_id) is not None:
            await self.remove(session_id)
            return
        self._forget_removals()
        self._gone[session_id] = self._clock.monotonic() + _FAILOVER

    def _erase(self, answers: Answers, session_id: str) -> None:
        self._redis.send(answers.next(), "DEL", self._key(session_id))
        self._redis.send(answers.next(), "ZREM", self._sessions, session_id)

    def _is_erased(self, session_id: str) -> None:
        if self._removed.pop(session_id, None) is not None:  # else it was saved again
            self._gone[session_id] = self._clock.monotonic() + _FAILOVER

    def _is_removed(self, session_id: str) -> bool:
        return session_id in self._removed or session_id in self._gone

    def _forget_removals(self) -> None:
        now = self._clock.monotonic()
        for removals in (self._removed, self._gone):
            while removals and removals[first := next(iter(removals))] <= now:
                del removals[first]

    async def count(self) -> int:
        """See SessionStore."""
        own = await self._memory.count()
        if self._redis.is_usable:
            try:
                found = await self._redis.run(_COUNT, [self._sessions])
            except RedisError:
                return own
            return max(own, _numbers(found)[0])  # right after a FLUSHALL Redis does not know all
        return own

    async def sweep(self) -> int:
        """See SessionStore. What Redis has refused is written again, or the next time."""
        dropped = await self._memory.sweep()
        self._forget_removals()
        self._unwritten = {session_id: None for session_id in self._unwritten if self._memory.read(session_id)}
        if self._redis.is_usable:
            try:
                dropped = max(dropped, _numbers(await self._redis.run(_COUNT, [self._sessions]))[1])
                await self._write_again(list(self._removed), list(self._unwritten))
            except RedisError:
                pass
        return dropped

    async def check(self) -> None:
        """See SessionStore. Memory can always serve."""

    async def close(self) -> None:
        """See SessionStore. What is in Redis stays there, for the next process."""
        await self._memory.close()
        for remembered in (self._unwritten, self._removed, self._gone):
            remembered.clear()

    # ── when Redis is back ────────────────────────────────────────────────────────────────────────

    async def resync(self) -> None:
        """Write again what Redis may not have, removals first. Raises RedisError; then it has to be called again."""
        self._forget_removals()
        await self._write_again([*self._gone, *self._removed], self._memory.ids())

    async def _write_again(self, removed: list[str], saved: list[str]) -> None:
        for some in _in_parts(removed):
            answers = Answers()
            erased = [session_id for session_id in some if self._is_removed(session_id)]
            for session_id in erased:
                self._erase(answers, session_id)
            await answers.all()
            for session_id in erased:
                self._is_erased(session_id)
        for some in _in_parts(saved):
            await self._restore(some)

    async def _restore(self, session_ids: list[str]) -> None:
        answers = Answers()
        for session_id in session_ids:
            self._unwritten.pop(session_id, None)
            found = self._memory.read(session_id)
            if found is not None:
                left, data = found
                key = self._key(session_id)
                self._list(answers, session_id, left)
                self._redis.run_then(answers.next(), _RESTORE, [key], data, _milliseconds(left))
        try:
            await answers.all()
        except BaseException:
            self._unwritten.update(dict.fromkeys(session_ids))
            raise


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def _numbers(reply: Reply) -> list[int]:
    return reply  # type: ignore[return-value]  # what the script returns


def _in_parts(session_ids: list[str]) -> Iterable[list[str]]:
    return (session_ids[begin : begin + _TOGETHER] for begin in range(0, len(session_ids), _TOGETHER))


def _nobody_waits(_: Reply | RedisError) -> None:
    """Ignore the answer: what is not done is done later, or goes by itself."""
