"""Connections whose guest lives on another node.

The **edge** is the node that holds the connection: its Engine.IO session, with heartbeat, pace and outbox. The **home**
is the node on which the guest lives. An `Edge` takes the place of the Socket.IO client on the session and passes what
comes on to the home. There a `RemoteSession` has the methods of `Session`, so decoding, limits, acks and errors exist
once, at home.

A connection can get another home while packets are on the way to the old one. Nothing overtakes: the edge holds what
comes from then on, and sends a barrier after what it has sent before. The old home passes all of that on to the new
one, and the barrier last; then the new home tells the edge that it may go on.

    client ── edge ── old home             edge ──packets, BARRIER──▶ old home ──all of it, RELAYED──▶ new home
                                             ◀────────────────────────── READY ─────────────────────────────┘

Whatever is lost between two nodes ends the connections between them with 1012: clients reconnect, and resume.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, ClassVar, Final

from passerby.errors import Code
from passerby.realtime.closings import CLOSINGS
from passerby.socketio import ProtocolError, closing
from passerby.socketio.engineio import Binary
from passerby.socketio.session import Session, State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from passerby.nodes.bus import Bus, Frame
    from passerby.socketio.client import Client
    from passerby.socketio.closing import Closing
    from passerby.socketio.server import Server
    from passerby.socketio.session import ClientSession

    Key: TypeAlias = "tuple[str, int]"
    """A connection: the node that holds it, and its number there."""

OPEN, PACKET, OUT, CLOSE, CLOSED, DRAIN, DRAINED, REHOME, BARRIER = range(1, 10)
RELAYED, READY = 40, 41
"""Kinds of frames."""
_LOST: Final = closing.SERVER_SHUTTING_DOWN
"""Why a connection ends when another node is lost: the client comes back."""


def receive(session: Session | RemoteSession, client: Client, packet: str | bytes) -> None:
    """Handle what the client has sent. An invalid packet closes the connection."""
    try:
        if isinstance(packet, str):
            client.on_text(packet)
        else:
            client.on_binary(packet)
    except ProtocolError:
        session.close(closing.PARSE_ERROR)


class Edge:
    """Receives what comes from a client whose guest lives on the node `home`. `number` names it there."""

    __slots__ = ("_bus", "_edges", "_held", "_held_bytes", "client", "home", "number", "session", "until")

    def __init__(self, edges: Edges, session: Session, number: int, home: str) -> None:
        """The session's receiver is to be set by the caller."""
        self._edges = edges
        self._bus = edges.bus
        self.session = session
        self.number = number
        self.home = home
        self.until: str | None = None
        """The old home, while packets are held until what was sent there has come to the new one."""
        self.client: Client | None = None
        """Has the connection as soon as nothing is held any more, if the new home is this node."""
        self._held: list[str | bytes] = []
        self._held_bytes = 0

    def on_text(self, packet: str) -> None:
        """See Receiver."""
        if self.until is None:
            self._bus.send(self.home, (PACKET, self.number, packet))
        else:
            self._hold(packet)

    def on_binary(self, data: bytes) -> None:
        """See Receiver."""
        if self.until is None:
            self._bus.send(self.home, (PACKET, self.number, data))
        else:
            self._hold(data)

    def _hold(self, packet: str | bytes) -> None:
        self._held.append(packet)
        self._held_bytes += len(packet)
        if self._held_bytes > self._edges.held_limit:
            self.session.close(closing.BACKLOG_OVERFLOW)

    def release(self) -> None:
        """All that was sent to the old home has come to the new one: pass on what was held."""
        self.until = None
        held, self._held = self._held, []
        if self.client is None:
            for packet in held:
                self._bus.send(self.home, (PACKET, self.number, packet))
            return
        self._edges.returned(self)
        self.session.receiver = self.client
        for packet in held:
            receive(self.session, self.client, packet)

    def on_close(self, reason: Closing) -> None:
        """See Receiver."""
        self._edges.ended(self, reason)


class RemoteSession:
    """The session of a client that is connected to another node: what `Client` and `Socket` need of a Session."""

    __slots__ = ("_bus", "_drained", "_edges", "_waiting", "address", "key", "query", "receiver", "sid", "state",
                 "transport", "until")  # fmt: skip

    is_passed_on: ClassVar[bool] = True
    receiver: Client

    def __init__(self, edges: Edges, key: Key, address: str, query: Mapping[str, str], transport: str) -> None:
        """The receiver is to be set by the caller."""
        self._edges = edges
        self._bus = edges.bus
        self.key = key
        self.address = address
        self.query = query
        self.transport = transport
        self.state = State.OPEN
        self.until: str | None = None
        """The old home, from which earlier packets of the client may still come."""
        self._drained = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    def send(self, packet: bytes) -> None:
        """See Session."""
        if self.state is State.OPEN:
            node, number = self.key
            if isinstance(packet, Binary):
                self._bus.send(node, (OUT, number, None, bytes(packet)))
            else:
                self._bus.send(node, (OUT, number, packet))

    def send_event(self, prefix: bytes, argument: bytes, next_prefix: bytes = b"", next_argument: bytes = b"") -> None:
        """See Session."""
        if self.state is not State.OPEN:
            return
        node, number = self.key
        packet = b"".join((prefix, argument, b"]"))
        if next_prefix:
            self._bus.send(node, (OUT, number, packet, b"".join((next_prefix, next_argument, b"]"))))
        else:
            self._bus.send(node, (OUT, number, packet))

    async def drain(self) -> None:
        """See Session. The edge answers when the client has read most of what was sent before."""
        if self.state is State.OPEN:
            self._drained += 1
            future = self._waiting[self._drained] = asyncio.get_running_loop().create_future()
            self._bus.send(self.key[0], (DRAIN, self.key[1], self._drained))
            await asyncio.shield(future)

    def drained(self, number: int) -> None:
        """The edge has answered."""
        future = self._waiting.pop(number, None)
        if future is not None:
            future.set_result(None)

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────

    def receive(self, packet: str | bytes) -> None:
        """Handle what the client has sent. An invalid packet closes the connection."""
        if self.state is State.OPEN:
            receive(self, self.receiver, packet)

    def hold(self, size: int) -> None:
        """See Session. The edge knows of no incomplete message; `Client` itself limits what it keeps."""

    # ── the end ───────────────────────────────────────────────────────────────────────────────────

    def close(self, reason: Closing, *, answer: bytes = b"") -> None:  # noqa: ARG002 - as in Session
        """See Session."""
        if self.state is State.OPEN:
            self._bus.send(self.key[0], (CLOSE, self.key[1], reason.code))
            self.end(reason)

    def abort(self) -> None:
        """See Session."""
        self.close(closing.SERVER_ERROR)

    def end(self, reason: Closing) -> None:
        """The connection has ended: tell the client's sockets."""
        if self.leave():
            self.receiver.on_close(reason)

    def leave(self) -> bool:
        """The connection is no longer this node's. Return False if it was not before."""
        if self.state is not State.OPEN:
            return False
        self.state = State.CLOSED
        self._edges.left(self)
        for number in list(self._waiting):
            self.drained(number)
        return True


class Edges:
    """All connections of this node whose guests live elsewhere, and those of guests here that are elsewhere."""

    def __init__(self, bus: Bus, server: Server) -> None:
        """Handle frames of `bus` from now on."""
        self.bus = bus
        self._server = server
        self.held_limit = server.engine.options.max_payload
        """Bytes of packets that an edge holds, at most."""
        self._numbers = itertools.count(1)
        self._edges: dict[int, Edge] = {}
        self.remotes: dict[Key, RemoteSession] = {}
        """The connections elsewhere whose guests live here."""
        self._relays: dict[Key, str] = {}
        """Connections whose guests have moved on, and where to: packets of their clients may still come here."""
        from_edge = (PACKET, self._packet), (CLOSED, self._closed), (BARRIER, self._barrier)
        self._from_edge = dict(from_edge)
        from_home = (OUT, self._out), (CLOSE, self._close), (DRAIN, self._drain), (REHOME, self._rehome)
        others = (OPEN, self._open), (DRAINED, self._drained), (RELAYED, self._relayed), (READY, self._ready)
        for kind, take in (*from_edge, *from_home, *others):
            bus.take(kind, take)
        bus.on_lost(self._lost)

    # ── a connection gets a home elsewhere ────────────────────────────────────────────────────────

    def connect(self, home: str, client: Client, packet: str) -> None:
        """Let the guest of `client`, who has sent CONNECT as `packet`, be connected at `home`: it is handled there."""
        session = client.session
        client.abandon()
        edge = self._add(session, home)
        self.bus.send(home, (OPEN, edge.number, session.address, dict(session.query), session.transport, packet))

    def give(self, client: Client, home: str) -> Key:
        """The guest of `client` moves to `home`: what comes from now on is sent there. Return the connection's key."""
        session = client.session
        client.abandon()
        if isinstance(session, RemoteSession):
            session.leave()
            node, number = session.key
            self._relays[session.key] = home
            self.bus.send(node, (REHOME, number, home))
            return session.key
        return self.bus.node, self._add(session, home).number

    def _add(self, session: ClientSession, home: str) -> Edge:
        assert isinstance(session, Session)  # noqa: S101 - callers have excluded others
        number = next(self._numbers)
        edge = self._edges[number] = Edge(self, session, number, home)
        session.receiver = edge
        return edge

    def receive(self, key: Key, sender: str, address: str, query: Mapping[str, str], transport: str) -> Client | None:
        """The guest of the connection `key` has moved here from `sender`: return a client for it, without a socket.

        None: the connection has ended.
        """
        node, number = key
        if node == self.bus.node:
            edge = self._edges.get(number)
            if edge is None:
                return None
            edge.client = self._server.client(edge.session)
            return edge.client
        remote = RemoteSession(self, key, address, query, transport)
        remote.until = None if sender == node else sender
        remote.receiver = self._server.client(remote)
        self.remotes[key] = remote
        return remote.receiver

    @staticmethod
    def is_settled(client: Client) -> bool:
        """Return whether everything that comes from a client comes the shortest way: only then its guest may move."""
        session = client.session
        if isinstance(session, RemoteSession):
            return session.until is None and session.state is State.OPEN
        return isinstance(session, Session) and session.receiver is client

    # ── at the edge ───────────────────────────────────────────────────────────────────────────────

    def ended(self, edge: Edge, reason: Closing) -> None:
        """The connection has ended, here."""
        if self._edges.pop(edge.number, None) is None:
            return  # the home knows
        if edge.client is not None:
            edge.client.on_close(reason)
        else:
            self.bus.send(edge.home, (CLOSED, edge.number, reason.code))

    def returned(self, edge: Edge) -> None:
        """The connection is an ordinary one again."""
        self._edges.pop(edge.number, None)

    def _out(self, _sender: str, frame: Frame) -> None:
        """Send packets to the client: one or two, or a binary one after None."""
        edge = self._edges.get(frame[1])
        if edge is None:
            return
        send = edge.session.send
        if frame[2] is None:
            send(Binary(frame[3]))
            return
        for packet in frame[2:]:
            send(packet)

    def _close(self, _sender: str, frame: Frame) -> None:
        edge = self._edges.pop(frame[1], None)
        if edge is not None:
            edge.session.close(CLOSINGS[Code(frame[2])])

    def _drain(self, sender: str, frame: Frame) -> None:
        edge = self._edges.get(frame[1])
        if edge is not None:
            self._server.spawn("waiting for a client to read", self._wait_for(edge, sender, frame))

    async def _wait_for(self, edge: Edge, sender: str, frame: Frame) -> None:
        await edge.session.drain()
        self.bus.send(sender, (DRAINED, *frame[1:]))

    def _rehome(self, sender: str, frame: Frame) -> None:
        edge = self._edges.get(frame[1])
        if edge is not None:
            edge.home, edge.until = frame[2], sender
        self.bus.send(sender, (BARRIER, frame[1]))

    def _ready(self, sender: str, frame: Frame) -> None:
        edge = self._edges.get(frame[1])
        if edge is not None and edge.home == sender:
            edge.release()

    # ── at home ───────────────────────────────────────────────────────────────────────────────────

    def left(self, remote: RemoteSession) -> None:
        """A guest here is no longer connected by `remote`."""
        if self.remotes.get(remote.key) is remote:
            del self.remotes[remote.key]

    def _open(self, sender: str, frame: Frame) -> None:
        _, number, address, query, transport, packet = frame
        remote = RemoteSession(self, (sender, number), address, query, transport)
        remote.receiver = self._server.client(remote)
        self.remotes[remote.key] = remote
        remote.receive(packet)

    def _packet(self, sender: str, frame: Frame) -> None:
        remote = self.remotes.get((sender, frame[1]))
        if remote is not None:
            remote.receive(frame[2])
        else:
            self._relay(sender, frame)

    def _closed(self, sender: str, frame: Frame) -> None:
        remote = self.remotes.get((sender, frame[1]))
        if remote is not None:
            remote.end(CLOSINGS[Code(frame[2])])
        else:
            self._relay(sender, frame)

    def _drained(self, sender: str, frame: Frame) -> None:
        remote = self.remotes.get((sender, frame[1]))
        if remote is not None:
            remote.drained(frame[2])

    # ── between the old home and the new one ──────────────────────────────────────────────────────

    def _relay(self, sender: str, frame: Frame) -> None:
        """Pass on what has come from an edge for a guest who has moved."""
        home = self._relays.get((sender, frame[1]))
        if home is not None:
            self.bus.send(home, (RELAYED, sender, list(frame)))

    def _barrier(self, sender: str, frame: Frame) -> None:
        self._relay(sender, frame)
        self._relays.pop((sender, frame[1]), None)

    def _relayed(self, _sender: str, frame: Frame) -> None:
        _, node, inner = frame
        kind, number = inner[:2]
        if node == self.bus.node:
            self._come_back(kind, self._edges.get(number), inner)
        elif kind != BARRIER:
            self._from_edge[kind](node, inner)
        elif (remote := self.remotes.get((node, number))) is not None:
            remote.until = None
            self.bus.send(node, (READY, number))

    @staticmethod
    def _come_back(kind: int, edge: Edge | None, frame: Frame) -> None:
        """Take what this node has sent to the old home, of a connection whose guest lives here now."""
        if edge is None or edge.client is None:
            return
        if kind == BARRIER:
            edge.release()
        elif kind == PACKET:
            receive(edge.session, edge.client, frame[2])

    def stop(self) -> None:
        """Close the connections elsewhere whose guests live here: this node is about to end."""
        for remote in list(self.remotes.values()):
            remote.close(_LOST)

    # ── losses ────────────────────────────────────────────────────────────────────────────────────

    def _lost(self, node: str) -> None:
        for edge in list(self._edges.values()):
            if node in (edge.home, edge.until):
                edge.session.close(_LOST)
        for remote in list(self.remotes.values()):
            if remote.key[0] == node:
                remote.end(_LOST)
            elif remote.until == node:
                remote.close(_LOST)
        self._relays = {key: home for key, home in self._relays.items() if node not in (key[0], home)}
