"""The contract of buckets of client addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.limits import AddressLimit, Rate
from tests.support.backends import BACKENDS
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from tests.support.backends import Backend

ADDRESS: Final = "192.0.2.1"
SLOW: Final = Rate(3, 0.001)
"""So slow that the time which a test takes changes nothing."""


async def test_a_burst_and_no_more(backend: Backend) -> None:
    buckets = backend.buckets(SLOW)

    assert [await buckets.take(ADDRESS) for _ in range(3)] == [0.0] * 3
    for _ in range(5):
        assert await buckets.take(ADDRESS) == pytest.approx(1000, abs=10)


async def test_a_token_comes_with_time(backend: Backend) -> None:
    buckets = backend.buckets(SLOW)
    for _ in range(3):
        await buckets.take(ADDRESS)
    await backend.pass_time(990)
    assert await buckets.take(ADDRESS) == pytest.approx(10, abs=5)
    await backend.pass_time(10)
    assert await buckets.take(ADDRESS) == 0.0
    assert await buckets.take(ADDRESS) > 900
    await backend.pass_time(10_000)

    assert [await buckets.take(ADDRESS) == 0.0 for _ in range(4)] == [True, True, True, False]


async def test_addresses_and_limits_have_buckets_of_their_own(backend: Backend) -> None:
    connects, sessions = backend.buckets(Rate(1, 0.001)), backend.buckets(Rate(1, 0.001), "sessions")
    for buckets in (connects, sessions):
        for address in (ADDRESS, "192.0.2.2", "2001:db8:1::1", "2001:db8:2::1", "", "no address"):
            assert await buckets.take(address) == 0.0
            assert await buckets.take(address) > 0.0


@pytest.mark.parametrize(("vary", "times"), [("2001:db8:1:{:x}::1", 4), ("2001:db8:{:x}::1", 8), ("2001:{:x}::1", 12)])
async def test_wider_networks_have_a_few_times_as_much(backend: Backend, vary: str, times: int) -> None:
    buckets = backend.buckets(SLOW)
    taken = [await buckets.take(vary.format(number)) == 0.0 for number in range(1, 13) for _ in range(3)]

    assert sum(taken) == 3 * times


async def test_a_token_that_a_wider_network_refuses_is_not_taken_from_the_address(backend: Backend) -> None:
    buckets = backend.buckets(Rate(1, 0.001))
    for number in range(4):
        assert await buckets.take(f"2001:db8:1:{number}::1") == 0.0
    for _ in range(10):
        assert await buckets.take("2001:db8:1:ffff::1") == pytest.approx(250, abs=10)
    await backend.pass_time(251)

    assert await buckets.take("2001:db8:1:ffff::1") == 0.0


async def test_who_cannot_wait_takes_from_the_same_bucket(backend: Backend) -> None:
    buckets = backend.buckets(SLOW)
    assert buckets.take_at_once(ADDRESS) == 0.0
    assert await buckets.take(ADDRESS) == 0.0
    assert buckets.take_at_once(ADDRESS) == 0.0

    assert buckets.take_at_once(ADDRESS) > 0.0
    assert await buckets.take(ADDRESS) > 0.0


steps = st.lists(
    st.one_of(
        st.sampled_from([ADDRESS, "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", "2001:db8:1::1", "2001:db8:2::1"]),
        st.integers(1, 9).map(lambda intervals: intervals * 500.0),
    ),
    max_size=60,
)


@pytest.mark.parametrize("name", sorted(BACKENDS))
@settings(deadline=None, max_examples=10)
@given(steps=steps, burst=st.integers(1, 3))
async def test_it_decides_as_the_buckets_of_one_process_do(name: str, steps: list[str | float], burst: int) -> None:
    clock = ManualClock()
    rate = Rate(burst, 0.001)
    model = AddressLimit(rate, clock)
    async with BACKENDS[name]() as backend:
        buckets = backend.buckets(rate)
        for step in steps:
            if isinstance(step, str):
                assert await buckets.take(step) == pytest.approx(model.take(step), abs=10)
            else:
                # A little more, because time passes for a server also by itself.
                clock.advance(step + 1)
                await backend.pass_time(step + 1)
