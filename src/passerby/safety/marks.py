"""How a guest is known again, without anything that says who they are."""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
from typing import TYPE_CHECKING, Final

from passerby.addresses import parse
from passerby.clock import sleep
from passerby.safety.cases import Mark

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.models import Guest
    from passerby.safety.cases import MarkKind
    from passerby.safety.sanctions import SanctionStore

_LOOK: Final = 600.0
"""Seconds between two looks whether the keys are still the newest."""
_BITS: Final = {4: (32, 24), 6: (64, 48)}
"""Of the address, by version of IP: what is one line, and what one network. A line has 2^64 addresses of IPv6."""


class Marks:
    """Makes marks. Those of addresses need keys of the database, and a secret that is not in it."""

    def __init__(self, store: SanctionStore, pepper: bytes | None, clock: Clock, *, lifetime: float) -> None:
        """`pepper` is that secret; None: addresses leave no marks. `lifetime` of a key is in seconds."""
        self._store = store
        self._pepper = pepper
        self._clock = clock
        self._lifetime = lifetime
        self._keys: list[tuple[int, bytes]] = []

    @property
    def can_mark_addresses(self) -> bool:
        """Return whether addresses leave marks."""
        return self._pepper is not None

    async def of(self, guest: Guest, address: str) -> tuple[Mark, ...]:
        """Return all marks of a guest, to be kept. Raises OSError when the database cannot be used."""
        marks = [session_mark(guest.session_id)]
        if guest.device is not None:
            marks.append(device_mark(guest.device))
        if self._pepper is not None and address:
            await self.renew()
            marks += self.of_address(address)[:2]
        return tuple(marks)

    def of_address(self, address: str) -> list[Mark]:
        """Return the marks of an address and of its network with the keys that are known, the newest key first."""
        networks = _networks(address)
        return [
            Mark(kind, hmac.digest(key, text, "sha256"), number)
            for number, key in self._keys
            for kind, text in networks
        ]

    async def renew(self) -> None:
        """Get the keys, and make a new one if it is time. Raises OSError."""
        if self._pepper is None:
            return
        keys = await self._store.keys(self._clock.time(), self._lifetime)
        self._keys = [(number, hmac.digest(self._pepper, key, "sha256")) for number, key in keys]

    async def keep(self) -> None:
        """Forget keys in time, here and in the database, also if nobody is reported. Raises OSError."""
        left = await self._store.forget_keys(self._clock.time(), self._lifetime)
        self._keys = [(number, key) for number, key in self._keys if number in left]
        await sleep(self._clock, _LOOK)


def session_mark(session_id: str) -> Mark:
    """Return the mark of a session."""
    return Mark("session", hashlib.sha256(session_id.encode()).digest())


def device_mark(digest: str) -> Mark:
    """Return the mark of a browser, by `Guest.device`."""
    return Mark("device", hashlib.sha256(digest.encode()).digest())


@functools.lru_cache(maxsize=4096)
def _networks(address: str) -> tuple[tuple[MarkKind, bytes], ...]:
    parsed = parse(address.partition("%")[0])
    if parsed is None:
        return ()
    line, network = (ipaddress.ip_network((parsed, bits), strict=False) for bits in _BITS[parsed.version])
    return ("address", f"address {line}".encode()), ("network", f"network {network}".encode())
