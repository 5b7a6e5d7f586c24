"""The watch, with real servers to which bad things happen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as ConnectionEndedError

from passerby.redis.client import LostError, Redis, RefusedError, Script, State
from tests.support.clock import turns
from tests.support.ports import free_port
from tests.support.valkey import (
    HOST,
    PATIENCE,
    Valkey,
    change,
    connected,
    opened,
    proxy,
    reached,
    sentinels,
    until,
    valkey,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

NOTICED = 3.0
"""Seconds within which anything bad is noticed."""


async def refused(answer: Awaitable[object]) -> str:
    with pytest.raises(RefusedError) as caught:
        await answer
    return caught.value.code


@asynccontextmanager
async def used(*options: str, **login: Any) -> AsyncIterator[tuple[Valkey, Redis]]:  # noqa: ANN401 - of `valkey`
    async with valkey(*options, **login) as server, connected(server.url) as redis:
        yield server, redis


# ── start ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_appears_later_is_used(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with valkey() as server:
        server.kill()
        async with opened(server.url) as redis:
            assert not await redis.ready(0.2)
            assert not redis.is_usable
            with pytest.raises(LostError):
                await redis.command("GET", "x")

            await server.start()
            await reached(redis, State.NORMAL)

            assert await redis.command("SET", "x", "1") == b"OK"
    lines = [record.getMessage() for record in caplog.records if record.name == "passerby.redis.watch"]
    assert lines == [
        "Redis cannot be used: the memory of this process goes on alone",
        "Redis gets everything again",
        "Redis is in use",
    ]


async def test_a_loss_is_one_line_however_each_attempt_fails(caplog: pytest.LogCaptureFixture) -> None:
    async with valkey() as server, opened(server.url) as redis:
        await reached(redis, State.NORMAL)
        server.kill()
        await reached(redis, State.DEGRADED)
        lost = redis.watch.reason

        async def tried_again() -> bool:
            return redis.watch.reason != lost

        await until(tried_again)
    assert sum("cannot be used" in record.getMessage() for record in caplog.records) == 1


async def test_nothing_that_is_wrong_delays_the_start() -> None:
    async with valkey() as server, proxy(server) as between:
        between.swallow()
        async with opened(between.url) as redis:
            begun = time.monotonic()
            assert not await redis.ready(2.5)
            assert time.monotonic() - begun < NOTICED
            assert "within 1.5 s" in redis.watch.reason or "no answer" in redis.watch.reason


@pytest.mark.parametrize(
    ("login", "options", "reason"),
    [
        ("", ("--requirepass", "secret"), "requires a password"),
        (":wrong@", ("--requirepass", "secret"), "refuses the user or the password"),
        ("nobody:secret@", (), "refuses the user or the password"),
        (":needless@", (), ""),
        ("chat:secret@", ("--user", "chat", "on", ">secret", "~*", "+@all"), ""),
        ("chat:secret@", ("--user", "chat", "on", ">secret", "~guest:*", "+@all"), "ACL"),
        ("chat:secret@", ("--user", "chat", "on", ">secret", "~*", "+get"), "ACL"),
    ],
)
async def test_logins(login: str, options: tuple[str, ...], reason: str, caplog: pytest.LogCaptureFixture) -> None:
    async with valkey(*options) as server, opened(f"unix://{login}{server.path}") as redis:
        await redis.ready(0.5 if reason else PATIENCE)
        assert redis.is_usable is not bool(reason)
        assert reason in redis.watch.reason
    assert not any(word in caplog.text for word in ("secret", "wrong", "needless", "chat:"))
    assert sum("cannot be used" in record.getMessage() for record in caplog.records) == bool(reason)


async def test_a_database_that_there_is_not() -> None:
    async with valkey() as server, opened(f"{server.url}?db=99") as redis:
        await reached(redis, State.DEGRADED)
        assert not await redis.ready(0.3)
        assert "no database of this number" in redis.watch.reason


# ── the connection ────────────────────────────────────────────────────────────────────────────────


async def test_kill_and_back() -> None:
    async with used() as (server, redis):
        waiting = [redis.command("INCR", "x") for _ in range(3)]
        server.kill()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(answer in (1, 2, 3) or isinstance(answer, LostError) for answer in answers)
        await reached(redis, State.DEGRADED, NOTICED)
        assert not redis.is_usable

        await server.start()
        await reached(redis, State.NORMAL, 5)
        assert await redis.command("GET", "x") is None


async def test_a_frozen_server_is_noticed_and_used_again() -> None:
    async with used() as (server, redis):
        server.freeze()
        begun = time.monotonic()
        with pytest.raises(LostError, match="no answer"):
            await redis.command("SET", "x", "1")
        assert time.monotonic() - begun < NOTICED
        assert redis.watch.state is State.DEGRADED

        server.thaw()
        await reached(redis, State.NORMAL, 5)
        assert await redis.command("SET", "x", "2") == b"OK"


async def test_a_black_hole_is_noticed_without_any_command() -> None:
    async with valkey() as server, proxy(server) as between, connected(between.url) as redis:
        between.swallow()
        begun = time.monotonic()
        await reached(redis, State.DEGRADED)
        assert time.monotonic() - begun < NOTICED

        between.flow()
        await reached(redis, State.NORMAL, 5)


async def test_a_slow_network_is_no_black_hole() -> None:
    async with valkey() as server, proxy(server) as between, connected(between.url) as redis:
        between.delay = 0.7
        assert await redis.command("SET", "x", "1") == b"OK"
        assert redis.watch.changes[State.DEGRADED] == 0


async def test_the_state_is_known_before_a_lost_command_is_told() -> None:
    async with used() as (server, redis):
        states = []
        redis.send(lambda _: states.append((redis.watch.state, redis.is_usable)), "GET", "x")
        await server.command("CLIENT", "KILL", "TYPE", "normal")
        server.freeze()
        redis.send(lambda _: states.append((redis.watch.state, redis.is_usable)), "GET", "x")
        await reached(redis, State.DEGRADED)
        server.thaw()
        await reached(redis, State.NORMAL)
        assert states[-1] == (State.DEGRADED, False)


async def test_client_kill() -> None:
    async with used() as (server, redis):
        async with change(redis, State.DEGRADED, NOTICED):
            await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await reached(redis, State.NORMAL, 5)
        assert await redis.command("SET", "x", "1") == b"OK"


async def test_every_command_is_answered_once_and_sent_at_most_once(tmp_path: Path) -> None:
    path = tmp_path / "add.lua"
    path.write_text("return redis.call('INCR', KEYS[1])")
    script = Script(path)
    chance = random.Random(11)
    answers: list[list[object]] = []
    async with valkey() as server, proxy(server) as between, connected(between.url) as redis:
        for _ in range(60):
            for _ in range(chance.randrange(20)):
                answers.append([])
                if chance.random() < 0.5:
                    redis.send(answers[-1].append, "INCR", "x")
                else:
                    redis.run_then(answers[-1].append, script, ["x"])
            what = chance.randrange(8)
            if what == 0:
                between.cut()
            elif what == 1:
                await server.command("SCRIPT", "FLUSH")
            elif what == 2:
                await reached(redis, State.NORMAL)
            await turns(chance.randrange(20))
        await reached(redis, State.NORMAL)
        await redis.command("PING")
        value = int(await server.command("GET", "x"))
    assert all(len(got) == 1 for got in answers)
    numbers = [got[0] for got in answers if isinstance(got[0], int)]
    assert len(set(numbers)) == len(numbers)
    assert len(numbers) <= value <= len(answers)
    assert len(numbers) > 50
    assert len(answers) - len(numbers) > 5


# ── the data ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", [("FLUSHALL",), ("DEL", "passerby:marker"), ("SET", "passerby:marker", "other")])
async def test_lost_data_is_written_again(command: tuple[str, ...]) -> None:
    async with used() as (server, redis):

        async def write() -> None:
            await redis.command("SET", "everything", "1")

        redis.on_resync("everything", write)
        async with change(redis, State.RESYNC, NOTICED):
            await server.command(*command)
        await reached(redis, State.NORMAL)

        assert await server.command("GET", "everything") == b"1"
        assert redis.watch.changes == {State.NORMAL: 2, State.RESYNC: 2}


async def test_two_processes_share_the_marker() -> None:
    async with used() as (server, one), connected(server.url) as two:
        async with change(one, State.RESYNC, NOTICED), change(two, State.RESYNC, NOTICED):
            await server.command("FLUSHALL")
        await asyncio.gather(reached(one, State.NORMAL), reached(two, State.NORMAL))
        await asyncio.gather(*(redis.command("PING") for redis in (one, two)))
        assert await server.command("TTL", "passerby:marker") > 50


async def test_resyncs_run_in_order_and_again_if_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    runs = []

    async def first() -> None:
        assert redis.is_usable
        runs.append("first")

    async def second() -> None:
        runs.append("second")
        if len(runs) == 2:
            raise ValueError("broken")
        if len(runs) == 4:
            await redis.command("LPUSH", "passerby:marker", "1")  # is refused

    async with valkey() as server, opened(server.url) as redis:
        redis.on_resync("the first", first)
        redis.on_resync("the second", second)
        await reached(redis, State.NORMAL)
    assert runs == ["first", "second"] * 3
    assert "resync of the second failed" in caplog.text


async def test_a_resync_that_is_cut_off_begins_anew() -> None:
    begun = asyncio.Event()
    runs = []

    async def write() -> None:
        runs.append(1)
        begun.set()
        if len(runs) == 1:
            await asyncio.Event().wait()

    async with valkey() as server, opened(server.url) as redis:
        redis.on_resync("everything", write)
        await begun.wait()
        await server.command("CLIENT", "KILL", "TYPE", "normal")
        await reached(redis, State.NORMAL)
        assert len(runs) == 2


# ── servers that refuse ───────────────────────────────────────────────────────────────────────────


async def test_oom() -> None:
    async with used() as (server, redis):
        await server.command("CONFIG", "SET", "maxmemory", "1")
        assert await refused(redis.command("SET", "x", "1")) == "OOM"
        assert not redis.is_usable
        assert redis.watch.reason == "its memory is full (OOM)"
        await server.command("CONFIG", "SET", "maxmemory", "0")
        await reached(redis, State.NORMAL)
        assert redis.watch.changes[State.RESYNC] == 2


async def test_misconf() -> None:
    async with used() as (server, redis):
        await server.command("CONFIG", "SET", "save", "3600 1")
        obstacle = server.path.parent / "dump.rdb"
        obstacle.mkdir()
        await server.command("SET", "x", "0")
        await server.command("BGSAVE")
        await reached(redis, State.DEGRADED)  # the marker cannot be written
        assert "cannot write to its disk" in redis.watch.reason

        obstacle.rmdir()
        await server.command("BGSAVE")
        await reached(redis, State.NORMAL)


async def test_a_server_that_becomes_a_replica() -> None:
    async with used() as (server, redis):
        await server.command("REPLICAOF", HOST, free_port(HOST))
        await reached(redis, State.DEGRADED, NOTICED)
        assert "replica" in redis.watch.reason
        await server.command("REPLICAOF", "NO", "ONE")
        await reached(redis, State.NORMAL)


async def test_a_script_that_blocks_the_server() -> None:
    async with used("--busy-reply-threshold", "50") as (server, redis):
        blocking = asyncio.ensure_future(server.command("EVAL", "while true do end", 0))
        await reached(redis, State.DEGRADED)
        assert "a script blocks it" in redis.watch.reason
        await server.command("SCRIPT", "KILL")
        with pytest.raises(Exception, match="killed"):
            await blocking
        await reached(redis, State.NORMAL)


async def test_a_server_that_loads_its_data() -> None:
    async with used("--loading-process-events-interval-bytes", "1024", "--key-load-delay", "20") as (server, redis):
        await server.command("DEBUG", "POPULATE", 50_000)
        loading = asyncio.ensure_future(server.command("DEBUG", "RELOAD"))
        await reached(redis, State.DEGRADED)
        assert "it is loading its data" in redis.watch.reason
        await server.command("CONFIG", "SET", "key-load-delay", "0")
        with contextlib.suppress(ConnectionEndedError):
            await loading
        await reached(redis, State.NORMAL)


async def test_a_login_that_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    async with used(password="secret") as (_, redis):
        async with change(redis, State.DEGRADED):
            assert await redis.command("RESET") == b"RESET"
        await reached(redis, State.NORMAL)
    assert [record.__dict__["reason"] for record in caplog.records] == ["it requires a password (NOAUTH)"]


async def test_a_login_that_ends_and_comes_back() -> None:
    async with used(user="chat", password="secret") as (server, redis):
        await server.command("ACL", "DELUSER", "chat")
        await reached(redis, State.DEGRADED, NOTICED)
        assert not await redis.ready(0.3)
        assert "refuses the user or the password" in redis.watch.reason
        await server.command("ACL", "SETUSER", "chat", "on", ">secret", "~*", "+@all")
        await reached(redis, State.NORMAL)


async def test_permissions_that_end_and_come_back() -> None:
    async with used(user="chat", password="secret") as (server, redis):
        await server.command("ACL", "SETUSER", "chat", "-set")
        assert await refused(redis.command("SET", "x", "1")) == "NOPERM"
        assert not await redis.ready(0.3)
        await server.command("ACL", "SETUSER", "chat", "+set")
        await reached(redis, State.NORMAL)


async def test_a_refusal_that_concerns_only_its_command_changes_nothing() -> None:
    async with used() as (_, redis):
        await redis.command("SET", "x", "text")
        assert await refused(redis.command("LPUSH", "x", "1")) == "WRONGTYPE"
        assert await refused(redis.command("NONSENSE", "x")) == "ERR"
        assert redis.watch.state is State.NORMAL


# ── Sentinel ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("password", "is_frozen"), [(None, False), ("secret", True)])
async def test_a_failover(*, password: str | None, is_frozen: bool) -> None:
    async with sentinels(password) as group, connected(group.url) as redis:
        await redis.command("SET", "x", "1")
        assert await redis.command("WAIT", 1, 5000) == 1
        if is_frozen:
            group.primary.freeze()
        else:
            group.primary.kill()
        await reached(redis, State.DEGRADED, NOTICED)
        await group.promoted()
        await reached(redis, State.NORMAL, 5)
        assert await redis.command("GET", "x") == b"1"
        assert await redis.command("SET", "x", "2") == b"OK"
        assert await group.replica.command("GET", "x") == b"2"


async def test_sentinels_that_know_nothing() -> None:
    async with sentinels() as group:
        place, _, name = group.url.rpartition("/")
        for url in (f"{place}/other", group.url.replace(str(group.sentinel.port), str(free_port(HOST)))):
            async with opened(url) as redis:
                assert not await redis.ready(0.5)
                assert "no Sentinel answers that knows a primary of this name" in redis.watch.reason
        first_is_away = place.replace("://", f"://{HOST}:{free_port(HOST)},")
        async with connected(f"{first_is_away}/{name}") as redis:
            assert await redis.command("SET", "x", "1") == b"OK"


async def test_a_marker_of_another_type_is_replaced() -> None:
    async with valkey() as server:
        await server.command("RPUSH", "passerby:marker", "foreign")
        async with connected(server.url):
            assert await server.command("TYPE", "passerby:marker") == b"string"
            assert await server.command("TTL", "passerby:marker") > 0


@pytest.mark.parametrize("url", ["redis://{}:1", "redis+cluster://{}:1", "redis+sentinel://{}:1/m"])
async def test_a_host_that_no_network_can_have_is_told_in_one_line(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(url.format("\u00fc" * 60)) as redis:
        await until_told(caplog)
        assert redis.watch.state is State.DEGRADED
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def until_told(caplog: pytest.LogCaptureFixture) -> None:
    async def is_told() -> bool:
        return bool(caplog.records)

    await until(is_told)


async def test_begin_and_end_of_the_use_are_told() -> None:
    async with valkey() as server, opened(server.url) as redis:
        told: list[tuple[str, bool]] = []
        redis.watch.on_use(
            lambda: told.append(("begin", redis.is_usable)), lambda: told.append(("end", redis.is_usable))
        )
        assert await redis.ready(PATIENCE)
        server.kill()
        await reached(redis, State.DEGRADED)
        assert told == [("begin", False), ("end", False)]

        await server.start()
        assert await redis.ready(PATIENCE)
        assert told[2:] == [("begin", False)]
