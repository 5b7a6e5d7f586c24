"""The id by which a browser is known again: random, signed by us, kept in its storage, and shown to nobody else.

It says when it was made, and what has been answered in that browser. Who clears the storage gets a new one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from passerby.clock import SteadyClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from passerby.clock import Clock

_KEY: Final = "devices"
"""What keys are derived for."""
_ID: Final = 16
_SINCE: Final = 4
_MAC: Final = 12
_LENGTH: Final = _ID + _SINCE + 1 + _MAC
_TEXT: Final = 44
"""Characters of an id: Base64url of _LENGTH bytes."""
_UNDER_AGE: Final = 1
"""A bit of the flags."""


class Device(Struct, frozen=True):
    """A browser."""

    id: bytes
    """16 random bytes."""
    since: int
    """When it got its id, in seconds since the Unix epoch."""
    is_under_age: bool = False
    """Whether somebody has answered in it that they are too young."""

    @property
    def digest(self) -> str:
        """Return what is kept of it: SHA-256 of the id, as hex."""
        return hashlib.sha256(self.id).hexdigest()


class Devices:
    """Issues and reads the ids of browsers."""

    def __init__(self, clock: Clock, derive: Callable[[str], Sequence[bytes]]) -> None:
        """`derive(purpose)` returns keys that all nodes know: the first signs, all are accepted."""
        self._clock = SteadyClock(clock)
        self._derive = derive

    def read(self, text: str | None) -> Device:
        """Return the browser with this id; a new one if there is none, or if it is malformed.

        An id that we have not signed, because the secret was changed, stays the same, but is new.
        """
        content = _decoded(text)
        now = int(self._clock.time())
        if content is None:
            return Device(secrets.token_bytes(_ID), now)
        signed, mac = content[:-_MAC], content[-_MAC:]
        if not any(hmac.compare_digest(mac, _mac(key, signed)) for key in self._derive(_KEY)):
            return Device(signed[:_ID], now)
        since = int.from_bytes(signed[_ID : _ID + _SINCE])
        return Device(signed[:_ID], min(since, now), bool(signed[-1] & _UNDER_AGE))

    def text(self, device: Device) -> str:
        """Return the id for the browser to keep."""
        flags = _UNDER_AGE if device.is_under_age else 0
        signed = device.id + device.since.to_bytes(_SINCE) + bytes([flags])
        return base64.urlsafe_b64encode(signed + _mac(self._derive(_KEY)[0], signed)).decode()


def digest_of(text: str | None) -> str | None:
    """Return `Device.digest` of an id, whoever has signed it; None if it is malformed."""
    content = _decoded(text)
    return None if content is None else hashlib.sha256(content[:_ID]).hexdigest()


def under_age(device: Device) -> Device:
    """Return the browser as one in which somebody has answered that they are too young."""
    return replace(device, is_under_age=True)


def _decoded(text: str | None) -> bytes | None:
    if text is None or len(text) != _TEXT:
        return None
    try:
        content = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        return None
    return content if len(content) == _LENGTH else None


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")[:_MAC]
