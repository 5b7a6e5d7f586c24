"""Token buckets: how much of something a guest or an address may do.

The `limits` library has windows but no token bucket, and takes a hundred times longer than a message
may; these thirty lines are the one place where we do without.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from passerby.clock import Clock

_ROUNDING: Final = 1e-6
"""Seconds that floats may be off after a long burst."""
_MAX_ADDRESSES: Final = 100_000
"""Addresses remembered per kind; the one used longest ago is forgotten first."""


class Rate(Struct, frozen=True):
    """`burst` at once, then `per_second`."""

    burst: Annotated[float, Meta(ge=1)]
    per_second: Annotated[float, Meta(gt=0)]

    def scaled(self, factor: float) -> Rate:
        """Return both numbers times `factor`, but a burst of at least one."""
        return Rate(max(1.0, self.burst * factor), self.per_second * factor)


class TokenBucket:
    """One guest's or address's share of one thing.

    Kept as one moment, from when on there is a token (GCRA, ITU-T I.371): taking one moves it on by the
    `interval` of one, and it is never further back than `reserve`, which holds all of a burst but the first.
    """

    __slots__ = ("interval", "ready_at", "reserve")

    def __init__(self, rate: Rate, now: float) -> None:
        """Begin full at `now` (monotonic seconds)."""
        self.interval = 1 / rate.per_second
        self.reserve = (rate.burst - 1) * self.interval + _ROUNDING
        self.ready_at = now - self.reserve

    def take(self, now: float) -> float:
        """Take one token: 0.0 when there was one, else the seconds until there is."""
        if self.ready_at > now:
            return self.ready_at - now + _ROUNDING
        self.ready_at = max(self.ready_at, now - self.reserve) + self.interval
        return 0.0


def take_both(one: TokenBucket, other: TokenBucket, now: float) -> float:
    """Take a token of each: 0.0 when both had one, else the seconds until they do, and neither has lost one.

    `TokenBucket.take` twice, in one call: every event of every guest goes through here.
    """
    first, second = one.ready_at, other.ready_at
    if first > now or second > now:
        return max(first, second) - now + _ROUNDING
    # Not max(), which costs a call.
    earliest = now - one.reserve
    one.ready_at = (first if first > earliest else earliest) + one.interval  # noqa: FURB136
    earliest = now - other.reserve
    other.ready_at = (second if second > earliest else earliest) + other.interval  # noqa: FURB136
    return 0.0


class AddressLimit:
    """A bucket for each client address; an IPv6 network of 64 bits counts as one, as one customer has it whole."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        """Allow `rate` to each address."""
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, address: str) -> float:
        """Take one token of `address`: 0.0 when there was one, else the seconds until there is."""
        return self.bucket(address).take(self._clock.monotonic())

    def bucket(self, address: str) -> TokenBucket:
        """Return the bucket of `address`, for who takes from it often."""
        key = _network(address)
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._buckets.move_to_end(key)
            return bucket
        if len(self._buckets) >= _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        bucket = self._buckets[key] = TokenBucket(self._rate, self._clock.monotonic())
        return bucket


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
