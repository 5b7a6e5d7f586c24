"""The server CPU of one event, for the worst events that a guest can send."""

import asyncio
import json
from collections.abc import Iterator

from picows import WSFrame, WSTransport

from benchmarks.guests import ANSWER_SECONDS
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Server, Start
from benchmarks.talk import Talker, seat

BAR = Bar(at_most=5, unit="ms")
ROOM = 130_000
"""Bytes of the largest event, a little below MAX_PAYLOAD."""
REST = 0.005
"""Seconds after which the server sleeps: the kernel counts the time of a process that runs with a delay."""
SDP = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"


def events() -> Iterator[tuple[str, str]]:
    """Yield name and packet of the worst events that are known."""

    def message(kind: str, content: object) -> str:
        return "42" + json.dumps(["chat:message", {"type": kind, "content": content}], ensure_ascii=False)

    def offer(lines: str) -> str:
        whole = (SDP + lines)[:65_536].rpartition("\r\n")[0]
        description = {"type": "offer", "sdp": whole}
        return "42" + json.dumps(["webrtc:offer", {"type": "audio", "offer": description, "relayOnly": True}])

    yield "flags", message("text", "\U0001f1e6" * 16_000)
    yield "marks", message("text", "a" + "\u0301" * 8000 + "\u0316" * 7999)
    yield "invisible", message("text", "\u200b" * 16_000)
    yield "fields", message("file", {f"f{number}": 1 for number in range(10_500)})
    yield "lone surrogates", '42["chat:message",{"type":"text","content":"' + "\\ud800a" * (ROOM // 7) + '"}]'
    yield "depth", '42["chat:message",' + "[" * (ROOM // 2) + "]" * (ROOM // 2) + "]"
    yield "lists", '42["user:match",[' + ",".join(["[]"] * (ROOM // 3)) + "]]"
    yield "steps", '42["consent:open",{"steps":[' + ",".join(['"links"'] * (ROOM // 8)) + "]}]"
    yield (
        "addressee",
        '42["consent:answer",{"step":"links","allowed":true,"userId":"' + "\\ud800a" * (ROOM // 7) + '"}]',
    )
    yield "addressees", ('42["consent:answer",{"step":"links","allowed":true' + ',"userId":"g"' * (ROOM // 13) + "}]")
    yield "lines", offer("a=\r\n" * 16_000)
    yield "candidates", offer("a=candidate:1 1 udp 1 198.51.100.3 6 typ relay\r\n" * 900)
    yield "parameters", offer(("a=fmtp:96 " + ";".join(["L=1"] * 12) + "\r\n") * 990)


class Prober(Talker):
    """Sends an event, and another one whose acknowledgement shows that both are handled."""

    handled: asyncio.Future[None] | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Errors are expected."""
        payload = frame.get_payload_as_bytes()
        if payload.startswith(b"437["):
            if self.handled is not None and not self.handled.done():
                self.handled.set_result(None)
        elif b":error" not in payload[:40]:
            self.on_packet(transport, payload)

    async def cost(self, server: Server, packet: bytes) -> float:
        """Return the server's CPU seconds for one packet."""
        self.handled = asyncio.get_running_loop().create_future()
        self.send(b'42["webrtc:call-end"]')  # so that an offer is the first of a call
        await asyncio.sleep(REST)
        before = server.cpu_seconds()
        self.send(packet)
        self.send(b'427["chat:message:delivered",7]')
        await asyncio.wait_for(self.handled, ANSWER_SECONDS)
        await asyncio.sleep(REST)
        return server.cpu_seconds() - before


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Send each event some times; the least of its costs is its own, what is more was the machine's."""
    if passerby is None:
        return []
    costs: dict[str, float] = {}
    with passerby() as server:
        prober, partner = await seat(server, Prober, 1, client_ids=False)
        for name, packet in events():
            costs[name] = min([await prober.cost(server, packet.encode()) for _ in range(plan.worst_repeats)]) * 1000
        prober.leave()
        partner.leave()
    worst = max(costs, key=lambda name: costs[name])
    return [
        Row(
            "CPU of the worst event",
            f"{costs[worst]:.1f} ms ({worst})",
            f"{len(costs)} kinds, reading and refusing included",
            result=costs[worst],
            bar=BAR,
            values=costs,
        )
    ]
