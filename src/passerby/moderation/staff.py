"""The port to moderators and their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

Role = Literal["triage", "moderator", "admin"]
"""`triage` looks, notes, escalates, holds and dismisses; `moderator` also warns, ends sessions, bans, lifts bans,
answers appeals and exports; `admin` also sees and changes who the moderators are, and the audit."""
ROLES: Final[tuple[Role, ...]] = ("triage", "moderator", "admin")


class Moderator(Struct, frozen=True, kw_only=True):
    """Somebody who looks after the guests."""

    id: int
    name: str
    role: Role
    password_hash: str = ""
    """argon2id; empty: not set up yet, or sealed with a key that is not there."""
    totp_secret: str = ""
    """Base32."""
    totp_step: int = 0
    """The last step of time whose code was used: no code is used twice."""
    setup_hash: bytes = b""
    """SHA-256 of the one-time set-up link's token; empty: it was used."""
    setup_until: float = 0
    created_at: float
    disabled_at: float | None = None


class StaffStore(Protocol):
    """Where moderators and their sessions are kept. All methods raise OSError when the database cannot be used now."""

    async def is_any(self) -> bool:
        """Return whether there is a moderator who is not disabled; costs little if the database was never used."""

    async def add(self, moderator: Moderator, actor: str) -> Moderator:
        """Keep a new moderator, and note it in the audit. Raises ValueError if the name is taken."""

    async def by_name(self, name: str) -> Moderator | None:
        """Return the moderator with a name."""

    async def by_setup(self, digest: bytes) -> Moderator | None:
        """Return the moderator with a set-up link that was not used yet, by SHA-256 of its token."""

    async def all(self) -> list[Moderator]:
        """Return all moderators, by name."""

    async def change(self, moderator: Moderator, actor: str, what: str) -> None:
        """Keep a changed moderator, and note in the audit what was changed, if anything is given."""

    async def finish(self, moderator: Moderator, setup_hash: bytes) -> bool:
        """Keep the password that a set-up link has set, and note it in the audit; the link works no more.

        False: the link with `setup_hash` worked no more before, since it was used, the moderator was disabled or reset.
        """

    async def use_step(self, moderator_id: int, step: int) -> bool:
        """Note as `totp_step` that the code of a step of time is used; False: it was before, or that of a later one.

        Of two who come with one code at the same time, one is let in.
        """

    async def begin(self, digest: bytes, moderator_id: int, at: float, until: float) -> None:
        """Keep a session, by SHA-256 of its token."""

    async def session(self, digest: bytes, at: float, idle: float) -> Moderator | None:
        """Return whose session it is; None: there is none, or not any more. Note within ten seconds that it is used."""

    async def look(self, digest: bytes, case_id: str, at: float) -> None:
        """Note at which case the moderator of a session is looking now."""

    async def viewers(self, case_ids: Sequence[str], since: float) -> list[tuple[str, str]]:
        """Return who has looked at these cases since then, as pairs of case and name, sorted."""

    async def end(self, digest: bytes) -> None:
        """End a session."""

    async def end_all(self, moderator_id: int) -> None:
        """End all sessions of a moderator."""
