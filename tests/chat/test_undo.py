"""A guest who has left by mistake comes back: what is kept for it, for how long, and who may."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec import UNSET

from passerby.calls.events import CallEnded, Offer, SendOffer, SessionDescription
from passerby.chat.events import (
    ChatCleared,
    ChatError,
    Matched,
    MessageDelivered,
    MessageSent,
    Resume,
    RoomClosed,
    RoomRestored,
    RoomResumed,
    UserLeft,
)
from passerby.errors import Code, ConflictError, NotFoundError
from passerby.guests.events import ConnectionEstablished
from passerby.live import UNDO
from passerby.matching.events import MatchCancelled, MatchNoUsers
from passerby.models import Message, Ticket
from tests.support.clock import ManualClock, turns
from tests.support.conversation import PNG
from tests.support.durable import Disk, begin, kill, restart
from tests.support.failing import Failing
from tests.support.fakes import SlowMatchQueue
from tests.support.house import GRACE, House, Person

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from passerby.events import Event
    from passerby.live import Room

T = TypeVar("T")

SECONDS = 5.0
LONG = 60.0
"""More than the grace window."""
FEATURES = (UNDO,)


@pytest.fixture
def house() -> House:
    return House(undo_seconds=SECONDS)


def room_of(person: Person) -> Room:
    return person.live.membership().room


def leave(person: Person) -> tuple[float, Resume]:
    """Leave with `undo`; return for how long it can be taken back, and what is needed for it."""
    room = room_of(person)
    return person.house.rooms.leave(person.live, "user_left", undo=True), Resume(room.id, room.epoch, room.seq)


async def undo(person: Person, resume: Resume) -> None:
    person.house.presence.undo(person.live, resume)
    await person.house.settle()


async def is_refused(person: Person, resume: Resume) -> bool:
    """Try to come back; return whether it is impossible. Then nothing has happened."""
    before = list(person.link.sent)
    try:
        await undo(person, resume)
    except ConflictError as error:
        return error.code == Code.UNDO_IMPOSSIBLE and person.link.sent == before
    return False


async def nothing_is_kept(house: House) -> None:
    await house.settle()
    assert house.rooms._parked == {}
    assert house.adapters.log.logs == {}  # type: ignore[attr-defined]  # that in memory
    assert (house.files._open, house.files._by_room, house.files.space.used) == ({}, {}, 0)


# ── leaving, and coming back ──────────────────────────────────────────────────────────────────────


async def test_who_leaves_may_come_back_and_both_are_told(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    room = room_of(anna)

    assert leave(anna)[0] == SECONDS

    assert berta.link.names() == ["room:user_left", "chat:cleared"]
    assert berta.link.last(UserLeft).undo == SECONDS
    assert (anna.live.member, berta.live.member) == (None, None)
    assert (anna.live.guest.in_chat, berta.live.guest.in_chat) == (False, False)
    assert (house.rooms.count, house.rooms.online_members, house.rooms.find(room.id)) == (0, 0, None)
    assert house.rooms.has(room.id, room.epoch)


async def test_the_conversation_goes_on_where_it_was(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    room = room_of(anna)
    anna.say("one", "a-1")
    berta.say("two", "b-1")
    before = anna.say("three", "a-2")
    _, resume = leave(anna)
    for person in (anna, berta):
        person.link.clear()

    await undo(anna, Resume(resume.room_id, resume.epoch, 1))

    assert (room_of(anna), room_of(berta)) == (room, room)
    assert anna.link.names() == ["room:restored", "room:resumed", "chat:message", "chat:message"]
    assert anna.link.texts() == ["two", "three"]
    restored = anna.link.last(RoomRestored)
    assert (restored.user_id, restored.username, restored.partner.id) == (anna.id, "Anna", berta.id)
    assert (restored.room_id, restored.epoch, restored.seq) == (room.id, room.epoch, 3)
    assert anna.link.last(RoomResumed).gap == 0
    assert berta.link.names() == ["room:restored"]
    assert berta.link.last(RoomRestored).user_id == anna.id
    assert berta.link.last(RoomRestored).partner.id == anna.id
    assert (house.rooms.count, house.rooms.online_members, house.rooms._parked) == (1, 2, {})
    assert (anna.live.guest.connected_user, berta.live.guest.connected_user) == (berta.id, anna.id)
    assert anna.say("three", "a-2") == before, "what was said is not said twice"
    assert berta.say("four").seq == 4
    assert anna.say("five").seq == 5
    assert (anna.link.texts()[-1], berta.link.texts()[-1]) == ("four", "five")


async def test_what_was_refused_in_between_can_be_said_again(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    _, resume = leave(anna)
    with pytest.raises(ConflictError, match="not in a conversation"):
        berta.say("wait", "b-1")
    await undo(anna, resume)

    assert berta.say("wait", "b-1").seq == 1
    assert anna.link.texts() == ["wait"]


async def test_a_confirmation_that_crosses_the_leaving_is_not_lost(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    for text in ("one", "two", "three"):
        anna.say(text)
    one, two, three = berta.link.of(Message)
    house.rooms.confirm(berta.live, one.id)
    _, resume = leave(anna)
    anna.link.clear()
    house.rooms.confirm(berta.live, two.id)
    assert anna.link.sent == [], "who has left is not told"
    await undo(anna, resume)

    assert anna.link.last(RoomResumed).delivered == 2
    house.rooms.confirm(berta.live, three.id)
    assert [receipt.message_id for receipt in anna.link.of(MessageDelivered)] == [three.id]
    assert berta.live.membership().pending == []


async def test_files_stay_until_the_chance_is_over(house: House) -> None:
    anna, _ = await house.pair(features=FEATURES)
    upload = house.files.begin(anna.live, name="a.png", claimed="", size=len(PNG), voice=False)
    await upload.write(PNG)
    file = await upload.finish(upload.room.id)
    _, resume = leave(anna)
    await house.pass_time(SECONDS / 2)
    await undo(anna, resume)

    assert (await house.files.of_member(file.id, anna.live)).id == file.id

    house.rooms.leave(anna.live, "user_left")
    with pytest.raises(NotFoundError):
        await house.files._find(file.id)
    await nothing_is_kept(house)


async def test_a_call_ends_and_another_one_can_begin(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    offer = SendOffer(type="audio", offer=SessionDescription("offer", "v=0\r\n"))
    house.calls.offer(anna.live, offer)
    first = berta.link.last(Offer)
    _, resume = leave(anna)
    assert house.calls._calls == {}
    await undo(anna, resume)
    house.calls.offer(berta.live, offer)

    assert anna.link.last(Offer).call_id != first.call_id
    assert anna.link.of(CallEnded) == berta.link.of(CallEnded) == []


async def test_who_is_still_being_brought_up_to_date_gets_everything(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    berta.drop()
    for number in range(40):
        anna.say(str(number))
    link = await berta.arrive(Resume(room_of(anna).id, room_of(anna).epoch, 0))
    link.read.shut()
    await turns()
    got = len(link.of(Message))
    assert 0 < got < 40
    _, resume = leave(anna)
    house.presence.undo(anna.live, resume)
    await turns()
    link.read.open()
    await house.settle()
    anna.say("40")

    numbers = [message.seq for message in link.of(Message)]
    assert numbers == [*range(1, got + 1), *range(1, 42)], "one replay, from what is confirmed, and not two at once"


# ── when nobody may come back ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "why", ["it was not asked for", "never", "the partner is away", "the partner's client does not know it", "again"]
)
async def test_it_is_not_offered(why: str) -> None:
    house = House(undo_seconds=0.0 if why == "never" else SECONDS)
    features = () if why == "the partner's client does not know it" else FEATURES
    anna, berta = await house.pair(features=features)
    if why == "the partner is away":
        berta.drop()
    if why == "again":
        await undo(anna, leave(anna)[1])
    room = room_of(anna)
    resume = Resume(room.id, room.epoch, room.seq)

    asked = why != "it was not asked for"
    assert house.rooms.leave(anna.live, "user_left", undo=asked) == 0.0
    if why != "the partner is away":
        assert berta.link.last(UserLeft).undo is UNSET
    assert await is_refused(anna, resume)
    await nothing_is_kept(house)


async def test_only_the_other_needs_to_know_it(house: House) -> None:
    anna = await house.visitor("Anna")
    berta = await house.visitor("Berta", FEATURES)
    for person in (anna, berta):
        await person.search()

    assert leave(anna)[0] == SECONDS


async def test_a_client_that_no_longer_knows_it_is_not_brought_back(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    _, resume = leave(anna)
    berta.features = ("something else",)
    await berta.connect()

    assert await is_refused(anna, resume)
    assert berta.link.of(RoomRestored) == []


async def test_when_the_time_is_over_everything_is_forgotten(house: House) -> None:
    anna, _ = await house.pair(features=FEATURES)
    anna.say("hello")
    upload = house.files.begin(anna.live, name="a.png", claimed="", size=len(PNG), voice=False)
    await upload.write(PNG)
    await upload.finish(upload.room.id)
    seconds, resume = leave(anna)
    await house.pass_time(seconds - 0.1)
    assert house.rooms._parked
    await house.pass_time(0.1)

    await nothing_is_kept(house)
    assert await house.adapters.blobs.files() == []
    assert await is_refused(anna, resume)


async def test_the_other_one_cannot_undo(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    _, resume = leave(anna)

    assert await is_refused(berta, resume)
    assert not await is_refused(anna, resume), "it has cost nothing"


async def test_only_the_last_room_can_be_brought_back(house: House) -> None:
    anna, _ = await house.pair(features=FEATURES)
    _, resume = leave(anna)

    assert await is_refused(anna, Resume(resume.room_id, resume.epoch - 1, 0))
    assert await is_refused(anna, Resume("guest_a_guest_b", resume.epoch, 0))
    assert not await is_refused(anna, resume)


async def test_who_searches_has_moved_on(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    _, resume = leave(anna)
    await berta.search()
    await nothing_is_kept(house)
    await berta.cancel()

    assert await is_refused(anna, resume)


async def test_who_does_not_wait_ends_the_chance(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    _, resume = leave(anna)
    assert house.rooms.leave(anna.live, "user_left") == 0.0
    assert house.rooms._parked, "who presses twice may still come back"
    assert house.rooms.leave(berta.live, "user_left", undo=True) == 0.0

    await nothing_is_kept(house)
    assert await is_refused(anna, resume)


async def test_the_own_search_ends_without_a_word(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    _, resume = leave(anna)
    await anna.search()
    assert anna.link.of(MatchNoUsers)
    anna.link.clear()
    await undo(anna, resume)

    assert anna.link.of(MatchCancelled) == []
    assert anna.link.names() == ["room:restored", "room:resumed"]
    assert await house.adapters.queue.size() == house.matchmaking.waiting == 0
    assert not anna.live.guest.is_searching
    carla = await house.visitor("Carla")
    await carla.search()
    assert carla.live.ticket is not None
    assert room_of(anna) is room_of(berta)


@pytest.mark.parametrize("who", ["the own search", "the search of somebody else"])
async def test_nobody_is_matched_with_a_guest_who_is_back(who: str) -> None:
    queue = SlowMatchQueue()
    house = House(undo_seconds=SECONDS, stand_ins={"queue": queue})
    anna, berta = await house.pair(features=FEATURES)
    carla = await house.visitor("Carla")
    _, resume = leave(anna)
    first, second = (carla, anna) if who == "the own search" else (anna, carla)
    await first.search()
    queue.told.shut()
    searching = asyncio.create_task(second.search())
    await queue.told.arrival()  # the queue has paired the two
    house.presence.undo(anna.live, resume)
    queue.told.open()
    await searching
    await house.settle()

    assert room_of(anna) is room_of(berta)
    assert carla.live.member is None
    assert carla.live.ticket is not None
    assert await queue.size() == 1, "Carla searches on"


async def test_who_has_met_somebody_does_not_come_back(house: House) -> None:
    anna, _ = await house.pair(features=FEATURES)
    _, resume = leave(anna)
    carla = await house.visitor("Carla")
    await carla.search()
    await anna.search()
    room = room_of(anna)

    assert house.rooms._parked == {}
    assert await is_refused(anna, resume)
    assert room_of(anna) is room_of(carla) is room
    house.rooms.leave(anna.live, "user_left")
    assert await is_refused(anna, resume)
    await nothing_is_kept(house)


@pytest.mark.parametrize("who", ["left", "stays"])
@pytest.mark.parametrize("how", ["the grace window is over", "the session ends"])
async def test_who_is_gone_ends_the_chance(who: str, how: str) -> None:
    house = House(undo_seconds=LONG)
    anna, berta = await house.pair(features=FEATURES)
    _, resume = leave(anna)
    goes, other = (anna, berta) if who == "left" else (berta, anna)
    if how == "the session ends":
        await house.presence.end(goes.live.guest)
    else:
        goes.drop()
        await house.pass_time(GRACE)

    await nothing_is_kept(house)
    assert await is_refused(other, resume)


async def test_who_is_away_can_be_followed_once_they_are_back() -> None:
    house = House(undo_seconds=LONG)
    anna, berta = await house.pair(features=FEATURES)
    anna.say("one")
    house.rooms.confirm(berta.live, berta.link.last(Message).id)
    anna.say("two")
    _, resume = leave(anna)
    berta.drop()
    assert await is_refused(anna, resume)
    await berta.connect(resume)
    await undo(anna, resume)

    assert berta.link.names()[-4:] == ["room:closed", "room:restored", "room:resumed", "chat:message"]
    assert berta.link.texts() == ["two"], "the old connection may have been dead already"
    assert house.rooms.online_members == 2
    assert berta.live.notice is None
    anna.say("three")
    assert berta.link.texts() == ["two", "three"]


async def test_nobody_comes_back_to_a_page_that_knows_nothing_of_the_conversation() -> None:
    house = House(undo_seconds=LONG)
    anna, berta = await house.pair(features=FEATURES)
    _, resume = leave(anna)
    await berta.connect()

    assert await is_refused(anna, resume)
    assert "room:restored" not in berta.link.names()


async def test_who_leaves_may_lose_the_connection_and_come_back() -> None:
    house = House(undo_seconds=LONG)
    anna, berta = await house.pair(features=FEATURES)
    berta.say("one")
    _, resume = leave(anna)
    anna.drop()
    await anna.connect()
    await undo(anna, Resume(resume.room_id, resume.epoch, 0))

    assert anna.link.texts() == ["one"]
    assert berta.link.names()[-1] == "room:restored"


# ── when something fails ──────────────────────────────────────────────────────────────────────────


async def test_a_log_that_cannot_be_parked_is_forgotten(house: House) -> None:
    anna, berta = await house.pair(features=FEATURES)
    Failing(house.adapters.log, "park")
    assert leave(anna)[0] == 0.0
    assert berta.link.names() == ["room:user_left", "chat:cleared"]
    assert house.background.failures["parking of a room's log"] == 1
    await nothing_is_kept(house)


async def test_a_process_that_dies_leaves_nothing_of_a_parked_room() -> None:
    disk = Disk(ManualClock())
    house = await begin(disk, (), undo_seconds=SECONDS)
    anna, berta = await house.pair(features=FEATURES)
    anna.say("hello")
    _, resume = leave(anna)
    assert disk.rooms == {}
    await house.settle()
    house = await restart(house, disk, anna, berta)
    await anna.connect()
    await berta.connect(resume)

    assert (anna.live.member, berta.live.member) == (None, None)
    assert berta.link.last(RoomClosed).reason == "partner_offline"
    assert await is_refused(anna, resume)


async def test_a_search_of_an_earlier_process_is_a_search() -> None:
    disk = Disk(ManualClock())
    house = await begin(disk, (), undo_seconds=SECONDS)
    anna, berta = await house.pair(features=FEATURES)
    _, resume = leave(anna)
    disk.tickets[berta.id] = (msgspec.json.encode(Ticket("ticket_0", berta.id, 0.0)), None)
    await house.matchmaking.recall(berta.live)
    assert berta.live.ticket is not None

    assert await is_refused(anna, resume)
    assert berta.live.member is None


async def test_a_call_that_has_ended_is_not_brought_back_by_a_later_process() -> None:
    disk = Disk(ManualClock())
    house = await begin(disk, (), undo_seconds=SECONDS)
    anna, berta = await house.pair(features=FEATURES)
    house.calls.offer(anna.live, SendOffer(type="audio", offer=SessionDescription("offer", "v=0\r\n")))
    await house.settle()
    room = room_of(anna)
    assert "call" in disk.room(room.id).notes
    _, resume = leave(anna)
    await undo(anna, resume)
    house = await restart(house, disk, anna, berta)

    assert house.rooms.count == 1
    assert house.calls._calls == {}


async def test_a_room_that_was_brought_back_outlives_the_process_but_is_not_brought_back_again() -> None:
    disk = Disk(ManualClock())
    house = await begin(disk, (), undo_seconds=SECONDS)
    anna, berta = await house.pair(features=FEATURES)
    anna.say("hello")
    _, resume = leave(anna)
    await undo(anna, resume)
    berta.say("again")
    await house.settle()
    await kill(house, disk, (anna, berta))
    house = await begin(disk, (anna, berta), undo_seconds=SECONDS)
    for person in (anna, berta):
        await person.connect(Resume(resume.room_id, resume.epoch, 0))

    assert berta.link.texts() == ["hello", "again"]
    assert leave(anna)[0] == 0.0
    assert disk.rooms == {}


# ── random sequences ──────────────────────────────────────────────────────────────────────────────

RoomKey = tuple[str, int]
CROWD = 3
WHO = st.integers(0, CROWD - 1)


class Client:
    """A client that reads everything at once, confirms it, and remembers the room that it has left."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.connected = True
        self.room: RoomKey | None = None
        self.left: RoomKey | None = None
        self.numbers: dict[RoomKey, list[int]] = {}
        """Of all messages, in the order in which they came."""
        self._read = 0

    def connect_again(self) -> None:
        self.connected, self._read = True, 0

    def read(self) -> list[Message]:
        """Read what has come; return the messages of the partner."""
        events = self.person.link.sent[self._read :]
        self._read += len(events)
        for event in events:
            self._take(event)
        return [event for event in events if isinstance(event, Message) and event.sender_id != self.person.id]

    def _take(self, event: Event | Message) -> None:
        if isinstance(event, ConnectionEstablished):
            if event.room is None:
                self.room = None
            else:
                assert self.room == (event.room.room_id, event.room.epoch)
        elif isinstance(event, Matched | RoomRestored):
            assert self.room is None, "in two rooms"
            self.room = (event.room_id, event.epoch)
        elif isinstance(event, RoomResumed):
            assert self.room == (event.room_id, event.epoch)
        elif isinstance(event, Message | MessageSent):
            assert self.room is not None, "a message without a room"
            numbers = self.numbers.setdefault(self.room, [])
            assert event.seq == len(numbers) + 1, f"message {event.seq} after {numbers}"
            numbers.append(event.seq)
        elif isinstance(event, ChatCleared | RoomClosed):
            self.room = None
        else:
            assert not isinstance(event, ChatError)

    def position(self, key: RoomKey) -> Resume:
        return Resume(*key, len(self.numbers.get(key, ())))


class Chance:
    """A room that somebody has left, as it should be."""

    def __init__(self, left: Client, stays: Client, until: float) -> None:
        self.left = left
        self.stays = stays
        self.until = until


class UndoMachine(RuleBasedStateMachine):
    """Three guests who meet, leave, come back, and lose their connections."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.house = self.run(self._build())
        self.clients: list[Client] = []
        self.chances: dict[RoomKey, Chance] = {}
        self.restored: set[RoomKey] = set()

    async def _build(self) -> House:
        return House(undo_seconds=SECONDS, room_log_messages=2000)

    def run(self, work: Coroutine[None, None, T]) -> T:
        return self.loop.run_until_complete(work)

    def do(self, call: Callable[[], T]) -> T:
        async def calling() -> T:
            return call()

        return self.run(calling())

    def teardown(self) -> None:
        self.run(self.house.settle())
        self.loop.close()

    def settle(self) -> None:
        """Let everything happen; whoever is in another room has no chance to come back to an earlier one."""
        while True:
            self.run(self.house.settle())
            said = [(client, message) for client in self.clients if client.connected for message in client.read()]
            if not said:
                break
            for client, message in said:
                if client.person.live.member is not None:
                    self.do(partial(self.house.rooms.confirm, client.person.live, message.id))
        for key, chance in [*self.chances.items()]:
            if chance.left.room is not None or chance.stays.room is not None:
                del self.chances[key]

    def pick(self, who: int, condition: Callable[[Client], bool]) -> Client | None:
        """Return one of the clients that are so."""
        clients = [client for client in self.clients if condition(client)]
        return clients[who % len(clients)] if clients else None

    def _place(self, client: Client, condition: Callable[[Client], bool]) -> int:
        """Return with which number `pick` returns a client."""
        return [client for client in self.clients if condition(client)].index(client)

    @initialize()
    def begin(self) -> None:
        self.newcomers()
        self.everybody_searches()

    def newcomers(self) -> None:
        while len(self.clients) < CROWD:
            self.clients.append(Client(self.run(self.house.visitor(features=FEATURES))))
        self.settle()

    @rule()
    def everybody_searches(self) -> None:
        for client in self.clients:
            if not client.connected:
                self._connect(client)
            self._search(client)

    @rule(who=WHO, is_reloaded=st.sampled_from([False, False, True]))
    def connect(self, who: int, is_reloaded: bool) -> None:
        client = self.pick(who, lambda client: not client.connected)
        if client is not None:
            self._connect(client, is_reloaded=is_reloaded)

    def _connect(self, client: Client, *, is_reloaded: bool = False) -> None:
        """Connect; a page that was loaded anew knows nothing of a room that has ended."""
        awaited = next((key for key, chance in self.chances.items() if chance.stays is client), None)
        if is_reloaded and awaited is not None:
            del self.chances[awaited]
            awaited = None
        key = client.room or awaited
        self.run(client.person.connect(None if key is None else client.position(key)))
        client.connect_again()
        self.settle()

    @rule(who=WHO)
    def disconnect(self, who: int) -> None:
        client = self.pick(who, lambda client: client.connected)
        if client is not None:
            client.connected = False
            self.do(client.person.drop)
            self.settle()

    @rule(seconds=st.sampled_from([1.0, SECONDS - 0.5, SECONDS, GRACE]))
    def time_passes(self, seconds: float) -> None:
        self.run(self.house.pass_time(seconds))
        now = self.house.clock.monotonic()
        for client in list(self.clients):
            if self.house.guests.live(client.person.session_id) is None:
                assert not client.connected
                self.clients.remove(client)
        for key, chance in [*self.chances.items()]:
            is_gone = not {chance.left, chance.stays} <= {*self.clients}
            if now >= chance.until or is_gone:
                del self.chances[key]
        self.newcomers()

    @rule(who=WHO)
    def search(self, who: int) -> None:
        client = self.pick(who, lambda client: client.connected)
        if client is not None:
            self._search(client)

    def _search(self, client: Client) -> None:
        if client.room is not None:
            with pytest.raises(ConflictError):
                self.run(client.person.search())
            return
        self.run(client.person.search())
        for key, chance in [*self.chances.items()]:
            if chance.stays is client:
                del self.chances[key]
        self.settle()

    @rule(who=WHO)
    def cancel(self, who: int) -> None:
        client = self.pick(who, lambda client: client.connected and client.person.live.ticket is not None)
        if client is not None:
            self.run(client.person.cancel())
            self.settle()

    @rule(who=WHO, times=st.sampled_from([1, 3, 20]))
    def say(self, who: int, times: int) -> None:
        client = self.pick(who, lambda client: client.connected and client.room is not None)
        if client is not None:
            for _ in range(times):
                self.do(partial(client.person.say, "hello"))
            self.settle()

    @rule(who=WHO, wants_undo=st.sampled_from([True, True, True, False]))
    def leave(self, who: int, wants_undo: bool) -> None:
        client = self.pick(who, lambda client: client.connected and client.room is not None)
        if client is None or client.room is None:
            return
        key = client.room
        partner = next(other for other in self.clients if other is not client and other.room == key)
        is_offered = wants_undo and partner.connected and key not in self.restored
        seconds = self.do(partial(self.house.rooms.leave, client.person.live, "user_left", undo=wants_undo))
        assert seconds == (SECONDS if is_offered else 0.0)
        client.room, client.left = None, key
        if is_offered:
            self.chances[key] = Chance(client, partner, self.house.clock.monotonic() + SECONDS)
        self.settle()

    @rule(who=WHO, searches=st.booleans())
    def undo(self, who: int, searches: bool) -> None:
        """Come back, perhaps in the same moment in which a search begins."""
        client = self.pick(who, lambda client: client.connected and client.left is not None)
        if client is None or client.left is None:
            return
        key, chance = client.left, self.chances.get(client.left)
        if chance is None or chance.left is not client or not chance.stays.connected:
            with pytest.raises(ConflictError):
                self.run(self._undo(client, key, searches=False))
            return
        assert key not in self.restored, "brought back twice"
        self.run(self._undo(client, key, searches=searches))
        self.restored.add(key)
        del self.chances[key]
        self.settle()
        assert client.room == chance.stays.room == key
        assert client.person.live.ticket is None

    @rule(
        who=WHO, meanwhile=st.sampled_from(["nothing", "search", "reconnect", "the other searches", "the other leaves"])
    )
    def leave_by_mistake(self, who: int, meanwhile: str) -> None:
        client = self.pick(who, lambda client: client.connected and client.room is not None)
        if client is None:
            return
        other = next(other for other in self.clients if other is not client and other.room == client.room)
        self.leave(self._place(client, lambda client: client.connected and client.room is not None), True)
        if meanwhile == "search":
            self._search(client)
        elif meanwhile == "the other searches" and other.connected:
            self._search(other)
        elif meanwhile != "nothing":
            goes = client if meanwhile == "reconnect" else other
            if goes.connected:
                self.disconnect(self._place(goes, lambda client: client.connected))
            if meanwhile == "reconnect":
                self._connect(client)
        self.undo(self._place(client, lambda client: client.connected and client.left is not None), False)

    async def _undo(self, client: Client, key: RoomKey, *, searches: bool) -> None:
        search = asyncio.ensure_future(client.person.search()) if searches else None
        try:
            self.house.presence.undo(client.person.live, client.position(key))
        finally:
            if search is not None:
                await asyncio.gather(search, return_exceptions=True)

    @invariant()
    def nobody_is_in_two_rooms(self) -> None:
        rooms: dict[str, list[str]] = {}
        for live in self.house.lives():
            member = live.member
            assert live.guest.in_chat is (member is not None)
            assert live.guest.is_searching is (live.ticket is not None)
            if member is not None:
                assert live.ticket is None
                assert member.live is live
                assert member.partner.live.member is member.partner
                assert self.house.rooms.find(member.room.id) is member.room
                rooms.setdefault(member.room.id, []).append(live.guest.id)
        assert all(len(set(guests)) == 2 for guests in rooms.values())
        assert self.house.rooms.count == len(rooms)
        assert self.house.rooms.online_members == sum(
            live.member is not None and live.link is not None for live in self.house.lives()
        )

    @invariant()
    def what_is_parked_is_what_may_come_back(self) -> None:
        parked = self.house.rooms._parked
        keys = {(one.room.id, one.room.epoch) for one in parked.values()}
        assert keys == self.chances.keys()
        for key, chance in self.chances.items():
            own = [live.guest.id for live, one in parked.items() if (one.room.id, one.room.epoch) == key]
            assert {*own} == {chance.left.person.id, chance.stays.person.id}

    @invariant()
    def nothing_else_is_kept(self) -> None:
        open_rooms = {live.member.room.id for live in self.house.lives() if live.member is not None}
        assert self.house.adapters.log.logs.keys() == open_rooms  # type: ignore[attr-defined]  # that in memory
        assert self.house.files._open.keys() == open_rooms | {room_id for room_id, _ in self.chances}

    @invariant()
    def whoever_is_here_has_everything(self) -> None:
        for client in self.clients:
            if client.connected:
                member = client.person.live.member
                assert client.room == (None if member is None else (member.room.id, member.room.epoch))
                if member is not None:
                    assert len(client.numbers.get((member.room.id, member.room.epoch), ())) == member.room.seq

    @invariant()
    def searches_are_in_the_queue(self) -> None:
        tickets = sum(live.ticket is not None for live in self.house.lives())
        assert self.run(self.house.adapters.queue.size()) == self.house.matchmaking.waiting == tickets


def test_whatever_three_guests_do_a_way_back_leads_to_one_room() -> None:
    run_state_machine_as_test(UndoMachine, settings=settings(max_examples=120, stateful_step_count=50, deadline=None))
