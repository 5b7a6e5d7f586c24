"""Signs and verifies requests of `passerby doctor`, which asks what the server sees of a request through proxies.

The answer tells of its own request and of nothing else. So a signature that somebody has copied opens nothing, and need
not be valid once only.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from passerby.clock import Clock

PATH: Final = "/health/probe"
HEADER: Final = "x-passerby-probe"
PURPOSE: Final = "probes"
"""What the key is derived for, see Tokens."""
PAUSE: Final = 0.5
"""Seconds between the two pieces of the answer: a proxy that stores answers passes both on at once."""
_VALID: Final = 60.0
"""Seconds that the clocks of both machines may differ."""


class Seen(Struct, rename="camel", frozen=True):
    """What the server sees of a request."""

    peer: str
    """Address of the connection: of a proxy, if there is one."""
    peer_port: int
    is_trusted: bool
    """Whether TRUSTED_PROXIES has this address."""
    forwarded_for: str
    """X-Forwarded-For as it came."""
    address: str
    """The address that limits are counted for."""


class Probes:
    """Signatures are `<seconds since the Unix epoch>.<HMAC-SHA-256>`."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        """Sign with `key`."""
        self._key = key
        self._clock = clock

    def sign(self) -> str:
        """Return a signature for a request now."""
        now = str(int(self._clock.time()))
        return f"{now}.{self._code(now)}"

    def accepts(self, signature: str) -> bool:
        """Return whether a signature was made with this key within the last minute."""
        when, _, code = signature.partition(".")
        if not when.isascii() or not when.isdecimal() or len(when) > len("9999999999"):
            return False
        is_ours = hmac.compare_digest(code.encode("utf-8", "replace"), self._code(when).encode())
        return is_ours and abs(self._clock.time() - int(when)) <= _VALID

    def _code(self, when: str) -> str:
        return hmac.digest(self._key, when.encode(), "sha256").hex()
