"""Token buckets: rate limits per guest and per address.

The `limits` library has no token bucket, only windows, and is a hundred times too slow for every message.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Collection

    from passerby.clock import Clock

_ROUNDING: Final = 1e-6
"""Tolerance in seconds for floating-point errors after a long burst."""
_MAX_ADDRESSES: Final = 100_000
"""Maximum number of addresses and networks per limit; the least recently used is evicted first."""
_MULTIPLES: Final = ((64, 1), (48, 4), (32, 8))
"""Bits of the IPv6 networks that are counted, and how many times the limit of an address each may use."""


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

    def change(self, rate: Rate, now: float) -> None:
        """Have another rate from `now` on. Tokens that were taken, and are not refilled yet, count."""
        taken = max(0.0, self.ready_at + self.reserve - now) / self.interval
        self.interval = 1 / rate.per_second
        self.reserve = (rate.burst - 1) * self.interval + _ROUNDING
        self.ready_at = now - self.reserve + taken * self.interval

    def take(self, now: float) -> float:
        """Take one token. Return 0.0, or if there is none, the seconds until the next one."""
        if self.ready_at > now:
            return self.ready_at - now + _ROUNDING
        self.ready_at = max(self.ready_at, now - self.reserve) + self.interval
        return 0.0

    def give_back(self) -> None:
        """Put a token back that was taken in vain."""
        self.ready_at -= self.interval


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


def take_all(buckets: Collection[TokenBucket], now: float) -> float:
    """Take one token from each bucket. Return 0.0, or if any is empty, the seconds to wait; then nothing is taken."""
    ready_at = max(bucket.ready_at for bucket in buckets)
    if ready_at > now:
        return ready_at - now + _ROUNDING
    for bucket in buckets:
        bucket.take(now)
    return 0.0


class AddressLimit:
    """Buckets of client addresses. One bucket per IPv4 address; an IPv6 address is in three, see `_networks`."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        """Allow `rate` for each address, and its multiples for wider networks."""
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def change(self, rate: Rate) -> None:
        """Have another rate from now on, also for addresses that are known."""
        multiples = {1 / (self._rate.scaled(multiple).per_second): multiple for _, multiple in _MULTIPLES}
        now = self._clock.monotonic()
        for bucket in self._buckets.values():
            bucket.change(rate.scaled(multiples[bucket.interval]), now)
        self._rate = rate

    def take(self, address: str) -> float:
        """Take one token for `address`. Return 0.0, or if there is none, the seconds until the next one.

        The token is taken from all networks of the address, or from none.
        """
        buckets = self.buckets(address).values()
        return take_all(buckets, self._clock.monotonic())  # not before: a new bucket is full when it is made

    def buckets(self, address: str) -> dict[str, TokenBucket]:
        """Return the buckets of `address` by its networks, the widest last."""
        return {key: self._bucket(key, multiple) for key, multiple in _networks(address)}

    def bucket(self, address: str) -> TokenBucket:
        """Return the bucket of `address` alone, without wider networks, for callers that use it often."""
        key, multiple = _networks(address)[0]
        return self._bucket(key, multiple)

    def _bucket(self, key: str, multiple: int) -> TokenBucket:
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._buckets.move_to_end(key)
            return bucket
        if len(self._buckets) >= _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        bucket = self._buckets[key] = TokenBucket(self._rate.scaled(multiple), self._clock.monotonic())
        return bucket


class AddressCount:
    """Counts what each address has at once, up to a limit, and its multiples for wider networks."""

    def __init__(self, limit: int, total: int) -> None:
        """Allow `limit` for each address. All have `total`, of which one wider network must not have more than 3/4."""
        self._counts: dict[str, int] = {}
        self.change(limit, total)

    def change(self, limit: int, total: int) -> None:
        """Have other limits from now on. Who has more keeps it."""
        self._limits = {
            multiple: max(limit, min(limit * multiple, total * 3 // 4)) if multiple > 1 else limit
            for _, multiple in _MULTIPLES
        }

    def take(self, address: str, size: int = 1) -> bool:
        """Count `size` more for `address`; return False, and count nothing, if it would have more than it may."""
        if not self.fits(address, size):
            return False
        for key, _ in _networks(address):
            self._counts[key] = self._counts.get(key, 0) + size
        return True

    def fits(self, address: str, size: int = 1) -> bool:
        """Return whether `address` may have `size` more."""
        return all(self._counts.get(key, 0) + size <= self._limits[multiple] for key, multiple in _networks(address))

    def give_back(self, address: str, size: int = 1) -> None:
        """Count `size` less for `address`, after a successful `take`."""
        counts = self._counts
        for key, _ in _networks(address):
            counts[key] -= size
            if not counts[key]:
                del counts[key]

    def count(self, address: str) -> int:
        """Return what `address` has."""
        return self._counts.get(_networks(address)[0][0], 0)


def _networks(address: str) -> tuple[tuple[str, int], ...]:
    """Return keys of an address and of the wider networks that contain it, each with its multiple of a limit.

    An IPv6 /64 counts as one address: one customer usually has all of it. Some have a /48, and a provider has a /32 or
    more; who can send from all of it must not have 65,536 times the limit, or 4 billion times.
    """
    if ":" not in address:
        return ((address, 1),)
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return ((address, 1),)
    if parsed.ipv4_mapped is not None:
        return ((str(parsed.ipv4_mapped), 1),)
    digits = parsed.packed.hex()
    return tuple((digits[: bits // 4], multiple) for bits, multiple in _MULTIPLES)
