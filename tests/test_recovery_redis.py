"""A restart is a reconnect: what `test_recovery` checks with adapters on a pretended disk, with a real Valkey."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from passerby import ids
from passerby.background import Background
from passerby.calls.events import Answer, EndCall, Offer, ReportConnected, SendAnswer, SendOffer, SessionDescription
from passerby.chat.events import MessageSent, RoomClosed, RoomResumed
from passerby.chat.log_redis import RedisRoomLog
from passerby.clock import SystemClock
from passerby.errors import UnauthorizedError
from passerby.files.blobs_redis import RedisBlobStore
from passerby.guests.store_redis import RedisSessionStore
from passerby.matching.queue_redis import RedisMatchQueue
from passerby.redis.client import Redis
from passerby.stats.counters_redis import RedisCounters
from tests.support.clock import ManualClock, turns
from tests.support.house import GRACE, SESSION_TTL, House, Person
from tests.support.valkey import PATIENCE, Valkey, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SDP = "v=0\r\na=ice-ufrag:abcd\r\n"


class Processes:
    """One process after the other, on one Valkey."""

    def __init__(self, server: Valkey) -> None:
        self.server = server
        self.clock = ManualClock()
        self._connections = Background(SystemClock())
        self._redis: Redis | None = None
        self.house: House

    async def begin(self, *people: Person) -> House:
        redis = self._redis = Redis(self.server.url, "", self._connections)
        redis.start()
        assert await redis.ready(PATIENCE)
        clock = self.clock
        stand_ins: dict[str, Any] = {
            "store": RedisSessionStore(redis, clock, SESSION_TTL),
            "queue": RedisMatchQueue(redis, clock, Background(clock)),
            "log": RedisRoomLog(redis, clock, self._connections, 200, 262_144, node=ids.node_id()),
            "blobs": RedisBlobStore(redis, limit=1 << 28, upload_timeout=600),
            "counters": RedisCounters(redis, clock),
        }
        self.house = House(clock=clock, stand_ins=stand_ins)
        for person in people:
            person.house = self.house
            person.link.lost = True
        await self.house.recovery.run()
        return self.house

    async def restart(self, *people: Person, gently: bool = False) -> House:
        """End the process, and begin another. Notes have the time to be written before."""
        await self.written()
        house = self.house
        if gently:
            house.prepare_stop()
            for person in people:
                if person.live.link is person.link:
                    person.drop()
            await house.stop()
        await self._kill(house)
        return await self.begin(*people)

    async def _kill(self, house: House) -> None:
        assert self._redis is not None
        await self._redis.close()
        await turns()
        for timer in list(house.background.timers):
            timer.cancel()
        tasks = [*house.background._tasks, *house.background._loops]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def written(self) -> None:
        """Wait until notes are written, and everything sent before is answered."""
        await self.house.settle()
        while self._connections.timers:  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.01)
        await self.ping()

    async def ping(self) -> None:
        assert self._redis is not None
        await turns()
        await self._redis.command("PING")

    async def keys(self, pattern: str) -> list[bytes]:
        await self.ping()
        found = await self.server.command("KEYS", pattern)
        assert isinstance(found, list)
        return found

    async def end(self) -> None:
        await self._kill(self.house)
        await self._connections.stop(1)


@asynccontextmanager
async def running() -> AsyncIterator[Processes]:
    async with valkey() as server:
        processes = Processes(server)
        await processes.begin()
        try:
            yield processes
        finally:
            await processes.end()


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    async with running() as processes:
        yield processes


async def pair(processes: Processes) -> tuple[Person, Person]:
    anna, berta = await processes.house.visitor("Anna"), await processes.house.visitor("Berta")
    await anna.search()
    await berta.search()
    await processes.ping()
    assert anna.live.membership().partner is berta.live.member
    return anna, berta


async def say(person: Person, text: str, client_id: str | None = None) -> MessageSent:
    """Send a message; return the acknowledgement."""
    answered: asyncio.Future[MessageSent] = asyncio.get_running_loop().create_future()
    person.house.rooms.send(person.live.membership(), "text", text, client_id, answered.set_result)  # type: ignore[arg-type]  # it is no error
    async with asyncio.timeout(PATIENCE):
        return await answered


@pytest.mark.parametrize("gently", [True, False])
async def test_rooms_messages_and_confirmations_outlive_the_process(processes: Processes, gently: bool) -> None:
    anna, berta = await pair(processes)
    first, second = await say(anna, "one", "a-1"), await say(anna, "two", "a-2")
    processes.house.rooms.confirm(berta.live, first.message_id)
    resume = anna.resume_from(2), berta.resume_from(1)
    house = await processes.restart(anna, berta, gently=gently)
    await berta.connect(resume[1])
    assert berta.link.texts() == ["two"]
    await anna.connect(resume[0])
    assert anna.link.last(RoomResumed).delivered == 1
    assert await say(anna, "two", "a-2") == second
    assert (await say(anna, "three")).seq == 3
    assert berta.link.texts() == ["two", "three"]
    assert house.background.failures.total() == 0


async def test_a_room_to_which_nobody_returns_leaves_nothing(processes: Processes) -> None:
    anna, berta = await pair(processes)
    upload = processes.house.files.begin(anna.live, name="a.txt", claimed="", size=4, voice=False)
    await upload.write(b"text")
    await upload.finish(upload.room.id)
    await say(anna, "hello", "a-1")
    house = await processes.restart(anna, berta)
    assert len(await processes.keys("{room:*")) == 2
    assert len(await processes.keys("file:*")) > 0
    await house.pass_time(GRACE)
    await processes.written()
    for pattern in ("{room:*", "rooms:*", "file:*", "guest:*"):
        assert await processes.keys(pattern) == []
    with pytest.raises(UnauthorizedError):
        await house.guests.authenticate(anna.token)


async def test_the_grace_window_goes_on(processes: Processes) -> None:
    anna, berta = await pair(processes)
    anna.drop()
    said = await say(berta, "are you there?", "b-1")
    await processes.house.pass_time(GRACE - 8)
    resume = berta.resume_from(1)
    house = await processes.restart(anna, berta)
    await berta.connect(resume)
    await house.pass_time(7.9)
    assert berta.live.member is not None
    await house.pass_time(0.2)
    assert [lost.message_id for lost in berta.link.last(RoomClosed).undelivered] == [said.message_id]


@pytest.mark.parametrize("gently", [True, False])
async def test_a_search_keeps_its_place(processes: Processes, gently: bool) -> None:
    anna = await processes.house.visitor("Anna")
    await anna.search()
    ticket = anna.live.ticket
    assert ticket is not None
    await processes.restart(anna, gently=gently)
    await anna.connect()
    await processes.house.settle()
    assert anna.live.ticket is not None
    assert anna.live.ticket.entered_at == ticket.entered_at


async def test_calls_go_on(processes: Processes) -> None:
    anna, berta = await pair(processes)
    processes.house.calls.offer(anna.live, SendOffer(offer=SessionDescription("offer", SDP), type="audio"))
    resume = anna.resume_from(0), berta.resume_from(0)
    house = await processes.restart(anna, berta)
    await anna.connect(resume[0])
    await berta.connect(resume[1])
    call_id = berta.link.last(Offer).call_id
    house.calls.answer(berta.live, SendAnswer(answer=SessionDescription("answer", SDP), call_id=call_id))
    assert anna.link.last(Answer).call_id == call_id
    house.calls.connected(anna.live, ReportConnected(call_id=call_id))
    await house.pass_time(0.2)
    house = await processes.restart(anna, berta)
    await anna.connect(resume[0])
    assert [name for name in anna.link.names() if name.startswith("webrtc")] == []
    house.calls.hang_up(anna.live, EndCall, call_id)


@pytest.mark.parametrize("gently", [True, False])
async def test_files_and_their_links_outlive_the_process(processes: Processes, gently: bool) -> None:
    anna, berta = await pair(processes)
    upload = processes.house.files.begin(anna.live, name="a.txt", claimed="", size=9, voice=False)
    await upload.write(b"some text")
    file = await upload.finish(upload.room.id)
    link = processes.house.files.info(file).file_url
    house = await processes.restart(anna, berta, gently=gently)
    expires, signature = (part.partition("=")[2] for part in link.partition("?")[2].split("&"))
    found = await house.files.signed(file.id, expires, signature)
    assert b"".join([part async for part in house.files.read(found, 0, found.size)]) == b"some text"
    assert house.files.space.used == 9
