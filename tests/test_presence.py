from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from passerby.chat.events import RoomClosed
from passerby.errors import NotFoundError, UnauthorizedError
from passerby.guests.events import ConnectionEstablished, SessionRenewed
from tests.support.clock import ManualClock
from tests.support.fakes import SlowSessionStore
from tests.support.house import GRACE, SESSION_TTL, House, Person

if TYPE_CHECKING:
    from passerby.models import Guest


@pytest.fixture
def house() -> House:
    return House()


async def gone(person: Person) -> bool:
    try:
        await person.house.guests.authenticate(person.token)
    except UnauthorizedError as error:
        assert error.code == "session_not_found"  # noqa: PT017 - asked, not asserted
        return True
    return False


# ── connecting ────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_event_greets_the_guest(house: House) -> None:
    anna = await house.visitor("Anna")

    assert anna.link.sent == [
        ConnectionEstablished(
            user_id=anna.id,
            username="Anna",
            socket_id="socket_1",
            is_guest=True,
            session_id=anna.session_id,
            room=None,
            limits=house.limits,
        )
    ]


async def test_a_second_connection_replaces_the_first_which_is_told_why(house: House) -> None:
    anna = await house.visitor()
    first = anna.link
    second = await anna.connect()

    assert first.closed == "replaced"
    assert second.closed is None
    assert anna.live.link is second
    assert len(house.guests.online) == 1


async def test_who_replaces_a_dead_connection_is_told_that_the_search_goes_on(house: House) -> None:
    anna = await house.visitor("Anna")
    await anna.search()
    await anna.connect()
    assert anna.link.names().count("user:match:searching") == 1
    assert house.matchmaking.waiting == 1


async def test_an_end_that_went_into_a_dead_connection_is_told_again(house: House) -> None:
    anna, berta = await house.pair()
    lost = anna.say("did it arrive?", "a-1")
    house.rooms.leave(berta.live, "user_left")
    await anna.connect()
    closed = anna.link.last(RoomClosed)
    assert (closed.reason, closed.username) == ("user_left", "Berta")
    assert [(one.message_id, one.client_id) for one in closed.undelivered] == [(lost.message_id, "a-1")]
    await anna.connect()
    assert anna.link.of(RoomClosed) == [], "sent only once"


async def test_who_searches_again_knows_of_the_end(house: House) -> None:
    anna, berta = await house.pair()
    await berta.leave_for_good()
    await anna.search()
    await anna.connect()
    assert anna.link.of(RoomClosed) == []


async def test_what_crosses_the_partners_farewell_is_no_error(house: House) -> None:
    anna, berta = await house.pair()
    said = berta.say("bye")
    await berta.leave_for_good()
    anna.link.clear()
    house.rooms.confirm(anna.live, said.message_id)
    house.rooms.typing(anna.live, started=False)
    assert anna.link.sent == []


async def test_the_end_of_a_replaced_connection_means_nothing(house: House) -> None:
    anna, berta = await house.pair()
    first = anna.link
    second = await anna.connect()
    house.presence.disconnect(anna.live, first)
    await house.pass_time(GRACE * 2)

    assert anna.live.link is second
    assert anna.live.guest.is_online
    assert "room:partner_away" not in berta.link.names()
    assert house.rooms.online_members == 2


async def test_a_replacing_connection_goes_on_in_the_room(house: House) -> None:
    anna, berta = await house.pair()
    await anna.connect(anna.resume_from(0))
    berta.say("hello")

    assert anna.link.names() == [
        "connection:established",
        "room:resumed",
        "chat:message",
        "chat:message:delivered",
    ]
    assert berta.link.names() == ["chat:message:sent"], "the partner gets no event"


async def test_an_old_resume_without_a_room_is_answered_with_its_end(house: House) -> None:
    anna, _ = await house.pair()
    resume = anna.resume_from(0)
    await anna.leave_for_good()
    carla = await house.newcomer("Carla")
    await carla.connect(resume)

    closed = carla.link.last(RoomClosed)
    assert (closed.reason, closed.undelivered) == ("partner_offline", [])


# ── disconnecting ─────────────────────────────────────────────────────────────────────────────────


async def test_within_the_grace_the_session_waits(house: House) -> None:
    anna, _ = await house.pair()
    anna.drop()
    await house.pass_time(GRACE - 0.001)

    assert not await gone(anna)
    assert anna.live.member is not None


async def test_when_the_grace_ends_the_session_is_removed_everywhere(house: House) -> None:
    anna, berta = await house.pair()
    anna.drop()
    await house.pass_time(GRACE)

    assert await gone(anna)
    assert await house.adapters.store.load(anna.session_id) is None
    assert house.guests.live(anna.session_id) is None
    assert anna.id not in house.guests.online
    with pytest.raises(NotFoundError):
        await house.guests.public(anna.session_id)
    assert berta.live.member is None
    assert berta.live.guest.connected_user is None


async def test_coming_back_closes_the_grace_window(house: House) -> None:
    anna, _ = await house.pair()
    anna.drop()
    await house.pass_time(GRACE - 1)
    await anna.connect()
    await house.pass_time(GRACE * 3)

    assert not await gone(anna)
    assert anna.live.member is not None


async def test_every_loss_opens_a_window_of_its_own(house: House) -> None:
    anna = await house.visitor()
    for _ in range(3):
        anna.drop()
        await house.pass_time(GRACE - 1)
        await anna.connect()
    anna.drop()
    await house.pass_time(GRACE - 1)
    assert not await gone(anna)
    await house.pass_time(1)

    assert await gone(anna)


async def test_whoever_comes_back_in_the_instant_the_grace_ends_begins_afresh(house: House) -> None:
    anna, _ = await house.pair()
    anna.drop()
    await house.settle()
    house.clock.advance(GRACE)  # expired, but not written yet
    try:
        await anna.arrive()
    except UnauthorizedError:
        return
    await house.settle()

    assert anna.live.member is None
    assert (anna.live.guest.in_chat, anna.live.guest.connected_user) == (False, None)


# ── ending ────────────────────────────────────────────────────────────────────────────────────────


async def test_an_ended_session_is_refused_when_the_end_returns(house: House) -> None:
    anna, berta = await house.pair()
    live = anna.live
    await house.presence.end(live.guest)

    assert await gone(anna)
    assert anna.link.closed == "session_ended"
    assert berta.link.names() == ["room:user_left", "chat:cleared"]
    assert berta.live.member is None
    assert (house.rooms.count, house.rooms.online_members, len(house.guests.online)) == (0, 0, 1)
    await house.pass_time(GRACE * 2)
    assert await gone(anna)
    assert await house.adapters.store.load(anna.session_id) is None


async def test_the_connection_of_an_ended_session_ends_without_a_grace(house: House) -> None:
    anna = await house.visitor()
    live = anna.live
    await house.presence.end(live.guest)
    house.presence.disconnect(live, anna.link)

    assert live.grace is None
    assert house.clock.next_due() is None


async def test_a_session_can_end_while_its_guest_is_away(house: House) -> None:
    anna, berta = await house.pair()
    anna.drop()
    guest, _ = await house.guests.authenticate(anna.token)
    await house.presence.end(guest)
    assert await gone(anna)
    assert berta.live.member is None

    await house.pass_time(GRACE * 2)

    assert berta.link.names() == ["room:partner_away", "room:user_left", "chat:cleared"]


async def test_a_session_that_never_connected_can_end(house: House) -> None:
    anna = await house.newcomer()
    guest, _ = await house.guests.authenticate(anna.token)
    await house.presence.end(guest)

    assert await gone(anna)
    assert await house.adapters.store.count() == 0


async def test_a_session_that_ends_while_searching_is_not_met(house: House) -> None:
    anna = await house.visitor()
    await anna.search()
    await house.presence.end(anna.live.guest)
    berta = await house.visitor()
    await berta.search()

    assert berta.live.member is None
    assert (await house.adapters.queue.size(), house.matchmaking.waiting) == (1, 1)


async def test_a_session_is_refused_even_when_the_store_takes_its_time() -> None:
    clock = ManualClock()
    store = SlowSessionStore(clock)
    house = House(clock=clock, stand_ins={"store": store})
    anna = await house.visitor()
    store.asked.shut()
    ending = asyncio.ensure_future(house.presence.end(anna.live.guest))
    await store.asked.arrival()
    assert not ending.done(), "ends only when the token is refused"
    store.asked.open()
    await ending

    assert await gone(anna)


# ── periodic work ─────────────────────────────────────────────────────────────────────────────────


async def test_a_connected_guests_session_and_token_do_not_end(house: House) -> None:
    anna = await house.visitor()
    async with house.repeating(house.presence.refresh):
        await house.pass_time(SESSION_TTL * 3)

        renewed = anna.link.of(SessionRenewed)
        assert len(renewed) == 4
        for token in (renewed[-1].token, renewed[-2].token):
            assert token != anna.token
        guest, expires = await house.guests.authenticate(renewed[-1].token)
        assert guest.id == anna.id
        assert expires > house.clock.time() + 1740
        assert await house.adapters.store.load(anna.session_id) is not None


async def test_the_first_renewal_comes_half_an_hour_before_the_end(house: House) -> None:
    anna = await house.visitor()
    async with house.repeating(house.presence.refresh):
        await house.pass_time(SESSION_TTL - 1800 - 60)
        assert anna.link.of(SessionRenewed) == []
        await house.pass_time(60)

        assert [event.expires_at for event in anna.link.of(SessionRenewed)] == ["2023-11-15T01:43:20.000Z"]


async def test_an_old_token_still_opens_the_session_until_its_own_end(house: House) -> None:
    anna = await house.visitor()
    async with house.repeating(house.presence.refresh):
        await house.pass_time(SESSION_TTL - 1)
        await house.guests.authenticate(anna.token)
        await house.pass_time(1)

        with pytest.raises(UnauthorizedError) as caught:
            await house.guests.authenticate(anna.token)
        assert caught.value.code == "token_expired"


async def test_a_connected_guest_is_written_once_a_minute_when_nothing_changes() -> None:
    clock = ManualClock()
    store = SlowSessionStore(clock)
    house = House(clock=clock, stand_ins={"store": store})
    await house.visitor()
    before = store.saves
    async with house.repeating(house.presence.refresh):
        await house.pass_time(59.9)
        assert store.saves == before
        await house.pass_time(540.1)

        assert store.saves == before + 10


class TimedStore(SlowSessionStore):
    """Notes when each session is saved."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._time = clock.monotonic
        self.times: list[tuple[float, str]] = []

    async def save(self, guest: Guest, lifetime: float) -> None:
        await super().save(guest, lifetime)
        self.times.append((self._time(), guest.session_id))


async def test_guests_who_have_connected_at_once_are_written_spread_over_the_interval() -> None:
    clock = ManualClock()
    store = TimedStore(clock)
    house = House(clock=clock, stand_ins={"store": store}, refresh_interval=60)
    people = [await house.visitor() for _ in range(1000)]
    store.times.clear()
    async with house.repeating(house.presence.refresh):
        await clock.run(235)

    by_guest: dict[str, list[float]] = {person.session_id: [] for person in people}
    for time, session_id in store.times:
        by_guest[session_id].append(time)
    for times in by_guest.values():
        assert len(times) == 3
        assert 60 <= times[0] <= 120, "within the next interval"
        assert all(59.9 < later - earlier < 60.1 for earlier, later in pairwise(times))
    rates = Counter(int(time) for time, _ in store.times)
    assert max(rates.values()) <= 22, "1,000 in 60 s are 16.7 a second, or two in a slice"


async def test_a_session_that_has_changed_is_not_written_again_for_an_interval() -> None:
    clock = ManualClock()
    store = TimedStore(clock)
    house = House(clock=clock, stand_ins={"store": store}, refresh_interval=60)
    anna = await house.visitor()
    store.times.clear()
    async with house.repeating(house.presence.refresh):
        await house.pass_time(50)
        house.guests.touch(anna.live)
        await house.pass_time(69)
        assert [time for time, _ in store.times] == [50]
        await house.pass_time(61)

    assert [time for time, _ in store.times] == [50, 120, 180]


async def test_who_comes_back_is_refreshed_once() -> None:
    clock = ManualClock()
    store = TimedStore(clock)
    house = House(clock=clock, stand_ins={"store": store}, refresh_interval=60)
    anna = await house.visitor()
    async with house.repeating(house.presence.refresh):
        await house.pass_time(50)
        anna.drop()
        await house.pass_time(1)
        await anna.connect()
        await anna.connect()
        store.times.clear()
        await house.pass_time(125)

    assert [time for time, _ in store.times] == [111, 171]


async def test_guests_who_are_away_are_not_refreshed(house: House) -> None:
    anna = await house.visitor()
    await house.pass_time(55)
    anna.drop()
    async with house.repeating(house.presence.refresh):
        await house.pass_time(GRACE)
        assert await gone(anna)
        await house.pass_time(600)

        assert await gone(anna)


async def test_expired_sessions_are_swept_every_ten_minutes(house: House) -> None:
    for _ in range(3):
        await house.newcomer()
    connected = await house.visitor()
    async with house.repeating(house.presence.refresh), house.repeating(house.presence.sweep):
        await house.pass_time(SESSION_TTL - 1)
        assert await house.adapters.store.count() == 4
        await house.pass_time(601)

        assert await house.adapters.store.count() == 1
        assert await house.adapters.store.load(connected.session_id) is not None


@pytest.mark.filterwarnings("default")
async def test_a_store_that_fails_once_does_not_end_the_refreshing() -> None:
    clock = ManualClock()
    store = SlowSessionStore(clock)
    house = House(clock=clock, stand_ins={"store": store})
    await house.visitor()
    async with house.repeating(house.presence.refresh):
        store.failing = True
        await house.pass_time(60)
        store.failing = False
        before = store.saves
        await house.pass_time(1)
        assert store.saves == before + 1, "the writer retries"
        await house.pass_time(60)
        assert store.saves == before + 2, "the next refresh follows"
