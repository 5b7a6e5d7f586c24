"""A thousand new sessions a second, of 500 addresses: what others notice of it, and how many of them get in."""

import asyncio
import base64
import hashlib
import itertools
import json
import statistics
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.latency import TimedTalker, open_loop
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import ADDRESS, Passerby, Server
from benchmarks.talk import seat

RATE = 1000
"""New sessions a second that are asked for."""
BOTS = 500
"""Addresses, each in a network of its own: who has fewer networks is noticed sooner."""
PAIRS = 20
TALK_RATE = 100.0
"""Messages a second of all pairs: 2.5 of each guest, half of what is allowed."""
CONNECTIONS = 32
"""Of the proxy that passes the bots' requests on."""
SLICES = 5
"""Calm and flood alternate, because a shared machine's speed varies."""
WARNING = 2.0
"""Seconds of a flood before bots that work, so that the house is under suspicion."""
BAR = Bar(at_most=2)
CREATED = 201
REQUIRED = 428
SETTINGS = {"LIMITS_SCALE": "1", "TRUSTED_PROXIES": "127.0.0.0/8", "PROOF_OF_WORK": "auto"}


class Tally:
    """What became of requests for sessions."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.statuses: Counter[int] = Counter()
        self.asked: Counter[int] = Counter()
        """Of the challenges, by level."""
        self.let_in: Counter[int] = Counter()
        """Sessions by the level of their proof; 0: without one."""

    def note(self, status: int, body: bytes, proved: int = 0) -> bytes | None:
        """Count an answer to a request with a proof of this level, 0: without one; return it if it asks for work."""
        self.statuses[status] += 1
        if status == CREATED:
            self.let_in[proved] += 1
        if status != REQUIRED:
            return None
        self.asked[int(body.split(b'"level":', 1)[1][:2].rstrip(b","))] += 1
        return body

    def __str__(self) -> str:
        """Return the text for the table: sessions, and the levels."""
        levels = ", ".join(f"level {level}: {count}" for level, count in sorted(self.let_in.items()))
        return f"{self.let_in.total()} of {self.statuses.total()} ({levels or 'none'})"


def level_of(challenge: dict[str, Any]) -> int:
    """Return the level of a challenge."""
    return int(challenge["parameters"]["data"]["level"])


def solve(challenge: dict[str, Any]) -> str:
    """Return the proof, as fast as Python can: the work is OpenSSL's."""
    parameters = challenge["parameters"]
    nonce, salt, prefix = (bytes.fromhex(parameters[name]) for name in ("nonce", "salt", "keyPrefix"))
    counter, key = -1, b""
    while not key.startswith(prefix):
        counter += 1
        key = hashlib.pbkdf2_hmac("sha256", nonce + struct.pack(">I", counter), salt, parameters["cost"], 32)
    solution = {"counter": counter, "derivedKey": key.hex()}
    return base64.b64encode(json.dumps({"challenge": challenge, "solution": solution}).encode()).decode()


class Bots:
    """Ask for sessions through a proxy, which says from which address each comes."""

    def __init__(self, port: int) -> None:
        """Connect to `port`, later."""
        self._port = port
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._numbers = itertools.count()
        self.tally = Tally()

    async def open(self) -> None:
        """Open the proxy's connections."""
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await asyncio.open_connection(ADDRESS, self._port))

    def close(self) -> None:
        """Close them."""
        while not self._free.empty():
            self._free.get_nowait()[1].close()

    async def ask(self, address: str, proof: str = "", proved: int = 0) -> bytes | None:
        """Ask for a session; return the answer if it asks for work."""
        head = [
            "POST /api/guest HTTP/1.1",
            f"Host: {ADDRESS}",
            f"X-Forwarded-For: {address}",
            *([f"Proof: {proof}"] if proof else []),
            "Content-Length: 0",
        ]
        connection = await self._free.get()
        reader, writer = connection
        writer.write("\r\n".join([*head, "", ""]).encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        self._free.put_nowait(connection)
        return self.tally.note(int(answer[9:12]), body, proved)

    async def flood(self, seconds: float) -> None:
        """Ask RATE times a second, whether or not the server keeps up, and solve nothing."""
        began = time.perf_counter()
        asking: set[asyncio.Task[object]] = set()
        for number in range(int(RATE * seconds)):
            delay = began + number / RATE - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            task = asyncio.ensure_future(self.ask(self.next_address()))
            asking.add(task)
            task.add_done_callback(asking.discard)
        await asyncio.gather(*asking)

    async def work(self, seconds: float) -> None:
        """Ask, solve what is asked for, and ask again, one after the other: as fast as one core can."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            address = self.next_address()
            answer = await self.ask(address)
            while answer is not None and time.perf_counter() < end:
                challenge = json.loads(answer)["challenge"]
                answer = await self.ask(address, solve(challenge), level_of(challenge))

    def next_address(self) -> str:
        """Return the next of the bots' addresses."""
        number = next(self._numbers) % BOTS
        return f"10.{number // 250}.{number % 250}.7"


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Let pairs talk in calm, then beside bots that solve nothing; then let bots work, beside nobody."""
    if passerby is None:
        return []
    start = passerby.with_settings(**SETTINGS)
    with start() as server:
        talkers = await seat(server, TimedTalker, PAIRS, client_ids=plan.client_ids)
        calm: list[list[int]] = []
        beside: list[list[int]] = []
        async with _bots(server) as idle:
            for _ in range(SLICES):
                calm.append(await _talk(talkers, plan.flood / SLICES))
                flooding = asyncio.ensure_future(idle.flood(plan.flood / SLICES))
                beside.append(await _talk(talkers, plan.flood / SLICES))
                await flooding
        for talker in talkers:
            talker.leave()
    with start() as server:
        async with _bots(server) as busy:
            await busy.flood(WARNING)
            busy.tally = Tally()
            await busy.work(plan.flood)
    return [
        Row(
            what=f"p50 / p99 of {PAIRS} pairs beside {RATE} new sessions a second of {BOTS} addresses",
            passerby=f"{percentile(beside, 50):.2f} / {percentile(beside, 99):.2f} ms",
            beside=f"{percentile(calm, 50):.2f} / {percentile(calm, 99):.2f} ms in calm",
            result=percentile(beside, 99) / percentile(calm, 99),
            bar=BAR,
            values={
                f"{name}p{share}_ms": percentile(ages, share)
                for name, ages in (("calm_", calm), ("", beside))
                for share in (50, 99)
            },
        ),
        _row(f"  sessions of bots that solve nothing, in {plan.flood:g} s", idle.tally),
        _row(f"  sessions of bots that solve with one core, in {plan.flood:g} s", busy.tally),
    ]


async def _talk(talkers: Sequence[TimedTalker], seconds: float) -> list[int]:
    await open_loop(talkers, TALK_RATE, seconds)
    return [age for talker in talkers for age in talker.ages or ()]


def percentile(slices: Sequence[Sequence[int]], share: int) -> float:
    """Return a percentile of ages in microseconds, in milliseconds: the median of the slices.

    A machine that does something else for a moment spoils one slice, and not the result.
    """
    return statistics.median(sorted(ages)[len(ages) * share // 100] for ages in slices) / 1000


def _row(what: str, tally: Tally) -> Row:
    levels = ", ".join(f"level {level}: {count}" for level, count in sorted(tally.asked.items()))
    values = {f"let_in_{level}": float(count) for level, count in tally.let_in.items()}
    values |= {f"asked_{level}": float(count) for level, count in tally.asked.items()}
    return Row(what, str(tally), f"asked for work: {levels or 'none'}", values=values)


@asynccontextmanager
async def _bots(server: Server) -> AsyncIterator[Bots]:
    bots = Bots(server.port)
    await bots.open()
    try:
        yield bots
    finally:
        bots.close()
