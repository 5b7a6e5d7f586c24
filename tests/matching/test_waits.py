from __future__ import annotations

import pytest

from passerby.matching.waits import Waits, usual
from tests.support.clock import ManualClock

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock at the begin of an hour."""
    return ManualClock(475_000 * HOUR)


@pytest.fixture
def waits(clock: ManualClock) -> Waits:
    return Waits(clock)


def test_few_say_nothing_and_of_many_the_median_counts() -> None:
    assert usual([]) is None
    assert usual([1, 1, 1, 1]) is None
    assert usual([9, 1, 100, 2, 3]) == 3
    assert usual([9, 1, 100, 2, 3, 5]) == 4


def test_those_of_the_last_half_hour_count_whatever_the_hour(clock: ManualClock, waits: Waits) -> None:
    clock.advance(HOUR - 60)
    waits.add(7)
    clock.advance(HOUR / 2 - 1)
    assert waits.lately() == [7]
    clock.advance(1)
    assert waits.lately() == []


def test_those_of_this_hour_of_the_day_count_for_a_week(clock: ManualClock, waits: Waits) -> None:
    waits.add(7)
    clock.advance(HOUR - 1)
    assert waits.lately() == [7]
    clock.advance(1)
    assert waits.lately() == []
    clock.advance(DAY - HOUR)
    waits.add(8)
    assert waits.lately() == [7, 8]
    clock.advance(6 * DAY - 1)
    assert waits.lately() == []  # a second before the hour
    clock.advance(1)
    assert waits.lately() == [8]


def test_the_first_hour_follows_the_last_one(clock: ManualClock, waits: Waits) -> None:
    clock.advance(DAY - clock.time() % DAY - 60)
    waits.add(7)
    clock.advance(120)
    waits.add(8)
    assert sorted(waits.lately()) == [7, 8]


def test_a_bounded_number_is_kept_the_last_ones(clock: ManualClock, waits: Waits) -> None:
    for hour in range(48):
        for number in range(1000):
            waits.add(hour * 1000 + number)
        clock.advance(HOUR)

    assert sum(map(len, waits._hours)) == 24 * 64
    clock.advance(-1)
    assert waits.lately() == [float(47 * 1000 + number) for number in range(1000 - 64, 1000)]
