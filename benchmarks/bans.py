"""What it costs to refuse who is banned, against a session: a request for it, a connection, and its end."""

import asyncio
import json
import tempfile
import time
from pathlib import Path

from benchmarks.guests import Guest, join_many
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import ADDRESS, MeasurementError, Passerby, Server
from passerby.assembly import kept
from passerby.clock import SystemClock
from passerby.safety.cases import Mark, Sanction
from passerby.safety.devices import digest_of
from passerby.safety.marks import Marks, device_mark
from passerby.settings import Settings

BAR = Bar(at_most=0.1)
KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
BANNED = "203.0.113.7"
KNOWN = 4.0
"""Seconds until a ban holds, at the latest, on a busy machine."""
FORBIDDEN = 403


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Let guests come and go, then let the banned ask as often, over a connection that stays open."""
    if passerby is None:
        return []
    with tempfile.TemporaryDirectory(prefix="passerby-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'bans.db'}"
        settings = {"DATABASE_URL": url, "EVIDENCE_KEY": KEY, "TRUSTED_PROXIES": "127.0.0.0/8"}
        with passerby.with_settings(**settings)() as server:
            session = await _session_cpu(plan, server)
            device = await _new_device(server)
            await _ban(url, device)
            by_device = await _refusal_cpu(plan, server, f"Device: {device}")
            by_address = await _refusal_cpu(plan, server, f"X-Forwarded-For: {BANNED}")
    return [_row("device", by_device, session), _row("address", by_address, session)]


def _row(what: str, refusal: float, session: float) -> Row:
    return Row(
        what=f"CPU to refuse a banned {what}, against a session",
        passerby=f"{refusal * 1e6:.0f} us",
        beside=f"a session {session * 1e6:.0f} us",
        result=refusal / session,
        bar=BAR,
        values={"refusal_us": refusal * 1e6, "session_us": session * 1e6},
    )


async def _session_cpu(plan: Plan, server: Server) -> float:
    """Return the CPU seconds of one session."""
    before = server.cpu_seconds()
    guests = await join_many(server, Guest, plan.newcomers, plan.newcomers_per_second)
    for guest in guests:
        guest.leave()
    await asyncio.sleep(plan.turn)
    return (server.cpu_seconds() - before) / len(guests)


async def _ask(header: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(f"POST /api/guest HTTP/1.1\r\nHost: {ADDRESS}\r\n{header}\r\nContent-Length: 0\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
    return head[9:12] + await reader.readexactly(length)


async def _new_device(server: Server) -> str:
    reader, writer = await asyncio.open_connection(ADDRESS, server.port)
    answer = await _ask("X-Nothing: x", reader, writer)
    writer.close()
    device: str = json.loads(answer[3:])["data"]["device"]
    return device


async def _ban(url: str, device: str) -> None:
    """Ban a device and an address, as a moderator's decision does."""
    clock = SystemClock()
    stores = kept(Settings(database_url=url, evidence_key=KEY), clock)
    marks = Marks(stores.sanctions, stores.sealer.derive("addresses"), clock, lifetime=7 * 86_400.0)
    await marks.renew()
    digest = digest_of(device)
    if digest is None:
        raise MeasurementError("the server has issued no device id")
    for number, mark in enumerate((device_mark(digest), marks.of_address(BANNED)[0])):
        await stores.sanctions.add(_sanction(clock.time(), mark, number))
    await stores.database.close()


def _sanction(now: float, mark: Mark, number: int) -> Sanction:
    return Sanction(
        id=0,
        kind="banned",
        case_id=None,
        marks=(mark,),
        rule="spam",
        words="For the benchmark",
        begins_at=now,
        ends_at=None,
        moderator="benchmark",
        appeal_code=f"CODE-{number}",
    )


async def _refusal_cpu(plan: Plan, server: Server, header: str) -> float:
    """Return the CPU seconds of one refusal."""
    reader, writer = await asyncio.open_connection(ADDRESS, server.port)
    end = time.monotonic() + KNOWN
    while not (await _ask(header, reader, writer)).startswith(b"%d" % FORBIDDEN):
        if time.monotonic() > end:
            raise MeasurementError("the ban does not hold")
        await asyncio.sleep(plan.turn_warm_up)
    asked = plan.newcomers * 5
    before = server.cpu_seconds()
    for _ in range(asked):
        answer = await _ask(header, reader, writer)
        if not answer.startswith(b"%d" % FORBIDDEN):
            raise MeasurementError("somebody who is banned was let in")
    cpu = server.cpu_seconds() - before
    writer.close()
    return cpu / asked
