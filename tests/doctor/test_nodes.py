"""Nodes that share a Redis: real processes that are frozen, and clocks that are wrong."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from passerby.nodes.bus import VERSION
from tests.doctor.diagnosis import Report, diagnose
from tests.support.server import SECRET, ServerProcess
from tests.support.valkey import cluster, until, valkey
from tests.support.workers import Workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.support.valkey import Valkey

    Start = Callable[..., ServerProcess]

FROZEN = "is frozen"


@pytest.fixture
async def server() -> AsyncIterator[Valkey]:
    async with valkey() as server:
        yield server


async def started(start: Start, url: str, *arguments: str, **environment: str) -> ServerProcess:
    process = start(*arguments, REDIS_URL=url, JWT_SECRET=SECRET, **environment)
    return await asyncio.to_thread(process.wait_until_ready)


async def known(server: Valkey, count: int) -> None:
    """Wait until so many nodes have said all about themselves."""

    async def all_known() -> bool:
        return len(await server.command("KEYS", "about:*")) == count == int(await server.command("ZCARD", "alive"))

    await until(all_known, patience=30)


def about_nodes(report: Report) -> list[str]:
    return report.about(r"\bnodes?\b")


async def test_without_a_node_nothing_is_said(server: Valkey) -> None:
    assert about_nodes(await diagnose(redis_url=server.url)) == []


async def test_nodes_that_are_well(server: Valkey, start_process: Start) -> None:
    for _ in range(2):
        await started(start_process, server.url)
    await known(server, 2)

    report = await diagnose(redis_url=server.url)

    assert report.level("2 nodes use this Redis") == "ok"
    assert len(about_nodes(report)) == 1


async def test_a_node_that_has_ended_is_not_missed(server: Valkey, start_process: Start) -> None:
    one, other = [await started(start_process, server.url) for _ in range(2)]
    await known(server, 2)
    assert one.terminate() == 0
    other.stop()

    async def is_noticed() -> bool:
        return not await server.command("PUBSUB", "CHANNELS", "bus:*")

    await until(is_noticed)
    assert about_nodes(await diagnose(redis_url=server.url)) == []
    assert len(await server.command("KEYS", "about:*")) == 1, "the one that was killed"


@pytest.mark.parametrize("has_lease", [True, False])
async def test_a_node_that_is_frozen_is_named(server: Valkey, start_process: Start, has_lease: bool) -> None:
    frozen, _ = [await started(start_process, server.url, REDIS_PREFIX="a[b]:") for _ in range(2)]

    async def all_known() -> bool:
        return len(await server.command("KEYS", "*:about:*")) == 2 == int(await server.command("ZCARD", "a[b]:alive"))

    await until(all_known, patience=30)
    os.kill(frozen.pid, signal.SIGSTOP)
    if not has_lease:

        async def is_gone() -> bool:
            return bool(await server.command("ZCARD", "a[b]:alive") == 1)

        await until(is_gone)

    report = await diagnose(redis_url=server.url, redis_prefix="a[b]:")

    (line,) = about_nodes(report)
    assert line.startswith("problem")
    assert FROZEN in line
    assert f"process {frozen.pid} on " in line
    assert ("no lease" in line) is not has_lease


async def test_a_worker_that_is_frozen_is_named() -> None:
    crew = Workers(ServerProcess("--workers", "2"))
    try:
        await asyncio.to_thread(crew.process.wait_until_ready)
        report = await diagnose(workers="2")
        assert not report.about(FROZEN)
        os.kill(crew.process.pid, signal.SIGSTOP)  # it would kill the worker
        frozen = crew.workers()[0]
        os.kill(frozen, signal.SIGSTOP)

        report = await diagnose(workers="2")

        (line,) = report.about(FROZEN)
        assert line.startswith("problem")
        assert f"process {frozen} on " in line
    finally:
        crew.kill()


async def test_a_frozen_node_of_a_cluster_is_named(start_process: Start) -> None:
    async with cluster() as servers:
        frozen, _ = [await started(start_process, servers.url) for _ in range(2)]

        async def all_known() -> bool:
            return sum([len(await node.command("KEYS", "about:*")) for node in servers.nodes]) == 2

        await until(all_known, patience=30)
        os.kill(frozen.pid, signal.SIGSTOP)

        report = await diagnose(redis_url=servers.url)

        (line,) = report.about(FROZEN)
        assert f"process {frozen.pid} on " in line


@pytest.mark.parametrize(("seconds", "words"), [(5, "ahead of"), (-5, "behind")])
async def test_a_clock_that_is_off_is_named(
    server: Valkey, start_process: Start, tmp_path: Path, seconds: int, words: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"import time\nreal = time.time\ntime.time = lambda: real() + {seconds}\n"
    )
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    wrong = await started(start_process, server.url, PYTHONPATH=path)
    await started(start_process, server.url)
    await known(server, 2)

    report = await diagnose(redis_url=server.url)

    (line,) = about_nodes(report)
    assert line.startswith("problem")
    assert f"process {wrong.pid} on " in line
    assert words in line


async def test_versions_that_do_not_understand_each_other(server: Valkey, start_process: Start) -> None:
    await started(start_process, server.url)
    for version in (VERSION + 1, VERSION + 2):
        await server.command("ZADD", "alive", "9" * 13, f"node_{version} {version} x")
        report = await diagnose(redis_url=server.url)
        assert bool(report.about("do not understand each other")) is (version > VERSION + 1)


@pytest.mark.parametrize("channels", ["&*", "resetchannels"])
async def test_a_user_without_channels(server: Valkey, start_process: Start, channels: str) -> None:
    rights = ("~*", channels, "+@all", "-@admin", "-@dangerous", "+info")
    await server.command("ACL", "SETUSER", "anna", "on", ">a-password", *rights)
    url = server.url.replace("unix://", "unix://anna:a-password@")
    node = await started(start_process, url)
    await known(server, 1)

    report = await diagnose(redis_url=url)

    if channels == "&*":
        assert report.level("1 node uses this Redis") == "ok"
    else:
        assert report.level(f"process {node.pid} on .* does not listen to the others") == "problem"
