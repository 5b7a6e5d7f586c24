"""Memory of a room whose messages nobody confirms."""

import asyncio

from picows import WSFrame, WSTransport

from benchmarks.guests import TEXT
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Start
from benchmarks.talk import MESSAGE, SENT, Talker, drain, seat
from passerby.chat.log import CLIENT_IDS
from passerby.chat.rooms import MAX_ROOM_BYTES
from passerby.settings import Settings

KB = 1000
BOUND = Settings().room_log_bytes + MAX_ROOM_BYTES
"""Maximum bytes of a room: see docs/architecture.md, "Rooms and delivery"."""
BOUND_BAR = Bar(at_most=BOUND // KB, unit="KB")
LARGE = 260
"""Large texts of each guest: more unconfirmed messages than the server remembers."""
SMALL = 2 * CLIENT_IDS - 1 - LARGE
"""Small ones before: together as many client ids as are remembered at most."""
LARGEST = ("👋" + "\U000e0101" * 15) * 1000
"""A text of the largest allowed size: 64,000 bytes."""


class Hoarder(Talker):
    """Sends small texts, then large ones. Confirms nothing.

    Each is sent when the last one is acknowledged and the partner's has arrived, so that neither has much to read.
    """

    acknowledged = 0

    def fill(self) -> None:
        """Begin to send."""
        self.talking = True
        self.speak(self.transport)

    def speak(self, transport: WSTransport) -> None:
        """Send the next message, or end."""
        if self.said == SMALL + LARGE:
            self.talking = False
            return
        self.said += 1
        text = "x" if self.said <= SMALL else LARGEST
        packet = f'42["chat:message",{{"type":"text","content":"{text}","clientId":"{self.said:064}"}}]'
        transport.send(TEXT, packet.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count messages, parse nothing."""
        payload = frame.get_payload_as_bytes()
        if payload.startswith(SENT):
            self.acknowledged += 1
        elif payload.startswith(MESSAGE):
            self.heard += 1
        else:
            self.on_packet(transport, payload)
            return
        if self.said == self.acknowledged <= self.heard:
            self.speak(transport)


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Fill some rooms, then more: the growth is the memory of rooms, not of the work that fills them."""
    if passerby is None:
        return []
    with passerby() as server:
        first = await seat(server, Hoarder, plan.first_rooms, client_ids=True)
        await _fill(first)
        before = server.resident_bytes()
        more = await seat(server, Hoarder, plan.full_rooms, client_ids=True)
        await _fill(more)
        each = (server.resident_bytes() - before) / plan.full_rooms / KB
        for guest in (*first, *more):
            guest.leave()
    return [
        Row(
            what="memory of a room at its bound, nothing confirmed",
            passerby=f"{each:,.0f} KB",
            beside=f"{LARGE} texts of {len(LARGEST.encode()) // KB} KB and {SMALL:,} small ones from each guest",
            result=each,
            bar=BOUND_BAR,
            values={"kb_each": each},
        )
    ]


async def _fill(guests: list[Hoarder]) -> None:
    """Two rooms at a time, so that little is on its way."""
    for place in range(0, len(guests), 4):
        few = guests[place : place + 4]
        for guest in few:
            guest.fill()
        while any(guest.talking and guest.fault is None for guest in few):  # noqa: ASYNC110 - as in `drain`
            await asyncio.sleep(0.02)
    await drain(guests)
