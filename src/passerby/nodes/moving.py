"""Guests and the nodes on which they live.

A guest who is in no room lives where they connect, and moves to the partner's node when they are matched. A guest who
is in a room stays: a connection to another node becomes an edge. A guest whose node is gone lives where they return,
and brings the room back there.

A guest moves in one step. The old home gives up all it has of them and the connection, and sends it, `ARRIVED`; from
then on they live on the new one, whether somebody waits for them there or not. Requests only ask for such a step:

| request | asked by | answered by the home |
|---|---|---|
| `come` | the node of a new connection | the guest comes; or `stay`: they are in a room; or `leave`: see below |
| `recall` | the node that brings back a room of theirs | the same, and the client connects again |
| `bring` | the node of a guest who has been matched with them | the guest comes |
| `lives` | the node of a new connection, of all, if Redis has lost where the guest lives | `yes`, or nothing |

`unknown` is the answer if the guest does not live there, or has no search any more. A home that is about to end does
not let guests stay: it leaves their room, which is in Redis, to the node that asks.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from passerby import ids
from passerby.chat.events import RoomClosed
from passerby.clock import sleep
from passerby.errors import Code, NotFoundError, UnavailableError
from passerby.limits import TokenBucket
from passerby.live import FEATURES, Ended, LiveGuest, RoomObserver
from passerby.models import Guest, Step, Ticket
from passerby.nodes.edges import RemoteSession
from passerby.nodes.requests import PATIENCE, RETRY, ask_living
from passerby.realtime.links import SocketLink
from passerby.socketio.closing import SERVER_SHUTTING_DOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from passerby.background import Background
    from passerby.chat.events import Resume
    from passerby.chat.log import RoomLog
    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock
    from passerby.guests.sessions import Guests
    from passerby.limits import Rate
    from passerby.live import Member, Room
    from passerby.matching.matchmaking import Matchmaking
    from passerby.nodes.bus import Bus, Frame
    from passerby.nodes.edges import Edges, Key
    from passerby.nodes.homes import Homes
    from passerby.nodes.membership import Membership
    from passerby.nodes.requests import Requests
    from passerby.presence import Presence
    from passerby.realtime.gateway import Gateway
    from passerby.recovery import Recovery
    from passerby.safety.reports import Reports
    from passerby.socketio import Client

ARRIVED: Final = 42
"""The kind of the frame with a guest."""
_OF: Final = "your conversation"
"""What is unavailable if another node does not answer."""
_YES: Final = b"yes"
_STAY: Final = b"stay"
_COMES: Final = b"comes"
_LEAVE: Final = b"leave "
_UNKNOWN: Final = b"unknown"
_ATTEMPTS: Final = 3
"""Looks at who has a room: it may change each time, if nodes die one after the other."""
_SETTLINGS: Final = 10
"""How often it is tried to let a guest live here whose other connections let them live elsewhere at the same time."""
_CLAIMS: Final = 20
"""How often a guest's home may be another one than a moment before."""
_BUSY: Final = 0.5
"""Seconds that a guest who is to move has until nothing of theirs is being handled any more."""
_LOOK: Final = 0.005
"""Seconds between two looks at that."""
_TOGETHER: Final = 200
"""Homes that are kept at the same time: about a millisecond of one turn of the event loop."""
_KEEP: Final = 600.0
"""Seconds in which all homes are kept once."""


class Connection(Struct):
    """The connection of a guest who moves."""

    node: str
    number: int
    address: str
    query: dict[str, str]
    transport: str
    socket_id: str


class Traveller(Struct):
    """All that a node has of a guest who is in no room."""

    guest: Guest
    ticket: Ticket | None
    suspended: Ticket | None
    notice: RoomClosed | None
    token_expires: float
    grace: float
    """Seconds that are left of the grace window if there is no connection, or none any more."""
    waits: dict[str, float]
    """Seconds until each bucket of limits has its next token; negative: how long it has had it."""
    is_recalled: bool
    epoch: int
    """The last epoch of the node."""
    connection: Connection | None
    features: list[str] = []
    """Those of the client."""
    open_steps: list[Step] = []
    address: str = ""
    ended: Ended | None = None


class _Settling:
    """A guest who is about to live here, for one or more connections."""

    def __init__(self) -> None:
        self.count = 0
        self.moves = 0
        """How often it became untrue meanwhile that they live here."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Traveller).decode
_decode_ticket = msgspec.json.Decoder(Ticket).decode


class Moving(RoomObserver):
    """Where the guests of this node live. Is the `Nodes` of `Recovery`."""

    def __init__(
        self,
        *,
        bus: Bus,
        requests: Requests,
        membership: Membership,
        homes: Homes,
        edges: Edges,
        gateway: Gateway,
        guests: Guests,
        rooms: Rooms,
        room_log: RoomLog,
        presence: Presence,
        matchmaking: Matchmaking,
        recovery: Recovery,
        reports: Reports,
        rates: Mapping[str, Rate],
        clock: Clock,
        background: Background,
    ) -> None:
        """Connect the services with the other nodes. `rates` are those of the guests' buckets."""
        self.node = bus.node
        self._bus = bus
        self._requests = requests
        self._membership = membership
        self._homes = homes
        self._edges = edges
        self._gateway = gateway
        self._guests = guests
        self._rooms = rooms
        self._log = room_log
        self._presence = presence
        self._matchmaking = matchmaking
        self._recovery = recovery
        self._reports = reports
        self._rates = rates
        self._clock = clock
        self._background = background
        self.is_draining = False
        """Whether this node is about to end: rooms go to the nodes to which their members return."""
        self._left: dict[str, tuple[str, str]] = {}
        """The rooms that a node has left for guests who are just connecting here, and that node, by session id."""
        self._settling: dict[str, _Settling] = {}
        """The guests who are about to live here, by session id."""
        self._expected: set[str] = set()
        """Tickets whose guests somebody waits for, by id."""
        bus.take(ARRIVED, self._arrived)
        requests.serve("come", self._come)
        requests.serve("recall", self._recall)
        requests.serve("bring", self._bring)
        requests.serve("lives", self._lives)
        rooms.observe(self)
        gateway.settle = self.settle
        gateway.hand_over = self._hand_over
        matchmaking.bring = self.bring
        matchmaking.others = membership.others()
        recovery.nodes = self
        rooms.node, rooms.others = self.node, membership.others()
        room_log.taken = self._taken
        room_log.may_be_elsewhere = self._may_be_elsewhere
        membership.on_gone(self._gone)
        membership.on_expired(self._expired)

    # ── Nodes ─────────────────────────────────────────────────────────────────────────────────────

    def others(self) -> Collection[str]:
        """See Nodes."""
        return self._membership.others()

    def is_first(self) -> bool:
        """See Nodes."""
        return min(self._membership.alive()) == self.node

    async def is_alive(self, node: str) -> bool:
        """See Nodes."""
        return node == self.node or await self._membership.is_alive(node)

    async def take(self, guest: Guest) -> bool:
        """See Nodes."""
        return await self._home_of(guest.session_id, "recall") == self.node

    async def inherit(self, guest: Guest) -> bool:
        """See Nodes."""
        home = await self._homes.claim(guest.session_id)
        if home != self.node and not await self.is_alive(home) and not self._recovery.waits_for(home):
            home = await self._homes.claim(guest.session_id, home)
        return home == self.node and await self._home_of_room(guest, None) == self.node

    def _expired(self) -> None:
        self._background.start("look at all homes", self._look_at_homes())

    async def _look_at_homes(self) -> None:
        with contextlib.suppress(OSError):  # Redis is away: they are looked at when it is back
            await self.keep_all()

    def _gone(self, node: str, is_certain: bool) -> None:  # noqa: FBT001 - of the port
        self._recovery.lost_node(node, is_certain=is_certain)

    # ── a guest connects ──────────────────────────────────────────────────────────────────────────

    async def settle(self, guest: Guest, resume: Resume | None) -> str | None:
        """Let a guest who connects here, and does not live here, live here; or return the node where they live.

        Raises UnavailableError when the other node does not answer, and OSError.
        """
        session_id = guest.session_id
        settling = self._settling.setdefault(session_id, _Settling())
        settling.count += 1
        try:
            if guest.connected_at is not None and self.others():
                await self._remember(session_id)
            for _ in range(_SETTLINGS):
                moves = settling.moves
                home = await self._settle(guest, resume)
                if home is not None or settling.moves == moves:
                    return home
            raise UnavailableError([_OF], retry_after=RETRY)
        finally:
            settling.count -= 1
            if not settling.count:
                del self._settling[session_id]

    async def _settle(self, guest: Guest, resume: Resume | None) -> str | None:
        """Do as `settle`; until it returns, the guest may have been here, and may be gone again."""
        session_id = guest.session_id
        while True:
            home = await self._home_of(session_id)
            if home == self.node and (session_id in self._left or _rooms_of(guest, resume)):
                home = await self._home_of_room(guest, resume)
                if home == self.node and await self._homes.claim(session_id) != home:
                    continue  # another node has taken them meanwhile, with their room
            return None if home == self.node else home

    async def _remember(self, session_id: str) -> None:
        """Redis may have lost where a guest lives who was here before: let it know what the other nodes say."""
        try:
            home = await self._homes.find(session_id)
        except OSError:  # nobody can say now: `keep_all` finds out
            return
        if home not in (None, self.node):
            return
        nodes = list(self.others())
        asked = [self._ask(node, "lives", session_id.encode()) for node in nodes]
        for node, answer in zip(nodes, await asyncio.gather(*asked), strict=True):
            if answer:
                self._homes.give(session_id, node)

    async def _lives(self, argument: bytes) -> bytes:
        return _YES if self._guests.live(argument.decode()) is not None else b""

    async def _home_of_room(self, guest: Guest, resume: Resume | None) -> str:
        """Return where the room of a guest is: here, if its node is gone, or there is none. Raises OSError."""
        session_id = guest.session_id
        if session_id in self._left:
            await self._recovery.claim(*self._left.pop(session_id))
        for room_id in _rooms_of(guest, resume):
            for _ in range(_ATTEMPTS):
                owner = None if self._guests.live(session_id) is not None else await self._log.owner(room_id)
                if owner is None:
                    break
                if owner != self.node and await self.is_alive(owner):
                    self._homes.give(session_id, owner)
                    return owner
                await self._recovery.claim(room_id, owner)  # if another node is faster, it is the owner now
        return self.node

    async def _home_of(self, session_id: str, question: str = "come") -> str:
        """Return where a guest lives: here, if they are in no room elsewhere."""
        instead_of = None
        for _ in range(_CLAIMS):
            home = await self._homes.claim(session_id, instead_of)
            if home == self.node:
                return home
            argument = f"{self.node} {session_id}".encode()
            answer = await self._ask(home, question, argument)
            if answer is None:  # it is older, and closes the connection as a replaced one
                answer = await self._ask(home, "come", argument)
            assert answer is not None  # noqa: S101 - all versions know this question
            if answer == _STAY:
                return home
            if answer.startswith(_LEAVE):
                self._left[session_id] = answer.removeprefix(_LEAVE).decode(), home
            instead_of = home
        raise UnavailableError([_OF], retry_after=RETRY)

    async def _ask(self, node: str, question: str, argument: bytes) -> bytes | None:
        """Return the answer of a node; nothing if it is gone, None if it does not know the question."""
        try:
            return await ask_living(self._requests, self._membership, node, question, argument, of=_OF)
        except NotFoundError:
            return None

    def _hand_over(self, home: str, client: Client, packet: str) -> None:
        """Pass a connection on to its guest's home."""
        if isinstance(client.session, RemoteSession):  # the guest has moved while the connection was passed on to here
            client.session.close(SERVER_SHUTTING_DOWN)
        else:
            self._edges.connect(home, client, packet)

    # ── a guest is matched ────────────────────────────────────────────────────────────────────────

    async def bring(self, ticket: Ticket) -> LiveGuest | None:
        """Bring the guest of a ticket here, who lives on another node; None: they are gone, or do not search."""
        self._expected.add(ticket.id)
        try:
            await self._requests.ask(
                ticket.node, "bring", self.node.encode() + b" " + msgspec.json.encode(ticket), PATIENCE
            )
        except (UnavailableError, TimeoutError):
            pass
        finally:
            self._expected.discard(ticket.id)
        return self._matchmaking.searching(ticket)

    # ── moving ────────────────────────────────────────────────────────────────────────────────────

    async def _come(self, argument: bytes) -> bytes:
        """Send a guest who has connected to the node that asks, unless they are in a room."""
        return await self._let_go(argument, Code.REPLACED)

    async def _recall(self, argument: bytes) -> bytes:
        """Send a guest who is connected here to the node that has a room of theirs, where they connect again."""
        return await self._let_go(argument, Code.SERVER_SHUTTING_DOWN)

    async def _let_go(self, argument: bytes, reason: Code) -> bytes:
        to, _, session_id = argument.decode().partition(" ")
        live = self._guests.live(session_id)
        if live is None:
            self._note_move(session_id)
            return _UNKNOWN
        if live.member is not None and self.is_draining:
            return self._leave_room(live.member.room)
        if live.member is not None or not await self._is_free(live):
            return _STAY
        if live.link is not None:
            link = live.link
            self._presence.disconnect(live, link)
            link.close(reason)
        self._send(live, to)
        return _COMES

    def _leave_room(self, room: Room) -> bytes:
        """Let another node have a room and its members: everything is in Redis."""
        session_ids = [member.guest.session_id for member in room.members]
        self._presence.lose(room)
        for session_id in session_ids:
            self._homes.release(session_id)
        return _LEAVE + room.id.encode()

    async def _bring(self, argument: bytes) -> bytes:
        """Send a guest who has been matched to the node of the partner, which asks."""
        to, _, encoded = argument.partition(b" ")
        ticket = _decode_ticket(encoded)
        live = self._matchmaking.searching(ticket)
        if live is None:
            return _UNKNOWN
        is_free = await self._is_free(live)
        if self._matchmaking.searching(ticket) is not live:
            return _UNKNOWN
        if not is_free:
            self._matchmaking.go_on(live)
            return _UNKNOWN
        self._send(live, to.decode())
        return _COMES

    async def _is_free(self, live: LiveGuest) -> bool:
        """Wait until nothing of a guest is being handled, but not long; return whether they may move."""
        until = self._clock.monotonic() + _BUSY
        while live.member is None and not live.has_moved:
            client = _client_of(live)
            if client is None or (client.is_idle and self._edges.is_settled(client)):
                return True
            if self._clock.monotonic() >= until:
                return False
            await sleep(self._clock, _LOOK)
        return False

    def _send(self, live: LiveGuest, to: str) -> None:
        """Let a guest who is in no room live on the node `to`."""
        client = _client_of(live)
        connection = None
        if client is not None:
            session = client.session
            node, number = self._edges.give(client, to)
            query, socket_id = dict(session.query), live.guest.socket_id or ""
            connection = Connection(node, number, session.address, query, session.transport, socket_id)
        self._note_move(live.guest.session_id)
        now = self._clock.monotonic()
        traveller = Traveller(
            live.guest,
            live.ticket,
            live.suspended,
            live.notice if isinstance(live.notice, RoomClosed) else None,
            live.token_expires,
            self._presence.grace_left(live),
            {name: bucket.ready_at - now for name, bucket in live.buckets.items()},
            live.is_recalled,
            self._rooms.last_epoch,
            connection,
            [*live.features],
            [*live.open_steps],
            live.address,
            self._reports.ended(live),
        )
        self._presence.release(live)
        self._homes.give(live.guest.session_id, to)
        self._bus.send(to, (ARRIVED, _encode(traveller)))

    def _note_move(self, session_id: str) -> None:
        """A guest does not live here, although that may just have been settled."""
        settling = self._settling.get(session_id)
        if settling is not None:
            settling.moves += 1

    def _arrived(self, sender: str, frame: Frame) -> None:
        """A guest has come to live here."""
        traveller = _decode(frame[1])
        if self._guests.live(traveller.guest.session_id) is not None:  # nobody may live here twice
            self._send_back(sender, traveller.connection)
            return
        live = LiveGuest(traveller.guest)
        live.ticket, live.suspended, live.notice = traveller.ticket, traveller.suspended, traveller.notice
        live.token_expires, live.is_recalled = traveller.token_expires, traveller.is_recalled
        live.features = FEATURES.intersection(traveller.features)
        live.open_steps = frozenset(traveller.open_steps)
        live.address = traveller.address
        self._reports.arrived(live, traveller.ended)
        now = self._clock.monotonic()
        for name, wait in traveller.waits.items():
            if (rate := self._rates.get(name)) is not None:
                bucket = live.buckets[name] = TokenBucket(rate, now)
                bucket.ready_at = now + wait
        connection = traveller.connection
        client = None
        if connection is not None:
            key: Key = (connection.node, connection.number)
            client = self._edges.receive(key, sender, connection.address, connection.query, connection.transport)
            if client is not None:
                socket = client.restore("/", connection.socket_id)
                live.link = self._gateway.adopt(socket, live)
        self._presence.adopt(live, traveller.grace, traveller.epoch)
        if live.ticket is not None and live.ticket.id not in self._expected:
            self._matchmaking.go_on(live)
        self._gateway.arrived(live)

    def _send_back(self, sender: str, connection: Connection | None) -> None:
        """Close the connection of a guest who is here already; the client connects again, and finds out."""
        if connection is None:
            return
        key: Key = (connection.node, connection.number)
        client = self._edges.receive(key, sender, connection.address, connection.query, connection.transport)
        if client is not None:
            client.session.close(SERVER_SHUTTING_DOWN)

    # ── going home ────────────────────────────────────────────────────────────────────────────────

    def room_closed(self, room: Room) -> None:
        """See RoomObserver. Members who are connected to another node live there from now on."""
        if not self._edges.remotes:
            return
        for member in room.members:
            client = _client_of(member.live)
            if client is not None and isinstance(client.session, RemoteSession):
                self._background.start("return of a guest", self._go_home(member.live))

    async def _go_home(self, live: LiveGuest) -> None:
        if await self._is_free(live) and live.ticket is None:
            client = _client_of(live)
            if client is not None and isinstance(client.session, RemoteSession):
                self._send(live, client.session.key[0])

    # ── other nodes take over what is here ────────────────────────────────────────────────────────

    def _may_be_elsewhere(self, room_id: str) -> bool:
        """Return whether a member may have returned to another node, which has taken the room if it can use Redis."""
        room = self._rooms.find(room_id)
        return room is not None and bool(self.others()) and any(member.away for member in room.members)

    def member_back(self, member: Member) -> None:
        """See RoomObserver."""
        self._log.go_on(member.room.id)

    def _taken(self, room_id: str, epoch: int) -> None:
        room = self._rooms.find(room_id)
        if room is not None and room.epoch == epoch:
            self._presence.lose(room)

    async def keep(self) -> None:
        """One step of a loop: keep a part of the homes, so that all are kept in time."""
        for some in self._parts(list(self._guests.live_ids())):
            await sleep(self._clock, _KEEP * len(some) / max(_TOGETHER, self._guests.live_count))
            with contextlib.suppress(OSError):  # Redis is away: all are looked at when it is back
                await self._keep(some)
        await sleep(self._clock, 1.0)

    async def keep_all(self) -> None:
        """Look at once which guests live elsewhere: this node has seemed to be gone, or Redis was. Raises OSError."""
        for some in self._parts(list(self._guests.live_ids())):
            await self._keep(some)

    @staticmethod
    def _parts(session_ids: list[str]) -> Iterable[list[str]]:
        return (session_ids[start : start + _TOGETHER] for start in range(0, len(session_ids), _TOGETHER))

    async def _keep(self, session_ids: list[str]) -> None:
        for session_id in await self._homes.keep([one for one in session_ids if self._guests.live(one) is not None]):
            live = self._guests.live(session_id)
            if live is not None:
                self._presence.evict(live)


def _client_of(live: LiveGuest) -> Client | None:
    return live.link.socket.client if isinstance(live.link, SocketLink) else None


def _rooms_of(guest: Guest, resume: Resume | None) -> list[str]:
    """Return the ids of rooms that a guest may be in: the one that the client says, and that of the session."""
    found = []
    if resume is not None and guest.id in ids.members(resume.room_id):
        found.append(resume.room_id)
    if guest.connected_user is not None:
        found.append(ids.room_id(guest.id, guest.connected_user))
    return list(dict.fromkeys(found))
