"""Searches with wishes, from the first to the last stage."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from passerby.chat.events import Matched, Shared
from passerby.matching.events import MatchNoUsers, MatchSearching
from passerby.matching.meetings import NEVER
from passerby.models import Meeting, Wish
from tests.support.fakes import SlowMatchQueue
from tests.support.house import GRACE, House, Person

if TYPE_CHECKING:
    from passerby.matching.events import Stage

INTERESTS, LANGUAGE, AGAIN = 4.0, 6.0, 15.0
CHESS = Wish(interests=("chess",), words=("Chess",), languages=("en",), patient=True)
GO = Wish(interests=("go",), words=("Go",), languages=("en",), patient=True)
FINNISH = Wish(languages=("fi",), patient=True)


@pytest.fixture
def house() -> House:
    return House(match_interests=INTERESTS, match_language=LANGUAGE, match_again=AGAIN)


def stages(person: Person) -> list[tuple[Stage, float]]:
    return [(told.stage, told.elapsed) for told in person.link.of(MatchSearching)]


def partner_of(person: Person) -> str | None:
    member = person.live.member
    return None if member is None else member.partner.live.guest.id


async def test_each_stage_is_told_when_it_begins(house: House) -> None:
    anna = await house.visitor()
    await anna.search(CHESS)
    await house.pass_time(60)

    assert stages(anna) == [("interests", 0.0), ("language", INTERESTS), ("anyone", INTERESTS + LANGUAGE)]
    assert len(anna.link.of(MatchNoUsers)) == 1


async def test_who_shares_an_interest_meets_at_once_and_is_told_so(house: House) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    await anna.search(CHESS)
    await berta.search(Wish(interests=("go", "chess"), words=("go", "CHESS"), languages=("de", "en"), patient=True))

    assert partner_of(anna) == berta.id
    assert anna.link.last(Matched).shared == Shared(["Chess"], "en")
    assert berta.link.last(Matched).shared == Shared(["CHESS"], "en")


async def test_a_shared_language_is_enough_when_both_accept_it(house: House) -> None:
    anna, berta = await house.visitor(), await house.visitor()
    await anna.search(CHESS)
    await house.pass_time(2)
    await berta.search(GO)
    await house.pass_time(INTERESTS - 0.5)
    assert partner_of(anna) is None, "the other one does not accept it yet"

    await house.pass_time(0.5)
    assert partner_of(anna) == berta.id
    assert anna.link.last(Matched).shared == Shared([], "en")


async def test_in_the_end_anyone_will_do(house: House) -> None:
    anna, berta = await house.visitor(), await house.visitor()
    await anna.search(CHESS)
    await berta.search(FINNISH)
    await house.pass_time(INTERESTS + LANGUAGE - 0.1)
    assert partner_of(anna) is None

    await house.pass_time(0.1)
    assert partner_of(anna) == berta.id
    assert anna.link.last(Matched).shared == Shared([], None)


async def test_a_stage_that_begins_while_the_queue_answers_is_not_passed_over() -> None:
    queue = SlowMatchQueue()
    house = House(stand_ins={"queue": queue}, match_interests=1.0, match_language=LANGUAGE)
    anna, berta = await house.visitor(), await house.visitor()
    queue.told.shut()
    search = asyncio.create_task(anna.search(CHESS))
    await queue.told.arrival(1)
    await house.pass_time(1)
    queue.told.open()
    await search
    await berta.search(GO)
    await house.pass_time(1)

    assert stages(anna) == [("interests", 0.0), ("language", 1.0)]
    assert partner_of(anna) == berta.id


async def test_who_has_told_no_wish_meets_who_accepts_anyone(house: House) -> None:
    anna, berta = await house.visitor(), await house.visitor()
    await anna.search(CHESS)
    await house.pass_time(INTERESTS + LANGUAGE)
    await berta.search()

    assert partner_of(anna) == berta.id


async def test_another_wish_while_searching_keeps_the_place(house: House) -> None:
    anna, berta = await house.visitor(), await house.visitor()
    await anna.search(CHESS)
    await house.pass_time(3)
    anna.link.clear()
    await anna.search(GO)
    await berta.search(GO)

    assert stages(anna) == [("interests", 3.0)]
    assert partner_of(anna) == berta.id
    assert await house.adapters.queue.size() == 0


async def test_a_search_that_has_ended_does_not_go_on(house: House) -> None:
    anna = await house.visitor()
    await anna.search(CHESS)
    await anna.cancel()
    anna.link.clear()
    await house.pass_time(60)

    assert anna.link.names() == []


async def test_a_search_goes_on_where_it_was_after_a_lost_connection(house: House) -> None:
    anna = await house.visitor()
    await anna.search(CHESS)
    await house.pass_time(2)
    anna.drop()
    await house.pass_time(GRACE / 2)
    await anna.connect()

    assert stages(anna) == [("anyone", 2 + GRACE / 2)]


# ── never the same again soon ─────────────────────────────────────────────────────────────────────


async def part(house: House, *people: Person) -> None:
    house.rooms.leave(people[0].live, "user_left")
    await house.settle()
    for person in people:
        person.link.clear()


async def test_who_has_moved_is_told_of_the_next_stages_too(house: House) -> None:
    anna = await house.visitor()
    await anna.search(CHESS)
    live, ticket = anna.live, anna.live.ticket
    house.matchmaking.release(live)
    assert house.matchmaking._stages == {}, "nothing is kept of who is gone"

    live.has_moved, live.ticket = False, ticket
    house.matchmaking.adopt(live)
    house.matchmaking.go_on(live)
    await house.pass_time(60)

    assert stages(anna) == [("interests", 0.0), ("language", INTERESTS), ("anyone", INTERESTS + LANGUAGE)]


async def test_two_who_have_just_met_meet_others_first(house: House) -> None:
    anna, berta, carl = [await house.visitor() for _ in range(3)]
    await anna.search()
    await berta.search()
    await part(house, anna, berta)
    await anna.search()
    await house.pass_time(1)
    await berta.search()
    assert partner_of(anna) is None

    await carl.search()
    assert partner_of(carl) == anna.id, "she waits longer"
    assert carl.link.last(Matched).met_before is not True


async def test_two_who_are_alone_meet_again_and_are_told(house: House) -> None:
    anna, berta = await house.pair()
    await part(house, anna, berta)
    await anna.search()
    await house.pass_time(1)
    await berta.search()
    await house.pass_time(AGAIN - 0.1)
    assert partner_of(anna) is None

    await house.pass_time(0.1)
    assert partner_of(anna) == berta.id
    assert anna.link.last(Matched).met_before is True
    assert berta.link.last(Matched).met_before is True
    assert [stage for stage, _ in stages(anna)] == ["anyone", "again"]


async def test_only_so_many_are_avoided_and_only_for_so_long() -> None:
    house = House(match_again=AGAIN, met_limit=2, met_seconds=100)
    anna = await house.visitor()
    others = [await house.visitor() for _ in range(3)]
    for other in others:
        await anna.search()
        await other.search()
        await part(house, anna, other)
        await house.pass_time(10)

    assert [meeting.guest_id for meeting in anna.live.guest.met] == [other.id for other in others[1:]]
    await house.pass_time(95)
    await anna.search()
    await others[0].search()
    assert partner_of(anna) == others[0].id


async def test_how_long_the_conversation_was_makes_no_difference(house: House) -> None:
    anna, berta = await house.pair()
    await house.pass_time(3600)
    await part(house, anna, berta)

    assert anna.live.guest.met == [Meeting(berta.id, house.clock.time())]


async def test_who_never_meet_again_do_not_even_if_they_are_alone(house: House) -> None:
    anna, berta, carl = [await house.visitor() for _ in range(3)]
    house.meetings.never_again(anna.live.guest, berta.live.guest)
    house.meetings.never_again(anna.live.guest, berta.live.guest)
    assert anna.live.guest.never == [berta.id]
    await anna.search()
    await house.pass_time(1)
    await berta.search()
    await house.pass_time(1000)
    assert partner_of(anna) is None

    await carl.search()
    assert partner_of(carl) == anna.id


async def test_only_the_latest_are_never_met_again(house: House) -> None:
    anna = (await house.visitor()).live.guest
    others = [structs.replace(anna, id=f"guest_{number}", never=[]) for number in range(NEVER + 2)]
    for other in others:
        house.meetings.never_again(anna, other)
    house.meetings.never_again(anna, others[2])

    assert anna.never == [other.id for other in (*others[3:], others[2])]
    assert all(other.never == [anna.id] for other in others)


async def test_whom_one_has_met_is_kept_with_the_session(house: House) -> None:
    anna, berta = await house.pair()
    await part(house, anna, berta)
    saved = await house.adapters.store.load(anna.session_id)

    assert saved is not None
    assert [meeting.guest_id for meeting in saved.met] == [berta.id]


async def test_who_comes_back_with_a_new_name_does_not_meet_the_same_again(house: House) -> None:
    anna, berta = await house.pair()
    await part(house, anna, berta)
    guest, token = await house.guests.create("Another", None, None, None, former=anna.live.guest)
    await anna.leave_for_good()
    again = Person(house, guest, token)
    await again.connect()
    await berta.search()
    await again.search()

    assert partner_of(again) is None
