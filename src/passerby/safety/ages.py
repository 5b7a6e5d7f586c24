"""Whether a guest is old enough: by a date of birth, or by a trusted provider. Only the result stays."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from passerby.clock import SteadyClock
from passerby.errors import Code, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from passerby.clock import Clock

_KEY: Final = "age checks"
"""What keys are derived for."""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OLDEST: Final = 130
"""Years: nobody is older."""
LIFETIME: Final = 900
"""Seconds that a check at a provider may take."""
OF_AGE: Final = "of_age"
UNDER_AGE: Final = "under_age"


def is_of_age(born_on: str, minimum: int, now: float) -> bool:
    """Return whether who is born on a day (YYYY-MM-DD) is `minimum` years old at `now`, in UTC.

    Who is born on 29 February has the birthday on 1 March in other years. Raises InvalidInputError.
    """
    if _DATE.fullmatch(born_on) is None:
        raise _invalid()
    today = datetime.fromtimestamp(now, UTC).date()
    try:
        born = date.fromisoformat(born_on)
    except ValueError as error:
        raise _invalid() from error
    if born > today or today.year - born.year > _OLDEST:
        raise _invalid()
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return years >= minimum


class AgeChecks:
    """Sends guests to a provider, and reads what it says of them. See docs/protocol.md."""

    def __init__(
        self,
        clock: Clock,
        derive: Callable[[str], Sequence[bytes]],
        secret: str,
        use: Callable[[str], Awaitable[float]],
    ) -> None:
        """`derive(purpose)` returns keys that all nodes know. `secret` is shared with the provider.

        `use` takes the only token of a name, of all nodes together: 0.0, or if there is none, when there is one again,
        and that is at least LIFETIME later.
        """
        self._clock = SteadyClock(clock)
        self._derive = derive
        self._secret = secret.encode()
        self._use = use

    def change(self, secret: str) -> None:
        """Share another secret with the provider from now on."""
        self._secret = secret.encode()

    def begin(self) -> str:
        """Return the state of a new check, for the provider to give back."""
        signed = secrets.token_bytes(16) + int(self._clock.time() + LIFETIME).to_bytes(4)
        return base64.urlsafe_b64encode(signed + _mac(self._derive(_KEY)[0], signed)).decode().rstrip("=")

    async def result(self, proof: str) -> bool:
        """Return whether a provider says that a guest is of age: `<state>.<result>.<signature>`.

        `signature` is the hexadecimal HMAC-SHA256 of `<state>.<result>` with the shared secret. A state counts once.
        Raises InvalidInputError.
        """
        state, _, rest = proof.partition(".")
        result, _, signature = rest.partition(".")
        expected = hmac.digest(self._secret, f"{state}.{result}".encode(), "sha256").hex()
        if not hmac.compare_digest(signature.encode(), expected.encode()) or result not in (OF_AGE, UNDER_AGE):
            raise _not_valid()
        if await self._use(self._name(state)):
            raise _not_valid()
        return result == OF_AGE

    def _name(self, state: str) -> str:
        """Return the name of a check of ours that has not taken too long. Raises InvalidInputError."""
        try:
            content = base64.b64decode(state + "=" * (-len(state) % 4), altchars=b"-_", validate=True)
        except ValueError as error:
            raise _not_valid() from error
        signed, mac = content[:20], content[20:]
        is_ours = any(hmac.compare_digest(mac, _mac(key, signed)) for key in self._derive(_KEY))
        if not is_ours or int.from_bytes(signed[16:]) < self._clock.time():
            raise _not_valid()
        return signed[:16].hex()


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")[:16]


def _invalid() -> InvalidInputError:
    return InvalidInputError(Code.INVALID_PAYLOAD, "Not a date of birth", field="bornOn")


def _not_valid() -> InvalidInputError:
    return InvalidInputError(Code.PROOF_INVALID, "The age check is not valid, or was used before")
