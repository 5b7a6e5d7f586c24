"""How long moderators wait: the first page of the queue, and a case, with ten thousand open ones."""

import statistics
import tempfile
import time
from pathlib import Path

import httpx
import msgspec
import pyotp

from benchmarks.bans import KEY
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import ADDRESS, Passerby
from passerby.assembly import kept
from passerby.clock import SystemClock
from passerby.models import RULES
from passerby.moderation.logins import Logins
from passerby.safety.cases import Mark, NewCase, Piece, Subject
from passerby.safety.reports import Evidence, EvidenceMessage
from passerby.settings import Settings

BAR = Bar(at_most=300, unit="ms")
MESSAGES = 200
"""Of each conversation: as many as a room keeps."""
OF_A_DEVICE = 20
"""Cases about one browser."""
ASKED = 15
PASSWORD = "long enough to log in"


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Fill a database, log in as a moderator does, and ask."""
    if passerby is None:
        return []
    with tempfile.TemporaryDirectory(prefix="passerby-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'cases.db'}"
        token = await _fill(url, plan.open_cases)
        with passerby.with_settings(DATABASE_URL=url, EVIDENCE_KEY=KEY)() as server:
            async with httpx.AsyncClient(base_url=f"http://{ADDRESS}:{server.port}/api/moderate", timeout=30) as http:
                await _log_in(http, token)
                page = await _milliseconds(http, "/cases")
                case = await _milliseconds(http, f"/cases/{plan.open_cases // 2:032x}")
    return [
        Row(
            what=f"console with {plan.open_cases:,} open cases: {name}",
            passerby=f"median {statistics.median(took):.0f} ms, longest {max(took):.0f} ms",
            beside=beside,
            result=statistics.median(took),
            bar=BAR,
            values={"median_ms": statistics.median(took), "longest_ms": max(took)},
        )
        for name, took, beside in (
            ("the first page", page, "50 cases"),
            ("a case", case, f"{MESSAGES} messages, {OF_A_DEVICE - 1} others of the same browser"),
        )
    ]


async def _fill(url: str, count: int) -> str:
    """Open cases; return the token of a moderator's set-up link."""
    clock = SystemClock()
    stores = kept(Settings(database_url=url, evidence_key=KEY), clock)
    evidence = Piece(kind="log", content=msgspec.json.encode(_evidence()))
    now = clock.time()
    for number in range(count):
        device = (number // OF_A_DEVICE).to_bytes(32)
        await stores.cases.add(
            NewCase(
                id=f"{number:032x}",
                source="report",
                rule=RULES[number % len(RULES)],
                opened_at=now - number,
                subject=Subject(
                    guest_id=f"guest_{number:020x}",
                    username="BraveOtter1234",
                    marks=(Mark("session", number.to_bytes(32)), Mark("device", device)),
                ),
                reporter=(Mark("session", (count + number).to_bytes(32)),),
                words="They said something that nobody should have to read.",
                room=f"room {number}",
                evidence=(evidence,),
            )
        )
    token = await Logins(stores.staff, stores.journal, clock).invite("benchmark", "moderator", "benchmark")
    await stores.database.close()
    return token


def _evidence() -> Evidence:
    messages = [
        EvidenceMessage(
            number + 1,
            f"msg_{number}",
            f"guest_{number % 2}",
            "BraveOtter1234",
            "text",
            "A message of the usual length, give or take a few words.",
            "2026-01-01T00:00:00.000Z",
        )
        for number in range(MESSAGES)
    ]
    return Evidence(
        reported="guest_1",
        reporter="guest_0",
        marked=["msg_1"],
        files={},
        messages=messages,
        began_at=0.0,
        ended_at=0.0,
    )


async def _log_in(http: httpx.AsyncClient, token: str) -> None:
    secret = (await http.get(f"/setup/{token}")).json()["data"]["secret"]
    totp = pyotp.TOTP(secret)
    # The code of the next step is new to the server when the moderator logs in.
    done = await http.post(f"/setup/{token}", json={"password": PASSWORD, "code": totp.now()})
    done.raise_for_status()
    code = totp.at(time.time() + 30)
    (await http.post("/session", json={"name": "benchmark", "password": PASSWORD, "code": code})).raise_for_status()


async def _milliseconds(http: httpx.AsyncClient, path: str) -> list[float]:
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        (await http.get(path)).raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
    return took
