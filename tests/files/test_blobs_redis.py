"""Files in a real Valkey: what stays there, how much, and what happens when it goes. See test_blobs.py for the port."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.files import blobs_redis
from passerby.files.blobs_redis import AT_ONCE, CHUNK, FULL, OUTLIVES, OVERHEAD, SLACK, STEP, RedisBlobStore
from passerby.models import StoredFile
from passerby.redis.client import LostError, Redis
from tests.support.aging import age
from tests.support.failures import Failure, failing
from tests.support.valkey import Valkey, cluster, connected, valkey
from tests.support.weighed import Weighed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from passerby.redis.client import Part, Reply

MIB = 1 << 20
PIECE = 64 * 1024
CONTENT = random.Random(7).randbytes(3 * CHUNK + 1000)
LIFETIME = 900.0
UPLOAD = 600.0
LIMIT = 64 * MIB


def described(file_id: str = "file_one", size: int = len(CONTENT)) -> StoredFile:
    return StoredFile(
        id=file_id,
        room_id="guest_a_guest_b",
        epoch=1_700_000_000_000,
        owner="guest_a",
        voice=False,
        filename='Zürich "🏔".ogg',
        mime_type="audio/ogg",
        category="audio",
        inline=True,
        size=size,
        expires_at=1_700_000_900.0,
    )


@pytest.fixture
async def server() -> AsyncIterator[Valkey]:
    async with valkey() as server:
        yield server


@pytest.fixture
async def redis(server: Valkey) -> AsyncIterator[Redis]:
    async with connected(server.url) as redis:
        yield redis


@pytest.fixture
def store(redis: Redis) -> RedisBlobStore:
    return process(redis)


def process(redis: Redis, limit: int = LIMIT) -> RedisBlobStore:
    """Return the store of a process that has just begun."""
    return RedisBlobStore(redis, limit=limit, upload_timeout=UPLOAD)


async def write(store: RedisBlobStore, content: bytes = CONTENT, file_id: str = "file_one") -> None:
    for start in range(0, len(content), PIECE):
        await store.write(file_id, content[start : start + PIECE])


async def put(store: RedisBlobStore, content: bytes = CONTENT, file_id: str = "file_one") -> None:
    await write(store, content, file_id)
    await store.publish(described(file_id, len(content)), LIFETIME)


async def read(store: RedisBlobStore, file_id: str = "file_one", start: int = 0, stop: int = len(CONTENT)) -> bytes:
    return b"".join([part async for part in store.read(file_id, start, stop)])


async def keys(server: Valkey) -> set[str]:
    """Return all keys but the watch's marker."""
    found = {key.decode() for key in await server.command("KEYS", "*")}
    return {key for key in found if "passerby:marker" not in key}


async def held(server: Valkey) -> dict[str, int]:
    """Return what the index says of each file, and check the sum."""
    flat = await server.command("HGETALL", "{files}:held")
    found = {name.decode(): int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
    assert found.pop("total", 0) == sum(found.values())
    return found


async def refused(work: Awaitable[object]) -> None:
    """Check that there is no space for `work`."""
    with pytest.raises(OSError, match="Redis") as caught:
        await work
    assert caught.value.errno == errno.ENOSPC
    assert not isinstance(caught.value, ConnectionError)


# ── what is in Redis ──────────────────────────────────────────────────────────────────────────────


async def test_a_file_is_its_metadata_and_its_chunks(server: Valkey, store: RedisBlobStore) -> None:
    await put(store)

    chunks = {f"file:file_one:{number}" for number in range(4)}
    assert await keys(server) == {"file:file_one", *chunks, "{files}:until", "{files}:held"}
    assert await server.command("HGET", "file:file_one", "filename") == '"Zürich \\"🏔\\".ogg"'.encode()
    assert [await server.command("GET", key) for key in sorted(chunks)] == [
        CONTENT[start : start + CHUNK] for start in range(0, len(CONTENT), CHUNK)
    ]
    assert await held(server) == {"file_one": OVERHEAD + len(CONTENT)}


async def test_names_begin_with_the_prefix(server: Valkey) -> None:
    async with connected(server.url, "chat:") as redis:
        store = process(redis)
        await put(store)
        assert await read(store) == CONTENT
        assert all(key.startswith("chat:") for key in await keys(server))

        await store.remove("file_one")

    assert await keys(server) == set()


async def test_nothing_is_left_of_removed_files(server: Valkey, store: RedisBlobStore) -> None:
    await put(store)
    await write(store, file_id="file_two")
    await store.write("file_three", b"less than a chunk")

    for file_id in ("file_one", "file_two", "file_three", "file_none"):
        await store.remove(file_id)

    assert await keys(server) == set()
    assert store._uploads == {}


async def test_every_key_expires_by_itself_at_every_moment(server: Valkey, store: RedisBlobStore, redis: Redis) -> None:
    async def longest() -> float:
        left: list[int] = [await server.command("PTTL", key) for key in await keys(server)]
        assert left
        assert min(left) > 0
        return max(left) / 1000

    await write(store)
    assert UPLOAD < await longest() <= UPLOAD + SLACK + OUTLIVES
    await store.amend("file_one", [(0, b"changed")])
    assert UPLOAD < await longest() <= UPLOAD + SLACK + OUTLIVES
    await store.publish(described(), LIFETIME)
    assert LIFETIME < await longest() <= LIFETIME + OUTLIVES
    await put(store, file_id="file_two")

    await age(redis, LIFETIME)
    assert await store.find("file_one") is None
    assert await read(store) == b""
    await age(redis, OUTLIVES)
    assert await keys(server) == set()


async def test_an_upload_of_a_process_that_died_expires_and_frees_its_space(
    server: Valkey, redis: Redis, store: RedisBlobStore
) -> None:
    await write(store)
    later = process(redis, limit=STEP + 1000)
    await refused(write(later, file_id="file_two"))
    await age(redis, UPLOAD + SLACK)

    assert await keys(server) <= {"{files}:until", "{files}:held"}
    await write(later, file_id="file_three")
    assert await held(server) == {"file_three": STEP}


async def test_the_next_process_finds_every_file(redis: Redis, store: RedisBlobStore) -> None:
    files = [described(f"file_{number}", 10 + number) for number in range(250)]
    for file in files:
        await put(store, bytes(file.size), file.id)
    await write(store, file_id="file_begun")
    await store.close()

    later = process(redis)

    assert sorted(await later.files(), key=lambda file: file.size) == files
    assert await read(later, "file_7", stop=17) == bytes(17)


async def test_what_is_not_published_goes_when_the_store_is_closed(server: Valkey, store: RedisBlobStore) -> None:
    await put(store, b"one")
    await write(store, file_id="file_two")

    await store.close()

    assert await keys(server) == {"file:file_one", "file:file_one:0", "{files}:until", "{files}:held"}
    with pytest.raises(ConnectionError):
        await store.write("file_two", b"more")


async def test_no_command_walks_over_all_keys(server: Valkey, redis: Redis, store: RedisBlobStore) -> None:
    await server.command("CONFIG", "RESETSTAT")
    for number in range(20):
        await put(store, CONTENT, f"file_{number}")
    await store.amend("file_more", [])
    for number in range(20):
        assert await store.find(f"file_{number}") is not None
        assert await read(store, f"file_{number}") == CONTENT
    await store.files()
    await store.sweep()
    for number in range(20):
        await store.remove(f"file_{number}")

    stats = await server.command_stats()

    assert not {"keys", "scan", "hscan", "zscan", "hkeys", "hvals", "flushall"} & stats.keys()
    assert stats["hgetall"] == 20 + 20, "one for each look, and one for each file of the list"
    assert stats["zrange"] <= 1 + stats["zadd"]


# ── damage ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "damage",
    [
        ("HSET", "file:file_one", "size", "many"),
        ("HSET", "file:file_one", "size", '"secret'),
        ("HSET", "file:file_one", "id", '"file_two"'),
        ("HSET", "file:file_one", "category", '"secret"'),
        ("HSET", "file:file_one", 'a":', "{"),
        ("HSET", "file:file_one", "filename", b"\xff\xfe"),
        ("HDEL", "file:file_one", "owner"),
        ("SET", "file:file_one", "secret"),
        ("SET", "file:file_one", ""),
    ],
    ids=str,
)
async def test_metadata_that_cannot_be_understood_is_a_file_that_is_gone(
    server: Valkey, store: RedisBlobStore, caplog: pytest.LogCaptureFixture, damage: tuple[str, ...]
) -> None:
    await put(store)
    await put(store, b"two", "file_two")
    await server.command(*damage)

    with caplog.at_level(logging.WARNING):
        assert await store.find("file_one") is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "secret" not in caplog.text
    assert await store.files() == [described("file_two", 3)]

    await store.remove("file_one")
    await store.remove("file_two")
    assert await keys(server) == set()


async def test_a_size_that_is_nonsense_removes_no_more_than_there_can_be(server: Valkey, store: RedisBlobStore) -> None:
    await put(store)
    await server.command("HSET", "file:file_one", "size", 10**17)
    await server.command("DEL", "{files}:held", "{files}:until")

    await store.remove("file_one")

    assert await keys(server) == set()


@pytest.mark.parametrize("number", range(4))
async def test_a_read_ends_before_a_chunk_that_is_lost(server: Valkey, store: RedisBlobStore, number: int) -> None:
    await put(store)
    await server.command("DEL", f"file:file_one:{number}")

    assert await read(store) == CONTENT[: number * CHUNK]
    assert await read(store, start=number * CHUNK + 10) == b""


async def test_a_read_ends_before_what_a_shorter_chunk_lacks(server: Valkey, store: RedisBlobStore) -> None:
    await put(store)
    await server.command("SET", "file:file_one:1", CONTENT[CHUNK : CHUNK + 10])

    assert await read(store) == CONTENT[: CHUNK + 10]


@pytest.mark.parametrize("lost", [0, 2])
async def test_a_file_that_has_lost_a_chunk_is_not_published(server: Valkey, store: RedisBlobStore, lost: int) -> None:
    await write(store)
    await server.command("DEL", f"file:file_one:{lost}")

    with pytest.raises(ConnectionError):
        await store.publish(described(), LIFETIME)

    assert await store.find("file_one") is None
    await store.remove("file_one")
    assert await keys(server) == set()


async def test_a_lost_chunk_is_not_made_again_by_a_change(server: Valkey, store: RedisBlobStore) -> None:
    await write(store)
    await server.command("DEL", "file:file_one:1")

    with pytest.raises(ConnectionError):
        await store.amend("file_one", [(CHUNK + 10, b"changed")])

    assert "file:file_one:1" not in await keys(server)


async def test_a_server_that_was_emptied_during_an_upload_publishes_nothing(
    server: Valkey, store: RedisBlobStore
) -> None:
    await store.write("file_one", CONTENT[:CHUNK])
    await server.command("FLUSHALL")
    await store.write("file_one", CONTENT[CHUNK : 2 * CHUNK])

    with pytest.raises(ConnectionError):
        await store.publish(described(size=2 * CHUNK), LIFETIME)

    await store.remove("file_one")
    assert await keys(server) == set()


async def test_a_server_that_is_emptied_at_any_moment_has_no_file_without_content(server: Valkey) -> None:
    for commands in range(12):
        async with failing(server.url) as (redis, failures):
            store = process(redis)
            failures.arm(Failure.FLUSH, commands)
            with contextlib.suppress(ConnectionError):
                await put(store, CONTENT[: CHUNK + 1])
                failures.disarm()
                if await store.find("file_one") is not None:
                    assert await read(store, stop=CHUNK + 1) == CONTENT[: CHUNK + 1]
                    assert [file.id for file in await process(redis).files()] == ["file_one"]
            failures.disarm()
            await store.remove("file_one")


@pytest.mark.parametrize("name", ["{files}:until", "{files}:held"])
async def test_an_index_of_another_type_is_replaced(server: Valkey, store: RedisBlobStore, name: str) -> None:
    await server.command("SET", name, "foreign")
    assert await store.sweep() == 0
    await server.command("DEL", "{files}:until", "{files}:held")
    await server.command("SET", name, "foreign")

    await put(store)

    assert [file.id for file in await store.files()] == ["file_one"]
    assert sum((await held(server)).values()) == OVERHEAD + len(CONTENT)


@pytest.mark.parametrize("field", ["total", "file_one"])
async def test_a_count_that_is_none_stops_no_upload(server: Valkey, store: RedisBlobStore, field: str) -> None:
    await put(store, file_id="file_two")
    await server.command("HSET", "{files}:held", field, "foreign")

    await put(store)
    await server.command("HSET", "{files}:held", field, "foreign")
    await store.remove("file_one")
    await store.remove("file_two")

    assert await keys(server) == set()


@pytest.mark.parametrize("lost", ["{files}:until", "{files}:held"])
async def test_an_index_of_which_a_part_is_lost_works_on(
    server: Valkey, redis: Redis, store: RedisBlobStore, lost: str
) -> None:
    await put(store)
    await server.command("DEL", lost)
    await put(store, b"two", "file_two")

    assert await store.find("file_one") == described()
    assert "file_two" in await held(server)
    for file_id in ("file_one", "file_two"):
        await store.remove(file_id)
    assert await keys(server) == set()


# ── how much memory ───────────────────────────────────────────────────────────────────────────────


async def test_files_of_all_processes_hold_so_much(server: Valkey, redis: Redis) -> None:
    limit = 3 * (OVERHEAD + len(CONTENT)) + 100
    one, other = process(redis, limit), process(redis, limit)
    await put(one)
    await put(other, file_id="file_two")
    await put(one, file_id="file_three")

    await refused(put(other, b"x", "file_four"))
    await other.remove("file_four")
    assert len(await held(server)) == 3

    restarted = process(redis, limit)
    await refused(put(restarted, b"x", "file_five"))
    await restarted.remove("file_five")
    await restarted.remove("file_two")
    await put(restarted, file_id="file_six")
    assert await read(other, "file_six") == CONTENT


async def test_space_is_taken_in_steps_as_bytes_come_and_exactly_in_the_end(
    server: Valkey, store: RedisBlobStore
) -> None:
    await store.write("file_one", CONTENT[: CHUNK - 1])
    assert await held(server) == {}
    await store.write("file_one", CONTENT[CHUNK - 1 : CHUNK])
    assert await held(server) == {"file_one": STEP}
    await store.publish(described(size=CHUNK), LIFETIME)
    assert await held(server) == {"file_one": OVERHEAD + CHUNK}


async def test_where_a_step_does_not_fit_the_bytes_may(server: Valkey, redis: Redis) -> None:
    store = process(redis, OVERHEAD + len(CONTENT))

    await put(store)

    assert await held(server) == {"file_one": OVERHEAD + len(CONTENT)}
    assert await read(store) == CONTENT


async def test_files_that_have_expired_make_room(redis: Redis) -> None:
    store = process(redis, OVERHEAD + len(CONTENT))
    await put(store)
    await age(redis, LIFETIME)

    await put(store, file_id="file_two")

    assert await read(store, "file_two") == CONTENT


async def test_uploads_at_once_never_hold_more_than_the_limit(server: Valkey, redis: Redis) -> None:
    limit = 20 * (OVERHEAD + len(CONTENT))
    stores = [process(redis, limit) for _ in range(4)]

    async def upload(number: int) -> str | None:
        store, file_id = stores[number % 4], f"file_{number}"
        try:
            await put(store, CONTENT, file_id)
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - it may succeed as well
            await store.remove(file_id)
            return None
        return file_id

    stored = [file_id for file_id in await asyncio.gather(*map(upload, range(60))) if file_id is not None]

    assert 5 <= len(stored) <= 20
    assert await held(server) == dict.fromkeys(stored, OVERHEAD + len(CONTENT))
    for file_id in stored:
        assert await read(stores[0], file_id) == CONTENT


async def test_files_leave_a_part_of_the_servers_memory_to_others() -> None:
    maximum = 24 * MIB
    async with valkey("--maxmemory", str(maximum)) as server, connected(server.url) as redis:
        store = process(redis)
        number = 0
        with pytest.raises(OSError, match="memory of Redis") as caught:  # noqa: PT012 - until it is full
            for number in range(1000):
                await put(store, CONTENT, f"file_{number}")
        assert caught.value.errno == errno.ENOSPC
        used = int((await server.command("INFO", "memory")).decode().partition("used_memory:")[2].split()[0])
        assert abs(used - FULL * maximum) < MIB, "with the buffers of connections"
        assert await server.command("SET", "message", "x") == b"OK"

        await store.remove(f"file_{number}")
        for removed in range(number):
            await store.remove(f"file_{removed}")
        await put(store)


async def test_a_server_whose_memory_is_full_by_others_takes_no_file(
    server: Valkey, redis: Redis, store: RedisBlobStore
) -> None:
    await put(store)
    await server.command("CONFIG", "SET", "maxmemory", "1mb")

    await refused(put(store, file_id="file_two"))

    assert redis.is_usable, "it has not been asked for more than it has"
    assert await store.find("file_one") == described()
    for file_id in ("file_one", "file_two"):
        await store.remove(file_id)
    assert await keys(server) == set()


async def test_a_server_that_refuses_for_its_memory_is_full(
    server: Valkey, redis: Redis, store: RedisBlobStore
) -> None:
    await store.write("file_one", CONTENT[:CHUNK])
    await server.command("CONFIG", "SET", "maxmemory", "1mb")

    await refused(store.write("file_one", CONTENT[CHUNK : 2 * CHUNK]))

    assert not redis.is_usable
    await server.command("CONFIG", "SET", "maxmemory", "0")
    assert await redis.ready(10)
    await store.remove("file_one")
    assert await keys(server) == set()


async def test_a_server_that_may_not_tell_of_its_memory_takes_files(server: Valkey) -> None:
    await server.command("ACL", "SETUSER", "default", "-info")
    async with connected(server.url) as redis:
        store = process(redis)
        await put(store)
        assert await read(store) == CONTENT


async def test_a_large_file_goes_up_and_down_in_constant_memory(server: Valkey, store: RedisBlobStore) -> None:
    size = 50 * MIB // PIECE * PIECE
    piece = random.Random(3).randbytes(PIECE)

    with Weighed() as weighed:
        for _ in range(size // PIECE):
            await store.write("file_one", bytes(piece))
        await store.publish(described(size=size), LIFETIME)
    assert weighed.most <= MIB
    assert weighed.kept <= 128 * 1024

    place = 0
    with Weighed() as weighed:
        async for part in store.read("file_one", 0, size):
            assert len(part) <= PIECE
            assert part == piece[place % PIECE :][: len(part)] or place % PIECE
            place += len(part)
    assert place == size
    assert weighed.most <= MIB

    await store.remove("file_one")
    assert await keys(server) == set()


@pytest.mark.parametrize(("count", "size"), [(2000, 1), (200, 30_000), (20, 20 * CHUNK)])
async def test_files_take_hardly_more_of_redis_than_what_counts(
    server: Valkey, store: RedisBlobStore, count: int, size: int
) -> None:
    async def used() -> int:
        return int((await server.info("memory"))["used_memory_dataset"])

    before = await used()
    for number in range(count):
        file_id = f"file_{number:040}"
        await write(store, bytes(size), file_id)
        await store.publish(described(file_id, size), LIFETIME)

    assert await used() - before <= 1.01 * sum((await held(server)).values()) + 500_000, "with buffers of connections"


async def test_a_chunk_fits_its_size_of_redis_allocator(server: Valkey, store: RedisBlobStore) -> None:
    await put(store, bytes(2 * CHUNK), "file_" + "x" * 24)

    whole = await server.command("MEMORY", "USAGE", "file:file_" + "x" * 24 + ":0")

    assert whole <= 64 * 1024 + 100, "64 KiB, and the key"


# ── others' commands ──────────────────────────────────────────────────────────────────────────────


class Counting:
    """A Redis that counts the bytes of chunks that are on their way."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.now = self.most = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the original
        return getattr(self._redis, name)

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        size = 0
        if parts[0] == "SET":
            size = len(cast("bytes", parts[2]))
        elif parts[0] == "GETRANGE":
            size = int(parts[3]) - int(parts[2]) + 1
        self.now += size
        self.most = max(self.most, self.now)
        answer = self._redis.command(*parts)
        answer.add_done_callback(lambda _: self._done(size))
        return answer

    def _done(self, size: int) -> None:
        self.now -= size


async def test_few_bytes_of_files_are_in_the_way_of_messages(redis: Redis) -> None:
    counting = Counting(redis)
    store = process(cast("Redis", counting))
    names = [f"file_{number}" for number in range(40)]

    await asyncio.gather(*(put(store, CONTENT, name) for name in names))
    assert CHUNK <= counting.most <= AT_ONCE * PIECE
    counting.most = 0
    whole = await asyncio.gather(*(read(store, name) for name in names))

    assert CHUNK <= counting.most <= AT_ONCE * PIECE
    assert set(whole) == {CONTENT}


async def test_in_a_cluster_a_file_is_on_all_nodes_and_nothing_is_left_of_it() -> None:
    async def everything() -> list[set[str]]:
        return [await keys(node) for node in group.nodes]

    async with cluster() as group, connected(group.url, "chat:") as redis:
        store = process(redis)
        content = random.Random(5).randbytes(40 * CHUNK + 5)
        await write(store, content)
        await store.amend("file_one", [(place, b"changed") for place in range(3, len(content), 100_000)])
        await store.publish(described(size=len(content)), LIFETIME)
        await put(store, b"two", "file_two")
        await write(store, file_id="file_begun")

        changed = bytearray(content)
        for place in range(3, len(content), 100_000):
            changed[place : place + 7] = b"changed"
        later = process(redis)
        assert {file.id for file in await later.files()} == {"file_one", "file_two"}
        assert await read(later, stop=len(content)) == changed
        assert all(len(found) > 5 for found in await everything())

        for file_id in ("file_one", "file_two", "file_begun"):
            await later.remove(file_id)
        assert await everything() == [set()] * 3
        await store.close()


# ── when Redis goes ───────────────────────────────────────────────────────────────────────────────


async def test_while_redis_is_away_everything_can_be_retried(server: Valkey) -> None:
    async with connected(server.url) as redis:
        store = process(redis)
        await put(store)
        await store.write("file_two", b"begun")
        server.kill()
        await lost(redis)

        for call in (
            lambda: store.write("file_two", b"more"),
            lambda: store.amend("file_two", [(0, b"B")]),
            lambda: store.publish(described("file_two", 5), LIFETIME),
            lambda: store.find("file_one"),
            store.files,
            lambda: read(store),
            lambda: store.remove("file_two"),
        ):
            with pytest.raises(ConnectionError):
                await call()
        assert await store.sweep() == 0
        await store.check()

        await server.start()
        assert await redis.ready(10)
        assert await store.find("file_one") is None
        await store.remove("file_two")
        assert store._uploads == {}
        await put(store)
        assert await read(store) == CONTENT
        server.kill()
        await lost(redis)
        await store.close()


async def lost(redis: Redis) -> None:
    """Wait until the lost connection is noticed."""
    async with asyncio.timeout(10):
        while redis.is_usable:  # noqa: ASYNC110 - nothing tells that it has changed
            await asyncio.sleep(0)


@pytest.fixture
async def persistent() -> AsyncIterator[Valkey]:
    """A server that has everything after it was killed."""
    async with valkey("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.mark.parametrize("when", [0, 1, 2, 3])
async def test_a_server_killed_in_the_middle_of_an_upload_leaves_no_half_file(persistent: Valkey, when: int) -> None:
    async with connected(persistent.url) as redis:
        store = process(redis)
        await put(store, file_id="file_before")
        with pytest.raises(ConnectionError):  # noqa: PT012 - whichever step is the first to notice
            for number in range(4):
                writing = asyncio.ensure_future(store.write("file_one", CONTENT[number * CHUNK :][:CHUNK]))
                if number == when:
                    persistent.kill()
                await writing
            await store.publish(described(), LIFETIME)
        await lost(redis)
        with pytest.raises(ConnectionError):
            await store.remove("file_one")

        await persistent.start()
        assert await redis.ready(10)

        assert await store.find("file_one") is None
        assert await store.files() == [described("file_before")]
        assert await read(store, "file_before") == CONTENT
        await store.remove("file_one")
        await store.remove("file_before")
        assert await keys(persistent) == set()


async def test_a_server_killed_in_the_middle_of_a_download_ends_it_with_an_error(persistent: Valkey) -> None:
    async with connected(persistent.url) as redis:
        store = process(redis)
        await put(store)
        reading = aiter(store.read("file_one", 0, len(CONTENT)))
        begun = await anext(reading)
        persistent.kill()

        with pytest.raises(ConnectionError):
            await anext(reading)
        assert CONTENT.startswith(begun)

        await lost(redis)
        await persistent.start()
        assert await redis.ready(10)
        assert begun + await read(store, start=len(begun)) == CONTENT


class Dying:
    """The Redis of a process that dies: after so many commands no more are sent, and perhaps not the last one."""

    def __init__(self, redis: Redis, commands: int, *, last_is_sent: bool) -> None:
        self._redis = redis
        self._left = commands
        self._last_is_sent = last_is_sent
        self.is_usable = True

    def key(self, name: str) -> str:
        return self._redis.key(name)

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        return self._sent(lambda: self._redis.command(*parts))

    def run(self, *parts: Any) -> asyncio.Future[Reply]:  # noqa: ANN401 - as the original
        return self._sent(lambda: self._redis.run(*parts))

    def _sent(self, send: Callable[[], asyncio.Future[Reply]]) -> asyncio.Future[Reply]:
        self._left -= 1
        if self._left > 0:
            return send()
        if self._left == 0 and self._last_is_sent:
            send().add_done_callback(lambda answer: answer.exception())
        self.is_usable = False
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        answer.set_exception(LostError("the process has died"))
        return answer


@asynccontextmanager
async def connected_to_one() -> AsyncIterator[tuple[Valkey, Redis]]:
    async with valkey() as server, connected(server.url) as redis:
        yield server, redis


@settings(max_examples=40)
@given(
    crashes=st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=4),
    seed=st.integers(0, 1 << 32),
)
def test_whenever_processes_die_files_are_whole_and_everything_goes_in_the_end(
    crashes: list[tuple[int, bool]], seed: int
) -> None:
    asyncio.run(live(crashes, random.Random(seed)))


async def live(crashes: list[tuple[int, bool]], chance: random.Random) -> None:
    acknowledged: dict[str, bytes] = {}
    contents: dict[str, bytes] = {}
    async with connected_to_one() as (server, redis):
        for commands, last_is_sent in crashes:
            store = process(cast("Redis", Dying(redis, commands, last_is_sent=last_is_sent)), limit=10 * MIB)
            try:
                while True:
                    if acknowledged and chance.random() < 0.3:
                        gone = chance.choice(sorted(acknowledged))
                        del acknowledged[gone]
                        await store.remove(gone)
                    file_id = f"file_{len(contents)}"
                    content = contents[file_id] = chance.randbytes(chance.choice([1, 100, CHUNK, 3 * CHUNK + 5]))
                    await write(store, content, file_id)
                    await store.amend(file_id, [(0, content[:1])])
                    await store.publish(described(file_id, len(content)), LIFETIME)
                    acknowledged[file_id] = content
            except ConnectionError:
                pass
            await redis.command("PING")
            survivor = process(redis)
            found = {file.id for file in await survivor.files()}
            assert acknowledged.keys() <= found
            for file_id in found:
                assert await read(survivor, file_id, stop=PIECE * 4) == contents[file_id]
            index = await held(server)
            for key in await keys(server):
                assert await server.command("PTTL", key) > 0
            for file_id in found:
                assert index[file_id] == OVERHEAD + len(contents[file_id])
        await age(redis, max(LIFETIME, UPLOAD + SLACK) + OUTLIVES)
        assert await keys(server) == set()


def test_scripts_say_what_they_take() -> None:
    for script in (blobs_redis._HOLD, blobs_redis._RELEASE, blobs_redis._AMEND, blobs_redis._PUBLISH):
        head = script.source.partition("\nif ")[0].partition("\nlocal ")[0].partition("\nredis.")[0]
        assert "KEYS[1]" in head
        assert "ARGV" in head
