"""Files in Redis: throughput of the store alone, without HTTP, and how long other commands wait beside them."""

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import AsyncIterator

from benchmarks.machine import cores
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Start
from passerby.files.blobs_redis import RedisBlobStore
from passerby.models import StoredFile
from passerby.redis.client import Redis
from tests.support.valkey import connected, valkey

WAIT_BAR = Bar(at_most=9, unit="ms")
MIB = 1 << 20
PIECE = 64 * 1024
AT_ONCE = 10
LIFETIME = 900.0
ALONE_SECONDS = 0.5
PAUSE = 0.001
"""Seconds between two commands that are timed."""


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Measure files that go up, and then down, at once."""
    if passerby is None:
        return []
    rates: dict[str, list[float]] = {"up": [], "down": []}
    waits: dict[str, list[float]] = {"alone": [], "up": [], "down": []}
    async with _running() as redis:
        store = RedisBlobStore(redis, limit=1 << 36, upload_timeout=600)
        for round_ in range(plan.file_rounds):
            async with _timed(redis, waits["alone"]):
                await asyncio.sleep(ALONE_SECONDS)
            names = [f"file_{round_}_{number}" for number in range(AT_ONCE)]
            for way, transfer in (("up", _up), ("down", _down)):
                async with _timed(redis, waits[way]):
                    began = time.perf_counter()
                    await asyncio.gather(*(transfer(store, name, plan.file_bytes) for name in names))
                    rates[way].append(AT_ONCE * plan.file_bytes / MIB / (time.perf_counter() - began))
            for name in names:
                await store.remove(name)
    return [_row(way, statistics.median(rates[way]), waits[way], waits["alone"]) for way in rates]


@contextlib.asynccontextmanager
async def _running() -> AsyncIterator[Redis]:
    """Run a Valkey on the servers' core."""
    async with valkey() as server:
        os.sched_setaffinity(server.pid, {cores()[0]})
        async with connected(server.url) as redis:
            yield redis


async def _up(store: RedisBlobStore, name: str, size: int) -> None:
    piece = bytes(PIECE)
    for _ in range(size // PIECE):
        await store.write(name, piece)
    await store.publish(_described(name, size // PIECE * PIECE), LIFETIME)


async def _down(store: RedisBlobStore, name: str, size: int) -> None:
    received = 0
    async for part in store.read(name, 0, size // PIECE * PIECE):
        received += len(part)
    assert received == size // PIECE * PIECE


@contextlib.asynccontextmanager
async def _timed(redis: Redis, waits: list[float]) -> AsyncIterator[None]:
    """Send small commands, and note how many milliseconds each takes."""

    async def ask() -> None:
        while True:
            began = time.perf_counter()
            await redis.command("PING")
            waits.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(PAUSE)

    asking = asyncio.create_task(ask())
    try:
        yield
    finally:
        asking.cancel()


def _described(name: str, size: int) -> StoredFile:
    return StoredFile(
        id=name,
        room_id="guest_a_guest_b",
        epoch=1,
        owner="guest_a",
        voice=False,
        filename="bench.bin",
        mime_type="application/octet-stream",
        category="document",
        inline=False,
        size=size,
        expires_at=time.time() + LIFETIME,
    )


def _row(way: str, rate: float, waits: list[float], alone: list[float]) -> Row:
    p99, p99_alone = (statistics.quantiles(some, n=100)[-1] for some in (waits, alone))
    return Row(
        f"files to Redis, {AT_ONCE} at once" if way == "up" else f"files from Redis, {AT_ONCE} at once",
        f"{rate:,.0f} MiB/s",
        f"another command's p99: {p99:.2f} ms, alone {p99_alone:.2f} ms",
        result=p99,
        bar=WAIT_BAR,
        values={"mib_per_second": rate, "p99_ms": p99, "alone_p99_ms": p99_alone, "longest_ms": max(waits)},
    )
