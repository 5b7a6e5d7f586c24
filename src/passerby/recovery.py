"""Brings back what an earlier process has left in durable adapters: guests, their rooms, calls, searches and files.

Each guest is as if the connection had just been lost: within the grace window the client reconnects and resumes. What
nobody returns to ends as usual. Reading is concurrent; the rooms are opened by one task, a little in each turn of the
event loop. A room that cannot be read does not affect the others, and is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from passerby.background import FAILURES, is_failure
from passerby.chat import saved
from passerby.clock import sleep, time_limit
from passerby.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from passerby.background import Background
    from passerby.chat.log import RoomLog, SavedRoom
    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock
    from passerby.files.files import Files
    from passerby.guests.sessions import Guests
    from passerby.models import Guest
    from passerby.presence import Presence

log = logging.getLogger(__name__)

_READING: Final = 3.0
"""Seconds for the list of rooms, or for one of them: a server whose store does not answer begins without them."""
_READERS: Final = 32
"""Rooms that are read at once: what has been read of them may all be decoded in one turn of the event loop."""
_TURN: Final = 0.005
"""Seconds of one turn of the event loop for opening rooms, so that whoever is connected does not notice."""
_LONGEST_WAIT: Final = 4.0
"""Seconds that a guest waits for the recovery: less than a client waits for an answer."""
_RETRY: Final = 1.0
"""Seconds until a guest who has waited in vain may ask again."""
_PAUSES: Final = (1.0, 2.0, 4.0)
"""Seconds before what could not be read is tried again."""
_SHORTEST_GRACE: Final = 5.0
"""Seconds that a guest has to return, at least (if the grace window is not shorter): nobody could while no process ran.

Clients try again after about 0.5, 1, and 2 s (`web/src/wire/socket.ts`).
"""


class Gate:
    """Holds back guests who ask for their session while it is not known yet whether they are in a room."""

    def __init__(self, clock: Clock, *, is_open: bool) -> None:
        """Begin open or shut."""
        self._clock = clock
        self._open = asyncio.Event()
        if is_open:
            self._open.set()

    def shut(self) -> None:
        """Hold back from now on."""
        self._open.clear()

    def open(self) -> None:
        """Let everybody pass."""
        self._open.set()

    async def passing(self) -> None:
        """Wait until the gate is open. Raises UnavailableError after _LONGEST_WAIT."""
        if self._open.is_set():
            return
        try:
            async with time_limit(self._clock, _LONGEST_WAIT):
                await self._open.wait()
        except TimeoutError:
            raise UnavailableError(["sessions"], retry_after=_RETRY) from None


class Recovery:
    """Runs at the start, and again when the durable adapters can be read again: what is open already stays as it is."""

    def __init__(
        self,
        *,
        log: RoomLog,
        guests: Guests,
        presence: Presence,
        rooms: Rooms,
        files: Files,
        gate: Gate,
        clock: Clock,
        background: Background,
        grace: float,
    ) -> None:
        """`grace` is in seconds. Nothing is read until `run`."""
        self._log = log
        self._guests = guests
        self._presence = presence
        self._rooms = rooms
        self._files = files
        self._gate = gate
        self._clock = clock
        self._background = background
        self._grace = grace
        self._running = asyncio.Lock()
        self._is_everybody_known = False
        """Whether all guests of earlier processes are live, or gone."""
        self._unread: set[str] = set()
        """Rooms that could not be read, by id."""
        self._incomplete: dict[str, SavedRoom] = {}
        """Rooms whose log is open again, but not they themselves: a session could not be read."""

    async def run(self) -> None:
        """Bring back what is there. Failures are logged, and tried again some times; then the next run tries it."""
        if not self._log.is_durable:
            return
        async with self._running:
            self._gate.shut()
            try:
                for pause in (*_PAUSES, None):
                    is_complete = await self._bring_back()
                    if not self._unread and not self._incomplete:
                        self._gate.open()  # else a member of these might return too early
                    if is_complete and not self._is_everybody_known:  # so all others are in no room
                        name = "recall of guests without a room"
                        is_complete = await self._background.finish(name, self._recall_others, None)
                    if is_complete or pause is None:
                        break
                    await sleep(self._clock, pause)
            finally:
                self._gate.open()

    def expect(self) -> None:
        """Let nobody of an earlier process in before `run`, which can read now what was left: rooms would be lost."""
        if not self._is_everybody_known:
            self._gate.shut()

    def skip(self) -> None:
        """Let guests in now: what an earlier process has left cannot be read. They are in none of its rooms."""
        self._gate.open()

    async def _bring_back(self) -> bool:
        """Bring back what can be read now; return whether that was everything."""
        before = self._rooms.count
        found = await self._background.finish("finding of saved rooms", self._find, None)
        rooms = await self._read()
        await self._open(rooms)
        unknown = {*self._unread, *self._incomplete}
        # Without the list of rooms, files would seem to be of none, and be removed.
        files = found and await self._background.finish("recall of files", lambda: self._files.recall(unknown), None)
        if rooms or unknown:
            log.info(
                "rooms of an earlier process",
                extra={"open": self._rooms.count - before, "read": len(rooms), "unread": len(unknown)},
            )
        return found and files and not unknown

    async def _recall_others(self) -> None:
        """All guests who were connected are away now: whoever does not return is gone after the grace window."""
        async for guest in self._guests.absent():
            self._presence.recall(guest)
        self._is_everybody_known = True

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    async def _find(self) -> None:
        async with time_limit(self._clock, _READING):
            self._unread.update(await self._log.rooms())

    async def _read(self) -> list[tuple[SavedRoom, tuple[Guest | None, Guest | None]]]:
        """Read the rooms and their members' sessions, many at once."""
        rooms: list[tuple[SavedRoom, tuple[Guest | None, Guest | None]]] = []
        ids = iter([*self._unread, *self._incomplete])

        async def read() -> None:
            for room_id in ids:
                try:
                    async with time_limit(self._clock, _READING):
                        room = self._incomplete.get(room_id) or await self._log.recall(room_id)
                        self._unread.discard(room_id)
                        if room is not None:
                            self._incomplete[room_id] = room
                            first, second = await asyncio.gather(*map(self._guests.find, room.members))
                            rooms.append((room, (first, second)))
                except FAILURES as error:  # the others are read, and this one is tried again
                    if not is_failure(error):
                        raise
                    self._background.failed("reading of a saved room", error)
                await asyncio.sleep(0)  # adapters that need not wait would read all in one turn

        async with asyncio.TaskGroup() as readers:
            for _ in range(_READERS):
                readers.create_task(read())
        return rooms

    # ── opening ───────────────────────────────────────────────────────────────────────────────────

    async def _open(self, rooms: list[tuple[SavedRoom, tuple[Guest | None, Guest | None]]]) -> None:
        """Open rooms, the newest first: whose guest has left another just before the process ended is in the newer."""
        rooms.sort(key=lambda one: one[0].epoch, reverse=True)
        now = asyncio.get_running_loop().time
        until = now() + _TURN
        for room, members in rooms:
            if not self._background.attempt("opening of a saved room", self._open_one, room, members):
                self._background.attempt("forgetting a saved room", self._rooms.bury, room, None)
            self._incomplete.pop(room.room_id, None)
            if now() >= until:
                await asyncio.sleep(0)
                until = now() + _TURN

    def _open_one(self, room: SavedRoom, members: tuple[Guest | None, Guest | None]) -> None:
        """Open a room if both members are away and in no room; else forget it."""
        lives = [self._presence.recall(guest, self._left(room, guest)) for guest in self._absent(members)]
        if len(lives) == len(members):
            first, second = lives
            self._rooms.reopen(room, (first, second))
        else:
            self._rooms.bury(room, lives[0] if lives else None)

    def _absent(self, members: tuple[Guest | None, Guest | None]) -> Iterator[Guest]:
        for guest in members:
            if guest is not None and self._guests.live(guest.session_id) is None:
                yield guest

    def _left(self, room: SavedRoom, guest: Guest) -> float:
        """Return what is left of a guest's grace window, in seconds."""
        since = saved.away_since(room, guest.id)
        if since is None:
            return self._grace
        left = self._grace - (self._clock.time() - since)
        return min(max(left, _SHORTEST_GRACE), self._grace)
