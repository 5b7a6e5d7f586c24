"""What holds for everybody, whoever comes and whatever they wish."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.matching.events import MatchSearching
from passerby.matching.places import FAIR, may_meet
from passerby.matching.stages import Steps
from passerby.models import Wish
from tests.matching.test_places import rank, some
from tests.support.house import House, Person

STEPS = Steps(interests=4, language=6, again=10)
MISS = 2
"""Ranks from here on are of those who accept each other by what they ask for now; before are the overdue."""
LONGEST = 2.0
"""Seconds that two who accept each other may wait beside each other."""
Step: TypeAlias = tuple[str, int, Wish, float]

wishes = st.builds(
    Wish,
    mode=st.sampled_from(["text", "text", "text", "video"]),
    interests=some("xyz", 2),
    words=st.just(()),
    languages=some("efg", 2),
    gender=st.sampled_from(["", "m", "w"]),
    wants_gender=st.sampled_from(["", "", "", "w"]),
    only=st.sampled_from([False, False, False, True]),
    patient=st.sampled_from([True, True, True, False]),
).map(lambda wish: Wish(**{**{name: getattr(wish, name) for name in wish.__struct_fields__}, "words": wish.interests}))
steps = st.tuples(
    st.sampled_from(["search", "search", "search", "leave", "cancel", "block"]),
    st.integers(0, 6),
    wishes,
    st.sampled_from([0.0, 0.5, 1.0, 3.0, 5.0, 11.0]),
)


def check(house: House, people: list[Person]) -> None:
    """Nobody waits beside somebody whom they accept, and who accepts them, without being told of each other."""
    now = house.clock.time()
    tickets = [person.live.ticket for person in people if person.live.ticket is not None]
    for one, other in permutations(tickets, 2):
        if not may_meet(one, other, again=False) or min(now - one.entered_at, now - other.entered_at) < LONGEST:
            continue
        before = now - LONGEST
        opennesses = (STEPS.openness(ticket.wish, before - ticket.entered_at) for ticket in (one, other))
        found = rank(one, next(opennesses), other, next(opennesses), before)
        assert found is None or found < MISS, f"{one} and {other}"


def check_rooms(people: list[Person], wanted: dict[str, Wish], never: set[frozenset[str]]) -> None:
    for person in people:
        member = person.live.member
        if member is None:
            continue
        partner = member.partner.live
        assert partner is not person.live
        assert partner.member is member.partner, "nobody is in two rooms"
        assert person.live.ticket is None, "nobody searches in a room"
        assert wanted[person.id].mode == wanted[partner.guest.id].mode
        assert frozenset((person.id, partner.guest.id)) not in never


@settings(max_examples=150, deadline=None)
@given(sequence=st.lists(steps, min_size=3, max_size=25))
def test_nobody_is_passed_over(sequence: list[Step]) -> None:
    async def run() -> None:
        house = House(
            match_interests=STEPS.interests, match_language=STEPS.language, match_again=STEPS.again, match_fair=FAIR
        )
        people = [await house.visitor() for _ in range(7)]
        wanted: dict[str, Wish] = {}
        never: set[frozenset[str]] = set()
        for step, number, wish, seconds in sequence:
            person = people[number]
            if step == "search" and person.live.member is None:
                wanted[person.id] = wish
                await person.search(wish)
            elif step == "cancel" and person.live.ticket is not None:
                await person.cancel()
            elif person.live.member is not None and step in ("leave", "block"):
                if step == "block":
                    never.add(frozenset((person.id, person.live.member.partner.guest.id)))
                    await house.presence.block(person.live)
                else:
                    house.rooms.leave(person.live, "user_left")
            await house.pass_time(seconds)
            check(house, people)
            check_rooms(people, wanted, never)

    asyncio.run(run())


async def test_whoever_has_something_rare_in_common_is_not_passed_over_for_ever() -> None:
    """Those with popular interests come all the time, and always find each other; the other one speaks the same."""
    house = House(match_interests=STEPS.interests, match_language=STEPS.language, match_fair=FAIR)
    popular = Wish(interests=("chess",), words=("chess",), languages=("en",), patient=True)
    rare = await house.visitor()
    await (await house.visitor()).search(popular)
    await rare.search(Wish(interests=("rare",), words=("rare",), languages=("en",), patient=True, mode="text"))
    waited = 0.0
    while rare.live.member is None:
        await (await house.visitor()).search(popular)
        await (await house.visitor()).search(popular)
        await house.pass_time(1)
        waited += 1
        assert waited <= FAIR + 2

    assert rare.link.last(MatchSearching).stage in ("language", "anyone")
