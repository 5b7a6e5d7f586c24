"""How suspicious an address is, its network, and the whole house: by how many new sessions were asked for lately.

No address is kept: each is counted under a keyed hash, whose key is random and ends with the process. Nothing is shared
with other nodes, so each judges by what it sees; behind a load balancer, each sees its share.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Literal

from passerby.addresses import parse
from passerby.limits import Rate

if TYPE_CHECKING:
    from passerby.clock import Clock

HIGHEST: Final = 10
"""The highest level of suspicion."""
GROWTH: Final = 1.5
"""So many times as much as is calm is one level more. What a level asks for grows by the same factor, so that what one
address gets for its work stays the same however much it asks for."""
FAILURE: Final = 2
"""A proof that is no proof counts like so many new sessions: no client of ours sends one."""
_NETWORK: Final = 4
"""A network may have so many times as many new sessions as an address. As in the settings' descriptions."""
_MOST: Final = 100_000
"""Addresses and networks that are counted; those that asked least recently are forgotten first. 36 MB."""
_BYTES_OF_4: Final = (4, 3)
_BYTES_OF_6: Final = (8, 6)
"""Bytes that tell an address, and a network, from others: /32 and /24 of IPv4, /64 and /48 of IPv6."""
_HOUSE_SHARE: Final = 2
"""If the house is under suspicion, an address that is not pays for one level of so many: others attack, not it."""


class _Count:
    """Decays: what came `burst / per_second` seconds ago counts for 1/e."""

    __slots__ = ("_at", "latest")

    def __init__(self) -> None:
        self.latest = 0.0
        """What it was when something was added: it can only be less now."""
        self._at = 0.0

    def add(self, weight: float, now: float, rate: Rate) -> None:
        self.latest = self.value(now, rate) + weight
        self._at = now

    def value(self, now: float, rate: Rate) -> float:
        return self.latest * math.exp((self._at - now) * rate.per_second / rate.burst)

    def level(self, now: float, rate: Rate) -> int:
        share = self.value(now, rate) / rate.burst
        return 0 if share < 1 else min(HIGHEST, 1 + int(math.log(share, GROWTH)))


class Pressure:
    """Counts requests for new sessions, and says how suspicious the next one is."""

    def __init__(
        self, clock: Clock, *, mode: Literal["auto", "always", "off"], address: Rate, house: Rate, most: int = _MOST
    ) -> None:
        """`address` and `house` are what is calm: a burst, and then so many a second; see the settings `CALM_*`.

        `mode` is PROOF_OF_WORK. At most `most` addresses and networks are counted.
        """
        self._monotonic = clock.monotonic
        self.change(mode, address, house)
        self._most = most
        self._key = secrets.token_bytes(32)
        self._counts: OrderedDict[bytes, _Count] = OrderedDict()
        self._house = _Count()

    def change(self, mode: Literal["auto", "always", "off"], address: Rate, house: Rate) -> None:
        """Ask for work at other times from now on."""
        self._mode = mode
        self._rates = address, address.scaled(_NETWORK)
        self._house_rate = house

    @property
    def house(self) -> int:
        """How suspicious the house is, from 0 to HIGHEST, also if no work is asked for."""
        # Mostly it is calm, and was so when somebody came last; then the clock need not be read.
        house, rate = self._house, self._house_rate
        return 0 if house.latest < rate.burst else house.level(self._monotonic(), rate)

    def level(self, address: str) -> int:
        """Return how suspicious a new session of `address` is: from 0, calm, to HIGHEST."""
        if self._mode == "off":
            return 0
        own, house = self._own(self._keys(address)), self.house
        return max(1 if self._mode == "always" else 0, min(HIGHEST, own + math.ceil(house / _HOUSE_SHARE)))

    def asked(self, address: str, weight: float = 1) -> None:
        """A new session was asked for; or something else happened that counts like `weight` of them.

        Whoever is under suspicion anyway does not bring the house under suspicion: others need not pay for that.
        """
        now, keys = self._monotonic(), self._keys(address)
        if not self._own(keys):
            self._house.add(weight, now, self._house_rate)
        for key, rate in zip(keys, self._rates, strict=True):
            count = self._counts.get(key)
            if count is None:
                if len(self._counts) >= self._most:
                    self._counts.popitem(last=False)
                count = self._counts[key] = _Count()
            else:
                self._counts.move_to_end(key)
            count.add(weight, now, rate)

    def _own(self, keys: tuple[bytes, bytes]) -> int:
        now = self._monotonic()
        counts = (self._counts.get(key) for key in keys)
        return max(
            0 if count is None else count.level(now, rate) for count, rate in zip(counts, self._rates, strict=True)
        )

    def _keys(self, address: str) -> tuple[bytes, bytes]:
        """Return the keys of an address and of its network. What is no address is one as it is."""
        parsed = parse(address.partition("%")[0])
        if parsed is None:
            packed = address.encode(errors="replace")
            return self._hash(b"a", packed), self._hash(b"n", packed)
        packed = parsed.packed
        own, network = _BYTES_OF_4 if len(packed) == 4 else _BYTES_OF_6  # noqa: PLR2004 - bytes of an IPv4 address
        return self._hash(b"a", packed[:own]), self._hash(b"n", packed[:network])

    def _hash(self, kind: bytes, network: bytes) -> bytes:
        return hashlib.blake2b(kind + network, digest_size=16, key=self._key).digest()
