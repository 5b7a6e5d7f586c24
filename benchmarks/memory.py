"""Memory of a server after ten minutes in which guests have come and gone, with nobody there any more."""

import asyncio
import json
import random
import re
import secrets
import time
from typing import Any

from picows import WSTransport

from benchmarks import calls
from benchmarks.guests import ANSWER_SECONDS, TEXT, Guest, UnexpectedAnswerError, end_sessions, join
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import MeasurementError, Passerby, Server, free_port
from benchmarks.transfers import TransferError, put
from benchmarks.watching import read_metrics

BAR = Bar(at_most=1.1)
MIB = 1 << 20
KEPT = {"GRACE": "5", "REPORT_WINDOW": "5"}
"""Seconds. What is kept of those who have gone, because they may come back or be reported, is gone with them soon."""
STAY = (4.0, 20.0)
"""Seconds of a visit, at least and at most."""
PAUSE = (0.3, 1.5)
"""Seconds between two things that a guest does, at least and at most."""
FILE_BYTES = (1 << 10, 1 << 18)
GONE_SECONDS = 180.0
"""Time for the last guests to be forgotten, and for garbage to be collected: that is looked at once a minute."""
LOOK_SECONDS = 0.5
READ_SECONDS = 1.0
"""Seconds between two readings of memory."""
HAPPENS = {
    "not_in_room",
    "room_closed",
    "not_your_room",
    "file_not_found",
    "call_active",
    "call_declined",
    "no_call",
    "no_offer",
    "consent_declined",
    "consent_pending",
    "undo_impossible",
    "already_in_room",
}
"""Errors that are nobody's fault when both guests act at the same time."""
LEFT = (
    *("guests online", "guests away", "rooms", "calls", "files_bytes"),
    *("connections websocket", "connections polling"),
)
"""Metrics that are 0 when nobody is there."""
DONE = ("sessions_created_total", "messages_total", "files_received_total", "calls_begun_total audio")
OVER = (b'42["chat:cleared"', b'42["user:left"', b'42["room:closed"', b'42["chat:clear:confirmed"')
CALL_IS_OVER = (b'42["webrtc:call-end"', b'42["webrtc:call-reject"', b'42["webrtc:call-timeout"')
METRIC = re.compile(
    r"^passerby_(\w+)(?:\{[^}]*?(?:(?:state|transport|kind|generation)=\"(\w+)\"[^}]*)?\})? (\S+)$", re.MULTILINE
)


class Passer(Guest):
    """Talks with whom it meets, sends a file now and then, calls now and then, and searches again when left."""

    def __init__(self, token: str | None, chance: random.Random) -> None:
        """`chance` decides what this guest does."""
        super().__init__(token)
        self._chance = chance
        self._room = ""
        self._call = ""
        self._calls = False
        self._said = 0
        self._parted = asyncio.Event()
        """Set when a conversation ends."""

    def on_packet(self, transport: WSTransport, payload: bytes) -> None:
        """Connect as the page does; let errors pass that happen."""
        if payload.startswith(b"0{"):
            auth = {"token": self.token, "features": ["undo", "consent"]}
            transport.send(TEXT, b"40" + json.dumps(auth).encode())
        elif b':error"' in payload[:40] and json.loads(payload[2:])[1]["code"] in HAPPENS:
            self._calls = self._calls and b"webrtc" not in payload[:40]
        else:
            super().on_packet(transport, payload)

    def on_event(self, payload: bytes) -> None:
        """Do what the other side's event asks for."""
        if payload.startswith(OVER):
            self._room = self._call = ""
            self._calls = False
            self._parted.set()
            self.emit("user:match")
        elif payload.startswith(CALL_IS_OVER):
            self._call = ""
            self._calls = False
        elif payload.startswith((b'42["user:matched"', b'42["room:restored"')):
            self._room = json.loads(payload[2:])[1]["roomId"]
        elif payload.startswith(b'42["chat:message",'):
            self.emit("chat:message:delivered", {"messageId": json.loads(payload[2:])[1]["id"]})
        elif payload.startswith(b'42["consent:ask"'):
            asked = json.loads(payload[2:])[1]
            allowed = self._chance.random() < 0.7
            self.emit("consent:answer", {"step": asked["step"], "allowed": allowed, "userId": asked["userId"]})
        elif payload.startswith(b'42["webrtc:offer"'):
            self._pick_up(json.loads(payload[2:])[1]["callId"])
        elif payload.startswith((b'42["webrtc:answer"', b'42["webrtc:ringing"')):
            self._call = json.loads(payload[2:])[1].get("callId") or ""

    def emit(self, event: str, payload: dict[str, Any] | None = None) -> None:
        """Send an event, unless this guest is on the way out."""
        if not self.leaving and self.fault is None:
            self.send(b"42" + json.dumps([event] if payload is None else [event, payload]).encode())

    async def act(self, server: Server) -> None:
        """Do one thing, if somebody is there."""
        if not self._room:
            return
        draw = self._chance.random()
        if self._calls or self._call:
            self.emit("webrtc:call-end")
        elif draw < 0.02:
            await self._send_file(server)
        elif draw < 0.05:
            self._calls = True
            offer = {"type": "offer", "sdp": calls.SDP.replace("\\r\\n", "\r\n")}
            self.emit("webrtc:offer", {"offer": offer, "type": "audio"})
        elif draw < 0.08:
            self.emit("chat:clear", {"undo": True})
        else:
            self._said += 1
            words = secrets.token_urlsafe(self._chance.randrange(3, 60))
            self.emit("chat:message", {"type": "text", "content": words, "clientId": f"c{self._said}"})

    def depart(self) -> None:
        """End the conversation, as the page does."""
        self.emit("leave-room")

    def _pick_up(self, call_id: str) -> None:
        draw = self._chance.random()
        if draw < 0.5:
            answer = {"type": "answer", "sdp": calls.SDP.replace("\\r\\n", "\r\n")}
            self.emit("webrtc:answer", {"answer": answer, "callId": call_id})
            self._call = call_id
        elif draw < 0.8:
            self.emit("webrtc:call-reject", {"callId": call_id})

    async def _send_file(self, server: Server) -> None:
        self._parted.clear()
        body = memoryview(secrets.token_bytes(self._chance.randint(*FILE_BYTES)))
        headers = {"Authorization": f"Bearer {self.token}", "X-File-Name": "bench.bin"}
        try:
            answer = await put(server.port, f"/api/files/{self._room}", body, headers)
        except (TransferError, ConnectionError):
            # The conversation has ended meanwhile; the server may tell this connection first.
            await asyncio.wait_for(self._parted.wait(), ANSWER_SECONDS)
            return
        self.emit("chat:message", {"type": "file", "content": json.loads(answer)["data"]})


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Let guests come and go; read the memory when they have just begun, and when all are forgotten."""
    if passerby is None:
        return []
    port = free_port()
    readings: list[int] = []
    with passerby.with_settings(METRICS_PORT=str(port), **KEPT)() as server:
        try:
            first = await _pass(plan, server, readings)
        except ExceptionGroup as several:
            raise several.exceptions[0] from several
        found = await _forgotten(port)
        last = server.resident_bytes()
    if not all(found[name] for name in DONE):
        raise MeasurementError(f"not all was done: {found}")
    return _rows(plan, first, last, readings, found)


async def _pass(plan: Plan, server: Server, readings: list[int]) -> int:
    """Let all guests come and go; return the bytes of memory when the first of them have."""
    end = time.monotonic() + plan.coming_seconds
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_read(server, readings))
        places = [
            group.create_task(_come_and_go(server, end, random.Random(number))) for number in range(plan.coming_guests)
        ]
        await asyncio.sleep(plan.coming_first)
        first = server.resident_bytes()
        await asyncio.wait(places)
        reading.cancel()
    return first


async def _read(server: Server, readings: list[int]) -> None:
    while True:
        readings.append(server.resident_bytes())
        await asyncio.sleep(READ_SECONDS)


async def _come_and_go(server: Server, end: float, chance: random.Random) -> None:
    """Make one visit after the other."""
    await asyncio.sleep(chance.uniform(0, STAY[0]))  # not all at once
    while time.monotonic() < end:
        await _visit(server, end, chance)


async def _visit(server: Server, end: float, chance: random.Random) -> None:
    guest = await join(server, lambda token: Passer(token, chance))
    until = min(end, time.monotonic() + chance.uniform(*STAY))
    guest.emit("user:match")
    while time.monotonic() < until and guest.fault is None:
        await asyncio.sleep(chance.uniform(*PAUSE))
        await guest.act(server)
    if guest.fault is not None:
        raise UnexpectedAnswerError(guest.fault[:300])
    way = chance.randrange(3)
    if way == 0:
        guest.depart()
    if way == 1:
        guest.leave()
    else:
        await end_sessions(server, [guest])


async def _forgotten(port: int) -> dict[str, float]:
    """Wait until nobody is there or may come back, and garbage was collected since; return the metrics."""
    collected: float | None = None
    left: dict[str, float] = {}
    try:
        async with asyncio.timeout(GONE_SECONDS):
            while True:
                found = await _metrics(port)
                left = {name: found[name] for name in LEFT}
                full = found["gc_collections_total 2"]
                if any(left.values()):
                    collected = None
                elif collected is None:
                    collected = full
                elif full > collected:
                    return found
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise MeasurementError(f"not all is forgotten after {GONE_SECONDS:.0f} s: {left}") from None


async def _metrics(port: int) -> dict[str, float]:
    """Return each metric, by its name and the label that matters."""
    text = (await read_metrics(port)).decode()
    return {f"{name} {label}".strip(): float(value) for name, label, value in METRIC.findall(text)}


def _rows(plan: Plan, first: int, last: int, readings: list[int], found: dict[str, float]) -> list[Row]:
    done = {name: found[name] for name in DONE}
    first_at, last_at = plan.coming_first, plan.coming_seconds
    sessions, texts, files, called = (f"{count:,.0f}" for count in done.values())
    return [
        Row(
            f"memory after {last_at:.0f} s of {plan.coming_guests} guests, all gone, against {first_at:.0f} s",
            f"{last / MIB:.1f} MiB against {first / MIB:.1f} MiB",
            f"{readings[0] / MIB:.1f} MiB before the first, {max(readings) / MIB:.1f} MiB at most",
            result=last / first,
            bar=BAR,
            values={f"mib_{number}": one / MIB for number, one in enumerate(readings)},
        ),
        Row(
            "  what they did",
            f"{sessions} sessions, {texts} messages",
            f"{files} files, {called} calls; left: {sum(found[name] for name in LEFT):.0f}",
            values=done,
        ),
    ]
