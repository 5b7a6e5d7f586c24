"""Uploads that come to another node than the one where their room is open, the home.

The bytes go from the node that gets them to the store, which all share. The home decides: it holds the space, as for
an upload of its own, and the file is one of the room's when it says so.

| request | answered by the home |
|---|---|
| `upload.begin` | the space is reserved; nothing, if the guest does not live there |
| `upload.extend` | so many bytes are held now |
| `upload.publish` | the file is one of the room's |
| `upload.abort` | nothing is held any more, and the file is not one of the room's |

When the room closes, the home tells it, `CLOSED`. When frames between the two are lost, or one is gone, the upload is
over on both sides: the one that notices removes what is stored.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import Struct, msgpack

from passerby.errors import NotFoundError
from passerby.files.space import NamedRoom, Reservation, room_closed
from passerby.files.upload import unavailable
from passerby.live import RoomObserver
from passerby.models import StoredFile
from passerby.nodes.requests import PATIENCE, NodeLostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from passerby.background import Background
    from passerby.chat.rooms import Rooms
    from passerby.clock import Timer
    from passerby.files.files import Files
    from passerby.files.space import Share
    from passerby.guests.sessions import Guests
    from passerby.live import Room
    from passerby.nodes.asking import Asking
    from passerby.nodes.bus import Bus, Frame
    from passerby.nodes.requests import Requests

CLOSED: Final = 44
"""The kind of the frame with the id of a file whose room has closed."""
_LATE: Final = 60.0
"""Seconds after the longest upload until the home gives up one of which it hears nothing more."""


class _Begin(Struct):
    """The argument of `upload.begin`."""

    node: str
    session_id: str
    file_id: str
    size: int | None
    address: str
    room_id: str | None


class _Begun(Struct):
    """Its answer. `size` is what the upload may have at most."""

    home: str
    room_id: str
    epoch: int
    size: int


class _Room(Struct):
    id: str
    epoch: int


class _Lent(Struct):
    """Space of a room here for an upload to another node."""

    node: str
    reservation: Reservation
    end: Timer


_encode = msgpack.Encoder().encode
_decode_begin = msgpack.Decoder(_Begin).decode
_decode_begun = msgpack.Decoder(_Begun).decode
_decode_extent = msgpack.Decoder(tuple[str, int]).decode
_decode_file = msgpack.Decoder(StoredFile).decode
_decode_held = msgpack.Decoder(int).decode
_YES: Final = b"yes"


class Uploads(RoomObserver):
    """Reserves space on other nodes, and lends that of the rooms here."""

    def __init__(
        self,
        *,
        bus: Bus,
        requests: Requests,
        asking: Asking,
        guests: Guests,
        files: Files,
        rooms: Rooms,
        background: Background,
        upload_timeout: float,
    ) -> None:
        """An upload lasts at most `upload_timeout` seconds."""
        self.node = bus.node
        self._bus = bus
        self._requests = requests
        self._asking = asking
        self._guests = guests
        self._files = files
        self._background = background
        self._longest = upload_timeout + _LATE
        self.lent: dict[str, _Lent] = {}
        """Uploads to other nodes that are going on, by the id of the file."""
        self.borrowed: dict[str, Borrowed] = {}
        """Uploads here, to rooms of other nodes, that are going on, by the id of the file."""
        bus.take(CLOSED, self._take_closed)
        bus.on_lost(self._lost)
        rooms.observe(self)
        requests.serve("upload.begin", self._begin)
        requests.serve("upload.extend", self._extend)
        requests.serve("upload.publish", self._publish)
        requests.serve("upload.abort", self._abort)
        asking.reserve_elsewhere = self.reserve

    # ── where the bytes come ──────────────────────────────────────────────────────────────────────

    async def reserve(
        self, session_id: str, file_id: str, size: int | None, address: str, room_id: str | None
    ) -> Share | None:
        """See files.files.Elsewhere."""
        begin = _Begin(self.node, session_id, file_id, size, address, room_id)
        answer = await self._asking.ask_home(session_id, "upload.begin", _encode(begin))
        if not answer:
            return None
        begun = _decode_begun(answer)
        share = self.borrowed[file_id] = Borrowed(
            self, begun.home, file_id, _Room(begun.room_id, begun.epoch), begun.size
        )
        return share

    async def ask(self, home: str, name: str, argument: bytes) -> bytes:
        """Return the answer of the home. Raises what it raises there, and UnavailableError."""
        try:
            return await self._requests.ask(home, f"upload.{name}", argument, PATIENCE)
        except (NodeLostError, NotFoundError, TimeoutError):
            raise unavailable() from None

    def give_back(self, share: Borrowed) -> None:
        """An upload here has failed."""
        if not share.is_lost:
            argument = _encode((share.file_id, share.room.id))
            self._background.start("abort of an upload elsewhere", self._tell_abort(share.home, argument))

    async def _tell_abort(self, home: str, argument: bytes) -> None:
        # Otherwise it notices that something is lost, or it waits until the longest upload is over.
        with contextlib.suppress(NodeLostError, TimeoutError):
            await self._requests.ask(home, "upload.abort", argument, PATIENCE)

    def rooms(self) -> Iterator[str]:
        """Yield the id of each room here with an upload that comes to another node."""
        return (lent.reservation.room.id for lent in self.lent.values())

    # ── where the room is ─────────────────────────────────────────────────────────────────────────

    async def _begin(self, argument: bytes) -> bytes:
        begin = _decode_begin(argument)
        live = self._guests.live(begin.session_id)
        if live is None:
            return b""
        reservation = self._files.reserve(live, size=begin.size, address=begin.address, room_id=begin.room_id)
        end = self._background.call_later(
            "end of an upload elsewhere", self._longest, partial(self._drop, begin.file_id)
        )
        self.lent[begin.file_id] = _Lent(begin.node, reservation, end)
        return _encode(_Begun(self.node, reservation.room.id, reservation.room.epoch, reservation.size))

    async def _extend(self, argument: bytes) -> bytes:
        file_id, needed = _decode_extent(argument)
        reservation = self._of(file_id)
        reservation.check()
        reservation.cover(needed)
        return _encode(reservation.held)

    async def _publish(self, argument: bytes) -> bytes:
        file = _decode_file(argument)
        reservation = self._of(file.id)
        reservation.add(file)
        self.lent.pop(file.id).end.cancel()
        return _YES

    async def _abort(self, argument: bytes) -> bytes:
        file_id, room_id = msgpack.decode(argument)
        lent = self.lent.pop(file_id, None)
        if lent is not None:
            lent.end.cancel()
            lent.reservation.release()
        else:
            self._files.withdraw(room_id, file_id)
        return _YES

    def _of(self, file_id: str) -> Reservation:
        lent = self.lent.get(file_id)
        if lent is None:
            raise unavailable()
        return lent.reservation

    def room_lost(self, room: Room) -> None:
        """See RoomObserver."""
        self.room_closed(room)

    def room_closed(self, room: Room) -> None:
        """See RoomObserver. The uploads end as soon as more bytes come; then they are aborted here too."""
        for file_id, lent in self.lent.items():
            if lent.reservation.room is room:
                self._bus.send(lent.node, (CLOSED, file_id))

    def _take_closed(self, _: str, frame: Frame) -> None:
        share = self.borrowed.get(frame[1])
        if share is not None:
            share.is_closed = True

    def _lost(self, node: str) -> None:
        """Another node is gone, or what it has asked for may be lost."""
        for share in self.borrowed.values():
            if share.home == node:
                share.is_lost = True
        for file_id in [file_id for file_id, lent in self.lent.items() if lent.node == node]:
            self._drop(file_id)

    def _drop(self, file_id: str) -> None:
        lent = self.lent.pop(file_id)
        lent.end.cancel()
        lent.reservation.release()
        self._background.start("removal of an upload elsewhere", self._files.discard(file_id))


class Borrowed:
    """Space for one upload in a room on another node. See Share."""

    def __init__(self, uploads: Uploads, home: str, file_id: str, room: NamedRoom, size: int) -> None:
        """Hold nothing yet."""
        self._uploads = uploads
        self.home = home
        self.file_id = file_id
        self.room = room
        self.size = size
        self.held = 0
        self.is_lost = False
        """Whether the home does not know of it any more."""
        self.is_closed = False
        """Whether the room has closed."""

    def check(self) -> None:
        """See Share."""
        if self.is_closed:
            raise room_closed()
        if self.is_lost:
            raise unavailable()

    async def extend(self, needed: int) -> None:
        """See Share."""
        self.check()
        self.held = _decode_held(await self._uploads.ask(self.home, "extend", _encode((self.file_id, needed))))

    async def publish(self, file: StoredFile) -> None:
        """See Share."""
        self.check()
        await self._uploads.ask(self.home, "publish", _encode(file))
        self._uploads.borrowed.pop(self.file_id, None)

    def release(self) -> None:
        """See Share."""
        if self._uploads.borrowed.pop(self.file_id, None) is not None:
            self._uploads.give_back(self)
