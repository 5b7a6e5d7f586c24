from __future__ import annotations

import asyncio

import pytest

from passerby.background import ANSWER_LIMIT
from passerby.chat.events import Matched, UserJoined
from passerby.errors import ConflictError
from passerby.matching.events import MatchError, MatchSearching
from passerby.models import Partner, Ticket
from tests.support.clock import turns
from tests.support.fakes import SlowMatchQueue
from tests.support.house import GRACE, House, Person


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def queue() -> SlowMatchQueue:
    return SlowMatchQueue()


@pytest.fixture
def slow_house(queue: SlowMatchQueue) -> House:
    return House(stand_ins={"queue": queue})


def partner_of(person: Person) -> str | None:
    member = person.live.member
    return None if member is None else member.partner.live.guest.id


def waiting_ticket(person: Person) -> Ticket:
    ticket = person.live.ticket
    assert ticket is not None
    return ticket


# ── searching and pairing ─────────────────────────────────────────────────────────────────────────


async def test_the_first_one_is_told_that_nobody_is_there_yet(house: House) -> None:
    anna = await house.visitor()
    anna.link.clear()
    await anna.search()

    assert anna.link.names() == ["user:match:searching", "user:match:no_users"]
    assert anna.live.guest.is_searching
    assert house.matchmaking.waiting == 1


async def test_two_who_search_meet_and_both_are_told_of_the_other(house: House) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    berta.live.guest.location, berta.live.guest.gender, berta.live.guest.language = "Oslo", "x", "no"
    anna.link.clear()
    berta.link.clear()
    await anna.search()
    await berta.search()

    assert anna.link.names() == [
        "user:match:searching",
        "user:match:no_users",
        "user:matched",
        "room:user_joined",
        "room:user_joined",
    ]
    assert berta.link.names() == ["user:match:searching", "user:matched", "room:user_joined", "room:user_joined"]
    to_anna, to_berta = anna.link.last(Matched), berta.link.last(Matched)
    assert to_anna.matched_user == Partner(berta.id, "Berta", True, "Oslo", "x", "no")
    assert to_berta.matched_user.id == anna.id
    assert to_anna.room_id == to_berta.room_id == "_".join(sorted([anna.id, berta.id]))
    assert to_anna.epoch == to_berta.epoch
    for link in (anna.link, berta.link):
        assert {joined.user_id for joined in link.of(UserJoined)} == {anna.id, berta.id}


async def test_those_who_met_no_longer_search(house: House) -> None:
    anna, berta = await house.pair()

    assert (anna.live.ticket, berta.live.ticket) == (None, None)
    assert not anna.live.guest.is_searching
    assert not berta.live.guest.is_searching
    assert house.matchmaking.waiting == 0
    assert await house.adapters.queue.size() == 0


async def test_searching_twice_says_so_again_and_keeps_the_place(house: House) -> None:
    anna = await house.visitor()
    await anna.search()
    ticket = waiting_ticket(anna)
    house.clock.advance(30)
    anna.link.clear()
    await anna.search()

    assert anna.link.names() == ["user:match:searching"]
    assert waiting_ticket(anna) == ticket
    assert await house.adapters.queue.size() == 1
    assert house.matchmaking.waiting == 1


async def test_nobody_meets_themselves_however_often_they_search(house: House) -> None:
    anna = await house.visitor()
    for _ in range(5):
        await anna.search()

    assert partner_of(anna) is None


async def test_a_search_in_a_room_is_refused_and_the_room_stays(house: House) -> None:
    anna, berta = await house.pair()

    with pytest.raises(ConflictError) as caught:
        await anna.search()

    assert (caught.value.code, caught.value.status) == ("already_in_room", 409)
    assert partner_of(anna) == berta.id
    assert (anna.link.names(), berta.link.names()) == ([], [])
    assert await house.adapters.queue.size() == 0


async def test_the_third_one_waits_while_two_talk(house: House) -> None:
    await house.pair()
    third = await house.visitor()
    await third.search()

    assert partner_of(third) is None
    assert third.live.guest.is_searching


async def test_after_leaving_one_can_search_again_and_meet_the_same_one(house: House) -> None:
    anna, berta = await house.pair()
    house.rooms.leave(anna.live, "user_left")
    await anna.search()
    await berta.search()

    assert partner_of(anna) == berta.id


async def test_a_hundred_who_search_at_once_all_meet(house: House) -> None:
    people = [await house.visitor() for _ in range(101)]
    await asyncio.gather(*(person.search() for person in people))

    matched = [person for person in people if person.live.member is not None]
    assert len(matched) == 100
    by_id = {person.id: person for person in people}
    for person in matched:
        other = partner_of(person)
        assert other is not None
        assert other != person.id
        assert partner_of(by_id[other]) == person.id
    assert (house.matchmaking.waiting, await house.adapters.queue.size(), house.rooms.count) == (1, 1, 50)


# ── cancelling ────────────────────────────────────────────────────────────────────────────────────


async def test_a_cancelled_search_is_over(house: House) -> None:
    anna, berta = await house.visitor(), await house.visitor()
    await anna.search()
    anna.link.clear()
    await anna.cancel()
    await berta.search()

    assert anna.link.names() == ["user:match:cancelled"]
    assert (partner_of(anna), partner_of(berta)) == (None, None)
    assert not anna.live.guest.is_searching
    assert house.matchmaking.waiting == 1


async def test_cancelling_without_a_search_is_refused(house: House) -> None:
    anna = await house.visitor()

    with pytest.raises(ConflictError) as caught:
        await anna.cancel()

    assert (caught.value.code, caught.value.status) == ("not_searching", 409)
    assert house.matchmaking.waiting == 0


async def test_cancelling_in_a_room_is_refused_and_the_room_stays(house: House) -> None:
    anna, berta = await house.pair()

    with pytest.raises(ConflictError):
        await anna.cancel()

    assert partner_of(anna) == berta.id


async def test_a_search_can_begin_again_after_a_cancellation(house: House) -> None:
    anna, berta = await house.visitor(), await house.visitor()
    await anna.search()
    await anna.cancel()
    await anna.search()
    await berta.search()

    assert partner_of(anna) == berta.id


# ── a slow queue ──────────────────────────────────────────────────────────────────────────────────


async def test_a_search_cancelled_before_the_queue_has_it_leaves_nothing_behind(
    slow_house: House, queue: SlowMatchQueue
) -> None:
    anna, berta = await slow_house.visitor(), await slow_house.visitor()
    queue.asked.shut()
    searching = asyncio.ensure_future(anna.search())
    await queue.asked.arrival()
    cancelling = asyncio.ensure_future(anna.cancel())
    await queue.asked.arrival(2)
    queue.asked.open()
    await asyncio.gather(searching, cancelling)
    assert await queue.size() == 0

    await berta.search()

    assert partner_of(berta) is None
    assert slow_house.matchmaking.waiting == 1


async def test_whoever_cancelled_between_match_and_answer_is_not_matched(
    slow_house: House, queue: SlowMatchQueue
) -> None:
    anna, berta = await slow_house.visitor("Anna"), await slow_house.visitor("Berta")
    await anna.search()
    entered_at = waiting_ticket(anna).entered_at
    slow_house.clock.advance(10)
    anna.link.clear()
    queue.told.shut()
    searching = asyncio.ensure_future(berta.search())
    await queue.told.arrival()
    cancelling = asyncio.ensure_future(berta.cancel())
    await queue.told.arrival(2)
    queue.told.open()
    await asyncio.gather(searching, cancelling)

    assert partner_of(berta) is None
    assert berta.live.ticket is None
    assert anna.link.names() in ([], ["user:match:no_users"]), "the other guest gets no other event"
    assert waiting_ticket(anna).entered_at == entered_at
    third = await slow_house.visitor()
    await third.search()
    assert partner_of(third) == anna.id


async def test_a_partner_who_cancelled_between_match_and_answer_is_left_alone(
    slow_house: House, queue: SlowMatchQueue
) -> None:
    anna, berta = await slow_house.visitor("Anna"), await slow_house.visitor("Berta")
    await anna.search()
    queue.told.shut()
    searching = asyncio.ensure_future(berta.search())
    await queue.told.arrival()
    cancelling = asyncio.ensure_future(anna.cancel())
    await queue.told.arrival(2)
    queue.told.open()
    await asyncio.gather(searching, cancelling)

    assert (partner_of(anna), partner_of(berta)) == (None, None)
    assert anna.link.names()[-1] == "user:match:cancelled"
    assert berta.link.names()[-1] == "user:match:no_users"
    assert (await queue.size(), slow_house.matchmaking.waiting) == (1, 1)


async def test_a_partner_lost_between_match_and_answer_is_dropped_and_the_seeker_waits_on(
    slow_house: House, queue: SlowMatchQueue
) -> None:
    anna, berta = await slow_house.visitor("Anna"), await slow_house.visitor("Berta")
    await anna.search()
    berta_began = slow_house.clock.time()
    queue.told.shut()
    searching = asyncio.ensure_future(berta.search())
    await queue.told.arrival()
    anna.drop()
    slow_house.clock.advance(5)
    queue.told.open()
    await searching
    await slow_house.settle()

    assert partner_of(berta) is None
    assert waiting_ticket(berta).entered_at == berta_began
    assert berta.link.names()[-1] == "user:match:no_users"
    assert await queue.size() == 1
    third = await slow_house.visitor()
    await third.search()
    assert partner_of(third) == berta.id


async def test_a_seeker_lost_between_match_and_answer_gives_the_other_back_with_their_place(
    slow_house: House, queue: SlowMatchQueue
) -> None:
    anna, berta = await slow_house.visitor("Anna"), await slow_house.visitor("Berta")
    await anna.search()
    ticket = waiting_ticket(anna)
    anna.link.clear()
    slow_house.clock.advance(60)
    queue.told.shut()
    searching = asyncio.ensure_future(berta.search())
    await queue.told.arrival()
    berta.drop()
    queue.told.open()
    await searching
    await slow_house.settle()

    assert partner_of(anna) is None
    assert waiting_ticket(anna).entered_at == ticket.entered_at
    assert "user:matched" not in anna.link.names()
    assert "user:match:searching" not in anna.link.names(), "the other guest gets no event"
    assert await queue.size() == 1
    third = await slow_house.visitor()
    await third.search()
    assert partner_of(third) == anna.id


async def test_both_lost_between_match_and_answer_leave_an_empty_queue(
    slow_house: House, queue: SlowMatchQueue
) -> None:
    anna, berta = await slow_house.visitor(), await slow_house.visitor()
    await anna.search()
    queue.told.shut()
    searching = asyncio.ensure_future(berta.search())
    await queue.told.arrival()
    anna.drop()
    berta.drop()
    queue.told.open()
    await searching
    await slow_house.settle()

    assert await queue.size() == 0
    assert slow_house.matchmaking.waiting == 0


async def test_two_who_search_at_the_same_moment_meet_once(slow_house: House, queue: SlowMatchQueue) -> None:
    anna, berta = await slow_house.visitor(), await slow_house.visitor()
    queue.asked.shut()
    searches = asyncio.gather(anna.search(), berta.search(), anna.search(), berta.search())
    await queue.asked.arrival(2)
    queue.asked.open()
    await searches
    await slow_house.settle()

    assert partner_of(anna) == berta.id
    assert slow_house.rooms.count == 1
    assert len(anna.link.of(Matched)) == len(berta.link.of(Matched)) == 1
    assert (await queue.size(), slow_house.matchmaking.waiting) == (0, 0)


async def test_three_who_want_the_same_one_do_not_share_them(slow_house: House, queue: SlowMatchQueue) -> None:
    waiting = await slow_house.visitor()
    await waiting.search()
    seekers = [await slow_house.visitor() for _ in range(3)]
    queue.asked.shut()
    searches = asyncio.gather(*(seeker.search() for seeker in seekers))
    await queue.asked.arrival(3)
    queue.asked.open()
    await searches

    assert slow_house.rooms.count == 2
    assert len(waiting.link.of(Matched)) == 1
    assert slow_house.matchmaking.waiting == 0


async def test_whoever_searches_anew_between_match_and_answer_is_met_once(
    slow_house: House, queue: SlowMatchQueue
) -> None:
    anna, berta = await slow_house.visitor(), await slow_house.visitor()
    await anna.search()
    queue.told.shut()
    searching = asyncio.ensure_future(berta.search())
    await queue.told.arrival()
    cancelling = asyncio.ensure_future(anna.cancel())
    await queue.told.arrival(2)
    again = asyncio.ensure_future(anna.search())
    await queue.told.arrival(3)
    queue.told.open()
    await asyncio.gather(searching, cancelling, again)
    await slow_house.settle()

    assert partner_of(anna) == berta.id
    assert len(anna.link.of(Matched)) == len(berta.link.of(Matched)) == 1
    assert (await queue.size(), slow_house.matchmaking.waiting, slow_house.rooms.count) == (0, 0, 1)


# ── disconnecting and reconnecting ────────────────────────────────────────────────────────────────


async def test_whoever_is_away_is_not_met_and_their_search_goes_on_at_its_place(house: House) -> None:
    anna = await house.visitor("Anna")
    await anna.search()
    began = waiting_ticket(anna).entered_at
    anna.drop()
    await house.settle()
    assert (await house.adapters.queue.size(), house.matchmaking.waiting) == (0, 0)
    house.clock.advance(10)

    await anna.connect()

    assert waiting_ticket(anna).entered_at == began
    assert anna.live.guest.is_searching
    assert anna.link.of(MatchSearching)
    berta = await house.visitor("Berta")
    await berta.search()
    assert partner_of(berta) == anna.id


async def test_a_search_does_not_outlive_the_grace(house: House) -> None:
    anna = await house.visitor()
    await anna.search()
    await anna.leave_for_good()
    berta = await house.visitor()
    await berta.search()

    assert partner_of(berta) is None
    assert await house.adapters.queue.size() == 1


async def test_a_search_taken_up_again_can_be_cancelled(house: House) -> None:
    anna = await house.visitor()
    await anna.search()
    anna.drop()
    await house.settle()
    await anna.connect()
    await anna.cancel()

    assert (await house.adapters.queue.size(), house.matchmaking.waiting) == (0, 0)


async def test_a_search_is_taken_up_once_only(house: House) -> None:
    anna = await house.visitor()
    await anna.search()
    anna.drop()
    await house.settle()
    await anna.connect()
    await anna.cancel()
    anna.drop()
    await house.settle()
    await anna.connect()

    assert not anna.live.guest.is_searching
    assert await house.adapters.queue.size() == 0


async def test_a_guest_back_in_the_same_instant_still_searches(house: House) -> None:
    anna = await house.visitor()
    await anna.search()
    anna.drop()
    await anna.arrive()
    await house.settle()

    assert anna.live.guest.is_searching
    berta = await house.visitor()
    await berta.search()
    assert partner_of(berta) == anna.id


async def test_a_second_connection_takes_the_search_over(house: House) -> None:
    anna = await house.visitor()
    await anna.search()
    await anna.connect()
    berta = await house.visitor()
    await berta.search()

    assert partner_of(berta) == anna.id
    assert anna.link.of(Matched)


async def test_back_before_the_queue_knew_of_the_loss(slow_house: House, queue: SlowMatchQueue) -> None:
    anna = await slow_house.visitor()
    await anna.search()
    queue.asked.shut()
    anna.drop()
    await queue.asked.arrival()
    await anna.arrive()
    await queue.asked.arrival(2)
    queue.asked.open()
    await slow_house.settle()

    assert anna.live.guest.is_searching
    assert (await queue.size(), slow_house.matchmaking.waiting) == (1, 1)
    berta = await slow_house.visitor()
    await berta.search()
    assert partner_of(berta) == anna.id


async def test_lost_while_the_search_was_on_its_way_into_the_queue(slow_house: House, queue: SlowMatchQueue) -> None:
    anna = await slow_house.visitor()
    began = slow_house.clock.time()
    queue.asked.shut()
    searching = asyncio.ensure_future(anna.search())
    await queue.asked.arrival()
    anna.drop()
    queue.asked.open()
    await searching
    await slow_house.settle()
    assert (await queue.size(), slow_house.matchmaking.waiting) == (0, 0)

    slow_house.clock.advance(GRACE / 2)
    await anna.connect()

    assert waiting_ticket(anna).entered_at == began


async def test_a_search_that_the_queue_does_not_answer_leaves_no_ticket(
    slow_house: House, queue: SlowMatchQueue
) -> None:
    anna = await slow_house.visitor()
    queue.told.shut()
    searching = asyncio.ensure_future(anna.search())
    await queue.told.arrival()
    assert await queue.size() == 1
    await slow_house.clock.run(ANSWER_LIMIT)
    await searching
    assert anna.link.of(MatchError)
    queue.told.open()
    await slow_house.settle()

    assert (await queue.size(), slow_house.matchmaking.waiting) == (0, 0)


async def test_of_a_durable_queue_that_answers_late_guests_are_told_soon_that_they_search(
    queue: SlowMatchQueue,
) -> None:
    queue.is_durable = True
    house = House(stand_ins={"queue": queue})
    anna, berta, clara = [await house.visitor() for _ in range(3)]
    for person in (anna, berta, clara):
        person.link.clear()
    queue.asked.shut()
    searching = [asyncio.ensure_future(person.search()) for person in (anna, berta, clara)]
    await queue.asked.arrival(3)
    assert anna.link.sent == []
    clara.drop()
    await house.clock.run(0.05)
    assert anna.link.names() == berta.link.names() == ["user:match:searching"]

    queue.asked.open()
    await asyncio.gather(*searching)
    await house.settle()
    assert anna.link.names()[:2] == ["user:match:searching", "user:match:no_users"]
    assert partner_of(anna) == berta.id
    assert len(anna.link.of(MatchSearching)) == len(berta.link.of(MatchSearching)) == 1


async def test_of_a_durable_queue_that_answers_at_once_the_answer_follows_the_search(queue: SlowMatchQueue) -> None:
    queue.is_durable = True
    house = House(stand_ins={"queue": queue})
    anna, berta = await house.visitor(), await house.visitor()
    anna.link.clear()
    berta.link.clear()
    await anna.search()
    await berta.search()
    await house.clock.run(1)

    assert anna.link.names()[:3] == ["user:match:searching", "user:match:no_users", "user:matched"]
    assert berta.link.names()[:2] == ["user:match:searching", "user:matched"]
    assert len(anna.link.of(MatchSearching)) == len(berta.link.of(MatchSearching)) == 1


async def test_a_session_ended_while_the_queue_takes_its_time_leaves_nothing_behind(
    slow_house: House, queue: SlowMatchQueue
) -> None:
    anna = await slow_house.visitor()
    live = anna.live
    await anna.search()
    queue.asked.shut()
    ending = asyncio.ensure_future(slow_house.presence.end(live.guest))
    await queue.asked.arrival()
    again = asyncio.ensure_future(slow_house.matchmaking.search(live))
    await turns()
    queue.asked.open()
    await asyncio.gather(ending, again)
    await slow_house.settle()

    assert (await queue.size(), slow_house.matchmaking.waiting) == (0, 0)
    berta = await slow_house.visitor()
    await berta.search()
    assert partner_of(berta) is None
