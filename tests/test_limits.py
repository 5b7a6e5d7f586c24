from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby import limits
from passerby.errors import RateLimitedError
from passerby.limits import AddressCount, AddressLimit, Rate, TokenBucket
from tests.support.clock import ManualClock


def test_a_bucket_holds_its_burst_and_no_more() -> None:
    bucket = TokenBucket(Rate(3, 1), 100.0)

    assert [bucket.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(100.0) == pytest.approx(1.0)


def test_a_bucket_tells_how_long_to_wait_and_then_gives() -> None:
    bucket = TokenBucket(Rate(1, 4), 0.0)
    bucket.take(0.0)

    assert bucket.take(0.0) == pytest.approx(0.25)
    assert bucket.take(0.1) == pytest.approx(0.15)
    assert bucket.take(0.25) == 0.0
    assert bucket.take(0.25) > 0.0


def test_a_refusal_costs_nothing() -> None:
    bucket = TokenBucket(Rate(1, 1), 0.0)
    bucket.take(0.0)
    for _ in range(100):
        assert bucket.take(0.5) == pytest.approx(0.5)

    assert bucket.take(1.0) == 0.0


def test_a_bucket_refills_to_its_burst_and_not_beyond() -> None:
    bucket = TokenBucket(Rate(3, 1), 0.0)
    for _ in range(3):
        bucket.take(0.0)

    assert [bucket.take(1_000_000.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(1_000_000.0) > 0


@given(
    burst=st.floats(1, 1000),
    per_second=st.floats(0.01, 1000),
    pauses=st.lists(st.floats(0, 10), min_size=1, max_size=200),
)
def test_over_any_time_no_more_than_burst_and_rate_pass(burst: float, per_second: float, pauses: list[float]) -> None:
    bucket = TokenBucket(Rate(burst, per_second), 0.0)
    now, passed = 0.0, 0
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        passed += wait == 0.0
        assert wait >= 0.0
        if wait:
            assert wait <= 1 / per_second + 1e-3
    assert passed <= burst + now * per_second + 1e-3


@given(
    burst=st.floats(1, 1000),
    per_second=st.floats(0.01, 1000),
    pauses=st.lists(st.floats(0, 1), min_size=1, max_size=100),
)
def test_whoever_waits_as_long_as_told_is_let_through(burst: float, per_second: float, pauses: list[float]) -> None:
    bucket = TokenBucket(Rate(burst, per_second), 0.0)
    now = 0.0
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        if wait:
            told = RateLimitedError(wait).retry_after
            assert told is not None
            assert told - wait < 0.002, "milliseconds are exact enough"
            now += told
            assert bucket.take(now) == 0.0


def test_a_scale_multiplies_burst_and_rate() -> None:
    assert Rate(30, 5).scaled(10) == Rate(300, 50)
    assert Rate(30, 5).scaled(1) == Rate(30, 5)


def test_each_address_has_its_own_bucket() -> None:
    limit = AddressLimit(Rate(1, 1), ManualClock())

    assert limit.take("192.0.2.1") == 0.0
    assert limit.take("192.0.2.2") == 0.0
    assert limit.take("192.0.2.1") > 0.0
    assert limit.take("192.0.2.2") > 0.0


def test_an_address_bucket_refills_with_the_clock() -> None:
    clock = ManualClock()
    limit = AddressLimit(Rate(1, 0.5), clock)
    limit.take("192.0.2.1")
    clock.advance(1)
    assert limit.take("192.0.2.1") == pytest.approx(1.0)
    clock.advance(1)

    assert limit.take("192.0.2.1") == 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002:0000:0000:0000:0009"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_addresses_of_one_customer_share_a_bucket(one: str, other: str) -> None:
    limit = AddressLimit(Rate(1, 1), ManualClock())

    assert limit.take(one) == 0.0
    assert limit.take(other) > 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("192.0.2.1", "192.0.2.2"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("not:an:address", "nor:this:one"),
    ],
)
def test_addresses_of_two_customers_do_not(one: str, other: str) -> None:
    limit = AddressLimit(Rate(1, 1), ManualClock())

    assert limit.take(one) == 0.0
    assert limit.take(other) == 0.0


def test_the_addresses_remembered_are_bounded_and_the_one_used_longest_ago_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "_MAX_ADDRESSES", 3)
    limit = AddressLimit(Rate(1, 0.001), ManualClock())
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        limit.take(address)
    assert limit.take("192.0.2.1") > 0.0, "used again, so not evicted"

    limit.take("192.0.2.4")

    assert len(limit._buckets) == 3
    assert limit.take("192.0.2.1") > 0.0, "still in memory"
    assert limit.take("192.0.2.2") == 0.0, "evicted, so its bucket is full again"


@pytest.mark.parametrize(("vary", "times"), [("2001:db8:1:{:x}::1", 4), ("2001:db8:{:x}::1", 8), ("2001:{:x}::1", 100)])
def test_wider_networks_have_a_few_times_the_limit_of_an_address(vary: str, times: int) -> None:
    limit = AddressLimit(Rate(3, 0.001), ManualClock())
    count = AddressCount(3, 1000)
    addresses = [vary.format(number) for number in range(1, 101) for _ in range(3)]

    assert sum(limit.take(address) == 0.0 for address in addresses) == 3 * times
    assert sum(count.take(address) for address in addresses) == 3 * times


def test_a_token_that_a_wider_network_refuses_is_not_taken_from_the_address() -> None:
    clock = ManualClock()
    limit = AddressLimit(Rate(1, 1), clock)
    for number in range(4):
        assert limit.take(f"2001:db8:1:{number}::1") == 0.0
    for _ in range(10):
        assert limit.take("2001:db8:1:ffff::1") == pytest.approx(0.25, abs=1e-3)
    clock.advance(0.26)
    assert limit.take("2001:db8:1:ffff::1") == 0.0


@pytest.mark.parametrize(("total", "most"), [(100, 24), (16, 12), (3, 3)])
def test_a_wide_network_leaves_something_for_others(total: int, most: int) -> None:
    count = AddressCount(3, total)
    addresses = [f"2001:db8:{number:x}::1" for number in range(total) for _ in range(3)]

    assert sum(count.take(address) for address in addresses) == most


def test_what_is_given_back_can_be_taken_again_and_nothing_is_remembered() -> None:
    count = AddressCount(2, 1000)
    for address in ("2001:db8::1", "192.0.2.1"):
        assert [count.take(address) for _ in range(3)] == [True, True, False]
        assert count.count(address) == 2
        count.give_back(address)
        assert not count.take(address, 2)
        assert count.take(address)
        count.give_back(address, 2)
    assert not count._counts
