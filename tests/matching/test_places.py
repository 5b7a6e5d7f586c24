"""Who is found by whom, in all adapters of the queue: compared with a definition that knows nothing of places."""

from __future__ import annotations

import asyncio
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passerby.matching.places import EXAMINED, FAIR, may_meet, position, stands, tiers
from passerby.matching.stages import ANYONE, INTERESTS, LANGUAGE, OPEN, Openness
from passerby.models import Ticket, Wish
from tests.support.clock import START

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from passerby.matching.queue import MatchQueue
    from tests.support.backends import Backend

NOW = START
"""Seconds."""


@pytest.fixture
def queue(backend: Backend) -> MatchQueue:
    return backend.match_queue()


def ticket(guest: object, waited: float = 0.0, **wish: Any) -> Ticket:  # noqa: ANN401 - the fields of a wish
    return Ticket(f"ticket_{guest}", f"guest_{guest}", NOW - waited, wish=Wish(**wish))


# ── the definition ────────────────────────────────────────────────────────────────────────────────


def share_language(one: Wish, other: Wish) -> bool:
    return not one.languages or not other.languages or bool({*one.languages} & {*other.languages})


def pleases(one: Wish, other: Wish) -> bool:
    places = ("", other.location, *(part.strip() for part in other.location.split(",")))
    return one.wants_gender in ("", other.gender) and one.wants_location in places


def understand(one: Wish, other: Wish) -> bool:
    return share_language(one, other) and pleases(one, other) and pleases(other, one)


def rank(own: Ticket, openness: Openness, other: Ticket, others: Openness, now: float) -> int | None:
    """Return how good the two are for the one who looks, the lowest first; None: they do not fit."""
    one, two = own.wish, other.wish
    waited = now - other.entered_at
    if one.mode != two.mode or not may_meet(own, other, again=openness.again and others.again):
        return None
    if not one.only and others.reach == ANYONE and waited >= 3 * FAIR:
        return 0
    if not one.only and others.reach >= LANGUAGE and waited >= FAIR and understand(one, two):
        return 1
    if {*one.interests} & {*two.interests} and understand(one, two):
        return 2
    if min(openness.reach, others.reach) >= LANGUAGE and understand(one, two):
        return 3
    return 4 if openness.reach == others.reach == ANYONE else None


def best(own: Ticket, openness: Openness, waiting: dict[str, tuple[Ticket, Openness]], now: float) -> Ticket | None:
    ranked = [
        (not may_meet(own, other, again=False), place, position(other), other.guest_id, other)
        for other, others in waiting.values()
        if other.guest_id != own.guest_id and (place := rank(own, openness, other, others, now)) is not None
    ]
    if not ranked:
        return None
    has_met, *_, found = min(ranked)
    return None if has_met and not are_alone(own, found, waiting) else found


def are_alone(one: Ticket, other: Ticket, waiting: dict[str, tuple[Ticket, Openness]]) -> bool:
    """Return whether nobody waits whom one of the two may meet in the end, and has not met."""
    return one.wish.only or not any(
        may_meet(third, each, again=False)
        for third, _ in waiting.values()
        for each in (one, other)
        if third.guest_id not in (one.guest_id, other.guest_id)
        and third.wish.mode == one.wish.mode
        and not third.wish.only
    )


# ── examples ──────────────────────────────────────────────────────────────────────────────────────


CHESS: dict[str, Any] = {"interests": ("chess",), "languages": ("en",)}


async def test_interests_come_before_languages_and_languages_before_anyone(queue: MatchQueue) -> None:
    await queue.enter(ticket("anyone", 20, languages=("fi",)))
    await queue.enter(ticket("english", 10, languages=("en",)), Openness(LANGUAGE))
    await queue.enter(ticket("chess", 5, **CHESS), Openness(INTERESTS))

    found = [await queue.enter(ticket(number, **CHESS)) for number in range(3)]
    assert [each and each.guest_id for each in found] == ["guest_chess", "guest_english", "guest_anyone"]


async def test_among_equals_the_longest_waiting_is_first(queue: MatchQueue) -> None:
    for number in (3, 1, 2):
        assert (
            await queue.enter(
                ticket(number, number, **CHESS, met=("guest_1", "guest_2", "guest_3")), Openness(INTERESTS, again=False)
            )
            is None
        )

    found = [await queue.enter(ticket(f"new_{number}", **CHESS)) for number in range(3)]
    assert [each and each.guest_id for each in found] == ["guest_3", "guest_2", "guest_1"]


async def test_modes_never_mix(queue: MatchQueue) -> None:
    await queue.enter(ticket("a", mode="video"))

    assert await queue.enter(ticket("b")) is None
    assert await queue.enter(ticket("c", mode="audio")) is None
    assert await queue.enter(ticket("d", mode="video")) == ticket("a", mode="video")


async def test_two_who_have_met_meet_again_only_if_both_accept_it(queue: MatchQueue) -> None:
    waiting = ticket("a", met=("guest_b",))
    for waits, looks in ((False, False), (True, False), (False, True)):
        await queue.enter(waiting, Openness(ANYONE, waits))
        assert await queue.enter(ticket("b"), Openness(ANYONE, looks)) is None
        await queue.cancel(ticket("b"))
        await queue.cancel(waiting)

    await queue.enter(waiting, OPEN)
    assert await queue.enter(ticket("b"), OPEN) == waiting


async def test_nobody_meets_again_while_somebody_else_is_there(queue: MatchQueue) -> None:
    waiting = ticket("a", 20, met=("guest_b",))
    await queue.enter(waiting, OPEN)
    await queue.enter(ticket("c", 1, **CHESS), Openness(INTERESTS))
    assert await queue.enter(ticket("b", 20), OPEN) is None, "whoever has come last may still be met"

    await queue.cancel(ticket("c", 1, **CHESS))
    assert await queue.look(ticket("b", 20), OPEN) == waiting


@pytest.mark.parametrize("side", ["guest_a", "guest_b"])
async def test_some_never_meet(queue: MatchQueue, side: str) -> None:
    never = {"guest_a": ("guest_b",), "guest_b": ("guest_a",)}
    await queue.enter(ticket("a", never=never["guest_a"] if side == "guest_a" else ()))

    assert await queue.enter(ticket("b", never=never["guest_b"] if side == "guest_b" else ())) is None


@pytest.mark.parametrize("side", ["guest_a", "guest_b"])
async def test_some_never_meet_whatever_session_it_is(queue: MatchQueue, side: str) -> None:
    former = {"guest_a": "guest_old_a", "guest_b": "guest_old_b"}
    never = {"guest_a": ("guest_old_b",), "guest_b": ("guest_old_a",)} | {side: ()}
    waiting = ticket("a", 9, never=never["guest_a"], origin=former["guest_a"])
    await queue.enter(waiting)

    assert await queue.enter(ticket("b", never=never["guest_b"], origin=former["guest_b"])) is None
    assert await queue.enter(ticket("c", never=("guest_a",))) == waiting, "it is known by its origin alone"


async def test_whoever_accepts_more_looks_and_is_found(queue: MatchQueue) -> None:
    english: dict[str, Any] = {"interests": ("go",), "languages": ("en",)}
    await queue.enter(ticket("a", 9, **CHESS), Openness(INTERESTS))
    assert await queue.enter(ticket("b", 1, **english), Openness(INTERESTS)) is None

    assert await queue.look(ticket("a", 9, **CHESS), Openness(LANGUAGE)) is None, "the other one does not accept it yet"
    assert await queue.look(ticket("b", 1, **english), Openness(LANGUAGE)) == ticket("a", 9, **CHESS)
    assert await queue.size() == 0


async def test_whoever_does_not_wait_looks_in_vain(queue: MatchQueue) -> None:
    await queue.enter(ticket("a"))

    assert await queue.look(ticket("b")) is None
    assert await queue.size() == 1


async def test_nobody_starves_beside_those_with_popular_interests(queue: MatchQueue) -> None:
    await queue.enter(ticket("popular", 1, **CHESS), Openness(INTERESTS))
    await queue.enter(ticket("rare", FAIR + 1, languages=("en",)), Openness(LANGUAGE))

    found = await queue.enter(ticket("new", **CHESS), Openness(INTERESTS))
    assert found is not None
    assert found.guest_id == "guest_rare"


async def test_who_gives_nothing_up_takes_nobody_who_is_overdue(queue: MatchQueue) -> None:
    await queue.enter(ticket("rare", 10 * FAIR, languages=("en",)))

    assert await queue.enter(ticket("a", **CHESS, only=True), Openness(INTERESTS)) is None


async def test_however_many_have_been_met_somebody_else_is_found(queue: MatchQueue) -> None:
    met = tuple(f"guest_{number}" for number in range(EXAMINED - 1))
    for number in range(EXAMINED - 1):
        await queue.enter(ticket(number, 100 - number, never=met))
    await queue.enter(ticket("else", 1, never=met))

    found = await queue.enter(ticket("new", met=met), Openness(ANYONE, again=False))
    assert found is not None
    assert found.guest_id == "guest_else"


# ── anything ──────────────────────────────────────────────────────────────────────────────────────


def some(values: str, most: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sampled_from([each for size in range(most + 1) for each in combinations(values, size)])


GUESTS = "abcdef"
Step: TypeAlias = tuple[str, str, Wish, Openness, float]
wishes = st.builds(
    Wish,
    mode=st.sampled_from(["text", "text", "video"]),
    interests=some("xyz", 2),
    languages=some("efg", 2),
    gender=st.sampled_from(["", "m", "w"]),
    location=st.sampled_from(["", "", "here", "oslo, here"]),
    wants_gender=st.sampled_from(["", "", "m", "w"]),
    wants_location=st.sampled_from(["", "", "here", "oslo"]),
    only=st.sampled_from([False, False, False, True]),
    origin=st.sampled_from(["", "", "guest_a", "guest_f", "guest_x"]),
    met=some("abcdef", 2).map(lambda names: tuple(f"guest_{name}" for name in names)),
    never=some("abcdefx", 1).map(lambda names: tuple(f"guest_{name}" for name in names)),
)
opennesses = st.builds(Openness, st.sampled_from([INTERESTS, LANGUAGE, ANYONE]), st.booleans())
waits = st.sampled_from([0.0, 1.0, 2.0, FAIR - 1, FAIR + 1, 3 * FAIR - 1, 3 * FAIR + 1])
commands = st.sampled_from(["enter", "enter", "look", "cancel"])
steps = st.tuples(commands, st.sampled_from(GUESTS), wishes, opennesses, waits)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(steps, min_size=2, max_size=14))
def test_all_adapters_find_whom_the_definition_says(
    open_backend: Callable[[], AbstractAsyncContextManager[Backend]],
    sequence: list[Step],
) -> None:
    async def run() -> None:
        async with open_backend() as backend:
            queue = backend.match_queue()
            waiting: dict[str, tuple[Ticket, Openness]] = {}
            for number, (step, guest, wish, openness, waited) in enumerate(sequence):
                name = f"guest_{guest}"
                if step == "enter":
                    own = Ticket(f"ticket_{number}", name, NOW - waited, wish=wish)
                elif name in waiting:
                    own = waiting[name][0]
                else:
                    continue
                if step == "cancel":
                    assert await queue.cancel(own)
                    del waiting[name]
                    continue
                expected = best(own, openness, waiting, NOW)
                found = await (queue.look(own, openness) if step == "look" else queue.enter(own, openness))
                assert found == expected
                waiting.pop(name, None)
                if found is None:
                    waiting[name] = own, openness
                else:
                    del waiting[found.guest_id]
                    queue.forget(own, found)
            assert await queue.size() == len(waiting)

    asyncio.run(run())


@given(wishes, opennesses)
def test_the_work_is_bounded(wish: Wish, openness: Openness) -> None:
    languages = max(1, len(wish.languages)) + 1
    traits = 2 * 4 * languages
    assert len(stands(wish, openness)) <= traits * (len(wish.interests) + 1) + 2
    assert sum(len(tier.places) for tier in tiers(wish, openness, FAIR)) <= traits * (len(wish.interests) + 2) + 2


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_whoever_came_earlier_is_first(one: float, other: float) -> None:
    places = [position(Ticket("ticket_x", "guest_x", entered_at)) for entered_at in (one, other)]
    if int(one * 1000) != int(other * 1000):
        assert (places[0] < places[1]) is (one < other)


def test_ties_are_random() -> None:
    firsts = {
        min(range(2), key=lambda guest: position(Ticket(f"ticket_{search}_{guest}", f"guest_{guest}", NOW)))
        for search in range(64)
    }
    assert firsts == {0, 1}
