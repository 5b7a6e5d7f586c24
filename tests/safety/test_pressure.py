"""Suspicion: what is calm asks for nothing, what is not is noticed, and all of it passes by itself."""

from __future__ import annotations

import gc
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.limits import Rate
from passerby.safety.pressure import HIGHEST, Pressure
from tests.support.clock import ManualClock

ADDRESS = Rate(20, 0.2)
HOUSE = Rate(300, 20)
MANY = Rate(1_000_000, 1_000_000)
HERE, NEIGHBOUR, ELSEWHERE = "192.0.2.7", "192.0.2.8", "198.51.100.7"


def pressure(
    clock: ManualClock,
    *,
    mode: Literal["auto", "always", "off"] = "auto",
    address: Rate = ADDRESS,
    house: Rate = HOUSE,
    most: int = 1000,
) -> Pressure:
    return Pressure(clock, mode=mode, address=address, house=house, most=most)


def ask(one: Pressure, address: str, times: int) -> list[int]:
    """Ask for sessions; return the level that each was asked for at."""
    levels = []
    for _ in range(times):
        levels.append(one.level(address))
        one.asked(address)
    return levels


def test_what_the_setting_calls_calm_is_calm() -> None:
    clock = ManualClock()
    one = pressure(clock)
    assert ask(one, HERE, 20) == [0] * 20
    for _ in range(200):  # and then as many a second as it says
        clock.advance(5)
        assert ask(one, HERE, 1) == [0]


def test_an_address_that_asks_for_more_is_under_suspicion_and_its_network_not_yet() -> None:
    one = pressure(ManualClock())
    ask(one, HERE, 20)
    assert (one.level(HERE), one.level(NEIGHBOUR), one.level(ELSEWHERE), one.house) == (1, 0, 0, 0)
    levels = ask(one, HERE, 2000)
    assert levels == sorted(levels)
    assert (levels[-1], one.level(ELSEWHERE)) == (HIGHEST, 0)
    assert 0 < one.level(NEIGHBOUR) < HIGHEST, "of a network four times as much is calm"


@pytest.mark.parametrize(
    ("network", "other"),
    [("192.0.2.{}", "192.0.3.1"), ("2001:db8:0:{:x}::1", "2001:db8:1::1"), ("::ffff:192.0.2.{}", "::ffff:192.0.3.1")],
)
def test_a_network_is_under_suspicion_if_its_addresses_are_each_calm(network: str, other: str) -> None:
    one = pressure(ManualClock())
    for number in range(80):
        assert ask(one, network.format(number), 1) == [0]
    assert (one.level(network.format(200)), one.level(other)) == (1, 0)


@pytest.mark.parametrize(("address", "same"), [("2001:db8::1", "2001:db8::ffff%eth0"), (HERE, "::ffff:192.0.2.7")])
def test_an_address_has_several_forms(address: str, same: str) -> None:
    one = pressure(ManualClock())
    ask(one, address, 20)
    assert one.level(same) == 1


@pytest.mark.parametrize("address", ["", "unix:", "\udcff", "999.1.1.1"])
def test_what_is_no_address_is_counted_too(address: str) -> None:
    one = pressure(ManualClock())
    ask(one, address, 20)
    assert (one.level(address), one.level(HERE)) == (1, 0)


def test_the_house_is_under_suspicion_if_many_addresses_ask_once_and_the_innocent_pay_half() -> None:
    one = pressure(ManualClock())
    for number in range(3000):
        one.asked(f"10.{number // 250}.{number % 250}.1")
    assert one.house > 4
    assert one.level(ELSEWHERE) == -(-one.house // 2)


def test_whoever_is_under_suspicion_does_not_bring_the_house_under_suspicion() -> None:
    one = pressure(ManualClock())
    ask(one, HERE, 10_000)
    assert (one.level(HERE), one.house, one.level(ELSEWHERE)) == (HIGHEST, 0, 0)


def test_modes() -> None:
    off, always = pressure(ManualClock(), mode="off"), pressure(ManualClock(), mode="always")
    assert (always.level(HERE), off.level(HERE)) == (1, 0)
    for one in (off, always):
        for number in range(3000):
            one.asked(f"10.{number // 250}.{number % 250}.1")
        ask(one, HERE, 2000)
    assert (always.level(HERE), off.level(HERE)) == (HIGHEST, 0)
    assert off.house == always.house > 0


def test_the_wall_clock_says_nothing() -> None:
    clock = ManualClock()
    one = pressure(clock)
    ask(one, HERE, 100)
    before = one.level(HERE)
    for jump in (-1e9, 2e9):
        clock.set_wall(jump)
        assert one.level(HERE) == before


ADDRESSES = st.sampled_from([HERE, NEIGHBOUR, ELSEWHERE, "2001:db8::1", "2001:db8:0:1::1", "nonsense"])
STEPS = st.lists(
    st.one_of(
        st.tuples(ADDRESSES, st.integers(1, 400), st.sampled_from([1.0, 2.0])), st.floats(0, 1000, allow_nan=False)
    ),
    max_size=20,
)


@given(STEPS)
def test_a_level_is_in_its_bounds_and_all_is_calm_in_the_end(
    steps: list[tuple[str, int, float] | float],
) -> None:
    clock = ManualClock()
    one = pressure(clock)
    known = [HERE, NEIGHBOUR, ELSEWHERE, "2001:db8::1", "nonsense"]
    for step in steps:
        if isinstance(step, float):
            before = [one.level(address) for address in known]
            clock.advance(step)
            assert all(one.level(address) <= level for address, level in zip(known, before, strict=True))
        else:
            address, times, weight = step
            for _ in range(times):
                before_it = one.level(address)
                one.asked(address, weight)
                assert before_it <= one.level(address) <= HIGHEST
    # A count is at most the sum of all, and has decayed to less than what is calm.
    clock.advance(100 * 10 + 1000)
    assert [one.level(address) for address in known] == [0] * len(known)
    assert one.house == 0


@given(st.lists(ADDRESSES, max_size=50), st.integers(2, 6))
def test_what_is_counted_is_bounded(addresses: list[str], most: int) -> None:
    one = pressure(ManualClock(), most=most)
    for address in addresses:
        one.asked(address)
        assert len(one._counts) <= most


def test_no_address_is_kept() -> None:
    one = pressure(ManualClock())
    ask(one, HERE, 3)
    gc.collect()
    kept = repr(one._counts) + repr(one.__dict__)
    assert HERE not in kept
    assert repr(bytes([192, 0, 2, 7]))[2:-1] not in kept
    other = pressure(ManualClock())
    ask(other, HERE, 3)
    assert not one._counts.keys() & other._counts.keys(), "the key of each process is its own"


def test_who_asked_least_recently_is_forgotten() -> None:
    one = pressure(ManualClock(), address=Rate(1, 0.001), house=MANY, most=6)
    for address in (HERE, ELSEWHERE, "203.0.113.1", HERE, "100.64.0.1"):
        one.asked(address)
    assert [one.level(address) > 0 for address in (HERE, ELSEWHERE, "203.0.113.1", "100.64.0.1")] == [
        True,
        False,
        True,
        True,
    ]
