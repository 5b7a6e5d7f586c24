"""Token buckets: rate limits per guest and per address.

The `limits` library has no token bucket, only windows, and is a hundred times too slow for every message.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from passerby.clock import Clock

_ROUNDING: Final = 1e-6
"""Tolerance in seconds for floating-point errors after a long burst."""
_MAX_ADDRESSES: Final = 100_000
"""Maximum number of addresses per limit; the least recently used is evicted first."""


class Rate(Struct, frozen=True):
    """`burst` tokens at once, refilled at `per_second`."""

    burst: Annotated[float, Meta(ge=1)]
    per_second: Annotated[float, Meta(gt=0)]

    def scaled(self, factor: float) -> Rate:
        """Return both numbers multiplied by `factor`; the burst is at least 1."""
        return Rate(max(1.0, self.burst * factor), self.per_second * factor)


class TokenBucket:
    """A token bucket of one guest or address.

    The state is one time, `ready_at`, from which a token is available (GCRA, ITU-T I.371). Each token adds
    `interval`. `ready_at` is never earlier than `reserve` before now; `reserve` is the time of a burst without its
    first token.
    """

    __slots__ = ("interval", "ready_at", "reserve")

    def __init__(self, rate: Rate, now: float) -> None:
        """Start with a full bucket at `now` (monotonic seconds)."""
        self.interval = 1 / rate.per_second
        self.reserve = (rate.burst - 1) * self.interval + _ROUNDING
        self.ready_at = now - self.reserve

    def take(self, now: float) -> float:
        """Take one token. Return 0.0, or if there is none, the seconds until the next one."""
        if self.ready_at > now:
            return self.ready_at - now + _ROUNDING
        self.ready_at = max(self.ready_at, now - self.reserve) + self.interval
        return 0.0


def take_both(one: TokenBucket, other: TokenBucket, now: float) -> float:
    """Take one token from each bucket. Return 0.0, or if either is empty, the seconds to wait; then nothing is taken.

    Equivalent to `TokenBucket.take` twice, but one call: every event of every guest comes through here.
    """
    first, second = one.ready_at, other.ready_at
    if first > now or second > now:
        return max(first, second) - now + _ROUNDING
    # Not max(): a function call is slower.
    earliest = now - one.reserve
    one.ready_at = (first if first > earliest else earliest) + one.interval  # noqa: FURB136
    earliest = now - other.reserve
    other.ready_at = (second if second > earliest else earliest) + other.interval  # noqa: FURB136
    return 0.0


class AddressLimit:
    """One bucket per client address. An IPv6 /64 network counts as one address: one customer usually has all of it."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        """Allow `rate` for each address."""
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, address: str) -> float:
        """Take one token for `address`. Return 0.0, or if there is none, the seconds until the next one."""
        return self.bucket(address).take(self._clock.monotonic())

    def bucket(self, address: str) -> TokenBucket:
        """Return the bucket of `address`, for callers that use it often."""
        key = _network(address)
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._buckets.move_to_end(key)
            return bucket
        if len(self._buckets) >= _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        bucket = self._buckets[key] = TokenBucket(self._rate, self._clock.monotonic())
        return bucket


class AddressCount:
    """Counts what each address has at once, up to a limit. An IPv6 /64 network counts as one address."""

    def __init__(self, limit: int) -> None:
        """Allow `limit` for each address."""
        self._limit = limit
        self._counts: dict[str, int] = {}

    def take(self, address: str) -> bool:
        """Count one more for `address`; return False if it has as many as it may."""
        key = _network(address)
        count = self._counts.get(key, 0)
        if count >= self._limit:
            return False
        self._counts[key] = count + 1
        return True

    def give_back(self, address: str) -> None:
        """Count one less for `address`, after a successful `take`."""
        key = _network(address)
        if self._counts[key] == 1:
            del self._counts[key]
        else:
            self._counts[key] -= 1


def _network(address: str) -> str:
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))
