"""Moderators log in with a name, a password and a code of an authenticator app; a link that works once sets both up."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from passerby.errors import Code, ForbiddenError, InvalidInputError, NotFoundError, RateLimitedError, UnauthorizedError
from passerby.moderation.staff import Moderator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from passerby.clock import Clock
    from passerby.moderation.audit import Journal
    from passerby.moderation.staff import Role, StaffStore

IDLE: Final = 1800.0
"""Seconds after which a session ends that nobody uses."""
LONGEST: Final = 43_200.0
"""Seconds that a session lasts at most."""
SET_UP: Final = 86_400.0
"""Seconds that a set-up link works."""
SHORTEST_PASSWORD: Final = 12
_STEP: Final = 30
"""Seconds of a code."""
_AT_ONCE: Final = 2
"""Passwords that are checked at the same time: each takes 64 MiB and a core for a moment."""
_MOST_WAITING: Final = 20
"""Passwords that are checked, or wait for it; one more is refused. It is a second's work."""
_DUMMY: Final = "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""What is checked for a name that nobody has, so that it takes as long."""
_ATTEMPTS: Final = "attempts to log in"
_USED_UP: Final = "This link does not work any more"
_FAILURES: Final = 5
"""Failed attempts for a name from one address after which it is locked there for a while, which doubles each time."""
_LOCKED: Final = 30.0
_LONGEST_LOCK: Final = 3600.0
_SEEN: Final = 25.0
"""Seconds for which somebody counts as looking at a case, after the last sign."""
_MOST_NAMES: Final = 1000
"""Names, with addresses, whose failures are remembered."""


class Session(Struct, frozen=True):
    """Who is logged in."""

    moderator: Moderator
    token: str

    @property
    def csrf(self) -> str:
        """Return what the page sends with everything that changes something."""
        return hmac.digest(self.token.encode(), b"csrf", "sha256").hex()

    def check_csrf(self, given: str) -> None:
        """Raise ForbiddenError (csrf_invalid) unless `given` is it."""
        if not hmac.compare_digest(given.encode(), self.csrf.encode()):
            raise ForbiddenError(Code.CSRF_INVALID, "The request does not come from the console")


class Logins:
    """Who may use the console. All methods raise OSError when the database cannot be used now."""

    def __init__(self, staff: StaffStore, journal: Journal, clock: Clock) -> None:
        """Keep moderators and sessions in `staff`."""
        self._staff = staff
        self._journal = journal
        self._clock = clock
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        """Passwords that are checked, or wait for it."""
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        """How often a log-in has failed in a row, and when it was last so (monotonic), by name and address."""
        self._is_any = (-1e9, False)

    async def is_any(self) -> bool:
        """Return whether there is a moderator; asked of the database once a second at most."""
        now = self._clock.monotonic()
        if now - self._is_any[0] >= 1.0:
            self._is_any = (now, await self._staff.is_any())
        return self._is_any[1]

    # ── log in ────────────────────────────────────────────────────────────────────────────────────

    async def log_in(self, name: str, password: str, code: str, address: str = "") -> Session:
        """Begin a session, from an address.

        Raises UnauthorizedError (login_failed), which does not say what was wrong, and RateLimitedError.
        """
        moderator = await self._staff.by_name(name)
        self._count((name, address))
        hashed = moderator.password_hash if moderator is not None else ""
        is_right = await self._verify(hashed or _DUMMY, password) and bool(hashed)
        step = _matching_step(moderator.totp_secret if moderator is not None else "", code, self._clock.time())
        may_enter = is_right and moderator is not None and moderator.disabled_at is None and step is not None
        if not may_enter or moderator is None or step is None or not await self._staff.use_step(moderator.id, step):
            if moderator is not None:
                await self._journal.append(name, "login.failed", name, {})
            raise UnauthorizedError(Code.LOGIN_FAILED, "Name, password or code is wrong")
        self._failures.pop((name, address), None)
        await self._journal.append(name, "login", name, {})
        token = secrets.token_urlsafe(32)
        now = self._clock.time()
        await self._staff.begin(_digest(token), moderator.id, now, now + LONGEST)
        return Session(moderator, token)

    def _count(self, who: tuple[str, str]) -> None:
        """Count an attempt as failed before it has, so that many at once count too. Raises RateLimitedError.

        It counts for a name at an address: else whoever knows a name could lock its moderator out.
        """
        count, at = self._failures.get(who, (0, 0.0))
        if count >= _FAILURES:
            wait = at + min(_LOCKED * 2 ** (count - _FAILURES), _LONGEST_LOCK) - self._clock.monotonic()
            if wait > 0:
                raise RateLimitedError(wait, _ATTEMPTS, limit="logins")
        self._failures[who] = (min(count + 1, 20), self._clock.monotonic())
        self._failures.move_to_end(who)
        while len(self._failures) > _MOST_NAMES:
            self._failures.popitem(last=False)

    async def session(self, token: str) -> Session:
        """Return whose session it is. Raises UnauthorizedError (login_required)."""
        moderator = await self._staff.session(_digest(token), self._clock.time(), IDLE) if token else None
        if moderator is None:
            raise UnauthorizedError(Code.LOGIN_REQUIRED, "Log in first")
        return Session(moderator, token)

    async def look(self, session: Session, case_id: str) -> None:
        """Note that the moderator of a session looks at a case now."""
        await self._staff.look(_digest(session.token), case_id, self._clock.time())

    async def viewers(self, case_ids: Sequence[str], session: Session) -> dict[str, list[str]]:
        """Return who else looks at cases now, by case."""
        found: dict[str, list[str]] = {}
        for case_id, name in await self._staff.viewers(case_ids, self._clock.time() - _SEEN):
            if name != session.moderator.name:
                found.setdefault(case_id, []).append(name)
        return found

    async def log_out(self, session: Session) -> None:
        """End a session."""
        await self._staff.end(_digest(session.token))

    # ── set up ────────────────────────────────────────────────────────────────────────────────────

    async def invite(self, name: str, role: Role, actor: str) -> str:
        """Make a moderator; return the token of the set-up link. Raises ValueError if the name is taken."""
        token = secrets.token_urlsafe(32)
        await self._staff.add(
            Moderator(
                id=0,
                name=name,
                role=role,
                totp_secret=_new_secret(),
                setup_hash=_digest(token),
                setup_until=self._clock.time() + SET_UP,
                created_at=self._clock.time(),
            ),
            actor,
        )
        return token

    async def reset(self, name: str, actor: str) -> str:
        """Let a moderator set up anew; return the token of the link. Raises NotFoundError."""
        moderator = await self._named(name)
        token = secrets.token_urlsafe(32)
        changed = replace(
            moderator,
            password_hash="",
            totp_secret=_new_secret(),
            totp_step=0,
            setup_hash=_digest(token),
            setup_until=self._clock.time() + SET_UP,
            disabled_at=None,
        )
        await self._staff.change(changed, actor, "moderator.reset")
        await self._staff.end_all(moderator.id)
        return token

    async def disable(self, name: str, actor: str) -> None:
        """Let a moderator log in no more; sessions end at once. Raises NotFoundError."""
        moderator = await self._named(name)
        await self._staff.change(
            replace(moderator, disabled_at=self._clock.time(), setup_hash=b""), actor, "moderator.disable"
        )
        await self._staff.end_all(moderator.id)

    async def _named(self, name: str) -> Moderator:
        moderator = await self._staff.by_name(name)
        if moderator is None:
            raise NotFoundError(Code.NOT_FOUND, f"There is no moderator {name!r}")
        return moderator

    async def invited(self, token: str) -> Moderator:
        """Return whose set-up link it is. Raises NotFoundError: it was used, is too old, or never was."""
        moderator = await self._staff.by_setup(_digest(token))
        if moderator is None or moderator.setup_until < self._clock.time() or moderator.disabled_at is not None:
            raise NotFoundError(Code.NOT_FOUND, _USED_UP)
        return moderator

    async def set_up(self, token: str, password: str, code: str) -> None:
        """Set a password; `code` shows that the authenticator app works.

        Raises NotFoundError, InvalidInputError, RateLimitedError.
        """
        moderator = await self.invited(token)
        if len(password) < SHORTEST_PASSWORD or moderator.name.casefold() in password.casefold():
            raise InvalidInputError(
                Code.INVALID_PAYLOAD,
                f"The password needs {SHORTEST_PASSWORD} characters, and must not hold the name",
                field="password",
            )
        step = _matching_step(moderator.totp_secret, code, self._clock.time())
        if step is None:
            raise InvalidInputError(Code.INVALID_PAYLOAD, "The code is wrong", field="code")
        hashed = await self._hash(password)
        done = replace(moderator, password_hash=hashed, totp_step=step)
        if not await self._staff.finish(done, _digest(token)):
            raise NotFoundError(Code.NOT_FOUND, _USED_UP)

    async def _hash(self, password: str) -> str:
        hashed: str = await self._in_turn(_hasher().hash, password)
        return hashed

    async def _verify(self, hashed: str, password: str) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415 - only for the console

        try:
            return bool(await self._in_turn(_hasher().verify, hashed, password))
        except (Argon2Error, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[..., Any], *arguments: str) -> Any:  # noqa: ANN401 - what `work` returns
        """Run `work` in a thread, when it is its turn. Raises RateLimitedError if too many wait."""
        if self._waiting >= _MOST_WAITING:
            raise RateLimitedError(1.0, _ATTEMPTS, limit="logins")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._waiting -= 1


def uri(moderator: Moderator, house: str) -> str:
    """Return what an authenticator app reads as a QR code."""
    import pyotp  # noqa: PLC0415 - only for the console

    return pyotp.TOTP(moderator.totp_secret).provisioning_uri(
        name=moderator.name, issuer_name=f"Passerby {house}".strip()
    )


def _matching_step(secret: str, code: str, now: float) -> int | None:
    """Return the step of time that a code is of: now, the one before or the one after."""
    import pyotp  # noqa: PLC0415 - only for the console

    totp = pyotp.TOTP(secret or pyotp.random_base32())
    current = int(now) // _STEP
    found = None
    for step in (current - 1, current, current + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.strip().encode()) and secret:
            found = step
    return found


def _new_secret() -> str:
    import pyotp  # noqa: PLC0415 - only for the console

    return pyotp.random_base32()


def _hasher() -> Any:  # noqa: ANN401 - imported on use
    from argon2 import PasswordHasher  # noqa: PLC0415 - only for the console

    return PasswordHasher()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
