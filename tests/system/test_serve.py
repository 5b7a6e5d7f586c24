"""`passerby serve` as a process."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.server import RunningServer, http_client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.server import ServerProcess

    Start = Callable[..., ServerProcess]

SECRET = "the secret of this process, long enough"
SOON = 20.0
"""Maximum seconds for a server with clients to stop; the clients' polls would last 25."""


@pytest.mark.parametrize(
    ("arguments", "environment", "name"),
    [
        (("--grace", "soon"), {}, "--grace"),
        ((), {"JWT_SECRET": "short"}, "JWT_SECRET"),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_code_2(
    start_process: Start, arguments: tuple[str, ...], environment: dict[str, str], name: str
) -> None:
    process = start_process(*arguments, **environment)

    assert process.wait() == 2
    assert len(process.lines) == 1
    assert process.lines[0].startswith(f"passerby: {name}")


def test_a_setting_with_fixed_values_names_them(start_process: Start) -> None:
    process = start_process("--file-store", "s3")

    assert process.wait() == 2
    assert process.lines == ["passerby: --file-store='s3': must be one of auto, memory, disk, redis"]


def test_a_port_that_is_taken_is_said_and_exit_code_1(start_process: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = start_process("--port", port, "--file-store", "disk", "--file-directory", str(tmp_path))

        assert process.wait() == 1
        assert any("address already in use" in line for line in process.lines)
        assert not any("Traceback" in line for line in process.lines)
    assert list(tmp_path.iterdir()) == [], "what was made before is removed"


def test_without_a_secret_one_is_made_and_the_log_says_so(start_process: Start) -> None:
    records = start_process().wait_until_ready().records()

    assert sum("JWT_SECRET" in record["message"] for record in records) == 1
    assert next(record for record in records if "JWT_SECRET" in record["message"])["level"] == "warning"


def test_with_a_secret_there_is_nothing_to_say_and_the_secret_is_not_shown(start_process: Start) -> None:
    process = start_process("--log-level", "debug", JWT_SECRET=SECRET).wait_until_ready()

    assert not any(SECRET in line for line in process.lines)
    assert not any("JWT_SECRET" in record["message"] for record in process.records())
    assert process.records()[0]["settings"]["JWT_SECRET"] == "(set)"


def test_a_scale_of_the_limits_is_said(start_process: Start) -> None:
    records = start_process(LIMITS_SCALE="50", JWT_SECRET=SECRET).wait_until_ready().records()

    (record,) = [record for record in records if "LIMITS_SCALE" in record["message"]]
    assert record["level"] == "warning"
    assert record["factor"] == 50


async def test_tokens_outlive_a_restart_with_the_same_secret_but_not_the_sessions(start_process: Start) -> None:
    first = start_process(JWT_SECRET=SECRET).wait_until_ready()
    async with http_client(first.url) as http:
        account = await RunningServer(first.url, http).newcomer()
    await asyncio.to_thread(first.terminate)
    second = start_process(JWT_SECRET=SECRET).wait_until_ready()
    async with http_client(second.url) as http:
        answer = await http.get("/api/guest/me", headers=account.headers)

    assert answer.json()["message"] == "Guest session not found or expired"


@pytest.mark.parametrize("end", ["terminate", "interrupt"])
async def test_it_ends_cleanly_and_soon_with_clients_connected(start_process: Start, end: str) -> None:
    process = start_process(JWT_SECRET=SECRET).wait_until_ready()
    async with http_client(process.url) as http:
        server = RunningServer(process.url, http)
        _, (_, other), _ = await server.pair()
        opened = await http.get("/socket.io/?EIO=4&transport=polling")
        sid = opened.text.split('"sid":"')[1].split('"')[0]
        polling = asyncio.ensure_future(http.get(f"/socket.io/?EIO=4&transport=polling&sid={sid}"))
        await asyncio.sleep(0)  # lets it use the open connection
        # When this request, on another connection, is answered, the poll before it has arrived.
        await http.post(f"/socket.io/?EIO=4&transport=polling&sid={sid}", content="40{}")
        begun = time.monotonic()
        code = await asyncio.to_thread(getattr(process, end))
        took = time.monotonic() - begun

        await other.gone()
        assert other.close_code == 1012, "service restart: clients should reconnect"
        answer = await polling
        assert answer.status_code == 200
        await server.close()
    assert code == 0
    assert took < SOON
    assert not any("Traceback" in line or '"error"' in line for line in process.lines)
