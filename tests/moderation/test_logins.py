"""Who may use the console: time, guessing, links that work once. With a clock that the test moves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pyotp
import pytest
from argon2 import PasswordHasher, extract_parameters

from passerby.errors import Code, NotFoundError, PasserbyError, RateLimitedError, UnauthorizedError
from passerby.moderation import logins as module
from passerby.moderation.logins import IDLE, LONGEST, SET_UP, Logins
from tests.database.conftest import opened
from tests.moderation.conftest import PASSWORD
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.assembly import Kept
    from passerby.moderation.logins import Session

STEP = 30.0


class House:
    """Moderators in a new database."""

    def __init__(self, kept: Kept, clock: ManualClock) -> None:
        self.kept = kept
        self.clock = clock
        self.logins = Logins(kept.staff, kept.journal, clock)

    def code(self, secret: str, after: float = 0.0) -> str:
        """Return the code that an authenticator app shows some seconds from now."""
        return pyotp.TOTP(secret).at(int(self.clock.time() + after))

    async def add(self, name: str = "max") -> str:
        """Add a moderator who has set up, in the step before; return the secret."""
        token = await self.logins.invite(name, "moderator", "test")
        secret = (await self.logins.invited(token)).totp_secret
        await self.logins.set_up(token, PASSWORD, self.code(secret))
        self.clock.advance(STEP)
        return secret

    async def refusal(self, **given: str) -> Code | None:
        """Try to log in; return why it is refused."""
        return await refusal_of(self.logins.log_in(**{"name": "max", "password": "wrong", "code": "000000", **given}))

    async def actions(self) -> list[str]:
        """Return what the audit has."""
        return [entry.action async for entry in self.kept.journal.entries()]


async def refusal_of(work: Any) -> Code | None:  # noqa: ANN401 - whatever it returns
    try:
        await work
    except PasserbyError as error:
        return error.code
    return None


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock = ManualClock()
    async with opened("sqlite:///", clock=clock) as kept:
        yield House(kept, clock)


# ── time ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("after", "works"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_code_counts_a_step_early_or_late(house: House, after: int, *, works: bool) -> None:
    secret = await house.add()
    house.clock.advance(10 * STEP)
    refused = await house.refusal(password=PASSWORD, code=house.code(secret, after * STEP))
    assert refused == (None if works else Code.LOGIN_FAILED)


async def test_no_code_counts_again_nor_an_older_one(house: House) -> None:
    secret = await house.add()
    house.clock.advance(10 * STEP)
    earlier, now = house.code(secret, -STEP), house.code(secret)
    assert await house.refusal(password=PASSWORD, code=now) is None
    assert await house.refusal(password=PASSWORD, code=now) is Code.LOGIN_FAILED
    assert await house.refusal(password=PASSWORD, code=earlier) is Code.LOGIN_FAILED


async def test_the_code_of_the_set_up_does_not_log_in(house: House) -> None:
    token = await house.logins.invite("max", "moderator", "test")
    code = house.code((await house.logins.invited(token)).totp_secret)
    await house.logins.set_up(token, PASSWORD, code)
    assert await house.refusal(password=PASSWORD, code=code) is Code.LOGIN_FAILED


async def _logged_in(house: House) -> Session:
    secret = await house.add()
    return await house.logins.log_in("max", PASSWORD, house.code(secret))


async def test_a_session_ends_when_nobody_uses_it(house: House) -> None:
    session = await _logged_in(house)
    house.clock.advance(IDLE - 1)
    await house.logins.session(session.token)
    house.clock.advance(IDLE - 1)
    await house.logins.session(session.token)
    house.clock.advance(IDLE + 1)
    with pytest.raises(UnauthorizedError):
        await house.logins.session(session.token)


async def test_a_session_ends_after_twelve_hours_even_in_use(house: House) -> None:
    session = await _logged_in(house)
    for _ in range(int(LONGEST // 900) - 1):
        house.clock.advance(900)
        await house.logins.session(session.token)
    house.clock.advance(901)
    with pytest.raises(UnauthorizedError):
        await house.logins.session(session.token)


async def test_to_look_writes_nothing_each_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await _logged_in(house)

    def refuse() -> None:
        raise OSError("somebody else writes")

    monkeypatch.setattr(house.kept.database, "write", refuse)
    assert (await house.logins.session(session.token)).moderator.name == "max"
    with pytest.raises(UnauthorizedError):
        await house.logins.session("guessed")


async def test_another_log_in_ends_nothing(house: House) -> None:
    secret = await house.add()
    one = await house.logins.log_in("max", PASSWORD, house.code(secret))
    house.clock.advance(STEP)
    other = await house.logins.log_in("max", PASSWORD, house.code(secret))
    for session in (one, other):
        assert (await house.logins.session(session.token)).moderator.name == "max"
    assert one.csrf != other.csrf


# ── guessing ──────────────────────────────────────────────────────────────────────────────────────


async def test_guesses_at_once_count_as_those_in_a_row(house: House) -> None:
    await house.add()
    refused = await asyncio.gather(*(house.refusal() for _ in range(12)))
    assert refused.count(Code.LOGIN_FAILED) == 5
    assert refused.count(Code.RATE_LIMITED) == 7


async def test_each_more_guess_waits_twice_as_long(house: House) -> None:
    secret = await house.add()
    for _ in range(5):
        assert await house.refusal() is Code.LOGIN_FAILED
    for wait in (30, 60, 120):
        with pytest.raises(RateLimitedError) as refused:
            await house.logins.log_in("max", PASSWORD, house.code(secret))
        assert refused.value.retry_after == pytest.approx(wait)
        house.clock.advance(wait)
        assert await house.refusal() is Code.LOGIN_FAILED
    house.clock.advance(240)
    assert await house.refusal(password=PASSWORD, code=house.code(secret)) is None
    assert await house.refusal() is Code.LOGIN_FAILED  # and it begins anew


async def test_a_lock_does_not_tell_who_is_there(house: House) -> None:
    await house.add()
    for _ in range(7):
        assert await house.refusal(name="max") == await house.refusal(name="nobody")


@pytest.mark.parametrize("known", [True, False])
async def test_whoever_it_is_a_password_is_checked_at_the_same_cost(
    house: House, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    await house.add()
    checked = []
    verify = PasswordHasher.verify

    def noted(hasher: PasswordHasher, hashed: str, password: str) -> bool:
        checked.append(extract_parameters(hashed))
        return verify(hasher, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    await house.refusal(name="max" if known else "nobody")
    await house.refusal(name="max\0" if known else "nobody\0")
    assert checked == [extract_parameters(PasswordHasher().hash(PASSWORD))] * 2


async def test_who_waits_behind_too_many_is_told_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    refused = await asyncio.gather(*(house.refusal(name=f"name{number}") for number in range(8)))
    assert refused.count(Code.LOGIN_FAILED) == 3
    assert refused.count(Code.RATE_LIMITED) == 5
    assert await house.refusal(name="another") is Code.LOGIN_FAILED


async def test_failures_of_who_is_there_are_noted_and_of_others_not(house: House) -> None:
    await house.add()
    await house.refusal()
    await house.refusal(name="nobody")
    assert (await house.actions())[2:] == ["login.failed"]


# ── links ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_link_works_for_a_day(house: House) -> None:
    token = await house.logins.invite("max", "moderator", "test")
    house.clock.advance(SET_UP)
    await house.logins.invited(token)
    house.clock.advance(1)
    with pytest.raises(NotFoundError):
        await house.logins.invited(token)


async def test_of_two_who_follow_a_link_at_once_one_sets_up(house: House) -> None:
    token = await house.logins.invite("max", "moderator", "test")
    code = house.code((await house.logins.invited(token)).totp_secret)
    passwords = ["first of the passwords", "second of the passwords"]
    refused = await asyncio.gather(*(refusal_of(house.logins.set_up(token, password, code)) for password in passwords))
    assert sorted(map(str, refused)) == sorted(map(str, (None, Code.NOT_FOUND)))
    assert (await house.actions()).count("moderator.setup") == 1


@pytest.mark.parametrize("how", ["disable", "reset"])
async def test_who_is_disabled_or_reset_during_the_set_up_has_not_set_up(
    house: House, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    token = await house.logins.invite("max", "moderator", "test")
    secret = (await house.logins.invited(token)).totp_secret
    hash_ = house.logins._hash

    async def slow(password: str) -> str:
        await getattr(house.logins, how)("max", "test")
        return await hash_(password)

    monkeypatch.setattr(house.logins, "_hash", slow)
    with pytest.raises(NotFoundError):
        await house.logins.set_up(token, PASSWORD, house.code(secret))
    house.clock.advance(STEP)
    assert await house.refusal(password=PASSWORD, code=house.code(secret)) is Code.LOGIN_FAILED
    found = await house.kept.staff.by_name("max")
    assert found is not None
    assert (found.password_hash, found.disabled_at is not None) == ("", how == "disable")


async def test_a_reset_ends_sessions_and_the_old_password(house: House) -> None:
    secret = await house.add()
    session = await house.logins.log_in("max", PASSWORD, house.code(secret))
    token = await house.logins.reset("max", "test")
    with pytest.raises(UnauthorizedError):
        await house.logins.session(session.token)
    house.clock.advance(STEP)
    assert await house.refusal(password=PASSWORD, code=house.code(secret)) is Code.LOGIN_FAILED
    assert (await house.logins.invited(token)).totp_secret != secret


@pytest.mark.parametrize("password", ["", "eleven char", "MAX and something", "a" * 11])
async def test_a_bad_password_is_refused_and_the_link_still_works(house: House, password: str) -> None:
    token = await house.logins.invite("max", "moderator", "test")
    code = house.code((await house.logins.invited(token)).totp_secret)
    assert await refusal_of(house.logins.set_up(token, password, code)) is Code.INVALID_PAYLOAD
    await house.logins.set_up(token, PASSWORD, code)
