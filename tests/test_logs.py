"""The log of a busy server, even at the lowest level, contains no messages and no identities of guests."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import httpx
import pytest

from passerby import logs
from passerby.guests.store_memory import MemorySessionStore
from passerby.limits import Rate
from passerby.logs import SAMPLE
from passerby.measures import CROWD
from passerby.moderation.staff import Moderator
from passerby.summary import Summary
from tests.database.conftest import opened
from tests.support.client import Client, RefusedError
from tests.support.clock import ManualClock
from tests.support.friction import NO_FRICTION_IN_ENVIRONMENT
from tests.support.server import SECRET, RunningServer, http_client
from tests.support.sio_client import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import StartServer
    from tests.support.server import Account, ServerProcess

JSON = {"Content-Type": "application/json"}
SAID = "nobody-but-us-may-read-this"
PLACE = "a-very-particular-village"
FORWARDED = "203.0.113.77"


@contextmanager
def captured(style: str) -> Iterator[io.StringIO]:
    """Log as `passerby serve --log-level debug` does, into a buffer."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    libraries = {name: logging.getLogger(name).level for name in logs._TALKATIVE}
    buffer = io.StringIO()
    before, sys.stderr = sys.stderr, buffer
    try:
        logs.configure("debug", style)
    finally:
        sys.stderr = before
    # The test's clients run in this process too; their logs are not checked.
    for handler in root.handlers:
        handler.addFilter(lambda record: not record.name.startswith(("httpx", "httpcore", "aiohttp", "tests")))
    try:
        yield buffer
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, before_it in libraries.items():
            logging.getLogger(name).setLevel(before_it)


async def live_a_little(server: RunningServer) -> list[Account]:
    """Use every feature, with valid and with invalid input."""
    (anna, one), (berta, other), room = await server.pair()
    await server.http.post("/api/guest/location", json={"location": PLACE}, headers=anna.headers)
    await one.say(SAID, "client-id")
    await one.emit("chat:typing:start", {"text": SAID})
    await one.emit("chat:message", {"type": "text", "content": {"text": SAID}})
    await one.emit("chat:message", {"type": SAID, "content": SAID})
    await one.emit("nobody:knows:this", SAID)
    await one.send('42["chat:message",{"type":"text","content":"' + SAID + '\\ud800"}]')
    await other.until("chat:message")
    await server.http.get(f"/api/guest/{anna.session_id}", headers={"X-Forwarded-For": FORWARDED})
    await server.http.get(f"/api/nothing/{anna.session_id}", headers={"X-Forwarded-For": FORWARDED})
    await server.http.post("/api/guest", content=b'{"username":"' + SAID.encode() * 10 + b'"}', headers=JSON)
    await server.http.post("/api/guest", content=b'{"location":' + SAID.encode(), headers=JSON)
    for auth in ({"token": anna.token + "x"}, {"token": SAID}, {"token": anna.token, "resume": SAID}):
        try:
            await server.connect(anna, None) if auth.get("resume") else await Client.connect(server.url, auth)
        except RefusedError:
            continue
    await other.until("chat:typing:start")
    await other.send("4" + SAID)
    await other.gone()
    back = await server.connect(berta, {**room, "seq": 0})
    await back.until("chat:message")
    await back.emit("leave-room")
    await back.until("chat:clear:confirmed")
    await server.http.delete("/api/guest/me", headers=berta.headers)
    return [anna, berta]


def assert_discreet(text: str, accounts: list[Account]) -> None:
    assert SAID not in text
    assert PLACE not in text
    assert FORWARDED not in text
    assert "127.0.0.1" not in text.replace("http://127.0.0.1", "")
    for account in accounts:
        assert account.token not in text
        assert account.session_id not in text
        assert account.token.rsplit(".", 1)[1] not in text


@pytest.mark.parametrize("style", ["console", "json"])
async def test_a_busy_server_is_discreet_even_when_it_fails(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    with captured(style) as buffer:
        server = await start_server(log_level="debug")
        accounts = await live_a_little(server)
        victim = await server.newcomer()

        async def fail(_store: MemorySessionStore, session_id: str) -> NoReturn:
            secret = f"a local variable that holds {SAID} and {session_id}"
            raise RuntimeError(f"out of order, whatever {len(secret)} is")

        monkeypatch.setattr(MemorySessionStore, "load", fail)
        answer = await server.http.get("/api/guest/me", headers=victim.headers)
        assert answer.status_code == 500
        assert answer.json() == {"success": False, "message": "Internal server error", "code": "internal"}
        again = await server.http.get("/api/guest/me", headers=victim.headers)
        ids = [answer.headers["request-id"], again.headers["request-id"]]
        with pytest.raises(RefusedError, match="Internal server error"):
            await Client.connect(server.url, {"token": victim.token})
        monkeypatch.undo()
        assert (await server.http.get("/api/guest/me", headers=victim.headers)).status_code == 200
        await asyncio.sleep(0)

    text = buffer.getvalue()
    assert "out of order" in text, "the failure is in the log"
    assert "test_logs.py" in text, "with its traceback"
    assert len(set(ids)) == 2
    assert all(text.count(number) == 1 for number in ids), "also if the same has failed just before"
    assert_discreet(text, [*accounts, victim])


async def test_a_real_process_is_discreet(start_process: Callable[..., ServerProcess]) -> None:
    process = start_process("--log-level", "debug", JWT_SECRET=SECRET).wait_until_ready()
    async with http_client(process.url) as http:
        server = RunningServer(process.url, http)
        accounts = await live_a_little(server)
        try:
            answer = await http.get("/" + SAID * 2000, headers={"X-Forwarded-For": FORWARDED})
            assert answer.is_client_error
        except httpx.TransportError:
            pass  # aborted, which is allowed for a head of that size
        await server.close()
    process.terminate()

    text = "\n".join(process.lines)
    assert "serving on" in text
    assert_discreet(text, accounts)


def test_what_clients_cause_is_logged_once_a_minute_with_a_count() -> None:
    now = 0.0
    lines: list[int] = []
    sampled = logs.Sampled(lambda _message, extra: lines.append(extra["count"]), "it happened", lambda: now)
    for now in range(200):  # noqa: B007 - read by the clock
        for _ in range(5):
            sampled.note()

    assert lines == [1, 300, 300, 300]


async def test_broken_requests_are_one_line(start_server: StartServer, caplog: pytest.LogCaptureFixture) -> None:
    server = await start_server()
    port = int(server.url.rpartition(":")[2])
    for _ in range(30):
        async with Line.open(port) as line:
            line.write(b"\x16\x03\x01 no HTTP\r\n\r\n")
            assert (await line.read_all()).startswith(b"HTTP/1.1 400 ")

    assert [record.getMessage() for record in caplog.records if record.name == "uvicorn.error"] == [
        "invalid HTTP requests"
    ]


async def test_an_operator_reads_each_step_of_a_server(start_process: Callable[..., ServerProcess]) -> None:
    process = start_process(
        "--grace", "7", JWT_SECRET=SECRET, METRICS_PORT="0", MAX_CONNECTIONS="99"
    ).wait_until_ready()
    process.terminate()
    records = process.records()

    steps = [
        re.sub(r"[\d.]+$|[\d.]+(?= starts)|(?<=:)\d+", "N", record["message"])
        for record in records
        if record["level"] == "info"
    ]
    assert steps == [
        "passerby N starts",
        "metrics on http://127.0.0.1:N/metrics",
        "serving on http://localhost:N",
        "the server stops",
        "stopped",
    ]
    told = {name: text for name, text in records[0]["settings"].items() if name not in NO_FRICTION_IN_ENVIRONMENT}
    assert told == {
        "PORT": "0",
        "GRACE": "7",
        "METRICS_PORT": "0",
        "LOG_FORMAT": "json",
        "JWT_SECRET": "(set)",
        "MAX_CONNECTIONS": "99",
    }
    (stops,) = [record for record in records if record["message"] == "the server stops"]
    assert (stops["guests"], stops["rooms"]) == (0, 0)
    assert all(list(record)[:4] == ["timestamp", "level", "logger", "message"] for record in records)


async def test_refusals_and_closings_are_summed_up(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    closings: Counter[str] = Counter()
    summary = Summary(clock, {"connections ended": lambda: closings}, list)
    caplog.set_level(logging.INFO)
    keeping = asyncio.ensure_future(repeat(summary))
    for happened in (["stalled", "stalled", "replaced"], [], ["stalled"]):
        closings.update(happened)
        await clock.run(SAMPLE)
    keeping.cancel()

    told = [(record.message, record.counts) for record in caplog.records]  # type: ignore[attr-defined]  # `extra`
    assert told == [
        ("connections ended", {"stalled": 2, "replaced": 1}),
        ("connections ended", {"stalled": 1}),
    ]


async def repeat(summary: Summary) -> None:
    while True:
        await summary.keep()


@pytest.mark.parametrize("style", ["console", "json"])
async def test_the_log_holds_no_values_of_statements_and_no_urls_of_hooks(tmp_path: Path, style: str) -> None:
    with captured(style) as log:
        async with opened(f"sqlite:///{tmp_path}/a.db") as kept:
            await kept.staff.add(Moderator(id=0, name=SAID, role="admin", created_at=1.0), SAID)
        for library in ("httpx", "httpcore"):  # the address of a hook may hold a secret
            assert not logging.getLogger(library).isEnabledFor(logging.INFO)
        logging.getLogger("passerby").debug("the level is the lowest")
    assert "the level is the lowest" in log.getvalue()
    assert SAID not in log.getvalue()


async def test_a_limit_that_many_guests_meet_is_named_and_one_flood_is_not(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start_server(
        limit_messages=Rate(1, 0.001), limit_events=Rate(2, 0.001), limit_refusals=Rate(100, 10)
    )
    summary = server.application._summary()

    async def meets(client: Client, event: str, error: str) -> None:
        """Ask until it is too often."""
        for _ in range(5):
            await client.emit(event, {"type": "text", "content": "hello"})
        await client.until(error, code="rate_limited")

    guests = [client for _, client in [await server.visitor() for _ in range(CROWD)]]
    for client in guests:
        await meets(client, "chat:message", "chat:error")
    for _ in range(CROWD):
        await meets(guests[0], "get:stats", "get:stats:error")
    summary.tell()
    (line,) = [record for record in caplog.records if "many guests" in record.message]
    assert (line.levelname, vars(line)["limit"]) == ("WARNING", "messages")
    caplog.clear()
    summary.tell()
    assert not [record for record in caplog.records if "many guests" in record.message]


@pytest.mark.parametrize("level", ["debug", "info"])
def test_the_database_library_does_not_tell_what_it_is_made_of(level: str) -> None:
    source = f"from passerby import logs; logs.configure({level!r}, 'json'); import passerby.database.opening"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)

    assert "alembic" not in done.stderr
