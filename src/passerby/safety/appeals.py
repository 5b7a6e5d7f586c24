"""Appeals against bans: without an account, with a code that only the banned guest has."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING

from passerby.errors import Code, ConflictError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.safety.cases import Sanction
    from passerby.safety.sanctions import Appeal, SanctionStore


class Appeals:
    """What a banned guest can do. Whoever has the code is the banned guest."""

    def __init__(self, store: SanctionStore, clock: Clock) -> None:
        """Keep appeals in `store`."""
        self._store = store
        self._clock = clock

    async def find(self, code: str) -> tuple[Sanction, Appeal | None]:
        """Return the ban with this code, and its appeal. Raises NotFoundError (appeal_unknown), UnavailableError.

        Codes are looked up by their hash, so that the time says nothing about how much of one is right.
        """
        try:
            found = await self._store.by_code(digest(code))
        except OSError as error:
            raise UnavailableError(["appeals"], retry_after=5) from error
        if found is None:
            raise NotFoundError(Code.APPEAL_UNKNOWN, "There is no ban with this code")
        return found

    async def make(self, code: str, words: str) -> tuple[Sanction, Appeal | None]:
        """Keep an appeal; return what `find` does. Raises what it raises, and ConflictError.

        already_appealed: there is one; already_decided: the ban is over.
        """
        sanction, _ = await self.find(code)
        if sanction.lifted_at is not None or (sanction.ends_at is not None and sanction.ends_at <= self._clock.time()):
            raise ConflictError(Code.ALREADY_DECIDED, "The ban is over")
        try:
            is_first = await self._store.appeal(sanction.id, self._clock.time(), words)
        except OSError as error:
            raise UnavailableError(["appeals"], retry_after=5) from error
        if not is_first:
            raise ConflictError(Code.ALREADY_APPEALED, "There is an appeal against this ban already")
        return await self.find(code)


def new_code() -> str:
    """Return 128 random bits as Base32, in groups: for an appeal, or for the receipt of a report."""
    text = base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=")
    return "-".join(text[place : place + 5] for place in range(0, len(text), 5))


def normal(code: str) -> str:
    """Return a code as it was made, however it is written: without spaces, in upper case, with its dashes."""
    text = "".join(code.upper().split()).replace("-", "")
    text = text.translate(str.maketrans("018", "OLB"))  # digits that Base32 does not have
    return "-".join(text[place : place + 5] for place in range(0, len(text), 5))


def digest(code: str) -> bytes:
    """Return what is kept of a code: SHA-256."""
    return hashlib.sha256(normal(code).encode()).digest()
