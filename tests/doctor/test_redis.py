"""REDIS_URL, with real servers of Valkey."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from passerby.doctor.redis_facts import Facts, judge
from tests.doctor.diagnosis import HOST, Report, chosen, diagnose, silent
from tests.proxies.proxy import make_certificate
from tests.support.ports import free_port
from tests.support.valkey import MASTER, cluster, sentinels, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.support.server import InsideServer
    from tests.support.valkey import Cluster

PASSWORD = "hunter2-hunter2"


def about_redis(report: Report) -> list[str]:
    return report.about("Redis|Sentinel|Cluster|REDIS")


async def look(url: str, deadline: float = 8) -> Report:
    report = await diagnose(redis_url=url, deadline=deadline)
    assert PASSWORD not in "".join(report.lines)
    return report


async def test_without_a_url_memory_is_used() -> None:
    assert (await diagnose()).level("REDIS_URL is not set") == "ok"


async def test_a_server_without_persistence() -> None:
    async with valkey() as server:
        report = await look(server.url)

    levels = [line.split()[0] for line in about_redis(report)]
    assert sorted(levels) == [*["ok"] * 7, "warning"], report.lines
    assert report.level("saves nothing") == "warning"


async def test_a_sound_server() -> None:
    async with valkey("--appendonly", "yes", "--maxmemory", "1gb", password=PASSWORD) as server:
        report = await look(server.url)

    assert {line.split()[0] for line in about_redis(report)} == {"ok"}, report.lines
    assert report.level("append-only") == "ok"


async def test_what_is_written_expires() -> None:
    async with valkey() as server:
        await diagnose(redis_url=server.url, redis_prefix="mine:")
        assert await server.command("KEYS", "*") == [b"mine:passerby:doctor"]
        assert 0 < await server.command("TTL", "mine:passerby:doctor") <= 10


@pytest.mark.parametrize(
    ("login", "text"),
    [
        ("", "wants a password"),
        (f":{PASSWORD}@", "refuses the user or the password"),
        (f"anna:{PASSWORD}@", "refuses the user or the password"),
    ],
)
async def test_a_login_that_is_refused(login: str, text: str) -> None:
    async with valkey(password="another") as server:
        report = await look(f"unix://{login}{server.path}")

    assert report.level(text) == "problem"


async def test_a_user_who_may_too_little() -> None:
    async with valkey() as server:
        await server.command("ACL", "SETUSER", "anna", "on", f">{PASSWORD}", "~x:*", "+@all", "-config")
        report = await look(server.url.replace("unix://", f"unix://anna:{PASSWORD}@"))

    assert report.level("cannot be written: this user may not") == "problem"
    assert report.level("does not tell whether it saves") == "warning"


async def test_a_database_that_is_not_there() -> None:
    async with valkey() as server:
        report = await look(f"{server.url}?db=99")

    assert report.level("no database of this number") == "problem"


async def test_a_policy_that_removes_sessions() -> None:
    async with valkey("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        report = await look(server.url)

    assert report.level("maxmemory-policy allkeys-lru") == "warning"
    assert report.code == 0


async def test_a_server_that_is_full() -> None:
    async with valkey("--maxmemory", "1") as server:
        report = await look(server.url)

    assert report.level("cannot be written: its memory is full") == "problem"
    assert report.level("Raise its `maxmemory`$") == "warning"


async def test_a_replica() -> None:
    async with valkey("--replicaof", HOST, str(free_port())) as server:
        report = await look(server.url)

    assert report.level("is a replica of 127.0.0.1") == "problem"


async def test_a_server_that_is_frozen() -> None:
    async with valkey() as server:
        server.freeze()
        report = await look(server.url, deadline=0.5)

    assert report.level("no answer within") == "problem"


async def test_a_socket_that_is_not_there() -> None:
    assert (await look("unix:///nowhere/at/all")).level("there is no such file") == "problem"


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
async def test_a_port_where_nothing_listens(scheme: str) -> None:
    assert (await look(f"{scheme}://{HOST}:{free_port()}")).level("nothing listens there") == "problem"


async def test_a_host_without_address() -> None:
    assert (await look("redis://no-such-host.invalid")).level("has no address") == "problem"


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
async def test_a_port_that_never_answers(scheme: str) -> None:
    with silent(socket.SOCK_STREAM) as port:
        report = await look(f"{scheme}://{HOST}:{port}", deadline=0.5)

    assert report.level("no answer within") == "problem"


async def test_a_web_server_in_its_place(server: InsideServer) -> None:
    report = await look(server.url.replace("http", "redis"))

    assert report.level("does not answer") == "problem"


async def test_tls(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with valkey(password=PASSWORD) as server:

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there = await asyncio.open_unix_connection(str(server.path))
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))

        async with await asyncio.start_server(pass_on, HOST, 0, ssl=context) as encrypted:
            url = f"rediss://:{PASSWORD}@localhost:{encrypted.sockets[0].getsockname()[1]}"
            report = await look(f"{url}?ssl_ca_certs={certificate}")
            assert report.level("can be written") == "ok"
            assert (await look(url)).level("the certificate is not valid") == "problem"
            assert (await look(f"{url}?ssl_ca_certs=/nowhere")).level("a file of certificates") == "problem"
            assert (await look(url.replace("rediss:", "redis:"))).level("does not answer") == "problem"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_tls_to_a_server_without() -> None:
    async with valkey(transport="tcp") as server:
        report = await look(server.url.replace("redis:", "rediss:"))

    assert report.level("cannot be reached") == "problem"


# ── Sentinel and Cluster ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def three_nodes() -> AsyncIterator[Cluster]:
    async with cluster() as running:
        yield running


async def test_a_cluster(three_nodes: Cluster) -> None:
    away = f"{HOST}:{free_port()}"
    report = await look(three_nodes.url.replace("://", f"://{away},"))

    assert report.code == 0
    assert report.level("is whole, with 3 primaries") == "ok"
    assert report.level(f"{away} cannot be reached") == "warning", "other nodes answer"
    for node in three_nodes.nodes:
        assert report.level(f"{node.port} can be written") == "ok"

    await three_nodes.nodes[0].command("CLUSTER", "DELSLOTS", 7)
    report = await look(three_nodes.url)
    assert report.level("is not whole") == "problem"


async def test_a_server_of_a_cluster_needs_another_url(three_nodes: Cluster) -> None:
    report = await look(f"redis://{HOST}:{three_nodes.nodes[0].port}")

    assert report.level("redis\\+cluster://") == "problem"


async def test_a_server_that_is_no_cluster() -> None:
    async with valkey(transport="tcp") as server:
        report = await look(server.url.replace("redis:", "redis+cluster:"))

    assert report.level("is no node of a Cluster") == "problem"


async def test_a_cluster_of_which_no_node_answers() -> None:
    report = await look(f"redis+cluster://{HOST}:{free_port()},{HOST}:{free_port()}")

    assert [line.split()[0] for line in report.about("nothing listens")] == ["problem"] * 2


async def test_sentinels() -> None:
    async with sentinels() as watched:
        away = f"{HOST}:{free_port()}"
        report = await look(watched.url.replace("://", f"://{away},"))
        assert report.code == 0
        assert report.level(f"names {HOST}:{watched.primary.port} as primary") == "ok"
        assert report.level(f"{away} cannot be reached") == "warning", "another Sentinel answers"
        assert report.level("is a primary with 1 replica$") == "ok"

        report = await look(watched.url.removesuffix(MASTER) + "another")
        assert report.level("knows no primary called another") == "problem"

        report = await look(f"redis://{HOST}:{watched.sentinel.port}")
        assert report.level("redis\\+sentinel://") == "problem"

        report = await look(f"redis://{HOST}:{watched.replica.port}")
        assert report.level("is a replica of") == "problem"


async def test_a_server_that_is_no_sentinel() -> None:
    async with valkey(transport="tcp") as server:
        report = await look(f"redis+sentinel://{HOST}:{server.port}/{MASTER}")

    assert report.level("is no Sentinel") == "problem"


async def test_sentinels_of_which_none_answers() -> None:
    report = await look(f"redis+sentinel://{HOST}:{free_port()},{HOST}:{free_port()}/{MASTER}")

    assert [line.split()[0] for line in report.about("nothing listens")] == ["problem"] * 2


# ── what a server tells ───────────────────────────────────────────────────────────────────────────

SOUND = {
    "redis_version": "7.2.4",
    "redis_mode": "standalone",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "used_memory": "1000000",
    "maxmemory": "100000000",
    "aof_enabled": "1",
}


def judged(
    saves: str | None = "", skew: float = 0, latency: float = 0.001, refusal: str = "", **info: str
) -> list[str]:
    """Return what is not ok about a sound server with changes."""
    facts = Facts("Redis at x", SOUND | info, saves, skew, latency, refusal)
    return [str(finding) for finding in judge(facts, chosen()) if finding.level.value != "ok"]


def test_a_sound_server_has_nothing() -> None:
    assert judged() == []


@pytest.mark.parametrize(
    ("change", "level", "text"),
    [
        ({"redis_version": "6.2.14"}, "problem", "Redis 6.2.14, which is too old. Use Redis 7 or Valkey 8"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.6"}, "problem", "Valkey 7.2.6, which is too old"),
        ({"dragonfly_version": "df-v1.2"}, "warning", "Dragonfly df-v1.2, which is not tested"),
        ({"redis_version": "unstable"}, "warning", "not tested"),
        ({"role": "slave", "master_host": "a", "master_port": "1"}, "problem", "replica of a:1"),
        ({"maxmemory_policy": "volatile-ttl"}, "warning", "volatile-ttl"),
        ({"maxmemory_policy": ""}, "warning", "does not tell"),
        ({"used_memory": "90000000"}, "warning", "Raise its `maxmemory`"),
        ({"rdb_last_bgsave_status": "err"}, "warning", "failed to save"),
        ({"aof_enabled": "0"}, "warning", "saves nothing"),
        ({"aof_enabled": "0", "saves": None}, "warning", "does not tell whether it saves"),
        ({"skew": 2.5}, "warning", "2.5 seconds ahead of"),
        ({"skew": -2.5}, "warning", "2.5 seconds behind"),
        ({"latency": 0.05}, "warning", "50 ms"),
        ({"refusal": "READONLY"}, "problem", "replica"),
        ({"refusal": "MISCONF"}, "problem", "disk"),
        ({"refusal": "STRANGE"}, "problem", "STRANGE"),
    ],
)
def test_what_is_not_right_is_said(change: dict[str, str], level: str, text: str) -> None:
    found: Callable[..., list[str]] = judged

    (line,) = found(**change)

    assert line.startswith(level)
    assert text in line


def test_snapshots_count_as_persistence() -> None:
    assert judged(saves="3600 1 300 100", aof_enabled="0") == []
