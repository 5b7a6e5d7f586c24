from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.matching.stages import ANYONE, INTERESTS, LANGUAGE, Openness, Steps
from passerby.models import Wish

STEPS = Steps(interests=4, language=6, again=15)
BOTH = Wish(interests=("chess",), words=("Chess",), languages=("en",), patient=True)


def reach(wish: Wish, *seconds: float) -> list[int]:
    return [STEPS.openness(wish, elapsed).reach for elapsed in seconds]


def test_interests_are_given_up_first_then_the_language() -> None:
    assert reach(BOTH, 0, 3.9, 4, 9.9, 10, 1000) == [INTERESTS, INTERESTS, LANGUAGE, LANGUAGE, ANYONE, ANYONE]


def test_who_speaks_any_language_soon_takes_anyone() -> None:
    assert reach(Wish(interests=("chess",), patient=True), 3.9, 4) == [INTERESTS, ANYONE]


@pytest.mark.parametrize("wish", [Wish(languages=("en",), patient=True), Wish(wants_gender="f", patient=True)])
def test_without_interests_it_begins_with_the_language(wish: Wish) -> None:
    assert reach(wish, 0, 5.9, 6) == [LANGUAGE, LANGUAGE, ANYONE]


def test_who_has_told_no_wish_takes_anyone_at_once() -> None:
    assert reach(Wish(languages=("en",), interests=("chess",)), 0) == [ANYONE]
    assert reach(Wish(mode="video"), 0) == [ANYONE]


def test_who_gives_nothing_up_waits_for_ever() -> None:
    only = {"only": True, "patient": True}
    assert reach(Wish(interests=("chess",), languages=("en",), **only), 10**6) == [INTERESTS]  # type: ignore[arg-type]
    assert reach(Wish(languages=("en",), **only), 10**6) == [LANGUAGE]  # type: ignore[arg-type]
    assert reach(Wish(**only), 0) == [ANYONE]  # type: ignore[arg-type]


def test_whom_one_has_met_is_avoided_for_a_time() -> None:
    wish = Wish(met=("guest_a",))
    assert [STEPS.openness(wish, elapsed).again for elapsed in (0, 14.9, 15)] == [False, False, True]
    assert STEPS.openness(Wish(), 0).again, "nobody was met"


def test_the_stages_names() -> None:
    met = Wish(met=("guest_a",), patient=True)
    assert Openness(INTERESTS, True).stage(BOTH) == "interests"
    assert Openness(LANGUAGE, True).stage(BOTH) == "language"
    assert Openness(ANYONE, True).stage(BOTH) == "anyone"
    assert Openness(ANYONE, True).stage(met) == "again"
    assert Openness(ANYONE, False).stage(met) == "anyone"


wishes = st.builds(
    Wish,
    interests=st.sampled_from([(), ("chess",)]),
    languages=st.sampled_from([(), ("en",)]),
    met=st.sampled_from([(), ("guest_a",)]),
    only=st.booleans(),
    patient=st.booleans(),
)
times = st.floats(0, 600)


@given(wishes, times, times, times, times)
def test_only_at_the_next_change_the_openness_changes(
    wish: Wish, interests: float, language: float, again: float, elapsed: float
) -> None:
    steps = Steps(interests, language, again)
    change = steps.next(wish, elapsed)
    now = steps.openness(wish, elapsed)
    if change is None:
        assert steps.openness(wish, elapsed + 10_000) == now
    else:
        assert change > elapsed
        assert steps.openness(wish, (elapsed + change) / 2) in (now, steps.openness(wish, change))
        assert steps.openness(wish, change) != now or change == elapsed


@given(wishes, times, times, times, st.lists(times, min_size=2))
def test_a_search_only_accepts_more(
    wish: Wish, interests: float, language: float, again: float, moments: list[float]
) -> None:
    steps = Steps(interests, language, again)
    opennesses = [steps.openness(wish, moment) for moment in sorted(moments)]
    for earlier, later in pairwise(opennesses):
        assert earlier.reach <= later.reach
        assert earlier.again <= later.again
