"""What a saved room says about its members. A note that is missing or damaged counts as not written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from passerby.live import MAX_PENDING
from passerby.models import SMALL_MESSAGE, Message, without_content

if TYPE_CHECKING:
    from passerby.chat.log import SavedRoom

CONFIRMED: Final = "confirmed:"
"""Before a guest's id: the note with the highest `seq` that the guest's client has confirmed."""
AWAY: Final = "away:"
"""Before a guest's id: the note with the time (seconds since the Unix epoch) since when the guest is away."""

RESTORED: Final = "restored"
"""The note that a member has left the room and come back."""


class _Author(Struct, rename="camel"):
    sender_id: str
    sender_username: str
    seq: int


_read_author = msgspec.json.Decoder(_Author).decode
_read_message = msgspec.json.Decoder(Message).decode


def confirmed(room: SavedRoom, guest_id: str) -> int:
    """Return the highest `seq` that the guest's client has confirmed; 0 if it is not known."""
    try:
        seq = int(room.notes.get(CONFIRMED + guest_id, b"0"))
    except ValueError:
        return 0
    return seq if 0 <= seq <= room.seq else 0


def away_since(room: SavedRoom, guest_id: str) -> float | None:
    """Return since when the guest is away (seconds since the Unix epoch); None if they were connected."""
    try:
        since = float(room.notes[AWAY + guest_id])
    except (KeyError, ValueError):
        return None
    return since if math.isfinite(since) else None


def unconfirmed(room: SavedRoom, guest_id: str) -> list[bytes]:
    """Return the messages to the guest after the confirmed one, oldest first, as `Member.pending` keeps them.

    Raises msgspec.MsgspecError if a message is damaged.
    """
    after = confirmed(room, guest_id)
    found: list[bytes] = []
    for encoded in reversed(room.messages):
        author = _read_author(encoded)
        if author.seq <= after or len(found) == MAX_PENDING:
            break
        if author.sender_id != guest_id:
            found.append(encoded if len(encoded) <= SMALL_MESSAGE else without_content(_read_message(encoded)))
    found.reverse()
    if len(room.messages) < room.seq - after and len(found) < MAX_PENDING:
        found[:0] = _evicted(room, guest_id, after)[-(MAX_PENDING - len(found)) :]
    return found


def _evicted(room: SavedRoom, guest_id: str, after: int) -> list[bytes]:
    """Return evicted messages to the guest, as far as they are still known."""
    logged = room.seq - len(room.messages)
    known: list[tuple[int, bytes]] = []
    for encoded in room.evicted:
        author = _read_author(encoded)
        if after < author.seq <= logged and author.sender_id != guest_id:
            known.append((author.seq, encoded))
    return [encoded for _, encoded in sorted(known)]


def partner_id(room_id: str, guest_id: str) -> str:
    """Return the other guest's id in a room's id, see `ids.room_id`."""
    return room_id.removeprefix(f"{guest_id}_").removesuffix(f"_{guest_id}")


def username(room: SavedRoom, guest_id: str) -> str:
    """Return the name under which a guest has written in the room, or an empty one."""
    for encoded in reversed(room.messages):
        author = _read_author(encoded)
        if author.sender_id == guest_id:
            return author.sender_username
    return ""
