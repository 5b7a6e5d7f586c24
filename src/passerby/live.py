"""What lives in this process: guests and their connections, rooms and their members."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from passerby.chat.events import MessageSent
from passerby.clock import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.chat.events import MessageDelivered, RoomClosed
    from passerby.events import Event
    from passerby.limits import TokenBucket
    from passerby.models import Guest, Message, Ticket


MAX_PENDING: Final = 256
"""Remembered as not confirmed: more than a guest can write in the grace window, less than hurts."""


class Link(Protocol):
    """The way to one guest's client. The gateway has one around each socket."""

    def send(self, event: Event | Message) -> None:
        """Send an event, behind all before it; into nothing when the connection is gone."""

    def deliver(self, message: bytes, receipt: MessageDelivered) -> None:
        """Send a message, as the JSON that the log has made of it, and its receipt."""

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent, or the connection is gone."""

    def close(self, code: str, message: str) -> None:
        """Tell the client why, then end the connection; it should not come back by itself."""


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
        self.pending: deque[bytes] = deque(maxlen=MAX_PENDING)
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


class LiveGuest:
    """A guest who is connected, or was within the grace window: what the process knows beyond the session."""

    address_bucket: TokenBucket
    """Set by the gateway for each connection, whose address it is of."""

    __slots__ = (
        "address_bucket",
        "buckets",
        "grace",
        "guest",
        "link",
        "member",
        "notice",
        "suspended",
        "ticket",
        "token_expires",
    )

    def __init__(self, guest: Guest) -> None:
        """Begin without a connection."""
        self.guest = guest
        self.link: Link | None = None
        self.token_expires = 0.0
        self.grace: Timer | None = None
        self.member: Member | None = None
        self.ticket: Ticket | None = None
        self.suspended: Ticket | None = None
        """The search of a guest who lost the connection, to go on with when they are back."""
        self.notice: RoomClosed | None = None
        """How their conversation ended while they were away."""
        self.buckets: dict[str, TokenBucket] = {}

    def send(self, *events: Event | Message) -> None:
        """Send events to the guest's client, if there is one now."""
        link = self.link
        if link is not None:
            for event in events:
                link.send(event)
