"""What lives in this process: guests and their connections, rooms and their members. Everything acts on these."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from passerby.errors import Code, ConflictError

if TYPE_CHECKING:
    from passerby.clock import Timer
    from passerby.events import Event
    from passerby.limits import TokenBucket
    from passerby.models import Guest, Message, Ticket

MAX_PENDING: Final = 256
"""Remembered as not confirmed: more than a guest can write in the grace window, less than hurts."""


class Link(Protocol):
    """The way to one guest's client. The gateway has one around each socket.

    Nothing here raises: what fails ends this connection, so that its client comes back and resumes.
    """

    def send(self, event: Event | Message) -> None:
        """Send an event, behind all before it; into nothing when the connection is gone."""

    def deliver(self, message: bytes, receipt: Event) -> None:
        """Send a message, as the JSON that the log has made of it, and its receipt."""

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent, or the connection is gone."""

    def close(self, code: Code) -> None:
        """End the connection, for the reason of `code` in `realtime.closings`.

        That also says whether the client should come back by itself; one that should not is told why first.
        """


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
        self.notice: Event | None = None
        """How their conversation ended while they were away."""
        self.buckets: dict[str, TokenBucket] = {}

    def membership(self) -> Member:
        """Return the guest's place in their room. Raises ConflictError (not_in_room)."""
        member = self.member
        if member is None:
            raise ConflictError(Code.NOT_IN_ROOM, "You are not in a conversation")
        return member

    def send(self, *events: Event | Message) -> None:
        """Send events to the guest's client, if there is one now."""
        link = self.link
        if link is not None:
            for event in events:
                link.send(event)


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

    # The one way to what a member's client sees, wherever their connection is: nobody sends to a partner past these.

    def tell(self, member: Member, *events: Event) -> None:
        """Send events to a member, if they are connected."""
        member.live.send(*events)

    def deliver(self, member: Member, message: bytes, receipt: Event) -> None:
        """Let a member have a message now, or when they have been brought up to date."""
        member.pending.append(message)
        link = member.live.link
        if link is not None and member.attached:
            link.deliver(message, receipt)


class RoomObserver:
    """Is told what happens to rooms. One that fails disturbs neither the room nor other observers."""

    def room_opened(self, room: Room) -> None:
        """Two guests have a room, and are about to be told."""

    def member_back(self, member: Member) -> None:
        """A member is connected again, maybe in place of a connection whose loss nobody had noticed."""

    def room_closed(self, room: Room) -> None:
        """A room has ended; its members are in none."""


class Member:
    """One guest's side of a room."""

    __slots__ = ("attached", "away", "confirmed", "live", "partner", "pending", "room")

    partner: Member

    def __init__(self, room: Room, live: LiveGuest) -> None:
        """Begin attached: new messages go to the connection at once."""
        self.room = room
        self.live = live
        self.attached = True
        self.away = live.link is None
        """Without a connection, and the partner has been told so."""
        self.confirmed = 0
        """The highest seq that this member's client has confirmed: all before it are there too."""
        self.pending: deque[bytes] = deque(maxlen=MAX_PENDING)
        """Messages to this member as JSON, which the log holds too, or has held; oldest first."""

    @property
    def guest(self) -> Guest:
        """Whose side it is."""
        return self.live.guest

    @property
    def is_here(self) -> bool:
        """Whether the member is connected."""
        return self.live.link is not None
