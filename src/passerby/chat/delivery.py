"""One room: its two members, and each one's place in the conversation."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from passerby.events import MessageDelivered, MessageSent

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.guests.sessions import LiveGuest
    from passerby.models import Message

_MAX_PENDING: Final = 256
"""Remembered as not confirmed: more than a guest can write in the grace window, less than hurts."""


class Room:
    """Two members. `seq` is the number of the newest message."""

    __slots__ = ("epoch", "id", "members", "seq")

    members: tuple[Member, Member]

    def __init__(self, room_id: str, epoch: int, first: LiveGuest, second: LiveGuest) -> None:
        """Open for two guests who are in no room."""
        self.id = room_id
        self.epoch = epoch
        self.seq = 0
        one, other = Member(self, first), Member(self, second)
        one.partner, other.partner = other, one
        self.members = (one, other)


class Pending(Struct, rename="camel", frozen=True):
    """Of a message on its way, written or waiting to be, not yet confirmed: what is needed once it is."""

    id: str
    seq: int
    client_id: str | UnsetType = UNSET


read_pending = msgspec.json.Decoder(Pending).decode


class Member:
    """One guest's side of a room."""

    __slots__ = ("attached", "confirmed", "live", "partner", "pending", "room")

    partner: Member

    def __init__(self, room: Room, live: LiveGuest) -> None:
        """Begin attached: new messages go to the connection at once."""
        self.room = room
        self.live = live
        self.attached = True
        self.confirmed = 0
        """The highest seq that this member's client has confirmed: all before it are there too."""
        self.pending: deque[bytes] = deque(maxlen=_MAX_PENDING)
        """Messages to this member as JSON, which the log holds too, or has held; oldest first. See `read_pending`."""

    def sent(
        self, message: Message, encoded: bytes | None, answer: Callable[[MessageSent], None] | None = None
    ) -> None:
        """Deliver a message of this member's that the log has taken, tell them, and `answer` the same.

        `encoded` is its JSON, or None when it was delivered before, see RoomLog.
        """
        message_id, timestamp, seq, client_id = message.id, message.timestamp, message.seq, message.client_id
        if encoded is not None:
            self.room.seq = seq
            recipient = self.partner
            recipient.pending.append(encoded)
            link = recipient.live.link
            if link is not None and recipient.attached:
                link.deliver(encoded, MessageDelivered(message_id, timestamp))
        receipt = MessageSent(message_id, timestamp, "sent", seq, client_id)
        link = self.live.link
        if link is not None:
            link.send(receipt)
        if answer is not None:
            answer(receipt)
