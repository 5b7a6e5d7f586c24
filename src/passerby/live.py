"""State of this process: guests and their connections, rooms and their members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from passerby.errors import Code, ConflictError
from passerby.models import SMALL_MESSAGE, without_content

if TYPE_CHECKING:
    from collections.abc import Mapping

    from passerby.clock import Timer
    from passerby.events import Event
    from passerby.limits import TokenBucket
    from passerby.models import Guest, Message, Step, Ticket

UNDO: Final = "undo"
"""The feature of a client that knows that the partner who has left may come back; see `auth.features`."""
CONSENT: Final = "consent"
"""The feature of a client that can ask its guest what a stranger may send."""
FEATURES: Final = frozenset((UNDO, CONSENT))
"""All features that make a difference."""
MAX_PENDING: Final = 256
"""Unconfirmed messages that are remembered, at least: more than a guest can write in the grace window."""
_SURPLUS: Final = 64
"""So many more are remembered at times: older ones are dropped together, which is cheaper than one by one."""


class Link(Protocol):
    """The connection to one guest's client. The gateway wraps each socket in one.

    No method raises. A failure closes this connection, so that its client reconnects and resumes.
    """

    def send(self, event: Event | Message) -> None:
        """Send an event, in order. Ignored when the connection is closed."""

    def deliver(self, message: bytes, receipt: Event) -> None:
        """Send a message, as JSON encoded by the log, and its receipt."""

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent, or the connection is closed."""

    def close(self, code: Code) -> None:
        """Close the connection; `code` is the reason in `realtime.closings`.

        The reason also says whether the client should reconnect. A client that should not gets the reason first.
        """


class Ended(Struct, frozen=True, kw_only=True):
    """The last conversation of a guest who has moved on since: it can be reported at the node where it has ended."""

    node: str
    room_id: str
    epoch: int
    until: float
    """When it cannot be reported any more (monotonic seconds); on the way between nodes, the seconds until then."""
    guest_id: str
    """The partner's, as all of the following."""
    username: str
    language: str
    root: str
    session: bytes
    """The mark of the session, see `safety.marks`."""
    device: bytes
    """The mark of the browser; empty: there is none."""


class LiveGuest:
    """A guest who is connected or in the grace window: process state that is not part of the session."""

    address_bucket: TokenBucket
    """The bucket of the connection's address. The gateway sets it for each connection."""

    __slots__ = (
        "address",
        "address_bucket",
        "buckets",
        "ended",
        "features",
        "grace",
        "grace_until",
        "guest",
        "has_moved",
        "is_established",
        "is_recalled",
        "link",
        "member",
        "notice",
        "open_steps",
        "suspended",
        "ticket",
        "token_expires",
    )

    def __init__(self, guest: Guest) -> None:
        """Start without a connection."""
        self.guest = guest
        self.ended: Ended | None = None
        """The guest's last conversation before they moved here, as long as it can be reported."""
        self.link: Link | None = None
        self.address = ""
        """The client's, of the last connection. It is in memory alone."""
        self.features: frozenset[str] = frozenset()
        """What the client knows, of FEATURES."""
        self.open_steps: frozenset[Step] = frozenset()
        """What the guest allows to every partner."""
        self.is_established = False
        """Whether it is known that the browser is no new one, see `safety.consent`."""
        self.is_recalled = False
        """Whether the guest was connected to an earlier process, but never to this one."""
        self.has_moved = False
        """Whether the guest lives on another node now: whoever still has this object must not act on it."""
        self.token_expires = 0.0
        self.grace: Timer | None = None
        self.grace_until = 0.0
        """When it ends; monotonic seconds."""
        self.member: Member | None = None
        self.ticket: Ticket | None = None
        self.suspended: Ticket | None = None
        """The search of a guest whose connection is lost; it continues when they reconnect."""
        self.notice: Event | None = None
        """How the conversation ended while the guest was away."""
        self.buckets: dict[str, TokenBucket] = {}

    def membership(self) -> Member:
        """Return the guest's membership of their room. Raises ConflictError (not_in_room)."""
        member = self.member
        if member is None:
            raise not_in_room()
        return member

    def send(self, *events: Event | Message) -> None:
        """Send events to the guest's client, if it is connected."""
        link = self.link
        if link is not None:
            for event in events:
                link.send(event)


class Room:
    """A room with two members. `seq` is the sequence number of the newest message."""

    __slots__ = ("epoch", "id", "members", "seq", "was_restored")

    members: tuple[Member, Member]

    def __init__(self, room_id: str, epoch: int, first: LiveGuest, second: LiveGuest) -> None:
        """Open a room for two guests who are in no room."""
        self.id = room_id
        self.epoch = epoch
        self.seq = 0
        self.was_restored = False
        """Whether a member has left it and come back: that is possible once."""
        one, other = Member(self, first), Member(self, second)
        one.partner, other.partner = other, one
        self.members = (one, other)

    def dissolve(self) -> None:
        """Part the members of a room that is over, for good: they and the room refer to each other.

        So all of them go at once, and wait for no garbage collection. Nobody may ask for members or partners after it.
        """
        for member in self.members:
            del member.partner
        del self.members

    # All events for a member go through these methods, wherever the member's connection is.

    def tell(self, member: Member, *events: Event) -> None:
        """Send events to a member, if connected."""
        member.live.send(*events)

    def deliver(self, member: Member, message: Message, encoded: bytes, receipt: Event) -> None:
        """Deliver a message (also as JSON) to a member: now, or after the replay that the member still waits for."""
        pending = member.pending
        pending.append(encoded if len(encoded) <= SMALL_MESSAGE else without_content(message))
        if len(pending) == MAX_PENDING + _SURPLUS:
            del pending[:_SURPLUS]
        link = member.live.link
        if link is not None and member.attached:
            link.deliver(encoded, receipt)


def not_in_room() -> ConflictError:
    """Return the error for a guest who is in no room."""
    return ConflictError(Code.NOT_IN_ROOM, "You are not in a conversation")


class RoomObserver:
    """Learns what happens to rooms. If an observer fails, the room and the other observers continue.

    A subclass has the methods of what it wants to know.
    """

    def room_opened(self, room: Room) -> None:
        """Two guests have a room. Their clients do not know it yet."""

    def room_recalled(self, room: Room, notes: Mapping[str, bytes]) -> None:
        """A room of a process that has ended is open again; its members are away. `notes` are what was kept of it."""

    def member_back(self, member: Member) -> None:
        """A member is connected again. The server may not have noticed that the old connection was lost."""

    def room_lost(self, room: Room) -> None:
        """Another process has taken the room over, and all that is kept of it. Here nobody is in it any more."""

    def member_leaves(self, member: Member) -> None:
        """A member leaves a room that is open; then it is parked or closed."""

    def room_restored(self, room: Room) -> None:
        """A parked room is open again."""

    def room_parked(self, room: Room) -> None:
        """A member leaves a room, and may come back in a moment. What nobody has brought back by then is closed."""

    def room_closing(self, room: Room) -> None:
        """A room is about to end that is not parked. Its log is still there."""

    def room_closed(self, room: Room) -> None:
        """A room has ended. Its members are in no room now, or in another one if it was parked."""


class Member:
    """One guest's side of a room."""

    __slots__ = ("attached", "away", "confirmed", "live", "partner", "pending", "replay", "room")

    partner: Member

    def __init__(self, room: Room, live: LiveGuest) -> None:
        """Start attached: new messages are sent to the connection at once."""
        self.room = room
        self.live = live
        self.attached = True
        self.away = live.link is None
        """Whether the member is disconnected and the partner has been informed."""
        self.replay: object = None
        """The newest replay to this member: an earlier one ends."""
        self.confirmed = 0
        """The highest seq that this member's client has confirmed; it confirms all earlier messages too."""
        self.pending: list[bytes] = []
        """Unconfirmed messages to this member as JSON for `read_identity`, oldest first.

        Some may already be evicted from the log.
        """

    @property
    def guest(self) -> Guest:
        """The member's guest."""
        return self.live.guest

    @property
    def is_here(self) -> bool:
        """Whether the member is connected."""
        return self.live.link is not None
