"""What moderators have done: entries, each chained by its hash to the one before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST: Final = bytes(32)
"""What the first entry is chained to."""


class Entry(Struct, frozen=True, kw_only=True):
    """Something that was done. `details` hold no text of guests."""

    number: int
    """From 1, without gaps."""
    at: float
    """Seconds since the Unix epoch."""
    actor: str
    action: str
    """Such as `case.ban` or `moderator.add`."""
    object: str
    """The id of what it was done to."""
    details: dict[str, Any]
    previous: bytes
    """The hash of the entry before."""
    hash: bytes

    @classmethod
    def after(
        cls,
        previous: Entry | None,
        *,
        at: float,
        actor: str,
        action: str,
        object: str,  # noqa: A002 - the field's name
        details: dict[str, Any],
    ) -> Entry:
        """Return the entry that follows `previous`."""
        number, chained = (1, FIRST) if previous is None else (previous.number + 1, previous.hash)
        digest = _digest(chained, number, at, actor, action, object, details)
        return cls(
            number=number,
            at=at,
            actor=actor,
            action=action,
            object=object,
            details=details,
            previous=chained,
            hash=digest,
        )


def _digest(previous: bytes, *values: object) -> bytes:
    """Return SHA-256 of the hash before and of the entry as JSON with sorted keys."""
    return hashlib.sha256(previous + msgspec.json.encode(values, order="deterministic")).digest()


def verify(entries: Iterable[Entry]) -> str | None:
    """Return what is wrong with a chain that begins with the first entry; None: nothing was changed."""
    previous: Entry | None = None
    for entry in entries:
        expected = Entry.after(
            previous,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            object=entry.object,
            details=entry.details,
        )
        if entry.number != expected.number:
            return f"entry {expected.number} is missing"
        if (entry.previous, entry.hash) != (expected.previous, expected.hash):
            return f"entry {entry.number} was changed, or the one before"
        previous = entry
    return None
