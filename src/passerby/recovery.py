"""Brings back what a process that is gone has left in durable adapters: guests, rooms, calls, searches and files.

A process that is alone takes everything when it starts. If there are other nodes, whoever returns to this one brings
back the own room at once (`claim`); what nobody has returned to is brought back by one of the nodes, a little later.

Each guest is as if the connection had just been lost: within the grace window the client reconnects and resumes. What
nobody returns to ends as usual. Reading is concurrent; the rooms are opened by one task, a little in each turn of the
event loop. A room that cannot be read does not affect the others, and is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from passerby.background import FAILURES, is_failure
from passerby.chat import saved
from passerby.clock import sleep, time_limit
from passerby.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from passerby.background import Background
    from passerby.chat.log import RoomLog, SavedRoom
    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock
    from passerby.files.files import Files
    from passerby.guests.sessions import Guests
    from passerby.live import LiveGuest
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
_PATIENCE: Final = 5.0
"""Seconds after another node is lost until one of those that are left takes what nobody has returned to."""
_SILENCE: Final = 60.0
"""The same if the other node may only be cut off: it goes on with guests who are all there, and has them again then."""
_FILES_LATE: Final = 0.1
"""Seconds until a claimed room gets its files, with all others that are claimed meanwhile."""
_SHORTEST_GRACE: Final = 5.0
"""Seconds that a guest has to return, at least (if the grace window is not shorter): nobody could while no process ran.

Clients try again after about 0.5, 1, and 2 s (`web/src/wire/socket.ts`).
"""


class Nodes(Protocol):
    """The other nodes, and who lives where."""

    def others(self) -> Collection[str]:
        """Return the ids of the other nodes that are alive."""

    def is_first(self) -> bool:
        """Return whether this node is the one of all that are alive that does what one has to do."""

    async def is_alive(self, node: str) -> bool:
        """Return whether a node is alive. Raises OSError if nobody can say."""

    async def take(self, guest: Guest) -> bool:
        """Make this node the home of a member of a room that it has; return False if they live elsewhere, in a room.

        A guest who is about to live elsewhere, and in no room, comes here. Raises OSError.
        """

    async def inherit(self, guest: Guest) -> bool:
        """Make this node the home of a guest whose home is gone, and of their room; return False if it is not.

        Raises OSError.
        """


class Alone:
    """There are no other nodes."""

    def others(self) -> Collection[str]:
        """See Nodes."""
        return ()

    def is_first(self) -> bool:
        """See Nodes."""
        return True

    async def is_alive(self, node: str) -> bool:  # noqa: ARG002 - as in Nodes
        """See Nodes."""
        return False

    async def take(self, guest: Guest) -> bool:  # noqa: ARG002 - as in Nodes
        """See Nodes."""
        return True

    async def inherit(self, guest: Guest) -> bool:  # noqa: ARG002 - as in Nodes
        """See Nodes."""
        return True


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
        self.nodes: Nodes = Alone()
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
        self._has_lost_nodes = False
        """Whether there have been other nodes: guests may have come from there, before their rooms."""
        self._silent: dict[str, float] = {}
        """Nodes that may only be cut off, and until when they are waited for (monotonic seconds)."""
        self._unread: dict[str, list[str]] = {}
        """Rooms that are not read yet, or could not be, by id, and the nodes that may have had them."""
        self._claims: dict[str, asyncio.Future[None]] = {}
        """Rooms that are being claimed, by id."""
        self._is_giving = False
        """Whether claimed rooms are about to get their files."""
        self._incomplete: dict[str, SavedRoom] = {}
        """Rooms whose log is open again, but not they themselves: a session could not be read."""

    async def run(self) -> None:
        """Bring back what is there. Failures are logged, and tried again some times; then the next run tries it."""
        if not self._log.is_durable:
            return
        if self.nodes.others():
            self._gate.open()
            self._is_everybody_known = (
                True  # who was on a node that is gone is known when they return, or a little later
            )
            self._take_rest_later(_PATIENCE)
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

    def lost_node(self, node: str, *, is_certain: bool) -> None:
        """Another node is gone: take what nobody returns to, a little later, if no other node does."""
        self._has_lost_nodes = True
        now = self._clock.monotonic()
        self._silent = {other: until for other, until in self._silent.items() if until > now and other != node}
        if not is_certain:
            self._silent[node] = now + _SILENCE
        self._take_rest_later(_PATIENCE if is_certain else _SILENCE)

    def waits_for(self, node: str) -> bool:
        """Return whether a node that seems to be gone may be back soon, with all that it has."""
        return self._clock.monotonic() < self._silent.get(node, 0.0)

    def _take_rest_later(self, seconds: float) -> None:
        name = "recovery of what is left"
        self._background.call_later(name, seconds, lambda: self._background.start(name, self._take_rest()))

    async def _take_rest(self) -> None:
        if not self.nodes.is_first():
            return
        async with self._running:
            await self._bring_back()
            await self._background.finish("recall of guests without a room", self._recall_others, None)

    async def claim(self, room_id: str, owner: str) -> None:
        """Bring back one room that the node `owner`, which is gone, has left; a guest has returned to it.

        Raises OSError if it cannot be read.
        """
        claim = self._claims.get(room_id)
        if claim is not None:
            await asyncio.shield(claim)
            return
        claim = self._claims[room_id] = asyncio.ensure_future(self._claim(room_id, owner))
        try:
            await asyncio.shield(claim)
        finally:
            if claim.done():
                self._claims.pop(room_id, None)

    async def _claim(self, room_id: str, owner: str) -> None:
        async with time_limit(self._clock, _READING):
            room = await self._log.recall(room_id, [owner])
            if room is None:
                return
            members = await self._members(room)
        await self._open([(room, members)])
        self._give_files_soon()

    def _give_files_soon(self) -> None:
        """Give rooms that were claimed their files: many at once, because all files have to be listed for it."""
        if not self._is_giving:
            self._is_giving = True
            self._background.call_later("files of claimed rooms", _FILES_LATE, self._give_files)

    def _give_files(self) -> None:
        self._is_giving = False
        self._background.start("files of claimed rooms", self._give_back())

    async def _give_back(self) -> None:
        await self._files.give_back()

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

        async def is_somewhere(room_id: str) -> bool:
            return room_id in unknown or (bool(self.nodes.others()) and await self._log.owner(room_id) is not None)

        # Without the list of rooms, files would seem to be of none, and be removed.
        files = found and await self._background.finish(
            "recall of files", lambda: self._files.recall(is_somewhere), None
        )
        if rooms or unknown:
            log.info(
                "rooms of an earlier process",
                extra={"open": self._rooms.count - before, "read": len(rooms), "unread": len(unknown)},
            )
        return found and files and not unknown

    async def _recall_others(self) -> None:
        """All guests who were connected are away now: whoever does not return is gone after the grace window."""
        async for guest in self._guests.absent():
            if await self.nodes.inherit(guest) and self._guests.live(guest.session_id) is None:
                self._presence.recall(guest)
        self._is_everybody_known = True

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    async def _find(self) -> None:
        async with time_limit(self._clock, _READING):
            for owner in await self._log.owners():
                if not (self.waits_for(owner) or await self.nodes.is_alive(owner)):
                    for room_id in await self._log.rooms(owner):
                        self._unread.setdefault(room_id, []).append(owner)

    async def _read(self) -> list[tuple[SavedRoom, tuple[Guest | None, Guest | None]]]:
        """Read the rooms and their members' sessions, many at once."""
        rooms: list[tuple[SavedRoom, tuple[Guest | None, Guest | None]]] = []
        ids = iter([*self._unread, *self._incomplete])

        async def read() -> None:
            for room_id in ids:
                try:
                    async with time_limit(self._clock, _READING):
                        room = self._incomplete.get(room_id)
                        if room is None and room_id in self._unread:
                            room = await self._log.recall(room_id, self._unread[room_id])
                        self._unread.pop(room_id, None)
                        if room is not None:
                            self._incomplete[room_id] = room
                            rooms.append((room, await self._members(room)))
                except FAILURES as error:  # the others are read, and this one is tried again
                    if not is_failure(error):
                        raise
                    self._background.failed("reading of a saved room", error)
                await asyncio.sleep(0)  # adapters that need not wait would read all in one turn

        async with asyncio.TaskGroup() as readers:
            for _ in range(_READERS):
                readers.create_task(read())
        return rooms

    async def _members(self, room: SavedRoom) -> tuple[Guest | None, Guest | None]:
        """Return a room's members, who live here from now on; None for who has ended the session, or is elsewhere."""
        first, second = await asyncio.gather(*map(self._member, room.members))
        return first, second

    async def _member(self, session_id: str) -> Guest | None:
        guest = await self._guests.known(session_id)
        return guest if guest is not None and await self.nodes.take(guest) else None

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
        """Open a room if both members are in none; else forget it."""
        lives = list(self._free(room, members))
        if len(lives) == len(members):
            first, second = lives
            self._rooms.reopen(room, (first, second))
        else:
            self._rooms.bury(room, lives[0] if lives else None)

    def _free(self, room: SavedRoom, members: tuple[Guest | None, Guest | None]) -> Iterator[LiveGuest]:
        for guest in members:
            if guest is None:
                continue
            live = self._guests.live(guest.session_id)
            if live is None:
                yield self._presence.recall(guest, self._left(room, guest))
            elif live.member is None and (self._has_lost_nodes or self.nodes.others()):
                self._presence.interrupt(live)  # they came here from another node, and do not know of the room
                yield live

    def _left(self, room: SavedRoom, guest: Guest) -> float:
        """Return what is left of a guest's grace window, in seconds."""
        since = saved.away_since(room, guest.id)
        if since is None:
            return self._grace
        left = self._grace - (self._clock.time() - since)
        return min(max(left, _SHORTEST_GRACE), self._grace)
