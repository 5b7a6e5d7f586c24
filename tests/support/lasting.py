"""Clients that come back whatever happens to their connection, and keep account of every message.

A `LastingClient` does what docs/protocol.md asks of a client under "Reconnecting". A `Company` of them is the load of
a test or of a measurement, and tells in the end what became of the messages. Nothing here is slow: a thousand pairs
fit into one process.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from msgspec.json import decode, encode
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tests.support.client import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from types import TracebackType

# The defaults of socket.io-client, in seconds: reconnectionDelay, reconnectionDelayMax, randomizationFactor, timeout.
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 5.0
JITTER: Final = 0.5
OPEN_LIMIT: Final = 20.0

HANDS: Final = 32
"""Clients that connect for the first time at once."""
_FINAL: Final = frozenset(("token_required", "token_expired", "token_invalid", "session_not_found"))
"""Codes of a refused CONNECT after which coming back is in vain."""
_READ_BUFFER: Final = 4096


@dataclass
class Account:
    """What became of the messages of a company."""

    said: int = 0
    acknowledged: int = 0
    heard: int = 0
    lost: int = 0
    """Acknowledged, but never received, and the author was not told so."""
    doubled: int = 0
    """Received a second time as another message."""
    disordered: int = 0
    """Received behind a later one of the same author, or with a number below that of the one before."""
    undelivered: int = 0
    """Acknowledged and not received, and the author was told so."""
    refused: int = 0
    """Answered with an error."""
    unanswered: int = 0
    """Neither acknowledged nor refused."""
    repeated: int = 0
    """Received a second time as the same message, which a client drops: the contract allows it."""
    missed: int = 0
    """Missing from a replay, and the recipient was told so."""
    ended: int = 0
    """Rooms that have ended."""

    @property
    def is_clean(self) -> bool:
        """Whether every message was acknowledged and received once, in order."""
        return self.heard == self.said == self.acknowledged and not (
            self.lost or self.doubled or self.disordered or self.ended
        )


@dataclass(frozen=True)
class Trip:
    """A message's way to the partner's client and the confirmation's way back, in seconds of the loop's clock."""

    said: float
    confirmed: float

    @property
    def seconds(self) -> float:
        return self.confirmed - self.said


@dataclass
class _Said:
    number: int
    at: float | None
    """When it was sent, or None if it had to wait for the connection or was sent again."""
    seq: int = 0


@dataclass
class Happenings:
    """What has happened to all clients of a company together."""

    heard: int = 0
    acknowledged: int = 0
    ready: int = 0
    """Clients that are connected and in a room now."""
    losses: int = 0
    """Lost connections."""
    returns: int = 0
    """Clients that were connected and in their room again, since `Company.listen`."""
    listeners: int = 0
    """Clients that have received a message since `Company.listen`."""
    trips: list[Trip] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    """What a client must never see, and how often it did."""


class _Line(WSListener):
    """One connection of a client."""

    def __init__(self, client: LastingClient) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.is_open = False
        self._transport: WSTransport | None = None
        self._patience = OPEN_LIMIT
        self._timer = self._loop.call_later(self._patience, self.cut)

    def send(self, packet: bytes) -> None:
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, packet)

    def cut(self) -> None:
        """Abort the TCP connection."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def opened(self, ping_interval: float, ping_timeout: float) -> None:
        """The Engine.IO session is open: from now on the server must be heard of in time."""
        self.is_open = True
        self._patience = ping_interval + ping_timeout
        self.beat()

    def beat(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(self._patience, self.cut)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()
        else:
            self._client.on_packet(self, frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        del transport
        self.end()

    def end(self) -> None:
        """There is no connection, or none any more."""
        self._timer.cancel()
        self._transport = None
        if not self.closed.done():
            self.closed.set_result(None)


class LastingClient:
    """A guest's client. Its messages are numbered from 1; `clientId` is `m` and the number."""

    def __init__(self, company: Company, token: str, address: str) -> None:
        """`address` is the loopback address to connect from."""
        self._company = company
        self._happenings = company.happenings
        self._token = token
        self._address = address
        self._loop = asyncio.get_running_loop()
        self.established: asyncio.Future[None] = self._loop.create_future()
        self.id = self.session_id = self.partner_id = ""
        self.partner: LastingClient | None = None
        self.is_ready = False
        """Connected, and in a room."""
        self.ended = False
        """The room has ended, or the server wants this guest no more."""
        self.waits = False
        """It was told that there is nobody yet."""

        self._line: _Line | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_leaving = False
        self.lost_at: list[float] = []
        """When a connection was lost, in seconds of the loop's clock."""
        self.away_at: list[float] = []
        """When it was told that the partner is away."""
        self.back_at: list[float] = []
        """When it was in the room again."""
        self.journeys: list[float] = []
        """How long it took to be in the room again, each time, in seconds from the last attempt to connect."""
        self._began = 0.0
        self._wish = ""
        """Where to connect: in the query of later connections."""
        self._room: tuple[str, int] | None = None
        self._position = 0
        self._ahead: set[int] = set()
        """Numbers of messages that this client has beyond its position."""

        self.said = 0
        self._unanswered: dict[int, _Said] = {}
        self._unconfirmed: dict[str, _Said] = {}
        self.acknowledged: dict[int, int] = {}
        self.refused: dict[int, str] = {}
        self.undelivered: set[int] = set()
        self.heard: list[tuple[int, int]] = []
        """`seq` and the author's number of each message, as it came."""
        self.repeated = self.missed = 0
        self.has_heard = False
        """It has received a message since `listen`."""
        self._silence = self._last_heard = 0.0
        self._events: dict[str, Callable[[dict[str, Any]], None]] = {
            "connection:established": self._on_established,
            "user:match:no_users": self._on_no_users,
            "user:matched": self._on_matched,
            "room:resumed": self._on_resumed,
            "chat:message": self._on_message,
            "chat:message:sent": self._on_sent,
            "chat:message:delivered": self._on_delivered,
            "chat:error": self._on_error,
            "room:closed": self._on_closed,
            "chat:cleared": self._on_closed,
            "room:partner_away": lambda _: self.away_at.append(self._loop.time()),
            "session:renewed": self._on_renewed,
            "connection:closing": lambda closing: self._fault(f"connection:closing {closing['code']}"),
            "user:match:error": lambda error: self._fault(f"user:match:error {error['code']}"),
        }

    # ── what a person does ────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Connect, and come back as long as nobody calls `leave`."""
        self._task = asyncio.create_task(self._stay())

    async def leave(self) -> None:
        """Close the connection and stay away."""
        self._is_leaving = True
        if self._line is not None:
            self._line.cut()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def cut(self) -> None:
        """Abort the TCP connection, as a network failure would."""
        if self._line is not None:
            self._line.cut()

    def seek(self) -> None:
        """Search for a partner."""
        self._emit("user:match")

    def say(self) -> None:
        """Send the next message now, or when there is a connection."""
        self.said = number = self.said + 1
        said = self._unanswered[number] = _Said(number, self._loop.time() if self.is_ready else None)
        if self.is_ready:
            self._send(said)

    def listen(self) -> None:
        """Begin anew with `has_heard` and `silence`."""
        self._last_heard = self._loop.time()
        self.has_heard = False
        self._silence = 0.0

    @property
    def silence(self) -> float:
        """The longest time in seconds between two messages since `listen`, or until now if one is still missing."""
        missing = self.partner is not None and len(self.heard) < self.partner.said
        return max(self._silence, self._loop.time() - self._last_heard if missing else 0.0)

    # ── the connection ────────────────────────────────────────────────────────────────────────────

    async def _stay(self) -> None:
        attempts = 0
        while not (self._is_leaving or self.ended):
            line = _Line(self)
            self._began = self._loop.time()
            try:
                await ws_connect(
                    lambda line=line: line,
                    f"ws://{self._company.place_of(self)}/socket.io/?EIO=4&transport=websocket{self._wish}",
                    read_buffer_init_size=_READ_BUFFER,
                    websocket_handshake_timeout=OPEN_LIMIT,
                    local_addr=(self._address, 0),
                )
            except (OSError, WSError):
                line.end()
            else:
                self._line = line
                await line.closed
                self._line = None
                attempts = 0 if line.is_open else attempts
                self._lost()
            await asyncio.sleep(_pause(attempts) * self._company.patience)
            attempts += 1

    def _lost(self) -> None:
        for said in (*self._unanswered.values(), *self._unconfirmed.values()):
            said.at = None
        if not self._is_leaving:
            self._happenings.losses += 1
            self.lost_at.append(self._loop.time())
        self._rest()
        self._company.happened()

    def _rest(self) -> None:
        """No message can be sent for now."""
        self._happenings.ready -= self.is_ready
        self.is_ready = False

    def _begin(self) -> None:
        """Messages can be sent: send those that wait, in order."""
        self._happenings.ready += not self.is_ready
        self.is_ready = True
        for said in self._unanswered.values():
            self._send(said)

    def _fault(self, what: str) -> None:
        self._happenings.faults[what] += 1

    def _emit(self, event: str, *arguments: object) -> None:
        if self._line is not None:
            self._line.send(b"42" + encode([event, *arguments]))

    def _send(self, said: _Said) -> None:
        number = said.number
        self._emit("chat:message", {"type": "text", "content": f"message {number:07d}", "clientId": f"m{number}"})

    def on_packet(self, line: _Line, packet: bytes) -> None:
        """Handle one Engine.IO packet. picows only logs what an event's handler raises, so it is noted."""
        try:
            self._handle(line, packet)
        except Exception as error:
            self._fault(f"{error!r} at {packet[:100]!r}")
            raise
        self._company.happened()

    def _handle(self, line: _Line, packet: bytes) -> None:
        if packet.startswith(b'42["realtime:stats"'):
            return
        if packet.startswith(b"42["):
            event, *arguments = decode(packet[2:])
            handler = self._events.get(event)
            if handler is not None:
                handler(arguments[0])
        elif packet == b"2":
            line.send(b"3")
            line.beat()
        elif packet.startswith(b"0{"):
            self._line = line
            session = decode(packet[1:])
            line.opened(session["pingInterval"] / 1000, session["pingTimeout"] / 1000)
            line.send(b"40" + encode(self._auth()))
        elif packet.startswith(b"44"):
            self._on_refused(line, decode(packet[2:]))
        elif packet.startswith(b"41"):
            self._fault("DISCONNECT")
            self.ended = True
            line.cut()

    def _auth(self) -> dict[str, object]:
        if self._room is None:
            return {"token": self._token}
        room_id, epoch = self._room
        return {"token": self._token, "resume": {"roomId": room_id, "epoch": epoch, "seq": self._position}}

    def _on_refused(self, line: _Line, error: dict[str, Any]) -> None:
        code = error.get("data", {}).get("code", "")
        if code in _FINAL:
            self._fault(f"CONNECT_ERROR {code}")
            self.ended = True
        line.cut()

    # ── events ────────────────────────────────────────────────────────────────────────────────────

    def _on_established(self, greeting: dict[str, Any]) -> None:
        self.id, self.session_id = greeting["userId"], greeting["sessionId"]
        self._live_at(greeting)
        if not self.established.done():
            self.established.set_result(None)

    def _on_no_users(self, _: dict[str, Any]) -> None:
        self.waits = True

    def _on_matched(self, matched: dict[str, Any]) -> None:
        self._live_at(matched)
        self._enter((matched["roomId"], matched["epoch"]), matched["matchedUser"]["id"])
        self._begin()

    def _live_at(self, news: dict[str, Any]) -> None:
        if self._company.wishes:
            self._wish = f"&at={news['at']}" if "at" in news else ""

    def _enter(self, room: tuple[str, int], partner_id: str) -> None:
        self._room, self.partner_id = room, partner_id
        self._position = 0
        self._ahead.clear()

    def _on_resumed(self, resumed: dict[str, Any]) -> None:
        room = resumed["roomId"], resumed["epoch"]
        if room != self._room:
            self._enter(room, resumed["partner"]["id"])
        gap = resumed["gap"]
        self.missed += gap
        self._position += gap
        self._ahead = {seq for seq in self._ahead if seq > self._position}
        for message_id, said in list(self._unconfirmed.items()):
            if said.seq <= resumed["delivered"]:
                del self._unconfirmed[message_id]
        if not self.is_ready:
            self._happenings.returns += 1
            self.back_at.append(self._loop.time())
            self.journeys.append(self._loop.time() - self._began)
        self._begin()

    def _on_message(self, message: dict[str, Any]) -> None:
        seq, number = message["seq"], int(message["clientId"][1:])
        if message["senderId"] == self.id:
            self._acknowledge(number, seq, message["id"])
            return
        if seq <= self._position or seq in self._ahead:
            self.repeated += 1
        else:
            self._keep(seq)
            self.heard.append((seq, number))
            self._happenings.heard += 1
            self._happenings.listeners += not self.has_heard
            self.has_heard = True
            now = self._loop.time()
            self._silence = max(self._silence, now - self._last_heard)
            self._last_heard = now
        self._emit("chat:message:delivered", {"messageId": message["id"]})

    def _on_sent(self, sent: dict[str, Any]) -> None:
        self._acknowledge(int(sent["clientId"][1:]), sent["seq"], sent["messageId"])

    def _acknowledge(self, number: int, seq: int, message_id: str) -> None:
        said = self._unanswered.pop(number, None)
        if said is None:
            if self.acknowledged.get(number, seq) != seq:
                self._fault("acknowledged again as another message")
            return
        self._keep(seq)
        self.acknowledged[number] = said.seq = seq
        self._unconfirmed[message_id] = said
        self._happenings.acknowledged += 1

    def _keep(self, seq: int) -> None:
        """Move the position to the highest number up to which this client has every message."""
        self._ahead.add(seq)
        while self._position + 1 in self._ahead:
            self._position += 1
            self._ahead.discard(self._position)

    def _on_delivered(self, delivered: dict[str, Any]) -> None:
        said = self._unconfirmed.pop(delivered["messageId"], None)
        if said is not None and said.at is not None:
            self._happenings.trips.append(Trip(said.at, self._loop.time()))

    def _on_error(self, error: dict[str, Any]) -> None:
        number = int(error.get("clientId", "m0")[1:])
        if self._unanswered.pop(number, None) is None:
            self._fault(f"chat:error {error['code']}")
        else:
            self.refused[number] = error["code"]

    def _on_closed(self, closed: dict[str, Any]) -> None:
        self.undelivered |= {int(lost["clientId"][1:]) for lost in closed.get("undelivered", ())}
        self.ended = True
        self._room = None
        self._rest()

    def _on_renewed(self, renewed: dict[str, Any]) -> None:
        self._token = renewed["token"]

    # ── the account ───────────────────────────────────────────────────────────────────────────────

    def account(self, account: Account) -> None:
        """Add this client's messages, and how its partner has received them."""
        account.said += self.said
        account.acknowledged += len(self.acknowledged)
        account.refused += len(self.refused)
        account.unanswered += len(self._unanswered)
        account.heard += len(self.heard)
        account.repeated += self.repeated
        account.missed += self.missed
        account.ended += self.ended
        if self.partner is None:
            return
        heard = Counter(number for _, number in self.partner.heard)
        missing = self.acknowledged.keys() - heard.keys()
        account.undelivered += len(missing & self.undelivered)
        account.lost += len(missing - self.undelivered)
        account.doubled += heard.total() - len(heard)
        for (seq, number), (next_seq, next_number) in zip(self.partner.heard, self.partner.heard[1:], strict=False):
            account.disordered += next_seq <= seq or next_number < number


def _pause(attempts: int) -> float:
    """Return how long the official client waits after so many attempts."""
    pause = FIRST_PAUSE * 2.0 ** min(attempts, 10)
    return min(pause * random.uniform(1 - JITTER, 1 + JITTER), LONGEST_PAUSE)


class Company:
    """Lasting clients of one server: `async with Company(url) as company`. All have left when it ends."""

    def __init__(self, url: str, patience: float = 1.0, *, wishes: bool = True) -> None:
        """`url` is the server's, also after it was started again; `patience` multiplies the pauses of the clients.

        They connect to where they live, if the server says so, unless `wishes` is false.
        """
        self.wishes = wishes
        self.patience = patience
        self.place = urlsplit(url).netloc
        self.clients: list[LastingClient] = []
        self.happenings = Happenings()
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def place_of(self, client: LastingClient) -> str:
        """Return where a client connects to, host and port, each time that it does."""
        return self.place

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(client.leave() for client in self.clients))

    # ── waiting ───────────────────────────────────────────────────────────────────────────────────

    def happened(self) -> None:
        """Look whether somebody has waited for what has just happened."""
        for condition, future in self._waiting:
            if not future.done() and condition():
                future.set_result(None)

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until `condition()`, which is asked after every packet. Raises TimeoutError after `seconds`."""
        if condition():
            return
        entry = condition, asyncio.get_running_loop().create_future()
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(seconds):
                await entry[1]
        finally:
            self._waiting.remove(entry)

    # ── what all do ───────────────────────────────────────────────────────────────────────────────

    async def meet(self, tokens: Iterable[str], addresses: Iterable[str] = ("127.0.0.1",)) -> None:
        """Connect a client for each token (an even number), from `addresses` in turn; let all find partners."""
        self.clients = [
            LastingClient(self, token, address) for token, address in zip(tokens, cycle(addresses), strict=False)
        ]
        queue = iter(self.clients)

        async def hand() -> None:
            for client in queue:
                client.start()
                async with asyncio.timeout(PATIENCE):
                    await client.established

        async with asyncio.TaskGroup() as group:
            for _ in range(HANDS):
                group.create_task(hand())
        for client in self.clients:
            client.seek()
        await self.until(self.all_ready)
        by_id = {client.id: client for client in self.clients}
        for client in self.clients:
            client.partner = by_id[client.partner_id]

    def all_ready(self) -> bool:
        """Return whether all are connected and in a room."""
        return self.happenings.ready == len(self.clients)

    async def talk(self, count: int, rate: float) -> None:
        """Say `count` messages, `rate` a second in all, whether or not anybody is connected."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, client in zip(range(count), cycle(self.clients), strict=False):
            await asyncio.sleep(began + number / rate - loop.time())
            client.say()

    def listen(self) -> None:
        """Let all begin anew with what they have heard."""
        self.happenings.returns = self.happenings.listeners = 0
        for client in self.clients:
            client.listen()

    async def settle(self, seconds: float = PATIENCE) -> Account:
        """Wait until all messages are received and answered, for at most `seconds`; return what became of them."""
        with contextlib.suppress(TimeoutError):
            await self.until(self._all_settled, seconds)
        return self.account()

    def _all_settled(self) -> bool:
        said = sum(client.said for client in self.clients)
        return self.happenings.heard >= said <= self.happenings.acknowledged

    def account(self) -> Account:
        """Return what became of all messages."""
        account = Account()
        for client in self.clients:
            client.account(account)
        return account


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least `share` of all do not exceed; 0 if there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


@contextlib.asynccontextmanager
async def talking_on(company: Company, rate: float, seconds: float) -> AsyncIterator[None]:
    """Let a company say `rate` messages a second; within `seconds` after that all have arrived, once and in order."""
    talk = asyncio.create_task(company.talk(1 << 62, rate))
    try:
        yield
    finally:
        talk.cancel()
    account = await company.settle(seconds)
    assert account.is_clean, account
    assert not company.happenings.faults
