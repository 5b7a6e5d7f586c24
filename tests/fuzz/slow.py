"""Searches for inputs that hold up the event loop: mutations that cost more are kept, and mutated again.

    python -m tests.fuzz --slow --inputs 300000 [--seed 7]

An input is a packet of a WebSocket, a POST of packets, a request with its head and body, or a file. Each goes through
the whole server but its sockets. Its cost is the CPU time of the longest callback of the event loop. A finding is an
input that always costs more than the bound of `tests.support.worst`.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.fuzz.mutator import TOKENS
from tests.realtime import test_worst_input as known
from tests.support.worst import BOUND, BUSY, Stopwatch, World, turns, world

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEPT: Final = 24
"""Inputs of a target that are mutated: those that cost most."""
AGAIN: Final = 12
"""Measurements of an input that seems slow."""
NAME: Final = re.compile(r'42\d*\["([^"\\]*)"')
WORDS: Final = (
    *known.UNITS,
    *known.ESCAPED,
    *TOKENS,
    *("\r\na=", "\\r\\na=", "a=candidate:1 1 udp 1 198.51.100.3 6 typ relay", "a=fmtp:96 ", "a=rtpmap:96 VP8/90000"),
    *("m=audio 9 UDP/TLS/RTP/SAVPF 1", "a=ssrc:1 cname:x", "a=rid:q send pt=1;max-fr=1", "a=group:BUNDLE 0", ";L=1"),
    *('"fileId":"@file@"', '"a":0,', '"clientId":"c"', "typ relay", " generation 0", "10.1.1.1,", "%CC%81", "\r\nX: y"),
    *("\x00\x00\x00\x08free", "\xec\x80", "\xa3\x80", "\xff\xdb\x00\x02", "\x01\x00", "\x21\xf9\x00", "OggS"),
)


@dataclass
class Slow:
    """An input that takes too long, in seconds."""

    target: str
    seconds: float
    data: str


@dataclass
class Target:
    """Inputs of one kind: their largest size in bytes, and how one is given to the server."""

    name: str
    most: int
    give: Callable[[str, Stopwatch], Awaitable[None]]
    kept: list[tuple[float, str]]


class Search:
    """Mutates inputs and keeps the slowest."""

    def __init__(self, server: World, seed: int) -> None:
        self._server = server
        self._chance = random.Random(seed)
        packets = [packet for event in sorted(known.EVENTS) for _, packet in [*known.packets(event)][::29]]
        requests = [
            raw.decode("latin-1")
            for method, path in sorted(known.ROUTES)
            for _, raw in [*known.requests(method, path)][::41]
        ]
        posts = [body.decode("latin-1") for _, _, body in known.packet_bodies()]
        files = [data.decode("latin-1") for data in known.FILES.values()]
        self.targets = [
            Target("packet", known.MAX_PAYLOAD, self._packet, [(0.0, data) for data in packets]),
            Target("request", 96_000, self._request, [(0.0, data) for data in requests]),
            Target("post", known.MAX_PAYLOAD, self._post, [(0.0, data) for data in posts]),
            Target("file", 65_536, self._file, [(0.0, data) for data in files]),
        ]
        self.found: list[Slow] = []

    async def step(self) -> None:
        """Try one mutation."""
        chance = self._chance
        target = chance.choices(self.targets, (6, 2, 1, 2))[0]
        data = chance.choice(target.kept)[1]
        for _ in range(chance.choice((1, 1, 2, 4))):
            data = self._mutated(data, target)
        cost = await self._cost(target, data)
        if cost >= BOUND / 2:
            cost = min(cost, await self._cost(target, data), await self._cost(target, data))
        if cost >= BOUND * BUSY:
            cost = min([await self._cost(target, data) for _ in range(AGAIN)])
            if cost >= BOUND * BUSY:
                self.found.append(Slow(target.name, cost, data))
                return  # not kept: the search shall find others
        target.kept.append((cost, data))
        if len(target.kept) > KEPT and chance.random() < 0.9:
            target.kept.remove(min(target.kept))

    async def _cost(self, target: Target, data: str) -> float:
        watch = Stopwatch()
        await target.give(data, watch)
        return watch.longest

    # ── giving ────────────────────────────────────────────────────────────────────────────────────

    async def _packet(self, data: str, watch: Stopwatch) -> None:
        name = NAME.match(data)
        entry = known.EVENTS.get(name[1]) if name else None
        await self._server.bring(entry.state if entry else "together")
        with watch.running():
            known.call_soon(self._server, data.replace("@file@", self._server.file))
            await turns()

    async def _request(self, data: str, watch: Stopwatch) -> None:
        await self._server.bring("together")
        await self._server.request(known.filled(self._server, data.encode("latin-1", "replace")), watch, patience=0.05)

    async def _post(self, data: str, watch: Stopwatch) -> None:
        await self._request(_request("POST", "/socket.io/?EIO=4&transport=polling&sid=@poller@", data), watch)

    async def _file(self, data: str, watch: Stopwatch) -> None:
        await self._request(_request("PUT", "/api/files/@room@", data), watch)

    # ── mutating ──────────────────────────────────────────────────────────────────────────────────

    def _mutated(self, data: str, target: Target) -> str:
        chance = self._chance
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 2, 8, 64, 1024)))
        room = target.most - len(data.encode("utf-8", "replace"))
        what = chance.randrange(7)
        if what == 0:
            changed = data[:start] + data[end:]
        elif what == 1:
            changed = data[:start] + self._many(data[start:end], room) + data[end:]
        elif what == 2:
            other = chance.choice(target.kept)[1]
            begin = chance.randrange(len(other) + 1)
            changed = data[:start] + other[begin : begin + end - start] + data[end:]
        elif what == 3:
            changed = data[:start] + chr(chance.randrange(0x300)) + data[end:]
        else:
            changed = data[:start] + self._many(chance.choice(WORDS), room) + data[start if what < 6 else end :]
        while len(changed.encode("utf-8", "replace")) > target.most:
            half = len(changed) // 4
            changed = changed[: -half or None] if chance.random() < 0.5 else changed[:half] + changed[2 * half :]
        return changed.encode("utf-8", "replace").decode()

    def _many(self, unit: str, room: int) -> str:
        fits = max(0, room) // (len(unit.encode("utf-8", "replace")) or 1)
        return unit * self._chance.choice((1, 2, min(fits, 30), min(fits, 1000), fits, fits))


def _request(method: str, target: str, body: str) -> str:
    return f"{method} {target} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer @token@\r\nContent-Length: 0\r\n\r\n{body}"


async def run(inputs: int, seed: int) -> int:
    """Try `inputs` inputs, print the slowest of each kind and the findings, and return the exit code."""
    began = time.monotonic()
    async with world() as server:
        search = Search(server, seed)
        for _ in range(inputs):
            await search.step()
    print(f"{inputs:,} inputs in {time.monotonic() - began:.0f} s, seed {seed}, {len(search.found)} findings")
    for target in search.targets:
        cost, data = max(target.kept)
        print(f"  slowest {target.name}: {cost * 1000:.1f} ms, {_shown(data)}")
    for slow in sorted(search.found, key=lambda slow: -slow.seconds)[:20]:
        print(f"\n{slow.target}: {slow.seconds * 1000:.1f} ms\n  {_shown(slow.data)}")
    return 1 if search.found else 0


def _shown(data: str) -> str:
    return ascii(data if len(data) < 300 else f"{data[:140]} … {data[-100:]}")
