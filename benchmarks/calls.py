"""Calls: cost of signals compared with text, and time until the first frame is shown."""

import asyncio
import contextlib
import json
import re
import statistics
import time
from collections.abc import AsyncIterator, Sequence

from picows import WSFrame, WSTransport
from playwright.async_api import Browser, async_playwright, expect

from benchmarks.guests import TEXT
from benchmarks.machine import all_cores
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import MeasurementError, Server, Start
from benchmarks.talk import Load, Talker, closed_loop, drain, no_garbage_collection, seat
from tests.e2e import browser as chromium
from tests.e2e.visitor import Visitor

SIGNALS_BAR = Bar(at_least=0.9)
FRAME_BAR = Bar(at_most=1.0, unit="s")
CANDIDATES = 20
"""Candidates of one call, from both sides: as many as two browsers with IPv4, IPv6 and a relay send."""
CALL_ID = re.compile(rb'"callId":"(\w+)"')
SDP = "v=0\\r\\n" + "a=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0\\r\\n" * 40
"""About 3 KB, the size of a browser's SDP for audio and video."""


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Measure signals, then pictures."""
    if passerby is None:
        return []
    return [await _signals(plan, passerby), await _first_frames(plan, passerby)]


# ── signals ───────────────────────────────────────────────────────────────────────────────────────


class Signaller(Talker):
    """Calls, sends candidates one by one, hangs up; then the other side calls."""

    begins = False
    _call = b""
    _expected = 0
    """The number of the other side's next candidate."""

    def call(self) -> None:
        """Start a call, unless the time is over."""
        if self.talking:
            self._signal(b'"webrtc:offer",{"offer":{"type":"offer","sdp":"%b"},"type":"video"}' % SDP.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """The hot path: compares prefixes, and parses only the call's id."""
        payload = frame.get_payload_as_bytes()
        if payload.startswith(b'42["webrtc:ice-candidate"'):
            self.heard += 1
            if b"candidate:%d " % self._expected not in payload:
                self.fail(f"expected candidate {self._expected}: {payload.decode()}")
            self._next_candidate(self._expected + 1)
        elif payload.startswith(b'42["webrtc:offer"'):
            self.heard += 1
            self._named(payload)
            self._expected = 1
            self._signal(b'"webrtc:answer",{"answer":{"type":"answer","sdp":"%b"},%b}' % (SDP.encode(), self._call))
        elif payload.startswith(b'42["webrtc:answer"'):
            self.heard += 1
            self._named(payload)
            self._next_candidate(1)
        elif payload.startswith(b'42["webrtc:call-end"'):
            self.heard += 1
            self.call()
        elif not payload.startswith(b'42["webrtc:ringing"'):
            self.on_packet(transport, payload)

    def _named(self, payload: bytes) -> None:
        found = CALL_ID.search(payload)
        self._call = b"" if found is None else found[0]

    def _next_candidate(self, number: int) -> None:
        """Send candidate `number`; expect the next one from the other side. Hang up after the last one."""
        if number > CANDIDATES:
            self._signal(b'"webrtc:call-end",{%b}' % self._call)
            return
        self._expected = number + 1
        text = b"candidate:%d 1 udp 2122260223 192.0.2.7 50000 typ host generation 0 ufrag EsAw" % number
        self._signal(b'"webrtc:ice-candidate",{"candidate":{"candidate":"%b","sdpMid":"0"},%b}' % (text, self._call))

    def _signal(self, event: bytes) -> None:
        self.said += 1
        self.transport.send(TEXT, b"42[%b]" % event)


async def _signals(plan: Plan, passerby: Start) -> Row:
    signals: list[Load] = []
    texts: list[Load] = []
    with passerby() as server:
        talkers = await seat(server, Talker, plan.pairs, client_ids=plan.client_ids)
        callers = await seat(server, Signaller, plan.pairs, client_ids=False)
        for caller in callers:
            caller.begins = _id(caller.connected.result(), "userId") < _id(caller.paired.result(), "matchedUser", "id")
        for turn in range(plan.signal_turns + 1):
            texts.append(await closed_loop(server, talkers, plan.turn_warm_up, plan.turn))
            signals.append(await _calling(server, callers, plan))
            if turn == 0:  # warm-up
                texts.clear()
                signals.clear()
        for guest in (*talkers, *callers):
            guest.leave()
    ratios = [
        ours.relays_per_cpu_second / text.relays_per_cpu_second for ours, text in zip(signals, texts, strict=True)
    ]
    return Row(
        "signals of calls per CPU-second, against text",
        f"{statistics.median(load.relays_per_cpu_second for load in signals):,.0f}",
        f"{statistics.median(load.relays_per_cpu_second for load in texts):,.0f} (text)",
        result=statistics.median(ratios),
        bar=SIGNALS_BAR,
        values={f"ratio_{number}": ratio for number, ratio in enumerate(ratios)},
    )


async def _calling(server: Server, callers: Sequence[Signaller], plan: Plan) -> Load:
    """Let one guest of each pair call for one turn; count the signals that arrived."""
    for caller in callers:
        caller.talking = True
    for caller in callers:
        if caller.begins:
            caller.call()
    await asyncio.sleep(plan.turn_warm_up)
    with no_garbage_collection():
        heard, began, cpu = _heard(callers), time.perf_counter(), server.cpu_seconds()
        await asyncio.sleep(plan.turn)
        load = Load(_heard(callers) - heard, time.perf_counter() - began, server.cpu_seconds() - cpu)
    for caller in callers:
        caller.talking = False
    await drain(callers)
    return load


def _heard(callers: Sequence[Signaller]) -> int:
    return sum(caller.heard for caller in callers)


def _id(packet: bytes, *path: str) -> str:
    value = json.loads(packet[2:])[1]
    for name in path:
        value = value[name]
    return str(value)


# ── first frame ───────────────────────────────────────────────────────────────────────────────────

ACCEPT_AND_SEE = """
() => new Promise((resolve) => {
  const began = performance.now();
  document.querySelector('[data-testid="answer-video"]').click();
  const look = () => {
    const video = document.querySelector('[data-testid="remote-video"]');
    if (!video) return requestAnimationFrame(look);
    video.requestVideoFrameCallback(() => resolve((performance.now() - began) / 1000));
  };
  look();
})
"""
"""Seconds from Accept to the first displayed frame, per call."""


async def _first_frames(plan: Plan, passerby: Start) -> Row:
    with passerby() as server, all_cores():
        async with _chromium() as browser:
            url = f"http://localhost:{server.port}"
            caller, callee = [await _visitor(browser, url) for _ in range(2)]
            await asyncio.gather(caller.start(), callee.start())
            await asyncio.gather(caller.sees_conversation(), callee.sees_conversation())
            await _look_first(caller, callee)
            seconds = [await _accept(caller, callee) for _ in range(plan.calls)]
    return Row(
        "Accept to the first frame of the other, two Chromium pages",
        f"{statistics.median(seconds) * 1000:,.0f} ms, most {max(seconds) * 1000:,.0f} ms",
        f"{plan.calls} calls, software rendering, both cores for all",
        result=statistics.median(seconds),
        bar=FRAME_BAR,
        values={f"seconds_{number}": second for number, second in enumerate(seconds)},
    )


@contextlib.asynccontextmanager
async def _chromium() -> AsyncIterator[Browser]:
    try:
        path = chromium.ensure()
    except chromium.NoBrowserError as error:
        raise MeasurementError(str(error)) from error
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(chromium.ARGS))
        yield browser
        await browser.close()


async def _visitor(browser: Browser, url: str) -> Visitor:
    context = await browser.new_context(permissions=["camera", "microphone"])
    visitor = Visitor(await context.new_page(), url)
    await visitor.page.goto(url)
    return visitor


async def _look_first(caller: Visitor, callee: Visitor) -> None:
    """Make one call that is not measured: the first video call shows a preview, later ones do not."""
    await caller.part("call-video").click()
    await caller.part("join-call").click()
    await callee.part("answer-video").click()
    await callee.part("join-call").click()
    await _hang_up(caller, callee)


async def _accept(caller: Visitor, callee: Visitor) -> float:
    await caller.part("call-video").click()
    await expect(callee.part("answer-video")).to_be_visible()
    seconds: float = await callee.page.evaluate(ACCEPT_AND_SEE)
    await _hang_up(caller, callee)
    return seconds


async def _hang_up(caller: Visitor, callee: Visitor) -> None:
    for visitor in (caller, callee):
        await expect(visitor.part("call")).to_have_attribute("data-state", "active")
    await caller.part("hang-up").click()
    for visitor in (caller, callee):
        await expect(visitor.part("call")).to_have_count(0)
