"""The port to sanctions (warnings, ended sessions, bans) and appeals against bans."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from passerby.safety.cases import Sanction

Verdict = Literal["waiting", "upheld", "rejected"]
"""Of an appeal: `upheld` ends the ban."""


class Appeal(Struct, frozen=True, kw_only=True):
    """What a banned guest says to the ban, and the answer."""

    id: int
    sanction_id: int
    made_at: float
    words: str
    verdict: Verdict = "waiting"
    answer: str = ""
    decided_at: float | None = None
    decided_by: str = ""


class SanctionPage(Struct, frozen=True, kw_only=True):
    """A part of a list."""

    sanctions: list[Sanction]
    next: str | None
    """Where the next part begins; None: this is the last one."""


class SanctionStore(Protocol):
    """Where sanctions and appeals are kept. All methods raise OSError when the database cannot be used now."""

    async def add(self, sanction: Sanction) -> Sanction:
        """Keep a sanction, and note it in the audit; return it with its id and version."""

    async def changed(self, after: int) -> list[Sanction]:
        """Return all sanctions with a `version` > `after`, also those that have ended or were lifted, the lowest first.

        Without bans that ended more than a day ago, and without warnings and ended sessions of before that.

        Ends at once if the database was never used: that costs less than a query, because it is asked each second.
        """

    async def page(self, *, after: str | None = None, limit: int = 50) -> SanctionPage:
        """Return the sanctions of `changed(0)` in parts, the last changed first.

        What changes meanwhile moves to the front: nothing else is left out. Raises ValueError if `after` is not a
        `next` of an earlier page.
        """

    async def lift(self, sanction_id: int, at: float, moderator: str, words: str) -> bool:
        """End a ban now, and note it in the audit; False: there is no such ban, or it was lifted before."""

    async def by_code(self, digest: bytes) -> tuple[Sanction, Appeal | None] | None:
        """Return the ban with an appeal code, by its SHA-256, and its appeal."""

    async def appeal(self, sanction_id: int, at: float, words: str) -> bool:
        """Keep an appeal; False: there was one already, or there is no such ban."""

    async def appeals(self, *, limit: int = 50) -> list[tuple[Appeal, Sanction]]:
        """Return the appeals that wait, the oldest first."""

    async def answer(self, appeal_id: int, at: float, moderator: str, verdict: Verdict, words: str) -> bool:
        """Decide an appeal, end the ban if it is upheld, and note it in the audit, in one step.

        False: there is no such appeal that waits. Raises ForbiddenError (own_decision) if `moderator` has decided
        the ban.
        """

    async def keys(self, at: float, lifetime: float) -> list[tuple[int, bytes]]:
        """Return the keys of address marks, the newest first: a number and 32 random bytes for each.

        A key older than `lifetime` is followed by a new one, and one older than twice that is forgotten: what was
        marked with it can be recognised by nobody any more.
        """

    async def forget_keys(self, at: float, lifetime: float) -> list[int]:
        """Forget the keys that `keys` would, and make none; return the numbers of those that are left."""
