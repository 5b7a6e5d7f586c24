"""What guests notice when workers, or their Redis, die, freeze or are replaced: seconds, but no message."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.guests import UnexpectedAnswerError, admit, by_hands, next_address, request
from benchmarks.nodes import all_up
from benchmarks.outages import NONE_BAR, SETTLE_SECONDS, account_rows, chat
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import ADDRESS, Passerby, Server
from benchmarks.stores import pin, running
from tests.support.lasting import Company, LastingClient, percentile
from tests.support.sio_client import ClosedError, Line, WebSocketClient, read_answer
from tests.support.sio_server import PATH
from tests.support.valkey import Valkey
from tests.support.workers import coming, command_of, opened, poll, post, runs, sid_of, tag

WORKERS = 3
TOLD_BAR = Bar(at_most=1, unit="s")
BACK_BAR = Bar(at_most=1, unit="s")
CROWD_BAR = Bar(at_most=10, unit="s")

WORKER = b"passerby.workers.worker"
LOOK = 0.02
"""Seconds between two looks at what nobody tells."""
OK = 200
LONGEST_DEATH = 2.0
"""Seconds until all who lose the connection by the death of a worker have noticed it."""
RESTART_SECONDS = 120.0
"""Maximum time of a rolling restart."""
CUT_EVERY = 0.05
AFTERWARDS = 2.0
"""Time in which connections are cut while what has failed comes back."""
ASK_EVERY = 0.1
ANSWERS = 30
"""How often it must be right in a row that Redis has everything: 3 s, in which a worker notices that it has not."""
FROZEN_SECONDS = 10.0
DOWN_SECONDS = 2.0
"""Time until a killed Redis is started again."""


@dataclass(frozen=True)
class Stage:
    """Workers with their state in one Valkey, and pairs of guests who are in their rooms."""

    server: Server
    store: Valkey
    company: Company

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        pid = self.server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [child for child in map(int, children) if runs(child) and WORKER in command_of(child)]

    async def until_all_serve(self) -> None:
        """Wait until a worker that has died is replaced, and serves."""
        async with asyncio.timeout(SETTLE_SECONDS):
            while len(self.workers()) < WORKERS:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(LOOK)
        await all_up(self.server, WORKERS)


@contextlib.asynccontextmanager
async def _stage(passerby: Passerby, pairs: int, *, wishes: bool = True, **settings: str) -> AsyncIterator[Stage]:
    async with running() as store:
        build = passerby.with_settings(REDIS_URL=store.url, WORKERS=str(WORKERS), **settings)
        with build() as server:
            await all_up(server, WORKERS)
            async with Company(f"http://{ADDRESS}:{server.port}", wishes=wishes) as company:
                await company.meet(await admit(server, 2 * pairs), (next_address() for _ in range(2 * pairs)))
                yield Stage(server, store, company)


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Kill a worker, replace all, and let everything fail while pairs talk."""
    if passerby is None:
        return []
    return [
        *await _killed(plan, passerby),
        *await _crowd(plan, passerby),
        *await _restarted(plan, passerby),
        *await _everything(plan, passerby),
        *await _handed_over(plan, passerby),
    ]


# ── a worker is killed ────────────────────────────────────────────────────────────────────────────


async def _killed(plan: Plan, passerby: Passerby) -> list[Row]:
    """Kill workers; look when partners know of it, and how long those who come back need for it."""
    told: list[float] = []
    back: list[float] = []
    async with _stage(passerby, plan.outage_pairs, MATCH_PATIENCE="0") as stage:
        company, loop = stage.company, asyncio.get_running_loop()
        for number in range(plan.deaths):
            await stage.until_all_serve()
            await company.until(company.all_ready, SETTLE_SECONDS)
            began = loop.time()
            os.kill(stage.workers()[number % WORKERS], signal.SIGKILL)
            await asyncio.sleep(plan.calm)
            await company.until(company.all_ready, SETTLE_SECONDS)
            lost = [client for client in company.clients if client.lost_at and client.lost_at[-1] >= began]
            told += [_told(client, began) for client in lost]
            back += [client.journeys[-1] for client in lost]
        account = await company.settle(SETTLE_SECONDS)
    what = f"{plan.deaths} deaths of a worker of {WORKERS}"
    return [
        _longest(f"the partner is told, {what}", told, TOLD_BAR),
        _longest("  resumed elsewhere, from the attempt to connect", back, BACK_BAR),
        *account_rows(what, f"{plan.outage_pairs} pairs", company, account)[-1:],
    ]


def _longest(what: str, seconds: list[float], bar: Bar) -> Row:
    values = {f"guest_{number}": value for number, value in enumerate(seconds)}
    text = f"at most {max(seconds):.2f} s"
    return Row(what, text, f"median {percentile(seconds, 0.5):.2f} s of {len(seconds)}", max(seconds), bar, values)


def _told(client: LastingClient, began: float) -> float:
    """Return when the partner of a guest knew, who lost the connection after `began`: or lost their own."""
    assert client.partner is not None
    moments = (*client.partner.away_at, *client.partner.lost_at)
    return min((moment - began for moment in moments if moment >= began), default=SETTLE_SECONDS)


async def _crowd(plan: Plan, passerby: Passerby) -> list[Row]:
    """Kill a worker with a third of many guests, while the others talk."""
    async with _stage(passerby, plan.crew_pairs) as stage:
        company, loop = stage.company, asyncio.get_running_loop()
        chatting = asyncio.create_task(chat(company, plan.restart_rate))
        await asyncio.sleep(plan.calm)
        began = loop.time()
        os.kill(stage.workers()[0], signal.SIGKILL)
        await asyncio.sleep(LONGEST_DEATH)
        with contextlib.suppress(TimeoutError):  # the row tells
            await company.until(company.all_ready, SETTLE_SECONDS)
        chatting.cancel()
        account = await company.settle(SETTLE_SECONDS)
        lost = {client for client in company.clients if client.lost_at and client.lost_at[-1] >= began}
        seconds = max(client.back_at[-1] if client.is_ready else loop.time() for client in lost) - began
        trips = company.happenings.trips
    before, meanwhile = (
        [trip.seconds * 1000 for trip in trips if (trip.said >= began) is is_later] for is_later in (False, True)
    )
    what = "a worker is killed"
    return [
        Row(
            f"{len(lost):,} guests of a killed worker are back",
            f"{seconds:.2f} s",
            f"of {len(company.clients):,}",
            seconds,
            CROWD_BAR,
        ),
        Row(
            "  p99 of the others meanwhile",
            f"{percentile(meanwhile, 0.99):.1f} ms",
            f"{percentile(before, 0.99):.1f} ms before",
        ),
        *account_rows(what, f"{len(company.clients):,} guests", company, account),
    ]


# ── all workers are replaced ──────────────────────────────────────────────────────────────────────


async def _restarted(plan: Plan, passerby: Passerby) -> list[Row]:
    """Replace all workers while pairs talk and clients come all the time."""
    async with _stage(passerby, plan.outage_pairs, DRAIN_SECONDS="3") as stage:
        company, before = stage.company, set(stage.workers())
        talking = asyncio.create_task(company.talk(1 << 62, plan.fault_rate))
        began = time.monotonic()
        async with coming(stage.server.port, transport="websocket") as visits:
            stage.server.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(RESTART_SECONDS):
                while before & set(stage.workers()) or len(stage.workers()) != WORKERS:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(LOOK)
            seconds = time.monotonic() - began
            await asyncio.sleep(plan.calm)
        talking.cancel()
        account = await company.settle(SETTLE_SECONDS)
    failed = visits.refused + visits.broken
    return [
        Row(
            "connections refused or broken, rolling restart",
            f"{visits.served:,} served",
            f"{visits.refused} refused, {visits.broken} broken, {seconds:.1f} s",
            failed,
            NONE_BAR,
        ),
        *account_rows("rolling restart", f"{plan.fault_rate:,.0f}/s", company, account),
    ]


# ── everything, one after the other ───────────────────────────────────────────────────────────────


async def _everything(plan: Plan, passerby: Passerby) -> list[Row]:
    """Cut, kill, freeze and flush while pairs talk, whose connections are anywhere; one thing beside the cuts."""
    async with _stage(passerby, plan.outage_pairs, wishes=False, MATCH_PATIENCE="0") as stage:
        company = stage.company
        talking = asyncio.create_task(company.talk(1 << 62, plan.outage_rate))
        happened = await _fail(plan, stage)
        talking.cancel()
        account = await company.settle(SETTLE_SECONDS)
    remark = f"{plan.outage_pairs} pairs, {plan.outage_rate:,.0f}/s, {WORKERS} workers"
    failures = ", ".join(f"{what}: {count}" for what, count in happened.items())
    return [Row("  what failed", failures, ""), *account_rows("everything fails", remark, company, account)]


async def _fail(plan: Plan, stage: Stage) -> Counter[str]:
    """Cut connections, and meanwhile, every `outage_every` seconds or so, let a worker die or something else fail.

    It ends when everything has failed and `outage_messages` are said. Return how often each has failed.
    """
    happened: Counter[str] = Counter()
    rest = [_redis_dies, _frozen, _flushed, _redis_dies]
    while rest or sum(client.said for client in stage.company.clients) < plan.outage_messages:
        for failure in (_worker_dies, *rest[:1]):
            cutting = asyncio.create_task(_cut(stage.company))
            await asyncio.sleep(plan.outage_every / 2)
            await failure(stage)
            await asyncio.sleep(AFTERWARDS)
            cutting.cancel()
            happened[failure.__name__.strip("_").replace("_", " ")] += 1
            await _mended(stage)
        del rest[:1]
    return happened


async def _cut(company: Company) -> None:
    """Cut a connection every 50 ms."""
    while True:
        await asyncio.sleep(CUT_EVERY)
        random.choice(company.clients).cut()


async def _mended(stage: Stage) -> None:
    """Wait until all are in their rooms, and Redis has had everything for some time, whichever worker is asked."""
    await stage.company.until(stage.company.all_ready, SETTLE_SECONDS)
    async with asyncio.timeout(SETTLE_SECONDS):
        answers = 0
        while answers < ANSWERS:
            with contextlib.suppress(OSError, UnexpectedAnswerError):
                stats = await request(stage.server, next_address(), "GET", "/api/socket/stats")
                answers = answers + 1 if stats["redis"]["state"] == "normal" else 0
            await asyncio.sleep(ASK_EVERY)
    await stage.until_all_serve()


async def _worker_dies(stage: Stage) -> None:
    os.kill(random.choice(stage.workers()), signal.SIGKILL)


async def _redis_dies(stage: Stage) -> None:
    stage.store.kill()
    await asyncio.sleep(DOWN_SECONDS)
    await stage.store.start()
    pin(stage.store)


async def _frozen(stage: Stage) -> None:
    """The parent ends it before it wakes up."""
    pid = stage.workers()[-1]
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(FROZEN_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


async def _flushed(stage: Stage) -> None:
    await stage.store.command("FLUSHALL")


# ── requests that reach another worker than the one of their session ──────────────────────────────


async def _handed_over(plan: Plan, passerby: Passerby) -> list[Row]:
    """Let sessions poll and upgrade over connections that any worker accepts, and over connections that are kept."""
    with passerby.with_settings(WORKERS=str(WORKERS))() as server:
        await all_up(server, WORKERS)
        sids: dict[str, str] = {}
        while len(sids) < WORKERS:
            sid = await opened(server.port)
            sids[tag(sid)] = sid
        rows = []
        for name, visit in {
            "polling": partial(_polls, server.port),
            "polling with upgrade": partial(_upgrades, server.port),
            "keep-alive": partial(_keeps, server.port, list(sids.values())),
        }.items():
            done = await by_hands([partial(_attempt, visit)] * plan.sessions)
            text = f"{sum(done):,} of {len(done):,}"
            rows.append(
                Row(
                    f"sessions served over {WORKERS} workers, {name}",
                    text,
                    "any worker accepts",
                    len(done) - sum(done),
                    NONE_BAR,
                )
            )
    return rows


async def _attempt(visit: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await visit()
    except (ClosedError, OSError, TimeoutError, ValueError):
        return False


async def _ask(line: Line, request: bytes) -> str:
    line.write(request)
    answer = await read_answer(line.reader)
    return answer.text if answer.status == OK else ""


async def _alone(port: int, request: bytes) -> str:
    async with Line.open(port) as line:
        return await _ask(line, request)


async def _polls(port: int) -> bool:
    sid = await opened(port)
    return await _alone(port, post(sid, b"40")) == "ok" and (await _alone(port, poll(sid))).startswith("44")


async def _upgrades(port: int) -> bool:
    sid = await opened(port)
    async with WebSocketClient.open(port, f"{PATH}?EIO=4&transport=websocket&sid={sid}") as client:
        await client.send("2probe")
        if await client.receive() != "3probe":
            return False
        await client.send("5", "40")
        return str(await client.receive()).startswith("44")


async def _keeps(port: int, sids: list[str]) -> bool:
    own = await opened(port)
    async with Line.open(port) as line:
        answers = [await _ask(line, post(sid, b"3")) for sid in (*sids, own)]
        return set(answers) == {"ok"} and bool(sid_of(await _ask(line, poll())))
