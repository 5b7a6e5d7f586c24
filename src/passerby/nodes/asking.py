"""What HTTP requests need of other nodes. Any node may get a request of a guest who lives on another one, the home.

| request | answered by the home, or nothing if the guest does not live there |
|---|---|
| `guest.end` | the session has ended |
| `guest.update` | the session with the new traits |
| `guest.find` | the session; asked of all nodes, which may have a copy that Redis has lost |
| `room.has` | whether a room is open; asked of all nodes if Redis does not know it (yet) |

A node that ends a session tells all others, `ENDED`: they bring back no copy, see `SessionStore`. What is lost on the
way is told again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import json, msgpack

from passerby.clock import sleep
from passerby.errors import UnavailableError
from passerby.models import Guest
from passerby.nodes.requests import RETRY, ask_living

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from passerby.background import Background
    from passerby.chat.log import RoomLog
    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock
    from passerby.files.files import Files
    from passerby.files.space import Share
    from passerby.guests.sessions import Guests
    from passerby.guests.writer import SessionWriter
    from passerby.nodes.bus import Bus, Frame
    from passerby.nodes.homes import Homes
    from passerby.nodes.membership import Membership
    from passerby.nodes.requests import Requests
    from passerby.presence import Presence

    Reserve = Callable[[str, str, int | None, str, str | None], Awaitable[Share | None]]

ENDED: Final = 43
"""The kind of the frame with the id of a session that has ended, and whether its guest wanted it."""
_LOOKS: Final = 3
"""How often the home of a guest is looked up who is not where they should be, because they are moving."""
_MOVING: Final = 0.05
"""Seconds between two such looks."""
_AGAIN: Final = 1.0
"""Seconds until what may be lost on the way to a node is told again."""
_TOLD: Final = 600.0
"""Seconds for which it is remembered what to tell again: longer than any node is cut off without being gone."""
_YES: Final = b"yes"
_WHAT: Final = "your session"
"""What is unavailable if a node does not answer."""

_decode_guest = json.Decoder(Guest).decode
_encode = msgpack.Encoder().encode
_decode_room = msgpack.Decoder(tuple[str, int]).decode
_decode_traits = msgpack.Decoder(tuple[str, dict[str, str | None]]).decode


class Asking:
    """Asks the homes of guests, and answers for those who live here. Is the `Elsewhere` of `Guests`, and of `Files`."""

    def __init__(
        self,
        *,
        bus: Bus,
        requests: Requests,
        membership: Membership,
        homes: Homes,
        guests: Guests,
        writer: SessionWriter,
        files: Files,
        room_log: RoomLog,
        presence: Presence,
        rooms: Rooms,
        clock: Clock,
        background: Background,
    ) -> None:
        """Connect the services with the other nodes."""
        self.node = bus.node
        self._bus = bus
        self._requests = requests
        self._membership = membership
        self._homes = homes
        self._guests = guests
        self._writer = writer
        self._log = room_log
        self._rooms = rooms
        self._presence = presence
        self._clock = clock
        self._background = background
        self._ended: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        """The sessions that have ended here: when (monotonic seconds), and whether their guests wanted it."""
        self._telling: set[str] = set()
        """The nodes that are told again soon."""
        self.reserve_elsewhere: Reserve = _no_room
        """Reserves space for uploads; there is none if the nodes share no store of files."""
        bus.take(ENDED, self._take_ended)
        bus.on_lost(self._lost)
        requests.serve("guest.end", self._end)
        requests.serve("guest.update", self._update)
        requests.serve("guest.find", self._find)
        requests.serve("room.has", self._has)
        guests.elsewhere = self
        files.elsewhere = self
        presence.ended = self._has_ended
        presence.end_elsewhere = self.end

    async def ask_home(self, session_id: str, name: str, argument: bytes) -> bytes:
        """Ask the home of a guest who does not live here; empty: they live nowhere, or here. Raises UnavailableError.

        While Redis is away they live nowhere, unless there are other nodes: then nobody can say.
        """
        for look in range(_LOOKS):
            if look:
                await sleep(self._clock, _MOVING)
            try:
                home = await self._homes.find(session_id)
            except OSError as error:
                if self._membership.others():
                    raise _unanswered() from error
                break
            if home is None or self._guests.live(session_id) is not None:
                break
            if home != self.node and (answer := await self._ask(home, name, argument)):
                return answer
        return b""

    async def _ask(self, node: str, name: str, argument: bytes) -> bytes:
        """Return the answer of a node; nothing if it is gone. Raises UnavailableError."""
        return await ask_living(self._requests, self._membership, node, name, argument, of=_WHAT)

    async def _ask_all(self, name: str, argument: bytes) -> bytes:
        """Return the answer of a node that has one, or nothing. Raises UnavailableError if one may have it."""
        asked = [self._ask(node, name, argument) for node in self._membership.others()]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        for answer in answers:
            if isinstance(answer, bytes) and answer:
                return answer
        if failures:
            raise _unanswered() from failures[0]
        return b""

    # ── sessions ──────────────────────────────────────────────────────────────────────────────────

    async def find(self, session_id: str) -> Guest | None:
        """See Elsewhere."""
        answer = await self._ask_all("guest.find", session_id.encode())
        return _decode_guest(answer) if answer else None

    async def _find(self, argument: bytes) -> bytes:
        session_id = argument.decode()
        live = self._guests.live(session_id)
        if live is not None:
            self._writer.save(live.guest)  # whoever asks has not found it
        guest = await self._guests.known(session_id)
        return b"" if guest is None else json.encode(guest)

    async def update(self, session_id: str, traits: Mapping[str, str | None]) -> Guest | None:
        """See Elsewhere."""
        answer = await self.ask_home(session_id, "guest.update", _encode((session_id, traits)))
        return _decode_guest(answer) if answer else None

    async def _update(self, argument: bytes) -> bytes:
        session_id, traits = _decode_traits(argument)
        live = self._guests.live(session_id)
        return b"" if live is None else json.encode(await self._guests.update(live.guest, **traits))

    async def is_in_room(self, guest: Guest) -> bool:
        """Return whether a guest who does not live here is in a room. Raises UnavailableError."""
        if guest.in_chat:
            return True
        answer = await self.ask_home(guest.session_id, "guest.find", guest.session_id.encode())  # nothing is newer
        return bool(answer) and _decode_guest(answer).in_chat

    # ── files ─────────────────────────────────────────────────────────────────────────────────────

    async def has(self, room_id: str, epoch: int) -> bool:
        """See files.files.Elsewhere. A room that has just opened may not be in Redis yet."""
        try:
            found = await self._log.epoch(room_id)
        except OSError as error:
            raise _unanswered() from error
        return found == epoch if found is not None else bool(await self._ask_all("room.has", _encode((room_id, epoch))))

    async def _has(self, argument: bytes) -> bytes:
        room_id, epoch = _decode_room(argument)
        return _YES if self._rooms.has(room_id, epoch) else b""

    async def reserve(
        self, session_id: str, file_id: str, size: int | None, address: str, room_id: str | None
    ) -> Share | None:
        """See files.files.Elsewhere."""
        return await self.reserve_elsewhere(session_id, file_id, size, address, room_id)

    # ── the end of a session ──────────────────────────────────────────────────────────────────────

    async def end(self, session_id: str) -> bool:
        """Let the home end a session; return whether it has. Otherwise the others end it too. Raises UnavailableError.

        See `Presence.end_elsewhere`.
        """
        if await self.ask_home(session_id, "guest.end", session_id.encode()):
            return True
        if self._guests.live(session_id) is None:
            self._tell(session_id, is_wanted=True)
        return False

    async def _end(self, argument: bytes) -> bytes:
        live = self._guests.live(argument.decode())
        if live is None:
            return b""
        await self._presence.end(live.guest)
        return _YES

    def _has_ended(self, session_id: str) -> None:
        """A guest of this node is gone."""
        self._homes.release(session_id)
        if self._membership.holds():  # else they may live elsewhere by now
            self._tell(session_id, is_wanted=False)

    def _tell(self, session_id: str, *, is_wanted: bool) -> None:
        self._forget_told()
        self._ended[session_id] = self._clock.monotonic(), is_wanted
        for node in self._membership.others():
            self._bus.send(node, (ENDED, session_id, is_wanted))

    def _forget_told(self) -> None:
        too_old = self._clock.monotonic() - _TOLD
        while self._ended and next(iter(self._ended.values()))[0] <= too_old:
            self._ended.popitem(last=False)

    def _take_ended(self, _: str, frame: Frame) -> None:
        _, session_id, is_wanted = frame
        live = self._guests.live(session_id)
        if live is None:
            self._guests.forget_unused(session_id)
            self._writer.ended(session_id)
        elif is_wanted:
            self._background.start("end of a session", self._presence.end(live.guest))
        else:
            self._writer.save(live.guest)  # they have come to live here, and whoever says so does not know it yet

    def _lost(self, node: str) -> None:
        self._forget_told()
        if self._ended and node not in self._telling:
            self._telling.add(node)
            self._background.call_later("telling of ended sessions", _AGAIN, partial(self._tell_again, node))

    def _tell_again(self, node: str) -> None:
        """Tell a node again what may be lost; one that seems to be gone, when it is back."""
        self._telling.discard(node)
        if node not in self._membership.others():
            self._lost(node)
            return
        for session_id, (_, is_wanted) in self._ended.items():
            self._bus.send(node, (ENDED, session_id, is_wanted))


async def _no_room(*_: object) -> None:
    """Return None."""


def _unanswered() -> UnavailableError:
    return UnavailableError([_WHAT], retry_after=RETRY)
