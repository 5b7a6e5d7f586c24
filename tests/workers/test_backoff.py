"""The pauses of a crash loop."""

from __future__ import annotations

from passerby.workers.backoff import FIRST, LONG_LIFE, LONGEST, Backoff


def test_the_pause_doubles_up_to_its_limit() -> None:
    backoff = Backoff()

    assert [backoff.died(1) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST, LONGEST]


def test_after_a_long_life_it_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.died(LONG_LIFE - 0.1)

    assert backoff.died(LONG_LIFE) == FIRST
    assert backoff.died(0) == 2 * FIRST
