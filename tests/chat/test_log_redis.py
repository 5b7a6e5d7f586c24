"""What only the log in Redis does: it outlives the process, and goes on when Redis is away or has lost something."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from passerby import ids
from passerby.background import Background
from passerby.chat.log import SavedRoom
from passerby.chat.log_redis import LIFETIME, RENEWAL, RedisRoomLog
from passerby.clock import SystemClock
from passerby.models import Message
from passerby.redis.client import Redis
from tests.chat.test_log import CLIENT_IDS, EPOCH, MAX_BYTES, MAX_MESSAGES, ROOM, LogMachine, Model, answer, message
from tests.chat.test_log import append as accepted_append
from tests.support.clock import ManualClock, turns
from tests.support.failures import Failure, failing
from tests.support.valkey import Cluster, Valkey, cluster, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from passerby.chat.log import RoomLog

PATIENCE = 30.0
MEMBERS = ("session a", "session b")
MARKER = "passerby:marker"


class Process:
    """A process with a log in Redis. Its clock stands still, that of its connection does not."""

    def __init__(self, server: Valkey | Cluster, prefix: str = "", limits: dict[str, int] | None = None) -> None:
        self.clock = ManualClock()
        self._connecting = Background(SystemClock())
        self._background = Background(self.clock)
        self.redis = Redis(server.url, prefix, self._connecting)
        usual = {"max_messages": MAX_MESSAGES, "max_bytes": MAX_BYTES, "client_ids": CLIENT_IDS, "trim": 1}
        self.log = RedisRoomLog(self.redis, self.clock, self._background, node=ids.node_id(), **usual | (limits or {}))
        self.taken: list[tuple[str, int]] = []
        self.log.taken = self._taken
        self.redis.on_resync("messages", self.log.resync)

    async def start(self) -> Process:
        self.redis.start()
        await self.ready()
        return self

    def _taken(self, room: str, epoch: int) -> None:
        self.taken.append((room, epoch))
        self.log.release(room, epoch)

    async def saved(self) -> list[str]:
        """Return the rooms that other processes have left."""
        return [room for node in await self.log.owners() for room in await self.log.rooms(node)]

    async def recall(self, room: str) -> SavedRoom | None:
        return await self.log.recall(room, await self.log.owners())

    async def ready(self) -> None:
        assert await self.redis.ready(PATIENCE)

    async def die(self) -> None:
        """End it at once: nothing that waits is sent any more."""
        if self.redis.watch.link is not None:
            self.redis.watch.link.close()
        await self._connecting.stop(0)
        await self._background.stop(0)

    async def stop(self) -> None:
        """End it as a process that is asked to."""
        await self._background.wind_down(PATIENCE)
        await self.log.close()
        await self._connecting.wind_down(PATIENCE)
        await self.redis.close()
        await self.die()

    async def settled(self) -> None:
        """Wait until all that was sent is answered, and what Redis lacks is written."""
        async with asyncio.timeout(PATIENCE):
            await self.ready()
            await self.clock.run(2)
            await self.log.resync()
            await self.redis.command("PING")

    async def append(self, text: str, sender: str = "guest_a", client_id: str | None = None) -> Message:
        accepted, _ = await accepted_append(self.log, message(text, sender, client_id))
        return accepted


@pytest.fixture
async def server() -> AsyncIterator[Valkey]:
    async with valkey() as server:
        yield server


@asynccontextmanager
async def running(server: Valkey, prefix: str = "", **limits: int) -> AsyncIterator[Process]:
    process = await Process(server, prefix, limits).start()
    try:
        yield process
    finally:
        await process.die()


@pytest.fixture
async def process(server: Valkey) -> AsyncIterator[Process]:
    async with running(server) as process:
        process.log.open(ROOM, EPOCH, MEMBERS)
        await process.settled()
        yield process


async def keys(server: Valkey) -> set[str]:
    """Return all keys but those that are of no room."""
    return {key.decode() for key in await server.command("KEYS", "*")} - {MARKER, "rooms"}


async def stored(server: Valkey, room: str = ROOM) -> list[Message]:
    """Return the log as Redis has it."""
    return [
        msgspec.json.decode(entry, type=Message)
        for entry in await server.command("LRANGE", f"{{room:{room}}}:log", 0, -1)
    ]


async def state(server: Valkey, room: str = ROOM) -> dict[str, bytes]:
    fields = await server.command("HGETALL", f"{{room:{room}}}:state")
    return {name.decode(): value for name, value in zip(fields[::2], fields[1::2], strict=True)}


async def next_process(server: Valkey, **limits: int) -> tuple[Process, SavedRoom | None]:
    process = await Process(server, limits=limits).start()
    return process, await process.recall(ROOM)


def contents(saved: SavedRoom) -> list[object]:
    return [msgspec.json.decode(encoded, type=Message).content for encoded in saved.messages]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so that comes from the server."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)


class Told:
    """Collects what `done` is called with, in order."""

    def __init__(self, log: RoomLog) -> None:
        self.log = log
        self.messages: list[tuple[str, int, bool]] = []

    def append(self, text: str, client_id: str | None = None, room: str = ROOM, epoch: int = EPOCH) -> None:
        self.log.append(room, epoch, message(text, client_id=client_id), self._done, text)

    def _done(self, text: str, own: Message, encoded: bytes | None, error: Exception | None) -> None:
        assert error is None
        self.messages.append((text, own.seq, encoded is not None))

    async def wait(self, count: int) -> list[tuple[str, int, bool]]:
        await until(lambda: len(self.messages) >= count)
        return self.messages


# ── what is in Redis ──────────────────────────────────────────────────────────────────────────────


async def test_an_acknowledged_message_is_in_redis(server: Valkey, process: Process) -> None:
    accepted = await process.append("hello 👋", client_id="c")

    assert await stored(server) == [accepted]


async def test_the_keys_are_those_documented(server: Valkey, process: Process) -> None:
    for number in range(MAX_MESSAGES + 2):
        await process.append("x" * number, client_id=str(number))

    assert await keys(server) == {
        f"rooms:{process.log.node}",
        *(f"{{room:{ROOM}}}:{part}" for part in ("state", "log", "ids")),
    }
    found = await state(server)
    assert (found["epoch"], found["seq"]) == (b"%d" % EPOCH, b"%d" % (MAX_MESSAGES + 2))
    assert json.loads(found["members"]) == list(MEMBERS)
    assert [own.seq for own in await stored(server)] == list(range(3, MAX_MESSAGES + 3))
    ids = [json.loads(entry) for entry in await server.command("LRANGE", f"{{room:{ROOM}}}:ids", 0, -1)]
    assert [known["clientId"] for known in ids] == ["0", "1"]
    assert await server.command("ZRANGE", f"rooms:{process.log.node}", 0, -1) == [ROOM.encode()]
    assert await server.command("ZRANGE", "rooms", 0, -1) == [process.log.node.encode()]


async def test_a_prefix_begins_each_key(server: Valkey) -> None:
    async with running(server, "chat:") as process:
        process.log.open(ROOM, EPOCH, MEMBERS)
        for number in range(MAX_MESSAGES + 1):
            await process.append("x", client_id=str(number))
        await process.settled()

        assert {key for key in await keys(server) if not key.endswith("marker")} == {
            "chat:rooms",
            f"chat:rooms:{process.log.node}",
            *(f"chat:{{room:{ROOM}}}:{part}" for part in ("state", "log", "ids")),
        }


async def test_everything_expires_and_is_renewed(server: Valkey, process: Process) -> None:
    for number in range(MAX_MESSAGES + 1):
        await process.append("x", client_id=str(number))
    for key in await keys(server):
        assert 0 < await server.command("TTL", key) <= LIFETIME
        await server.command("EXPIRE", key, 100)

    for _ in range(2):
        await process.clock.run(RENEWAL)
        renewal = asyncio.create_task(process.log.renew())
        await process.clock.run(1)
        await renewal

    for key in await keys(server):
        assert 500 < await server.command("TTL", key) <= LIFETIME
    assert (
        float(await server.command("ZSCORE", f"rooms:{process.log.node}", ROOM)) >= process.clock.time() + LIFETIME - 2
    )
    assert float(await server.command("ZSCORE", "rooms", process.log.node)) >= process.clock.time() + LIFETIME - 2


async def test_each_room_is_renewed_within_a_minute(server: Valkey) -> None:
    async with running(server) as process:
        rooms = [f"guest_a_guest_{number}" for number in range(150)]
        for room in rooms:
            process.log.open(room, EPOCH)
        await process.settled()
        await process.clock.run(RENEWAL)
        for key in await keys(server):
            await server.command("EXPIRE", key, 100)

        for _ in range(int(RENEWAL)):
            renewal = asyncio.create_task(process.log.renew())
            await process.clock.run(1)
            await renewal

        for room in rooms:
            assert await server.command("TTL", f"{{room:{room}}}:state") > 500


async def test_nothing_is_left_of_a_forgotten_room(server: Valkey, process: Process) -> None:
    for number in range(MAX_MESSAGES + 1):
        await process.append("x", client_id=str(number))
    process.log.note(ROOM, EPOCH, "call", b"{}")
    process.log.forget(ROOM, EPOCH)
    await process.settled()

    assert await keys(server) == set()


async def test_a_room_that_is_forgotten_in_the_same_turn_leaves_nothing(server: Valkey, process: Process) -> None:
    process.log.open("guest_x_guest_y", EPOCH)
    process.log.append("guest_x_guest_y", EPOCH, message("x"), lambda *_: None, None)
    process.log.forget("guest_x_guest_y", EPOCH)
    process.log.forget(ROOM, EPOCH)
    await process.settled()

    assert await keys(server) == set()


async def test_a_later_epoch_takes_the_place_of_the_one_before(server: Valkey, process: Process) -> None:
    await process.append("before", client_id="c")
    process.log.open(ROOM, EPOCH + 1, ("other", "members"))
    process.log.forget(ROOM, EPOCH)
    await accepted_append(process.log, message("after"), epoch=EPOCH + 1)

    assert [own.content for own in await stored(server)] == ["after"]
    assert (await state(server))["epoch"] == b"%d" % (EPOCH + 1)


async def test_the_list_of_identities_is_bounded(server: Valkey, process: Process) -> None:
    longest = 0
    for number in range(30 * CLIENT_IDS):
        await process.append("x", client_id=str(number))
        longest = max(longest, await server.command("LLEN", f"{{room:{ROOM}}}:ids"))

    assert longest <= 6 * CLIENT_IDS + 1


async def test_a_large_message_is_identified_without_its_content(server: Valkey, process: Process) -> None:
    first = answer(await process.append("x" * 3000, client_id="c"))
    for number in range(MAX_MESSAGES):
        await process.append("x", client_id=str(number))
    (identity,) = await server.command("LRANGE", f"{{room:{ROOM}}}:ids", 0, -1)
    assert len(identity) < 600

    await process.die()
    process, _ = await next_process(server)

    assert answer(await process.append("again", client_id="c")) == first
    await process.die()


# ── when a message is done ────────────────────────────────────────────────────────────────────────


async def test_a_message_is_done_after_redis_has_it(server: Valkey, process: Process) -> None:
    told = Told(process.log)
    server.freeze()
    told.append("one", "c")
    told.append("two")
    await turns()
    assert told.messages == []
    assert (await process.log.replay(ROOM, EPOCH, 0)).messages == [], "what is not done is not replayed"
    server.thaw()

    assert await told.wait(2) == [("one", 1, True), ("two", 2, True)]
    assert len((await process.log.replay(ROOM, EPOCH, 0)).messages) == 2


async def open_rooms(process: Process, count: int) -> list[str]:
    """Open rooms, and let Redis know them."""
    rooms = [f"guest_a_guest_{number}" for number in range(count)]
    for room in rooms:
        process.log.open(room, EPOCH)
    await process.settled()
    return rooms


async def test_messages_of_many_rooms_are_few_scripts(server: Valkey) -> None:
    async with running(server) as process:
        rooms = await open_rooms(process, 70)
        told = Told(process.log)
        for text in ("known", "one"):  # after the first time, the server knows the script
            await server.command("CONFIG", "RESETSTAT")
            for room in rooms:
                told.append(text, room=room)
                told.append(f"{text} more", room=room)
            await told.wait(2 * len(rooms))
            told.messages.clear()

        assert (await server.command_stats())["evalsha"] == 3
        for room in rooms:
            assert [own.content for own in await stored(server, room)] == ["known", "known more", "one", "one more"]
        assert process.log.unlogged == 0


@pytest.mark.parametrize("error", [RuntimeError("a bug"), asyncio.CancelledError()])
async def test_what_is_done_with_one_message_does_not_concern_the_others(server: Valkey, error: BaseException) -> None:
    async with running(server) as process:
        rooms = await open_rooms(process, 3)
        told = Told(process.log)
        calls: list[str] = []

        def fail(context: str, *_: object) -> None:
            calls.append(context)
            raise error

        process.log.append(rooms[0], EPOCH, message("fails"), fail, "fails")
        told.append("of the same room", room=rooms[0])
        told.append("of another", room=rooms[1])
        await told.wait(2)
        told.append("later", room=rooms[0])

        assert [text for text, _, _ in await told.wait(3)] == ["of the same room", "of another", "later"]
        assert calls == ["fails"]


@pytest.mark.parametrize("damage", ["foreign", "damaged", "other owner"])
async def test_what_is_wrong_with_one_room_does_not_concern_the_others_of_the_script(
    server: Valkey, damage: str
) -> None:
    async with running(server) as process:
        rooms = await open_rooms(process, 9)
        told = Told(process.log)
        for number in range(MAX_MESSAGES):
            for room in rooms:
                told.append(f"{number} {'x' * 600}", client_id=f"{number}", room=room)
            await told.wait(len(rooms))
            told.messages.clear()
        wrong = rooms[4]
        if damage == "foreign":
            await server.command("SET", f"{{room:{wrong}}}:state", "a foreign value")
        elif damage == "damaged":
            await server.command("LSET", f"{{room:{wrong}}}:log", 0, '{"clientId":"' + "x" * 600)
        else:
            await server.command("HSET", f"{{room:{wrong}}}:state", "owner", "somebody")
        for room in rooms:
            told.append("last", room=room)
        await told.wait(len(rooms) - (damage == "other owner"))

        for room in rooms:
            if room != wrong:
                assert (await stored(server, room))[-1].content == "last"
        assert process.log.unlogged <= 1
        await process.settled()
        last = (await stored(server, wrong))[-1].content
        assert (last == "last") == (damage != "other owner")


async def test_entries_lack_what_is_not_done_and_what_is_settled_survives(server: Valkey, process: Process) -> None:
    process.log.open(ROOM, EPOCH, MEMBERS)
    told: list[int] = []
    for text in ("one", "two"):
        process.log.append(ROOM, EPOCH, message(text), lambda _c, own, _e, _error: told.append(own.seq), None)
    assert told == []
    assert process.log.entries(ROOM, EPOCH) == []

    process.log.settle(ROOM, EPOCH)
    assert told == [1, 2]
    assert len(process.log.entries(ROOM, EPOCH)) == 2
    await process.append("three")
    await process.settled()
    await process.die()

    async with running(server) as later:
        saved = await later.recall(ROOM)
        assert saved is not None
        assert [json.loads(one)["content"] for one in saved.messages] == ["one", "two", "three"]


async def test_a_duplicate_is_done_after_what_it_repeats(server: Valkey, process: Process) -> None:
    told = Told(process.log)
    server.freeze()
    told.append("first", "c")
    await turns()
    told.append("again", "c")
    await turns()
    told.append("other", "d")
    told.append("once more", "c")
    assert told.messages == []
    server.thaw()

    assert await told.wait(4) == [("first", 1, True), ("again", 1, False), ("other", 2, True), ("once more", 1, False)]


async def test_what_is_evicted_before_it_is_done_is_no_gap_yet(server: Valkey, process: Process) -> None:
    for number in range(MAX_MESSAGES):
        await process.append(str(number))
    told = Told(process.log)
    server.freeze()
    for number in range(2 * MAX_MESSAGES):
        told.append(str(number))
    await turns()

    replay = await process.log.replay(ROOM, EPOCH, 1)
    assert (replay.messages, replay.gap) == ([], MAX_MESSAGES - 1)
    server.thaw()
    await told.wait(2 * MAX_MESSAGES)
    assert (await process.log.replay(ROOM, EPOCH, 1)).gap == 2 * MAX_MESSAGES - 1


async def test_all_messages_of_a_turn_are_one_command(server: Valkey, process: Process) -> None:
    await process.append("the script is known from now on")
    await server.command("CONFIG", "RESETSTAT")
    told = Told(process.log)
    for number in range(20):
        told.append(str(number))
    await told.wait(20)

    stats = await server.command_stats()
    assert stats["evalsha"] == 1
    assert stats["rpush"] == 1


async def test_many_messages_of_a_turn_are_all_there(server: Valkey) -> None:
    async with running(server, max_messages=20_000, max_bytes=20_000_000) as process:
        process.log.open(ROOM, EPOCH)
        told = Told(process.log)
        for number in range(10_000):
            told.append("x", str(number))
        await told.wait(10_000)
        await server.command("FLUSHALL")
        await process.append("one more")

        assert [own.seq for own in await stored(server)] == list(range(1, 10_002))


async def test_an_observer_that_fails_harms_no_other_message(process: Process) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no")

    told = Told(process.log)
    process.log.append(ROOM, EPOCH, message("fails"), fail, None)
    told.append("goes on")

    assert await told.wait(1) == [("goes on", 2, True)]


async def test_a_room_that_cannot_be_sent_harms_no_other(process: Process) -> None:
    told = Told(process.log)
    process.log.open("guest_\ud800", EPOCH)
    told.append("never in Redis", room="guest_\ud800")
    told.append("goes on")

    assert sorted(await told.wait(2)) == [("goes on", 1, True), ("never in Redis", 1, True)]
    assert process.log.unlogged == 1


# ── recall ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_room_is_recalled_with_all_that_was_acknowledged(server: Valkey, process: Process) -> None:
    first = answer(await process.append("evicted", client_id="c"))
    for number in range(MAX_MESSAGES):
        await process.append(str(number), "guest_b", f"b{number}")
    process.log.note(ROOM, EPOCH, "call", b'{"id":1}')
    process.log.note(ROOM, EPOCH, "away:guest_a", b"1")
    process.log.note(ROOM, EPOCH, "away:guest_a", None)
    await process.clock.run(0.1)
    await process.settled()
    await process.die()

    later = await Process(server).start()
    assert await later.saved() == [ROOM]
    saved = await later.recall(ROOM)

    assert saved is not None
    assert (saved.room_id, saved.epoch, saved.seq, saved.members) == (ROOM, EPOCH, MAX_MESSAGES + 1, MEMBERS)
    assert saved.notes == {"call": b'{"id":1}'}
    assert contents(saved) == [str(number) for number in range(MAX_MESSAGES)]
    assert await later.saved() == []
    assert await later.recall(ROOM) is None, "it is open"
    assert (await later.log.replay(ROOM, EPOCH, 0)).gap == 1
    assert answer(await later.append("again", client_id="c")) == first
    assert (await later.append("new", client_id="d")).seq == MAX_MESSAGES + 2
    assert [own.seq for own in await stored(server)] == list(range(3, MAX_MESSAGES + 3))
    assert later.log.unlogged == 0
    await later.die()


async def test_evicted_messages_are_removed_together_and_known_meanwhile(server: Valkey) -> None:
    async with running(server, trim=4) as process:
        process.log.open(ROOM, EPOCH, MEMBERS)
        answers = [answer(await process.append(str(number), client_id=f"c{number}")) for number in range(MAX_MESSAGES)]
        for number in range(3):
            answers.append(answer(await process.append("x", client_id=f"x{number}")))
            assert len(await stored(server)) == MAX_MESSAGES + number + 1

    later, saved = await next_process(server, trim=4)
    assert saved is not None
    assert [json.loads(entry)["clientId"] for entry in saved.messages] == ["c3", "c4", "x0", "x1", "x2"]
    assert [json.loads(entry)["clientId"] for entry in saved.evicted] == ["c0", "c1", "c2"]
    assert answer(await later.append("again", client_id="c0")) == answers[0]
    await later.append("the last one")
    assert [own.seq for own in await stored(server)] == list(range(5, 10))
    assert len(await server.command("LRANGE", IDS, 0, -1)) == 4
    await later.die()


async def test_a_long_log_in_redis_is_as_short_as_in_memory(server: Valkey) -> None:
    async with running(server, trim=100) as process:
        process.log.open(ROOM, EPOCH, MEMBERS)
        for _ in range(MAX_MESSAGES + 1):
            await process.append("x" * 3000)

        assert len(await stored(server)) == len((await process.log.replay(ROOM, EPOCH, 0)).messages) < MAX_MESSAGES


async def test_a_room_is_recalled_again_and_again(server: Valkey, process: Process) -> None:
    answers = []
    for number in range(3 * MAX_MESSAGES):
        answers.append(answer(await process.append(str(number), client_id=f"c{number}")))
        await process.die()
        process, saved = await next_process(server)
        assert saved is not None
        assert saved.seq == number + 1
        for known in range(max(0, number - CLIENT_IDS + 1), number + 1):
            assert answer(await process.append("again", client_id=f"c{known}")) == answers[known]
    process.log.forget(ROOM, EPOCH)
    await process.settled()
    assert await keys(server) == set()
    await process.die()


async def test_smaller_limits_evict_at_the_recall(server: Valkey, process: Process) -> None:
    first = answer(await process.append("0", client_id="c0"))
    for number in range(1, MAX_MESSAGES):
        await process.append(str(number), client_id=f"c{number}")
    await process.die()

    process, saved = await next_process(server, max_messages=2)

    assert saved is not None
    assert contents(saved) == [str(number) for number in range(MAX_MESSAGES - 2, MAX_MESSAGES)]
    await process.append("new")
    assert [own.content for own in await stored(server)] == [str(MAX_MESSAGES - 1), "new"]
    assert answer(await process.append("again", client_id="c0")) == first
    await process.die()


async def test_there_is_nothing_to_recall_of_a_room_that_was_never_open(process: Process) -> None:
    assert await process.recall("guest_x_guest_y") is None


async def test_an_expired_room_is_not_listed(server: Valkey, process: Process) -> None:
    await process.die()
    later = await Process(server).start()
    later.clock.advance(LIFETIME + 10)

    assert await later.saved() == []
    await later.die()


async def test_a_foreign_name_in_the_list_of_rooms_hides_no_room(server: Valkey, process: Process) -> None:
    await process.append("one")
    await process.die()
    await server.command("ZADD", "rooms", "1e10", "node_x")
    await server.command("ZADD", "rooms:node_x", "1e10", b"\xff")

    later, saved = await next_process(server)

    assert saved is not None
    assert await later.recall("\ufffd") is None
    await later.die()


async def test_a_list_of_rooms_of_another_type_is_replaced(server: Valkey, process: Process) -> None:
    await process.append("one")
    await server.command("SET", "rooms", "foreign")
    later = await Process(server).start()
    assert await later.saved() == []

    await process.settled()

    assert await later.saved() == [ROOM]
    assert 0 < await server.command("TTL", "rooms") <= LIFETIME
    await server.command("SET", f"rooms:{process.log.node}", "foreign")
    assert await later.saved() == []
    await process.settled()
    assert await later.saved() == [ROOM]
    await later.die()


STATE, LOG, IDS = (f"{{room:{ROOM}}}:{part}" for part in ("state", "log", "ids"))


@pytest.mark.parametrize(
    "damage",
    [
        ("HDEL", STATE, "seq"),
        ("HDEL", STATE, "epoch"),
        ("HSET", STATE, "epoch", "soon"),
        ("HSET", STATE, "seq", "5"),
        ("HSET", STATE, "seq", "0"),
        ("HSET", STATE, "epoch", "9" * 400),
        ("HSET", STATE, "members", '["one"]'),
        ("HSET", STATE, "members", "\xff"),
        ("HSET", STATE, b"note:\xff", "x"),
        ("LPOP", LOG),
        ("RPOP", LOG),
        ("LSET", LOG, "0", "{"),
        ("LSET", LOG, "0", '{"seq":1}'),
        ("LSET", LOG, "0", b'{"content":%s}' % (b"[" * 100_000)),
        ("RPUSH", IDS, "[]"),
        ("RPUSH", IDS, b"\xff"),
        ("SET", STATE, "foreign"),
        ("SET", LOG, "foreign"),
        ("SET", IDS, "foreign"),
        ("DEL", STATE),
    ],
    ids=lambda parts: " ".join(str(part) for part in parts[:3]).replace(f"{{room:{ROOM}}}:", ""),
)
async def test_a_damaged_room_is_removed(server: Valkey, process: Process, damage: tuple[str | bytes, ...]) -> None:
    await process.append("one", client_id="c")
    await process.append("two")
    await process.die()
    if damage[0] == "LPOP":
        await server.command("LREM", LOG, 1, (await server.command("LRANGE", LOG, 0, 0))[0])
        await server.command("LPUSH", LOG, (await server.command("LRANGE", LOG, 0, 0))[0])
    else:
        await server.command(*damage)

    later, saved = await next_process(server)

    assert saved is None
    await later.settled()
    assert await keys(server) == set()
    assert await later.saved() == []
    await later.die()


# ── another process ───────────────────────────────────────────────────────────────────────────────


async def test_who_lost_the_room_to_another_process_writes_no_more(server: Valkey, process: Process) -> None:
    await process.append("one")
    other, saved = await next_process(server)
    assert saved is not None
    await other.append("two")

    told = Told(process.log)
    told.append("never in Redis, and never done")
    process.log.note(ROOM, EPOCH, "call", b"no")
    await process.clock.run(1)
    await until(lambda: bool(process.taken))
    await process.settled()

    assert process.taken == [(ROOM, EPOCH)]
    assert told.messages == []

    assert [own.content for own in await stored(server)] == ["one", "two"]
    assert "note:call" not in await state(server)
    assert process.log.unlogged == 0
    assert await other.saved() == []
    await other.append("three")
    assert other.log.unlogged == 0
    await other.die()


async def test_an_old_epoch_does_not_replace_a_later_one(server: Valkey, process: Process) -> None:
    async with running(server) as other:
        other.log.open(ROOM, EPOCH + 1)
        await accepted_append(other.log, message("later"), epoch=EPOCH + 1)

        Told(process.log).append("earlier")
        await until(lambda: process.taken == [(ROOM, EPOCH)])
        await process.settled()

        assert [own.content for own in await stored(server)] == ["later"]


async def test_the_rooms_are_spread_over_a_cluster() -> None:
    async with cluster() as nodes:
        process = await Process(nodes).start()
        rooms = [f"guest_a_guest_{number}" for number in range(20)]
        for room in rooms:
            process.log.open(room, EPOCH, MEMBERS)
        for number in range(MAX_MESSAGES + 1):
            for room in rooms:
                await accepted_append(process.log, message(str(number), client_id=str(number)), room)
        assert process.log.unlogged == 0
        await process.die()

        process = await Process(nodes).start()
        assert sorted(await process.saved()) == sorted(rooms)
        for room in rooms:
            saved = await process.recall(room)
            assert saved is not None
            assert contents(saved) == [str(number + 1) for number in range(MAX_MESSAGES)]
            _, new = await accepted_append(process.log, message("again", client_id="0"), room)
            assert not new
            process.log.forget(room, EPOCH)
        await process.settled()
        assert [await process.redis.command("EXISTS", f"{{room:{room}}}:state") for room in rooms] == [0] * len(rooms)
        assert await process.redis.command("EXISTS", f"rooms:{process.log.node}") == 0
        await process.die()


# ── Redis is away, or has lost something ──────────────────────────────────────────────────────────


async def test_without_redis_messages_are_done_at_once(server: Valkey, process: Process) -> None:
    await process.append("one", client_id="c")
    server.kill()
    await until(lambda: not process.redis.is_usable)
    told = Told(process.log)
    told.append("two")
    told.append("again", "c")
    process.log.open("guest_x_guest_y", EPOCH, MEMBERS)
    told.append("elsewhere", room="guest_x_guest_y")

    assert told.messages == [("two", 2, True), ("again", 1, False), ("elsewhere", 1, True)]
    assert process.log.unlogged == 2
    process.log.note(ROOM, EPOCH, "call", b"{}")
    await process.clock.run(1)
    await server.start()
    await process.ready()
    assert [own.content for own in await stored(server)] == ["one", "two"]
    assert (await state(server))["note:call"] == b"{}"
    assert [own.content for own in await stored(server, "guest_x_guest_y")] == ["elsewhere"]
    assert set(await server.command("ZRANGE", f"rooms:{process.log.node}", 0, -1)) == {
        ROOM.encode(),
        b"guest_x_guest_y",
    }


async def test_messages_on_the_way_when_redis_dies_are_done_once_and_in_order(server: Valkey, process: Process) -> None:
    told = Told(process.log)
    server.freeze()
    for number in range(5):
        told.append(str(number), str(number))
        await turns()
    told.append("again", "0")
    server.kill()
    await told.wait(1)
    told.append("later")
    await server.start()
    await process.ready()
    told.append("last")

    expected = [(str(number), number + 1, True) for number in range(5)]
    assert await told.wait(8) == [*expected, ("again", 1, False), ("later", 6, True), ("last", 7, True)]
    await process.settled()
    assert [own.seq for own in await stored(server)] == list(range(3, 8))


@pytest.mark.parametrize("end", ["redis is back", "both are here", "the process ends"])
async def test_messages_of_a_room_that_may_be_elsewhere_wait(server: Valkey, process: Process, end: str) -> None:
    process.log.may_be_elsewhere = lambda room: room == ROOM
    process.log.open("guest_x_guest_y", EPOCH, MEMBERS)
    told = Told(process.log)
    server.freeze()
    told.append("on the way", "c")
    await turns()
    server.kill()
    await until(lambda: not process.redis.is_usable)
    told.append("later")
    told.append("here", room="guest_x_guest_y")
    await turns()
    assert told.messages == [("here", 1, True)]
    assert (await process.log.replay(ROOM, EPOCH, 0)).messages == []

    waited = [("on the way", 1, True), ("later", 2, True)]
    if end == "redis is back":
        await server.start()
        await process.ready()
        assert await told.wait(3) == [("here", 1, True), *waited]
        assert [own.content for own in await stored(server)] == ["on the way", "later"]
    elif end == "both are here":
        process.log.go_on(ROOM)
        assert told.messages == [("here", 1, True)], "one is here, the other is still away"
        process.log.may_be_elsewhere = lambda _: False
        process.log.go_on(ROOM)
        told.append("at once")
        assert told.messages == [("here", 1, True), *waited, ("at once", 3, True)]
        await server.start()
        await process.ready()
        assert [own.seq for own in await stored(server)] == [1, 2, 3]
    else:
        async with asyncio.timeout(PATIENCE):
            await process.log.close()
        assert told.messages == [("here", 1, True)], "who is not answered says it again, to the process that has it"
    assert len(told.messages) == len(set(told.messages))


async def test_a_server_that_does_not_answer_delays_nothing_for_long(server: Valkey, process: Process) -> None:
    told = Told(process.log)
    server.freeze()
    told.append("one")
    await told.wait(1)
    told.append("two")
    assert len(told.messages) == 2
    server.thaw()
    await process.settled()

    assert [own.content for own in await stored(server)] == ["one", "two"]


@pytest.mark.parametrize("loss", ["FLUSHALL", "SCRIPT FLUSH", "CLIENT KILL TYPE normal", f"DEL {LOG}", f"DEL {STATE}"])
async def test_a_loss_in_the_middle_costs_nothing(server: Valkey, process: Process, loss: str) -> None:
    told = Told(process.log)
    expected = []
    loser = None
    for number in range(60):
        told.append(str(number), f"c{number}")
        expected.append((str(number), number + 1, True))
        if number % 7 == 3:
            told.append(f"again {number}", f"c{number}")
            expected.append((f"again {number}", number + 1, False))
        if number % 20 == 10:
            loser = asyncio.create_task(server.command(*loss.split()))
        if number % 5:
            await asyncio.sleep(0)
        if number % 20 == 15 and loser is not None:
            await loser

    assert await told.wait(len(expected)) == expected
    await process.settled()
    assert [own.seq for own in await stored(server)] == list(range(60 - MAX_MESSAGES + 1, 61))
    for key in await keys(server):
        assert await server.command("TTL", key) > 0


async def test_the_renewal_finds_what_was_lost(server: Valkey, process: Process) -> None:
    for number in range(3):
        await process.append(str(number))
    for loss in (LOG, STATE, "rooms", f"rooms:{process.log.node}"):
        await server.command("DEL", loss)
        await process.clock.run(RENEWAL + 1)
        renewal = asyncio.create_task(process.log.renew())
        await process.clock.run(1)
        await renewal

        assert [own.seq for own in await stored(server)] == [1, 2, 3]
        assert await server.command("ZCARD", "rooms") == 1
        assert await server.command("ZCARD", f"rooms:{process.log.node}") == 1


async def test_a_server_without_memory_delays_nothing(server: Valkey, process: Process) -> None:
    await process.append("one")
    await server.command("CONFIG", "SET", "maxmemory", "1")
    told = Told(process.log)
    for text in ("two", "three"):
        told.append(text)
        await told.wait(1)
    assert await told.wait(2) == [("two", 2, True), ("three", 3, True)]
    assert process.log.unlogged >= 1
    await server.command("CONFIG", "SET", "maxmemory", "0")
    await process.settled()

    assert [own.content for own in await stored(server)] == ["one", "two", "three"]


async def test_a_foreign_value_in_the_place_of_a_room_is_replaced(server: Valkey, process: Process) -> None:
    await process.append("one")
    for key in (STATE, LOG):
        await server.command("SET", key, "foreign")
        await process.append(f"after {key}")
        await process.settled()

    assert [own.seq for own in await stored(server)] == [1, 2, 3]


async def test_what_was_forgotten_meanwhile_is_removed_first(server: Valkey, process: Process) -> None:
    await process.append("one")
    await server.command("CONFIG", "SET", "maxmemory", "1")
    await process.append("two")
    process.log.forget(ROOM, EPOCH)
    process.log.open(ROOM, EPOCH + 1)
    await accepted_append(process.log, message("next"), epoch=EPOCH + 1)
    process.log.open("guest_x_guest_y", EPOCH)
    process.log.forget("guest_x_guest_y", EPOCH)
    await server.command("CONFIG", "SET", "maxmemory", "0")
    await process.settled()

    assert [own.content for own in await stored(server)] == ["next"]
    process.log.forget(ROOM, EPOCH + 1)
    await process.settled()
    assert await keys(server) == set()


@pytest.mark.parametrize("commands", range(3))
@pytest.mark.parametrize("failure", [Failure.COMMAND_LOST, Failure.ANSWER_LOST])
async def test_a_forgotten_room_is_removed_although_a_command_was_lost(
    server: Valkey, failure: Failure, commands: int
) -> None:
    async with failing(server.url) as (redis, failures):
        clock = ManualClock()
        log = RedisRoomLog(redis, clock, Background(clock), MAX_MESSAGES, MAX_BYTES, node=ids.node_id())
        redis.on_resync("messages", log.resync)
        log.open(ROOM, EPOCH)
        await accepted_append(log, message("hello"))
        failures.arm(failure, commands)
        log.forget(ROOM, EPOCH)
        while failures.is_armed:
            await turns()
            redis.send(lambda _: None, "PING")

        async with asyncio.timeout(PATIENCE):
            while await server.command("KEYS", "*room*:*"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)


async def test_what_was_forgotten_is_neither_listed_nor_recalled(server: Valkey, process: Process) -> None:
    await server.command("CONFIG", "SET", "maxmemory", "1")
    await process.append("one")
    process.log.forget(ROOM, EPOCH)
    await server.command("CONFIG", "SET", "maxmemory", "0")

    await until(lambda: process.redis.is_usable)
    assert ROOM not in await process.saved()
    assert await process.recall(ROOM) is None


async def test_the_memory_of_what_was_forgotten_ends_when_it_has_expired(server: Valkey, process: Process) -> None:
    server.kill()
    process.log.forget(ROOM, EPOCH)
    await until(lambda: not process.redis.is_usable)
    assert process.log._graves
    await process.clock.run(LIFETIME)
    renewal = asyncio.create_task(process.log.renew())
    await process.clock.run(1)
    await renewal

    assert not process.log._graves


# ── notes, the end ────────────────────────────────────────────────────────────────────────────────


async def test_notes_are_written_together(server: Valkey, process: Process) -> None:
    await server.command("CONFIG", "RESETSTAT")
    for number in range(50):
        process.log.note(ROOM, EPOCH, "confirmed:guest_a", b"%d" % number)
        process.log.note(ROOM, EPOCH, "confirmed:guest_b", b"%d" % (2 * number))
    process.log.note(ROOM, EPOCH - 1, "call", b"of another epoch")
    process.log.note("guest_x_guest_y", EPOCH, "call", b"of no room")
    await process.clock.run(0.05)
    await process.settled()

    found = await state(server)
    assert (found["note:confirmed:guest_a"], found["note:confirmed:guest_b"]) == (b"49", b"98")
    assert "note:call" not in found
    assert (await server.command_stats())["hset"] == 2


async def test_a_note_finds_that_the_room_was_lost(server: Valkey, process: Process) -> None:
    await process.append("one")
    await server.command("FLUSHALL")
    process.log.note(ROOM, EPOCH, "call", b"{}")
    await process.clock.run(0.05)
    async with asyncio.timeout(PATIENCE):
        while "note:call" not in await state(server):  # noqa: ASYNC110 - it asks the server
            await asyncio.sleep(0)

    assert [own.content for own in await stored(server)] == ["one"]


async def test_at_the_end_everything_is_written_and_stays(server: Valkey, process: Process) -> None:
    told = Told(process.log)
    told.append("last")
    process.log.note(ROOM, EPOCH, "call", b"{}")
    await process.stop()

    assert told.messages == [("last", 1, True)]
    assert [own.content for own in await stored(server)] == ["last"]
    assert (await state(server))["note:call"] == b"{}"


async def test_the_end_is_not_delayed_by_a_server_that_is_gone(server: Valkey, process: Process) -> None:
    told = Told(process.log)
    told.append("last")
    server.kill()
    async with asyncio.timeout(PATIENCE):
        await process.stop()

    assert told.messages == [("last", 1, True)]


async def test_a_script_that_runs_twice_is_applied_once(server: Valkey, process: Process) -> None:
    from passerby.chat import log_redis  # noqa: PLC0415 - only here

    await process.append("one")
    entry = (await server.command("LRANGE", LOG, 0, -1))[0].replace(b'"seq":1', b'"seq":2')
    owner = (await state(server))["owner"]
    for _ in range(2):
        reply = await process.redis.run(log_redis._APPEND, (STATE, LOG, IDS), owner, 1, 1, 0, 1, entry)
        assert reply == [0]

    assert [own.seq for own in await stored(server)] == [1, 2]


# ── random sequences, with crashes and losses ─────────────────────────────────────────────────────


class CrashMachine(LogMachine):
    """The process dies between any two commands, or Redis loses what it had. One of them is whole at each time."""

    server: Valkey
    longest = 8 * CLIENT_IDS
    """A room that is recalled remembers all that Redis had."""
    trim: int

    def __init__(self) -> None:
        super().__init__(_no_backend)
        self.is_settled = True

    async def _open(self) -> RoomLog:
        await self.server.command("CONFIG", "SET", "maxmemory", "0")
        await self.server.command("FLUSHALL")
        self.process = await Process(self.server, limits={"trim": self.trim}).start()
        return self.process.log

    async def _close(self) -> None:
        await self._settle()
        for room, model in self.models.items():
            self.process.log.forget(room, model.epoch)
        await self.process.settled()
        assert await keys(self.server) == set()
        await self.process.die()

    async def _check_stored(self) -> None:
        """What Redis has is what the memory has; nothing else is there, and all expires."""
        log = self.process.log
        for room, model in self.models.items():
            replay = await log.replay(room, model.epoch, 0)
            kept = await stored(self.server, room)
            evicted = len(kept) - len(replay.messages)
            assert kept[evicted:] == replay.messages
            assert 0 <= evicted < self.trim
            found = await state(self.server, room)
            assert (int(found["epoch"]), int(found["seq"])) == (model.epoch, len(model.accepted))
        for key in await keys(self.server):
            assert await self.server.command("PTTL", key) > 0
            if not key.startswith("rooms:"):
                assert key.partition("{room:")[2].partition("}")[0] in self.models
        index = f"rooms:{self.process.log.node}"
        assert {room.decode() for room in await self.server.command("ZRANGE", index, 0, -1)} == self.models.keys()

    @rule(
        burst=st.lists(
            st.tuples(
                st.sampled_from(LogMachine.rooms),
                st.sampled_from(["guest_a", "guest_b"]),
                st.none() | st.sampled_from([f"c{number}" for number in range(3 * CLIENT_IDS)]),
                st.sampled_from([1, 600, 3000]),
                st.booleans(),
            ),
            max_size=12,
        )
    )
    def burst(self, burst: list[tuple[str, str, str | None, int, bool]]) -> None:
        """Append without waiting for the answers before; the answers of a room come in order."""
        self.runner.run(self._burst(burst))

    async def _burst(self, burst: list[tuple[str, str, str | None, int, bool]]) -> None:
        told: list[tuple[int, Message, bool]] = []
        sent: list[tuple[Model, str, str | None, str]] = []
        for room, sender, client_id, length, pause in burst:
            text = "x" * length
            model = self.models.get(room)
            if model is None:
                continue
            self.process.log.append(
                room,
                model.epoch,
                message(text, sender, client_id),
                lambda place, own, encoded, _: told.append((place, own, encoded is not None)),
                len(sent),
            )
            sent.append((model, sender, client_id, text))
            if pause:
                await asyncio.sleep(0)
        await until(lambda: len(told) == len(sent))
        for model in self.models.values():
            places = [place for place, _, _ in told if sent[place][0] is model]
            assert places == sorted(places)
        for place, own, new in sorted(told, key=lambda entry: entry[0]):
            model, sender, client_id, text = sent[place]
            self.accept(model, sender, client_id, text, own, new=new)
        for room, model in self.models.items():
            if any(model is of for of, *_ in sent):
                model.kept = len((await self.process.log.replay(room, model.epoch, 0)).messages)

    @rule(
        loss=st.sampled_from(
            ["FLUSHALL", "SCRIPT FLUSH", "CLIENT KILL TYPE normal", "CONFIG SET maxmemory 1", "KILL"]
            + [f"DEL {{room:{room}}}:{part}" for room in LogMachine.rooms for part in ("state", "log")]
        ),
        meanwhile=st.integers(0, 3),
    )
    def lose(self, loss: str, meanwhile: int) -> None:
        self.runner.run(self._lose(loss, meanwhile))

    async def _lose(self, loss: str, meanwhile: int) -> None:
        self.is_settled = False
        losing = None
        if loss != "KILL":
            losing = asyncio.create_task(self.server.command(*loss.split()))
        for _ in range(meanwhile):
            await asyncio.sleep(0)
        for room in self.models:
            await self._burst([(room, "guest_a", None, 9, True)] * 2)
        if losing is not None:
            await losing
        else:
            self.server.kill()
            await self.server.start()

    @precondition(lambda self: not self.is_settled)
    @rule()
    def settle(self) -> None:
        self.runner.run(self._settle())

    async def _settle(self) -> None:
        await self.server.command("CONFIG", "SET", "maxmemory", "0")
        await self.process.settled()
        await self._check_stored()
        self.is_settled = True

    @precondition(lambda self: self.is_settled)
    @rule(turns=st.integers(0, 4))
    def crash(self, turns: int) -> None:
        self.runner.run(self._crash(turns))

    async def _crash(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await self.process.die()
        self.process = await Process(self.server, limits={"trim": self.trim}).start()
        log = self.log = self.process.log
        listed = set(await self.process.saved())
        for room, model in [*self.models.items()]:
            saved = await self.process.recall(room)
            if not model.accepted and (saved is None or saved.epoch != model.epoch):
                del self.models[room]  # that it is open was not acknowledged
                if saved is not None:
                    log.forget(room, saved.epoch)
                continue
            assert room in listed
            assert saved is not None
            assert saved.members == (f"a of {model.epoch}", "b")
            assert (saved.epoch, saved.seq) == (model.epoch, len(model.accepted))
            assert contents(saved) == [text for _, _, text in model.accepted[len(model.accepted) - model.kept :]]
        for room in listed - self.models.keys():  # that it is forgotten was not acknowledged
            saved = await self.process.recall(room)
            if saved is not None:
                log.forget(room, saved.epoch)
        await self.process.settled()
        await self._check_stored()


@asynccontextmanager
async def _no_backend() -> AsyncIterator[Any]:
    yield None


@pytest.mark.parametrize("removed_together", [1, 3])
def test_nothing_acknowledged_is_lost_by_one_failure_at_a_time(removed_together: int) -> None:
    with asyncio.Runner() as runner:
        context = valkey()

        class Machine(CrashMachine):
            server = runner.run(context.__aenter__())
            trim = removed_together

        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=20,
                    stateful_step_count=30,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(context.__aexit__(None, None, None))


@pytest.mark.parametrize("commands", range(4))
async def test_a_process_that_dies_between_two_commands_leaves_no_room_that_is_not_found(
    server: Valkey, commands: int
) -> None:
    async with failing(server.url) as (redis, failures):
        node = ids.node_id()
        log = RedisRoomLog(redis, ManualClock(), Background(ManualClock()), MAX_MESSAGES, MAX_BYTES, node=node)
        failures.arm(Failure.DEATH_BEFORE, commands)
        for room_id in ("room_a", "room_b"):
            log.open(room_id, EPOCH)
            log.append(room_id, EPOCH, message("hello"), lambda *_: None, None)
        await turns()
        assert failures.is_dead is True
        await failures.end()

    async with failing(server.url) as (redis, _):
        node = ids.node_id()
        log = RedisRoomLog(redis, ManualClock(), Background(ManualClock()), MAX_MESSAGES, MAX_BYTES, node=node)
        found = [room_id for node in await log.owners() for room_id in await log.rooms(node)]
        kept = {key.decode() for key in await server.command("KEYS", "{room:*:state")}
        assert kept <= {f"{{room:{room_id}}}:state" for room_id in found}
        assert len(kept) == max(0, commands - 2)


# ── parking ───────────────────────────────────────────────────────────────────────────────────────


def parked(process: Process) -> Callable[[], None]:
    open_again = process.log.park(ROOM, EPOCH)
    assert open_again is not None
    return open_again


async def test_nothing_is_left_of_a_parked_room_until_it_is_open_again(server: Valkey, process: Process) -> None:
    for number in range(MAX_MESSAGES + 2):
        await process.append(str(number), client_id=str(number))
    process.log.note(ROOM, EPOCH, "call", b"{}")
    open_again = parked(process)
    await process.settled()
    assert await keys(server) == set()
    assert await process.log.epoch(ROOM) is None

    open_again()
    accepted = await process.append("next", client_id="next")
    assert [own.seq for own in await stored(server)] == list(range(4, MAX_MESSAGES + 4))
    assert (await state(server))["note:call"] == b"{}"
    await process.settled()
    await process.die()

    process, saved = await next_process(server)
    assert saved is not None
    assert (saved.seq, saved.members) == (MAX_MESSAGES + 3, MEMBERS)
    assert answer(await process.append("again", client_id="next")) == answer(accepted)
    await process.die()


@pytest.mark.parametrize("pauses", range(5))
@pytest.mark.parametrize("is_new", [True, False])
async def test_late_answers_do_not_harm_a_room_that_is_open_again(
    server: Valkey, process: Process, pauses: int, is_new: bool
) -> None:
    if is_new:
        process.log.forget(ROOM, EPOCH)
        await process.settled()
        process.log.open(ROOM, EPOCH, MEMBERS)
    told = Told(process.log)
    server.freeze()
    for number in range(3):
        told.append(str(number), str(number))
        await asyncio.sleep(0)
    open_again = parked(process)
    assert told.messages == [("0", 1, True), ("1", 2, True), ("2", 3, True)]
    for _ in range(pauses):
        await asyncio.sleep(0)
    open_again()
    told.append("3", "3")
    server.thaw()
    await told.wait(4)
    await process.settled()

    assert len(told.messages) == 4
    assert [own.seq for own in await stored(server)] == [1, 2, 3, 4]
    assert await server.command("ZRANGE", f"rooms:{process.log.node}", 0, -1) == [ROOM.encode()]
    assert process.log._graves == {}
    assert process.taken == []


async def test_what_is_parked_while_redis_is_away_is_as_it_should_be_when_it_is_back(
    server: Valkey, process: Process
) -> None:
    """Redis forgets it, although it was away; and has it again if it was opened again meanwhile."""
    await process.append("one")
    await server.command("CONFIG", "SET", "maxmemory", "1")
    await process.append("two")
    open_again = parked(process)
    await server.command("CONFIG", "SET", "maxmemory", "0")
    await process.settled()
    assert await keys(server) == set()

    server.kill()
    await until(lambda: not process.redis.is_usable)
    open_again()
    await process.append("three")
    await server.start()
    await process.settled()
    assert [own.content for own in await stored(server)] == ["one", "two", "three"]


@pytest.mark.parametrize("commands", range(4))
@pytest.mark.parametrize("failure", [Failure.COMMAND_LOST, Failure.ANSWER_LOST])
async def test_a_removal_that_is_tried_again_does_not_remove_a_room_that_is_open_again(
    server: Valkey, failure: Failure, commands: int
) -> None:
    async with failing(server.url) as (redis, failures):
        clock = ManualClock()
        log = RedisRoomLog(redis, clock, Background(clock), MAX_MESSAGES, MAX_BYTES, node=ids.node_id())
        redis.on_resync("messages", log.resync)
        log.open(ROOM, EPOCH)
        await accepted_append(log, message("one"))
        failures.arm(failure, commands)
        open_again = log.park(ROOM, EPOCH)
        assert open_again is not None
        while failures.is_armed and commands < 2:
            await turns()
            redis.send(lambda _: None, "PING")
        open_again()
        assert log._graves == {}, "nothing is left to be removed"
        while failures.is_armed:
            await turns()
            redis.send(lambda _: None, "PING")
        await accepted_append(log, message("two"))

        async def has_all() -> bool:
            await clock.run(2)  # what Redis has refused is written again
            return [own.content for own in await stored(server)] == ["one", "two"]

        async with asyncio.timeout(PATIENCE):
            while not await has_all():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
        await log.resync()
        assert await has_all()


@pytest.mark.parametrize("commands", range(5))
@pytest.mark.parametrize("is_back", [False, True])
async def test_a_process_that_dies_while_it_parks_or_opens_again_leaves_no_room_that_is_not_found(
    server: Valkey, commands: int, is_back: bool
) -> None:
    told: list[int] = []
    async with failing(server.url) as (redis, failures):
        clock = ManualClock()
        log = RedisRoomLog(redis, clock, Background(clock), MAX_MESSAGES, MAX_BYTES, node=ids.node_id())
        log.open(ROOM, EPOCH, MEMBERS)
        await accepted_append(log, message("one"))
        if not is_back:
            failures.arm(Failure.DEATH_BEFORE, commands)
        open_again = log.park(ROOM, EPOCH)
        assert open_again is not None
        if is_back:
            await redis.command("PING")  # it is forgotten
            await turns()
            failures.arm(Failure.DEATH_BEFORE, commands)
            open_again()
            log.append(ROOM, EPOCH, message("two"), lambda _context, own, *_: told.append(own.seq), None)
        while not failures.is_dead:
            await turns()
            redis.send(lambda _: None, "PING")
        await failures.end()

    async with running(server) as process:
        listed = await process.saved()
        kept = await server.command("KEYS", "{room:*:state")
        assert len(kept) <= len(listed), "a room that nobody finds"
        saved = await process.recall(ROOM)
        assert (saved is not None) == bool(kept)
        assert saved is None or contents(saved) == (["one", "two"] if is_back else ["one"])
        assert told in ([], [2])
        assert not told or saved is not None, "an acknowledged message is lost"
        assert is_back or commands == 0 or saved is None
