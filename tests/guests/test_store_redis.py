"""What the contract suite does not ask of the store in Redis: what others read, and what happens without it."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from passerby.guests.store_redis import RedisSessionStore
from passerby.redis.client import RedisError
from tests.guests.test_store import LIFETIME, guest
from tests.support.aging import age
from tests.support.clock import ManualClock, turns
from tests.support.failures import Failure, failing
from tests.support.valkey import PATIENCE, cluster, connected, opened, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.redis.client import Part, Redis
    from tests.support.valkey import Valkey

SESSION: Final = "guest:session-one"


class Place:
    """A store, its Valkey, and its clock."""

    def __init__(self, server: Valkey, redis: Redis) -> None:
        self.server = server
        self.redis = redis
        self.clock = ManualClock()
        self.store = self.another()
        redis.on_resync("sessions", self.store.resync)

    def another(self) -> RedisSessionStore:
        """Return the store of another process."""
        return RedisSessionStore(self.redis, self.clock, LIFETIME)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await age(self.redis, seconds)

    async def is_back(self) -> None:
        """Wait until Redis is in use and has everything."""
        assert await self.redis.ready(PATIENCE)

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Let Redis refuse all writes, and keep its data."""
        await self.server.command("REPLICAOF", "127.0.0.1", "1")
        yield
        await self.server.command("REPLICAOF", "NO", "ONE")


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with valkey() as server, connected(server.url) as redis:
        yield Place(server, redis)


# ── what others read ──────────────────────────────────────────────────────────────────────────────


async def test_any_client_reads_a_session_with_all_its_fields(place: Place) -> None:
    await place.store.save(guest(connected_user=None, location=None), LIFETIME)

    assert json.loads(await place.server.command("GET", SESSION)) == {
        "id": "guest_one",
        "sessionId": "session-one",
        "username": "CoolPanda1234",
        "isOnline": True,
        "isSearching": True,
        "inChat": True,
        "connectedUser": None,
        "location": None,
        "gender": "x",
        "language": "pt-BR",
        "socketId": "socket_1",
        "lastSeen": "2023-12-07T10:30:00.000Z",
        "createdAt": "2023-12-07T10:00:00.000Z",
        "connectedAt": "2023-12-07T10:25:00.000Z",
        "met": [],
        "never": [],
        "origin": None,
        "device": None,
        "deviceSince": None,
        "rules": None,
        "told": 0,
        "isOfAge": None,
    }
    assert LIFETIME - 5 < await place.server.command("TTL", SESSION) <= LIFETIME
    assert await place.server.command("ZCARD", "sessions") == 1
    assert (await place.server.command_stats())["setex"] == 1


async def test_a_session_that_another_client_has_written_is_read(place: Place) -> None:
    await place.server.command("SET", SESSION, msgspec.json.encode(guest()) + b" ")

    assert await place.store.load("session-one") == guest()


async def test_a_lifetime_with_a_fraction_is_kept(place: Place) -> None:
    await place.store.save(guest(), 1000.5)

    assert 1_000_000 < await place.server.command("PTTL", SESSION) <= 1_000_500


async def test_nothing_is_kept_for_ever(place: Place) -> None:
    await place.store.save(guest(), LIFETIME)
    await place.store.save(guest("two"), LIFETIME)
    await place.store.remove("session-two")
    for key in await place.server.command("KEYS", "*"):
        assert await place.server.command("TTL", key) > 0, key

    await place.pass_time(LIFETIME + 601)

    assert set(await place.server.command("KEYS", "*")) <= {b"passerby:marker"}


async def test_all_keys_have_the_prefix() -> None:
    async with valkey() as server, connected(server.url, "mine:") as redis:
        store = RedisSessionStore(redis, ManualClock(), LIFETIME)
        await store.save(guest(), LIFETIME)
        assert await store.load("session-one") == guest()

        assert set(await server.command("KEYS", "*")) == {
            b"mine:guest:session-one",
            b"mine:sessions",
            b"mine:passerby:marker",
        }


async def test_no_command_walks_over_all_keys(place: Place) -> None:
    for number in range(100):
        await place.store.save(guest(str(number)), LIFETIME)
    await place.server.command("CONFIG", "RESETSTAT")
    for _ in range(10):
        await place.store.count()
        await place.store.load("session-1")
        await place.store.load("session-unknown")
    await place.store.sweep()
    await place.store.resync()

    stats = await place.server.command_stats()
    assert not {"keys", "scan", "zscan", "zrange"} & set(stats)
    assert (stats["get"], stats["zcard"]) == (20 + 100, 11)


async def test_a_cluster_has_the_sessions_on_all_its_nodes() -> None:
    async with cluster() as group, connected(group.url) as redis:
        store = RedisSessionStore(redis, ManualClock(), LIFETIME)
        await asyncio.gather(*(store.save(guest(str(number)), LIFETIME) for number in range(100)))
        await store.remove("session-0")
        await store.resync()

        another = RedisSessionStore(redis, ManualClock(), LIFETIME)
        assert await another.count() == 99
        found = await asyncio.gather(*(another.load(f"session-{number}") for number in range(100)))
        assert found == [None, *(guest(str(number)) for number in range(1, 100))]
        for node in group.nodes:
            assert await node.command("DBSIZE") > 20


# ── damaged, lost and evicted ─────────────────────────────────────────────────────────────────────

NESTED: Final = b"[" * 100_000


async def test_a_list_of_another_type_is_empty_and_replaced(place: Place) -> None:
    await place.server.command("SET", "sessions", "foreign")
    assert [found async for found in place.store.saved()] == []

    await place.store.save(guest(), LIFETIME)

    assert [found.session_id async for found in place.another().saved()] == ["session-one"]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"secret",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"username": "\xff"}',
        b'{"id": "secret"}',
        NESTED,
        msgspec.json.encode(guest())[:-1],
        msgspec.json.encode(guest(is_online="secret")),
        msgspec.json.encode(guest(username="not allowed")),
        msgspec.json.encode(guest("other")),
    ],
)
async def test_a_value_that_is_no_session_is_none_and_is_logged_without_it(
    place: Place, caplog: pytest.LogCaptureFixture, value: bytes
) -> None:
    await place.store.save(guest(), LIFETIME)
    await place.store.save(guest("two"), LIFETIME)
    await place.server.command("SET", SESSION, value)

    for _ in range(3):
        assert await place.store.load("session-one") is None

    assert await place.store.load("session-two") == guest("two")
    assert await place.store.count() == 1
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "secret" not in str(vars(record))
    assert "session-one" not in str(vars(record))
    await place.store.save(guest(), LIFETIME)
    assert await place.store.load("session-one") == guest()


async def test_a_key_of_another_type_is_no_session(place: Place) -> None:
    await place.server.command("RPUSH", SESSION, "a", "b")

    assert await place.store.load("session-one") is None

    await place.store.save(guest(), LIFETIME)
    assert await place.another().load("session-one") == guest()


async def test_a_list_of_sessions_of_another_type_is_replaced(place: Place) -> None:
    await place.server.command("SET", "sessions", "mine")
    assert await place.store.count() == 0

    await place.store.save(guest(), LIFETIME)

    assert await place.another().count() == 1


@pytest.mark.parametrize("command", [("FLUSHALL",), ("DEL", SESSION)])
async def test_a_session_that_redis_has_lost_is_written_again_for_the_time_that_is_left(
    place: Place, command: tuple[str, ...]
) -> None:
    store = place.store
    await store.save(guest(), LIFETIME)
    await place.pass_time(200)
    await place.server.command(*command)

    assert await store.load("session-one") == guest()

    assert await place.another().load("session-one") == guest()
    assert await place.another().count() == 1
    assert LIFETIME - 205 < await place.server.command("TTL", SESSION) <= LIFETIME - 200
    await place.pass_time(LIFETIME - 200)
    assert await store.load("session-one") is None


async def test_a_session_that_was_removed_or_has_expired_is_not_written_again(place: Place) -> None:
    await place.store.save(guest("one"), LIFETIME)
    await place.store.save(guest("two"), 10)
    await place.store.remove("session-one")
    await place.pass_time(10)

    assert await place.store.load("session-one") is None
    assert await place.store.load("session-two") is None
    await place.store.resync()
    assert await place.another().load("session-one") is None
    assert await place.another().load("session-two") is None
    assert await place.another().count() == 0


@pytest.mark.parametrize("has_copy", [True, False])
async def test_a_session_that_another_process_has_ended_is_not_written_again(place: Place, *, has_copy: bool) -> None:
    other = place.another()
    await (place.store if has_copy else other).save(guest("one"), LIFETIME)
    await other.remove("session-one")
    await place.store.ended("session-one")
    await place.server.command("FLUSHALL")
    await place.store.resync()

    assert await place.store.load("session-one") is None
    assert await place.another().load("session-one") is None
    assert await place.another().count() == 0


async def test_a_session_that_redis_has_evicted_is_not_counted_once_it_was_missed(place: Place) -> None:
    await place.store.save(guest(), LIFETIME)
    await place.server.command("DEL", SESSION)
    another = place.another()
    assert await another.load("session-one") is None

    assert await another.count() == 0


async def test_the_next_process_has_all_sessions(place: Place) -> None:
    for number in range(5):
        await place.store.save(guest(str(number)), LIFETIME)
    await place.store.close()
    another = place.another()

    assert await another.count() == 5
    assert [await another.load(f"session-{number}") for number in range(5)] == [guest(str(n)) for n in range(5)]


@pytest.mark.parametrize("commands", range(4))
async def test_a_process_that_dies_between_two_commands_leaves_no_session_that_is_not_found(commands: int) -> None:
    async with valkey() as server, failing(server.url) as (redis, failures), connected(server.url) as other:
        store = RedisSessionStore(redis, ManualClock(), LIFETIME)
        await store.save(guest("old"), LIFETIME)
        failures.arm(Failure.DEATH_BEFORE, commands)
        works = [store.save(guest("new"), LIFETIME), store.remove("session-old")]
        tasks = [asyncio.ensure_future(work) for work in works]
        await turns()
        assert failures.is_dead is True
        await failures.end()
        for task in tasks:
            task.cancel()

        found = {session.session_id async for session in RedisSessionStore(other, ManualClock(), LIFETIME).saved()}
        written = {key.decode().removeprefix("guest:") for key in await server.command("KEYS", "guest:*")}
        assert found == written
        await other.command("PING")
        listed = {session_id.decode() for session_id in await server.command("ZRANGE", "sessions", 0, -1)}
        assert listed == written


async def test_after_flushall_the_count_is_at_least_that_of_this_process(place: Place) -> None:
    await place.store.save(guest(), LIFETIME)
    await place.server.command("FLUSHALL")

    assert await place.store.count() == 1


# ── without Redis ─────────────────────────────────────────────────────────────────────────────────


async def test_without_redis_memory_goes_on_and_says_what_it_does_not_know(place: Place) -> None:
    await place.store.save(guest("one"), LIFETIME)
    await place.another().save(guest("elsewhere"), LIFETIME)
    place.server.kill()

    await place.store.save(guest("two"), LIFETIME)
    assert await place.store.load("session-one") == guest("one")
    assert await place.store.load("session-two") == guest("two")
    assert await place.store.count() == 2
    await place.store.remove("session-one")
    assert await place.store.load("session-one") is None
    assert await place.store.count() == 1
    assert await place.store.sweep() == 0
    await place.store.check()
    for unknown in ("session-elsewhere", "session-never"):
        with pytest.raises(RedisError):
            await place.store.load(unknown)


async def test_what_happened_without_redis_is_written_when_it_is_back(place: Place) -> None:
    await place.store.save(guest("one"), LIFETIME)
    place.server.kill()
    await place.store.save(guest("two"), LIFETIME)
    await place.store.remove("session-one")
    place.clock.advance(100)
    await place.server.start()
    await place.is_back()

    another = place.another()
    assert await another.load("session-two") == guest("two")
    assert await another.load("session-one") is None
    assert await another.count() == 1
    assert LIFETIME - 105 < await place.server.command("TTL", "guest:session-two") <= LIFETIME - 100


async def test_a_redis_that_was_absent_at_the_start_gets_everything() -> None:
    async with valkey() as server:
        server.kill()
        async with opened(server.url) as redis:
            place = Place(server, redis)
            await place.store.save(guest(), LIFETIME)
            assert await place.store.load("session-one") == guest()
            with pytest.raises(RedisError):
                await place.store.load("session-two")

            await server.start()
            await place.is_back()

            assert await place.another().load("session-one") == guest()


async def test_a_removal_without_redis_is_made_up_for(place: Place) -> None:
    """Redis keeps its data while it refuses: without a tombstone the session would be back."""
    await place.store.save(guest("one"), LIFETIME)
    await place.store.save(guest("two"), LIFETIME)
    async with place.refusing():
        await place.store.remove("session-one")
        await place.store.save(guest("two", location="Oslo"), LIFETIME)
        assert await place.store.load("session-one") is None
        assert await place.store.load("session-two") == guest("two", location="Oslo")
        assert await place.server.command("EXISTS", SESSION) == 1
    await place.is_back()

    assert await place.server.command("EXISTS", SESSION) == 0
    assert await place.another().load("session-two") == guest("two", location="Oslo")
    assert await place.another().count() == 1


async def test_a_removal_that_a_failover_undoes_is_made_again(place: Place) -> None:
    await place.store.save(guest(), LIFETIME)
    before = await place.server.command("GET", SESSION)
    await place.store.remove("session-one")
    await place.server.command("SET", SESSION, before)

    assert await place.store.load("session-one") is None
    await place.store.resync()

    assert await place.another().load("session-one") is None


async def test_a_session_that_is_saved_after_its_removal_is_there(place: Place) -> None:
    await place.store.save(guest(), LIFETIME)
    async with place.refusing():
        await place.store.remove("session-one")
        await place.store.save(guest(username="Again_1"), LIFETIME)
    await place.is_back()

    assert await place.another().load("session-one") == guest(username="Again_1")
    await place.store.remove("session-one")
    await place.store.save(guest(), LIFETIME)
    assert await place.store.load("session-one") == guest()


async def test_removals_are_not_remembered_for_ever(place: Place) -> None:
    for number in range(10):
        await place.store.remove(f"session-{number}")
    async with place.refusing():
        await place.store.remove("session-refused")
    await place.is_back()
    await place.pass_time(61)
    await place.store.sweep()

    assert (place.store._removed, place.store._gone) == ({}, {})


async def test_a_newer_version_is_not_overwritten(place: Place) -> None:
    await place.store.save(guest(), LIFETIME)
    newer = guest(last_seen="2023-12-07T10:30:00.001Z", location="Oslo")
    await place.another().save(newer, LIFETIME)

    await place.store.resync()

    assert await place.store.load("session-one") == newer


@pytest.mark.parametrize("value", [b"secret", msgspec.json.encode({"lastSeen": 7}), b"[]"])
async def test_a_damaged_version_is_overwritten(place: Place, value: bytes) -> None:
    await place.store.save(guest(), LIFETIME)
    await place.server.command("SET", SESSION, value)

    await place.store.resync()

    assert await place.store.load("session-one") == guest()


async def test_writing_again_is_paced(place: Place) -> None:
    for number in range(1000):
        await place.store.save(guest(str(number)), LIFETIME)
    in_a_turn: list[int] = []
    send, run = place.redis.send, place.redis.run_then

    def counted() -> None:
        if not in_a_turn or in_a_turn[-1] < 0:
            in_a_turn.append(0)
            asyncio.get_running_loop().call_soon(lambda: in_a_turn.append(-1))
        in_a_turn[-1] += 1

    def count_send(done: object, *parts: Part) -> None:
        counted()
        send(done, *parts)  # type: ignore[arg-type]  # as it came

    def count_run(done: object, *parts: object) -> None:
        counted()
        run(done, *parts)  # type: ignore[arg-type]  # as they came

    place.redis.send, place.redis.run_then = count_send, count_run  # type: ignore[method-assign, assignment]  # counted
    await place.store.resync()

    assert sum(count for count in in_a_turn if count > 0) == 2000
    assert max(in_a_turn) <= 200


async def test_redis_is_killed_in_the_middle_of_many_writes(place: Place) -> None:
    """Nothing fails, and nothing is lost that was acknowledged."""

    async def live(number: int) -> None:
        own = guest(str(number))
        for step in range(20):
            own.location = f"place {step}"
            await place.store.save(msgspec.structs.replace(own), LIFETIME)
        if number % 2:
            await place.store.remove(own.session_id)

    lives = asyncio.gather(*(live(number) for number in range(50)))
    await place.store.save(guest("first"), LIFETIME)
    place.server.kill()
    await lives
    await place.server.start()
    await place.is_back()

    another = place.another()
    assert await another.count() == 26
    for number in range(50):
        found = await another.load(f"session-{number}")
        assert found == (None if number % 2 else guest(str(number), location="place 19"))


async def test_a_redis_that_stands_still_delays_a_write_by_less_than_three_seconds(place: Place) -> None:
    await place.store.save(guest("one"), LIFETIME)
    place.server.freeze()
    async with asyncio.timeout(3):
        await place.store.save(guest("two"), LIFETIME)
        assert await place.store.load("session-one") == guest("one")
    with pytest.raises(RedisError):
        await place.store.load("session-elsewhere")
    place.server.thaw()
    await place.is_back()

    assert await place.another().load("session-two") == guest("two")


async def test_a_save_that_is_given_up_is_made_up_for_by_the_next_sweep(place: Place) -> None:
    await place.store.save(guest("two"), LIFETIME)
    place.server.freeze()
    saving = asyncio.ensure_future(place.store.save(guest(), LIFETIME))
    await asyncio.sleep(0)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert await place.store.load("session-one") == guest()
    place.server.thaw()
    await place.server.command("DEL", SESSION, "guest:session-two")

    await place.store.sweep()

    assert await place.another().load("session-one") == guest()
    assert await place.another().load("session-two") is None, "of this one it was known that Redis had it"
