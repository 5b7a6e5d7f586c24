"""The pulse of one node, and the sum of several nodes' shares. tests/nodes/test_searches.py has the rounds."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.matching.pulse import SUGGESTIONS, WORDS, Pulse, Word, merged
from passerby.models import MODES, Wish
from tests.support.clock import ManualClock

PEOPLE = 3


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pulse(clock: ManualClock) -> Pulse:
    return Pulse(clock, node="a", people=PEOPLE)


def wish(*written: str) -> Wish:
    """Return a wish with interests as the guest has written them."""
    return Wish(interests=tuple(word.casefold() for word in written), words=written)


def now(pulse: Pulse) -> tuple[int, float | None]:
    return pulse.searching("text"), pulse.usual_wait()


def test_those_of_other_modes_do_not_count() -> None:
    pulse = Pulse(ManualClock(), node="a", people=PEOPLE)
    pulse.searched("anna", Wish(mode="video"))
    pulse.searched("berta", Wish())
    assert [pulse.searching(mode) for mode in MODES] == [1, 0, 1]

    pulse.searched("anna", Wish(mode="audio"))
    pulse.ended("berta")
    assert [pulse.searching(mode) for mode in MODES] == [0, 1, 0]


def suggested(pulse: Pulse, clock: ManualClock) -> list[str]:
    """Return the suggestions, once all that has happened is known."""
    clock.advance(1)
    return pulse.suggestions()


# ── how many ──────────────────────────────────────────────────────────────────────────────────────


def test_who_searches_counts_at_once_and_once(pulse: Pulse) -> None:
    assert now(pulse) == (0, None)
    pulse.searched("anna", wish())
    pulse.searched("berta", wish("Tea"))
    pulse.searched("anna", wish("Tea", "Jazz"))
    assert now(pulse) == (2, None)
    pulse.ended("anna")
    pulse.ended("anna")
    pulse.ended("nobody")
    assert now(pulse) == (1, None)
    pulse.ended("berta")
    assert now(pulse) == (0, None)


# ── how long ──────────────────────────────────────────────────────────────────────────────────────


def test_the_usual_wait_is_known_when_there_is_enough_to_say(pulse: Pulse, clock: ManualClock) -> None:
    for seconds in (1.04, 2, 40, 30):
        pulse.met(seconds)
    clock.advance(1)
    assert now(pulse) == (0, None)
    pulse.met(20)
    assert now(pulse) == (0, None), "it is as old as a second"
    clock.advance(1)
    assert now(pulse) == (0, 20)


# ── with what ─────────────────────────────────────────────────────────────────────────────────────


def test_an_interest_is_suggested_while_enough_guests_search_with_it(pulse: Pulse, clock: ManualClock) -> None:
    for guest in ("anna", "berta"):
        pulse.searched(guest, wish("tea", "jazz"))
    pulse.searched("anna", wish("tea", "jazz"))
    assert suggested(pulse, clock) == [], "two, however often"
    pulse.searched("carla", wish("tea"))
    assert suggested(pulse, clock) == ["tea"]
    pulse.searched("dora", wish("jazz"))
    pulse.searched("emma", wish("jazz"))
    assert suggested(pulse, clock) == ["jazz", "tea"], "the most frequent first"
    pulse.searched("carla", wish("chess"))
    assert suggested(pulse, clock) == ["jazz"], "another search with another wish"
    pulse.ended("anna")
    pulse.ended("berta")
    assert suggested(pulse, clock) == []


def test_it_is_written_as_most_write_it(pulse: Pulse, clock: ManualClock) -> None:
    for guest, written in enumerate(("MÚSICA", "Música", "música", "Música")):
        pulse.searched(f"guest {guest}", wish(written))
    assert suggested(pulse, clock) == ["Música"]
    pulse.ended("guest 1")
    assert suggested(pulse, clock) == ["música"], "of equally many, as it is compared"


def test_no_more_are_suggested_than_fit(pulse: Pulse, clock: ManualClock) -> None:
    for number in range(SUGGESTIONS + 5):
        for guest in range(PEOPLE + number):
            pulse.searched(f"{number} {guest}", wish(f"word {number}"))

    found = suggested(pulse, clock)
    assert found == [f"word {number}" for number in range(SUGGESTIONS + 4, 4, -1)]


async def test_what_is_told_is_bounded_and_has_the_most_frequent(pulse: Pulse) -> None:
    for number in range(1000):
        pulse.searched(
            f"guest {number}", wish(*(f"{'x' * 30} {number} {more}" for more in range(4)), f"{number % 100}")
        )
    share = pulse._share()

    assert {word.folded for word in share.words} <= {str(number) for number in range(100)}
    assert len(share.words) == WORDS
    assert all((word.guests, len(word.who)) == (10, PEOPLE) for word in share.words)
    assert len(await pulse.share()) < 10_000


def test_nothing_is_kept_of_searches_that_have_ended(pulse: Pulse) -> None:
    for number in range(100):
        pulse.searched(f"guest {number}", wish(f"rare {number}", f"common {number % 7}"))
    for number in range(100):
        pulse.ended(f"guest {number}")

    assert (pulse._searching, pulse._words, pulse._common) == ({}, {}, {})


# ── all of it, for any searches ───────────────────────────────────────────────────────────────────

guests = st.sampled_from([f"guest {number}" for number in range(8)])
wishes = st.lists(st.sampled_from(["tea", "Tea", "TEA", "jazz", "Jazz", "chess", "go"]), max_size=4).map(
    lambda words: wish(*words)
)
NODES = ("a", "b", "c")
searches = st.lists(st.tuples(st.sampled_from(NODES), guests, st.none() | wishes), max_size=60)


@given(steps=searches)
def test_the_sum_of_all_nodes_counts_each_guest_of_an_interest_once(steps: list[tuple[str, str, Wish | None]]) -> None:
    """A guest may search on several nodes at once, when they move, and counts as one all the same."""
    pulses = {node: Pulse(ManualClock(), node=node, people=PEOPLE) for node in NODES}
    expected: dict[tuple[str, str], dict[str, str]] = {}
    for node, guest, what in steps:
        if what is None:
            pulses[node].ended(guest)
            expected.pop((node, guest), None)
        else:
            pulses[node].searched(guest, what)
            expected[node, guest] = dict(zip(what.interests, what.words, strict=True))

    summary = merged([pulse._share() for pulse in pulses.values()], PEOPLE)

    who: defaultdict[str, set[str]] = defaultdict(set)
    written: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (_, guest), interests in expected.items():
        for word, way in interests.items():
            who[word].add(guest)
            written[word][way] += 1
    of_each = {node: sum(where == node for where, _ in expected) for node in NODES}
    assert summary.searching == {node: {"text": count} if count else {} for node, count in of_each.items()}
    enough = {word for word in who if len(who[word]) >= PEOPLE}
    assert {way.casefold() for way in summary.suggestions} == enough
    assert len(summary.suggestions) == len(enough)
    counts = [written[way.casefold()].total() for way in summary.suggestions]
    assert counts == sorted(counts, reverse=True)
    for way in summary.suggestions:
        assert written[way.casefold()][way] == max(written[way.casefold()].values())


def test_guests_of_a_few_on_each_node_are_enough_together() -> None:
    pulses = [Pulse(ManualClock(), node=node, people=PEOPLE) for node in NODES]
    for number, pulse in enumerate(pulses):
        pulse.searched(f"guest {number}", wish("tea"))

    assert merged([pulse._share() for pulse in pulses], PEOPLE).suggestions == ["tea"]
    assert merged([pulse._share() for pulse in pulses[:2]], PEOPLE).suggestions == []
    assert pulses[0]._share().words == [Word("tea", 1, pulses[0]._share().words[0].who, {"tea": 1})]
