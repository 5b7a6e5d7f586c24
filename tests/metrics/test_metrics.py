"""What the metrics say of a server with guests, and where they say it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final
from unittest import mock
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from passerby.errors import Code
from passerby.metrics.server import CONNECTIONS
from passerby.socketio.closing import CLOSINGS
from tests.metrics.test_watching import DASHBOARD, DOCUMENT, RULES
from tests.support.client import RefusedError
from tests.support.ports import free_port
from tests.support.sio_client import Line, read_answer, request_head
from tests.support.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import Metric

    from tests.conftest import StartServer
    from tests.support.server import InsideServer, ServerProcess

_UNITS: Final = ("_seconds", "_bytes", "_fds", "_info")


class Scrape:
    """What one scrape has told."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: list[Metric] = list(text_string_to_metric_families(text))
        self._samples = [sample for family in self.families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of this name with these labels."""
        return sum(
            sample.value for sample in self._samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    def labels(self, name: str) -> set[str]:
        """Return all values of a label."""
        return {sample.labels[name] for sample in self._samples if name in sample.labels}


async def scrape(server: InsideServer) -> Scrape:
    """Ask the server for its metrics."""
    metrics = server.application.metrics
    assert metrics is not None
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{metrics.port}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return Scrape(answer.text)


@pytest.fixture
async def server(start_server: StartServer) -> InsideServer:
    """Run a server with metrics."""
    return await start_server(metrics_port=0)


async def test_guests_searches_and_connections_are_counted(server: InsideServer) -> None:
    (_, one), (_, other), _ = await server.pair()
    _, third = await server.visitor()
    await third.emit("user:match")
    await third.until("user:match:searching")

    told = await scrape(server)

    assert told.value("passerby_guests", state="online") == 3
    assert told.value("passerby_connections", transport="websocket") == 3
    assert told.value("passerby_connections_opened_total") == 3
    assert told.value("passerby_sessions_created_total") == 3
    assert (told.value("passerby_searching"), told.value("passerby_searches_total")) == (1, 3)
    assert told.value("passerby_search_wait_seconds_count") == 2
    assert (told.value("passerby_rooms"), told.value("passerby_rooms_opened_total")) == (1, 1)
    await other.cut()
    await one.until("room:partner_away")
    told = await scrape(server)
    assert told.value("passerby_guests", state="away") == 1
    assert told.value("passerby_closings_total", reason="transport_close") == 1


async def test_messages_are_counted_also_when_the_room_is_over(server: InsideServer) -> None:
    (_, one), (_, other), _ = await server.pair()
    for _ in range(3):
        await one.say("hello", None)
        await other.until("chat:message")
    assert (await scrape(server)).value("passerby_messages_total") == 3
    await other.emit("leave-room")  # and has confirmed none of them
    await other.until("chat:clear:confirmed")
    for guest in (one, other):
        await guest.emit("user:match")
    await one.until("user:matched")
    await one.say("hello again")
    await other.until("chat:message")

    told = await scrape(server)

    assert told.value("passerby_messages_total") == 4
    assert told.value("passerby_rooms_opened_total") == 2
    assert told.value("passerby_room_length_seconds_count") == 1
    assert told.value("passerby_undelivered_messages_total") == 0  # the author is told that it is over, and no more
    assert told.value("passerby_turn_seconds_count") > 0


async def test_messages_that_do_not_arrive_are_counted_if_their_author_is_told(start_server: StartServer) -> None:
    server = await start_server(metrics_port=0, grace=0.1)
    (_, one), (_, other), _ = await server.pair()
    await one.say("hello")
    await other.cut()
    assert len((await one.until("room:closed"))["undelivered"]) == 1
    assert (await scrape(server)).value("passerby_undelivered_messages_total") == 1

    server = await start_server(metrics_port=0)
    (anna, one), (_, other), _ = await server.pair()
    await one.say("hello")
    await one.cut()
    await other.until("room:partner_away")
    await other.emit("leave-room")
    await other.until("chat:clear:confirmed")
    assert (await scrape(server)).value("passerby_undelivered_messages_total") == 1
    one = await server.connect(anna)
    assert len((await one.until("room:closed"))["undelivered"]) == 1


async def test_replays_and_their_gaps_are_counted(start_server: StartServer) -> None:
    server = await start_server(metrics_port=0, room_log_messages=2)
    (_, one), (berta, other), room = await server.pair()
    await other.cut()
    await one.until("room:partner_away")
    for _ in range(3):
        await one.say("hello")
    back = await server.connect(berta, {**room, "seq": 0})
    await back.until("room:resumed")

    told = await scrape(server)

    assert (told.value("passerby_replays_total"), told.value("passerby_replay_gaps_total")) == (1, 1)


async def test_refusals_are_counted_by_code_and_place(start_server: StartServer) -> None:
    server = await start_server(metrics_port=0, limits_scale=0.1)
    anna, one = await server.visitor()
    await one.emit("chat:message", {"type": "text", "content": "to nobody"})
    await one.until("chat:error", code="not_in_room")
    await server.http.get("/api/nothing")
    await server.http.get("/socket.io/?EIO=3&transport=polling")
    with pytest.raises(RefusedError):
        await server.connect(type(anna)("no token", {"id": "", "username": "", "sessionId": ""}))
    for _ in range(5):
        await one.emit("user:match:cancel")
    await one.until("user:match:cancel:error", code="rate_limited")

    told = await scrape(server)

    assert told.value("passerby_refusals_total", at="event", code="not_in_room") == 1
    assert told.value("passerby_refusals_total", at="request", code="not_found") == 1
    assert told.value("passerby_refusals_total", at="handshake", code="protocol_unsupported") == 1
    assert told.value("passerby_refusals_total", at="connect", code="token_invalid") == 1
    assert told.value("passerby_limits_hit_total", limit="matching") >= 1
    assert told.labels("code") <= set(Code)
    assert told.labels("reason") <= {closing.code for closing in CLOSINGS}


async def test_refusals_outside_the_routes_are_counted_too(
    server: InsideServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (anna, one), _, room = await server.pair()
    link = (await server.http.put(f"/api/files/{room['roomId']}", content=b"hello", headers=anna.headers)).json()
    target = link["data"]["fileUrl"]
    assert (await server.http.post("/")).status_code == 405
    assert (await server.http.delete("/icon.svg")).status_code == 405
    assert (await server.http.get(target, headers={"Range": "bytes=9-"})).status_code == 416
    assert (await one.ask("nobody:knows:this", 1))["code"] == "not_found"
    async with Line.open(urlsplit(server.url).port or 0) as line:
        line.write(b"nonsense\r\n\r\n")
        assert (await read_answer(line.reader)).status == 400
    monkeypatch.setattr("passerby.socketio.polling.Polling._answer", mock.AsyncMock(side_effect=OSError))
    failed = await server.http.get("/socket.io/?EIO=4&transport=polling")
    assert (failed.status_code, failed.json()["reason"]) == (500, "internal")
    assert re.fullmatch(r"[0-9a-f]{16}", failed.headers["request-id"])
    monkeypatch.setattr("passerby.background.Stopping.has_begun", True)
    assert (await server.http.get("/health")).status_code == 503
    monkeypatch.undo()

    told = await scrape(server)

    for at, code, count in (
        ("request", "method_not_allowed", 2),
        ("request", "range_not_satisfiable", 1),
        ("event", "not_found", 1),
        ("connection", "http_error", 1),
        ("request", "internal", 1),
        ("request", "unavailable", 1),
    ):
        assert told.value("passerby_refusals_total", at=at, code=code) == count, code
    assert told.value("passerby_failures_total") == 1


async def test_a_request_that_comes_too_late_is_counted(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.http.guard.PART_TIMEOUT", 0.1)
    server = await start_server(metrics_port=0)
    async with Line.open(urlsplit(server.url).port or 0) as line:
        line.write(
            request_head(
                "POST", "/api/guest", [("Host", "h"), ("Content-Type", "application/json"), ("Content-Length", "9")]
            )
        )
        assert (await read_answer(line.reader)).status == 408

    assert (await scrape(server)).value("passerby_refusals_total", at="connection", code="request_timeout") == 1


async def test_what_a_client_does_not_read_is_counted_in_bytes(server: InsideServer) -> None:
    anna = await server.newcomer()
    path = "/socket.io/?EIO=4&transport=polling"
    opened = json.loads((await server.http.get(path)).text[1:])
    answer = await server.http.post(f"{path}&sid={opened['sid']}", content="40" + json.dumps({"token": anna.token}))
    assert answer.text == "ok"

    told = await scrape(server)

    assert told.value("passerby_connections", transport="polling") == 1
    assert told.value("passerby_outbox_bytes") > 100  # the greeting
    await server.http.get(f"{path}&sid={opened['sid']}")
    assert (await scrape(server)).value("passerby_outbox_bytes") == 0


async def test_files_are_counted(server: InsideServer) -> None:
    (anna, one), _, room = await server.pair()
    answer = await server.http.put(f"/api/files/{room['roomId']}", content=b"hello", headers=anna.headers)
    assert answer.is_success, answer.text
    link = answer.json()["data"]["fileUrl"]
    assert (await server.http.get(link)).content == b"hello"

    told = await scrape(server)

    assert told.value("passerby_files_received_total") == 1
    assert told.value("passerby_files_received_bytes_total") == 5
    assert told.value("passerby_files_sent_bytes_total") == 5
    assert told.value("passerby_files_bytes") == 5
    assert one.is_open


async def test_nothing_in_it_is_about_a_guest(server: InsideServer) -> None:
    (anna, one), (berta, _), room = await server.pair()
    await one.say("a secret")
    told = await scrape(server)

    for word in (anna.id, anna.username, anna.session_id, berta.id, room["roomId"], "a secret", "127.0.0.1"):
        assert word not in told.text


async def test_names_are_as_prometheus_wants_them_and_documented(server: InsideServer) -> None:
    told = await scrape(server)
    document = DOCUMENT.read_text(encoding="utf-8")

    for family in told.families:
        assert family.documentation
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}`" in document, name
        if family.type == "histogram":
            assert name.endswith(_UNITS)
        assert all("worker" in sample.labels for sample in family.samples), name


def test_what_is_documented_or_used_is_a_metric() -> None:
    known = set(re.findall(r"`((?:passerby|process)_\w+)`", DOCUMENT.read_text(encoding="utf-8")))
    text = RULES.read_text(encoding="utf-8") + json.dumps(json.loads(DASHBOARD.read_text(encoding="utf-8")))
    used = {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"(?:passerby|process)_\w+", text)}

    assert used <= known


async def test_the_public_port_has_no_metrics(server: InsideServer) -> None:
    answer = await server.http.get("/metrics")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


async def test_other_paths_say_where_they_are(server: InsideServer) -> None:
    assert server.application.metrics is not None
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{server.application.metrics.port}/")

    assert (answer.status_code, answer.text) == (404, "The metrics are at /metrics\n")


def port_of(server: InsideServer) -> int:
    """Return the port of the metrics."""
    assert server.application.metrics is not None
    return server.application.metrics.port


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_metrics_can_only_be_read(server: InsideServer, method: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.request(method, f"http://127.0.0.1:{port_of(server)}/metrics")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert "passerby_" not in answer.text


async def test_a_head_has_no_body(server: InsideServer) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.head(f"http://127.0.0.1:{port_of(server)}/metrics")

    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 1000


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (b"application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            b"application/openmetrics-text; version=1.0.0; escaping=allow-utf-8; q=0.6, text/plain",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        *(
            (accept, "text/plain; version=0.0.4; charset=utf-8")
            for accept in (
                *(b"\xff", b"", b";;==,,;", b"text/plain; version=x; escaping=\xff", b"text/plain; version=1.0.0"),
                *(b"application/openmetrics-text; version=99", b"application/openmetrics-text; version=1.x"),
            )
        ),
    ],
)
async def test_whatever_is_accepted_there_are_metrics(server: InsideServer, accept: bytes, kind: str) -> None:
    async with Line.open(port_of(server)) as line:
        line.write(b"GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: " + accept + b"\r\n\r\n")
        answer = await read_answer(line.reader)

    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert b"passerby_rooms" in answer.body
    assert answer.body.endswith(b"# EOF\n") == ("openmetrics" in kind)


async def test_some_metrics_can_be_asked_for(server: InsideServer) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        names = {"name[]": ["passerby_rooms", "passerby_messages_total", "passerby_nobody_knows"]}
        answer = await http.get(f"http://127.0.0.1:{port_of(server)}/metrics", params=names)

    assert {family.name for family in Scrape(answer.text).families} == {"passerby_rooms", "passerby_messages"}


async def test_an_upgrade_is_no_reason_to_write_lines(server: InsideServer, caplog: pytest.LogCaptureFixture) -> None:
    head = request_head("GET", "/metrics", [("Host", "h"), ("Upgrade", "websocket"), ("Connection", "upgrade")])
    for _ in range(5):
        async with Line.open(port_of(server)) as line:
            line.write(head)
            assert (await read_answer(line.reader)).status == 200

    assert not [record for record in caplog.records if "WebSocket" in record.message or "Unsupported" in record.message]


async def test_connections_that_ask_nothing_do_not_stop_scrapes(server: InsideServer) -> None:
    async with AsyncExitStack() as stack:
        lines = []
        for number in range(3 * CONNECTIONS):
            line = await stack.enter_async_context(Line.open(port_of(server)))
            if number % 2:
                line.write(b"GET /metrics HTTP/1.1\r\nHost:")
            lines.append(line)
            if number >= CONNECTIONS:  # the oldest goes
                assert await lines[number - CONNECTIONS].read_all() == b""

        assert (await scrape(server)).value("passerby_guests") == 0


async def test_a_connection_that_asks_nothing_ends(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.http.guard.PART_TIMEOUT", 0.1)
    server = await start_server(metrics_port=0)
    async with Line.open(port_of(server)) as silent, Line.open(port_of(server)) as slow:
        slow.write(b"GET /metrics HTTP/1.1\r\nHost:")
        for line in (silent, slow):
            assert await line.read_all() == b""


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_an_address_that_is_taken_is_named(
    start_process: Callable[..., ServerProcess], server: InsideServer, workers: str
) -> None:
    assert server.application.metrics is not None
    port = server.application.metrics.port
    process = start_process(METRICS_PORT=str(port), WORKERS=workers)

    assert process.wait() == 2
    assert any(f"METRICS_PORT={port}: Address already in use" in line for line in process.lines)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_metrics_are_at_several_addresses(start_process: Callable[..., ServerProcess], workers: str) -> None:
    port = free_port()
    process = start_process(METRICS_PORT=str(port), METRICS_HOST="127.0.0.1,127.0.0.2,[::1]", WORKERS=workers)
    process.wait_until_ready()

    async with httpx.AsyncClient(trust_env=False) as http:
        for host in ("127.0.0.1", "127.0.0.2", "[::1]"):
            assert (await http.get(f"http://{host}:{port}/metrics")).status_code == 200
    places = ", ".join(f"http://{host}:{port}/metrics" for host in ("127.0.0.1", "127.0.0.2", "[::1]"))
    assert any(f"metrics on {places}" in line for line in process.lines)


async def test_a_port_that_is_free_is_the_same_at_each(start_server: StartServer) -> None:
    server = await start_server(metrics_port=0, metrics_host="127.0.0.1,::1")
    assert server.application.metrics is not None

    async with httpx.AsyncClient(trust_env=False) as http:
        for host in ("127.0.0.1", "[::1]"):
            assert (await http.get(f"http://{host}:{server.application.metrics.port}/metrics")).status_code == 200


@pytest.mark.parametrize("host", ["203.0.113.1", "127.0.0.1,nowhere.invalid"])
async def test_an_address_of_another_machine_is_named(start_process: Callable[..., ServerProcess], host: str) -> None:
    process = start_process(METRICS_PORT=str(free_port()), METRICS_HOST=host)

    assert process.wait() == 2
    assert any("METRICS_HOST=" in line and host.rpartition(",")[2] in line for line in process.lines)


def test_nothing_of_it_is_loaded_without_the_setting() -> None:
    source = (
        "import sys, passerby.app\n"
        "print([name for name in sys.modules if name.startswith(('prometheus', 'passerby.metrics'))])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


async def test_a_worker_that_replaces_another_one_takes_its_port(start_process: Callable[..., ServerProcess]) -> None:
    port = free_port()
    process = start_process(METRICS_PORT=str(port), WORKERS="2", DRAIN_SECONDS="0").wait_until_ready()

    async def began() -> list[float]:
        async with httpx.AsyncClient(trust_env=False) as http:
            urls = [f"http://127.0.0.1:{port + place}/metrics" for place in range(2)]
            return [Scrape((await http.get(url)).text).value("process_start_time_seconds") for url in urls]

    before = await began()
    os.kill(process.pid, signal.SIGHUP)
    await Workers(process).logged("the workers are replaced", 2)  # that they will be, and that they are
    after = await began()

    assert all(new > old for old, new in zip(before, after, strict=True))


async def test_each_worker_has_a_port_and_a_label(start_process: Callable[..., ServerProcess]) -> None:
    port = free_port()
    start_process(METRICS_PORT=str(port), WORKERS="2").wait_until_ready()

    async with httpx.AsyncClient(trust_env=False) as http:
        scrapes = [Scrape((await http.get(f"http://127.0.0.1:{port + place}/metrics")).text) for place in range(2)]

    assert [told.labels("worker") for told in scrapes] == [{"1"}, {"2"}]
    assert [told.value("passerby_nodes") for told in scrapes] == [2, 2]
