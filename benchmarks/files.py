"""Files: throughput compared with nginx, effect of uploads on messages, memory after uploads."""

import asyncio
import json
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from benchmarks.guests import Guest, check, end_sessions, join_many
from benchmarks.latency import Latency, TimedTalker, open_loop
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Server, Start, nginx
from benchmarks.talk import seat
from benchmarks.transfers import get, put

LATENCY_BAR = Bar(at_most=2)
MEMORY_BAR = Bar(at_most=1.05)
MIB = 1 << 20
AT_ONCE = 4
UPLOADS_BESIDE_TALK = 10
SETTLE_SECONDS = 0.5


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Measure throughput, latency under uploads, and memory."""
    if passerby is None:
        return []
    return [*await _throughput(plan, passerby), await _beside_talk(plan, passerby), await _memory(plan, passerby)]


# ── throughput ────────────────────────────────────────────────────────────────────────────────────


async def _throughput(plan: Plan, passerby: Start) -> list[Row]:
    body = memoryview(secrets.token_bytes(plan.file_bytes))
    ours: dict[str, list[float]] = {"up": [], "down": []}
    theirs: dict[str, list[float]] = {"up": [], "down": []}
    with passerby() as server, nginx() as peer:
        first, second = await _room(server)
        path, headers = f"/api/files/{first.room}", first.headers()
        for round_ in range(plan.file_rounds):
            ours["up"].append(await _rate(plan, lambda _: put(server.port, path, body, headers)))
            answer = json.loads(await put(server.port, path, body, headers))
            link = answer["data"]["fileUrl"]
            ours["down"].append(await _rate(plan, partial(_get, server.port, link, len(body))))
            theirs["up"].append(await _rate(plan, partial(_put_numbered, peer.port, round_, body)))
            theirs["down"].append(await _rate(plan, partial(_get, peer.port, f"/{round_}-0", len(body))))
        await end_sessions(server, [first, second])
    return [
        _throughput_row("upload", ours["up"], theirs["up"]),
        _throughput_row("download", ours["down"], theirs["down"]),
    ]


async def _get(port: int, path: str, size: int, _number: int) -> None:
    await get(port, path, size)


async def _put_numbered(port: int, round_: int, body: memoryview, number: int) -> None:
    await put(port, f"/{round_}-{number}", body, {})


async def _rate(plan: Plan, transfer: Callable[[int], Awaitable[object]]) -> float:
    """Return MiB a second of ``plan.transfers`` transfers, a few of them concurrent."""
    numbers = iter(range(plan.transfers))

    async def hand() -> None:
        for number in numbers:
            await transfer(number)

    began = time.perf_counter()
    await asyncio.gather(*(hand() for _ in range(AT_ONCE)))
    return plan.transfers * plan.file_bytes / MIB / (time.perf_counter() - began)


def _throughput_row(what: str, ours: Sequence[float], theirs: Sequence[float]) -> Row:
    return Row(
        f"{what} of 10 MiB files, {AT_ONCE} at once",
        f"{statistics.median(ours):,.0f} MiB/s",
        f"{statistics.median(theirs):,.0f} MiB/s (nginx)",
        values={"passerby": statistics.median(ours), "nginx": statistics.median(theirs)},
    )


# ── messages during uploads ───────────────────────────────────────────────────────────────────────


async def _beside_talk(plan: Plan, passerby: Start) -> Row:
    with passerby() as server:
        talkers = await seat(server, TimedTalker, plan.pairs, client_ids=plan.client_ids)
        first, second = await _room(server)
        path, body = f"/api/files/{first.room}", memoryview(secrets.token_bytes(plan.file_bytes))
        seconds = plan.talk_slices * plan.talk_slice
        alone: list[Latency] = []
        beside: list[Latency] = []
        for _ in range(plan.talk_rounds):
            alone += await _slices(plan, talkers)
            # Uploads last as long as the slices; at full loopback speed ten uploads would end too soon.
            uploads = [
                asyncio.create_task(
                    put(server.port, path, body, first.headers(), seconds=seconds, phase=number / UPLOADS_BESIDE_TALK)
                )
                for number in range(UPLOADS_BESIDE_TALK)
            ]
            beside += await _slices(plan, talkers)
            await asyncio.gather(*uploads)
        check([*talkers, first, second])
        await end_sessions(server, [first, second])
        for talker in talkers:
            talker.leave()
    loaded, free = _undisturbed(beside), _undisturbed(alone)
    return Row(
        f"message p99 beside {UPLOADS_BESIDE_TALK} uploads against without",
        str(loaded),
        str(free),
        result=loaded.p99 / free.p99,
        bar=LATENCY_BAR,
        values={"p99_ms": loaded.p99, "alone_p99_ms": free.p99},
    )


async def _slices(plan: Plan, talkers: Sequence[TimedTalker]) -> list[Latency]:
    return [await open_loop(talkers, plan.talk_rate, plan.talk_slice) for _ in range(plan.talk_slices)]


def _undisturbed(slices: Sequence[Latency]) -> Latency:
    """Return the slice at the first quartile: slower ones contain pauses of the machine itself."""
    return sorted(slices, key=lambda one: one.p99)[len(slices) // 4]


# ── memory ────────────────────────────────────────────────────────────────────────────────────────


async def _memory(plan: Plan, passerby: Start) -> Row:
    with passerby() as server:
        body = memoryview(secrets.token_bytes(MIB))
        await _upload_and_leave(server, body, plan.uploads_a_room)  # makes the one-time allocations
        before = server.resident_bytes()
        highest = before
        for _ in range(plan.uploads // plan.uploads_a_room):
            highest = max(highest, await _upload_and_leave(server, body, plan.uploads_a_room))
        await asyncio.sleep(SETTLE_SECONDS)
        after = server.resident_bytes()
    return Row(
        f"memory after {plan.uploads:,} uploads and closed rooms against before",
        f"{after / MIB:.1f} MiB against {before / MIB:.1f} MiB",
        f"{highest / MIB:.1f} MiB while a room was full",
        result=after / before,
        bar=MEMORY_BAR,
    )


async def _upload_and_leave(server: Server, body: memoryview, count: int) -> int:
    first, second = await _room(server)
    for _ in range(count):
        await put(server.port, f"/api/files/{first.room}", body, first.headers())
    resident = server.resident_bytes()
    await end_sessions(server, [first, second])
    return resident


class Roommate(Guest):
    """A guest who knows their room."""

    room = ""

    def on_event(self, payload: bytes) -> None:
        """Record the room."""
        if payload.startswith(b'42["user:matched"'):
            self.room = json.loads(payload[2:])[1]["roomId"]

    def headers(self) -> dict[str, str]:
        """Return the headers for an upload."""
        return {"Authorization": f"Bearer {self.token}", "X-File-Name": "bench.bin"}


async def _room(server: Server) -> tuple[Roommate, Roommate]:
    first, second = await join_many(server, Roommate, 2)
    first.send(b'42["user:match"]')
    second.send(b'42["user:match"]')
    await first.paired
    await second.paired
    return first, second
