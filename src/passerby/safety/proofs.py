"""Proof of work of newcomers under suspicion: ALTCHA, version 2 of its challenges.

A challenge asks for the counter, from 0 on, with which PBKDF2 gives a key that begins as the challenge says. Its maker
knows the key, and signs it, so a solution is checked by two HMACs and no PBKDF2. All nodes with the same secret of
tokens accept it. It names nobody.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from passerby.clock import SteadyClock
from passerby.errors import Code, InvalidInputError, RequiredError
from passerby.safety.pressure import FAILURE, GROWTH, HIGHEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from passerby.clock import Clock
    from passerby.safety.pressure import Pressure

LIFETIME: Final = 300.0
"""Seconds in which a challenge can be solved. The hardest takes a median phone 8 s."""
LONGEST: Final = 2048
"""Maximum characters of a proof: ours have fewer than 900. Nothing of a longer one is read."""
ITERATIONS: Final = 250
"""Of PBKDF2 for each counter. Fewer, and what a browser spends around them outweighs them, so that whoever writes a
program of their own has an advantage; more, and a flood of requests makes the server work, which computes one key."""
COUNTERS: Final = 700
"""Highest counter at the lowest level; half as many on average: a fifth of a second for a median phone."""
SLACK: Final = 3
"""A proof may be of so many levels less than what is asked now: suspicion grows while a guest's device works."""
_MOST: Final = 100_000
"""Proofs that are remembered because they have counted. 25 MB."""
ALGORITHM: Final = "PBKDF2/SHA-256"
_CHALLENGE: Final = "challenges of proof of work"
_KEY: Final = "keys of proof of work"
"""What the keys of both signatures are derived for."""


class _Data(Struct):
    level: Annotated[int, Meta(ge=1, le=HIGHEST)]
    expires: Annotated[int, Meta(ge=0, le=2**53)]
    """Seconds since the Unix epoch. Not ALTCHA's `expiresAt`, which libraries compare with the clock of the system: it
    may be set, and a client that begins at once has no use for it."""


class _Parameters(Struct, rename="camel"):
    """Those of our challenges. A payload with others is none of ours, and neither is its signature."""

    algorithm: str
    nonce: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    salt: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    cost: int
    key_length: int
    key_prefix: str
    key_signature: str
    data: _Data


class _Challenge(Struct):
    parameters: _Parameters
    signature: str


class _Solution(Struct, rename="camel"):
    counter: int
    derived_key: str


class _Payload(Struct):
    """What solves a challenge: the challenge, and the solution. Clients may add more, such as the time that it took."""

    challenge: _Challenge
    solution: _Solution


_read: Final = msgspec.json.Decoder(_Payload).decode


class Proofs:
    """Asks newcomers for proof of work when it is due, and checks it."""

    def __init__(
        self,
        pressure: Pressure,
        clock: Clock,
        derive: Callable[[str], Sequence[bytes]],
        *,
        most: int = _MOST,
    ) -> None:
        """`derive(purpose)` returns keys that all nodes know: the first signs, all are accepted.

        At most `most` proofs are remembered.
        """
        self._pressure = pressure
        self._clock = SteadyClock(clock)
        self._derive = derive
        self._most = most
        self._spent: OrderedDict[str, int] = OrderedDict()
        """When the challenges expire that have counted, by nonce."""
        self._forgotten = 0
        """What expires then or earlier has counted, for all that is known."""

    def are_due(self, address: str) -> bool:
        """Return whether a new session of `address` needs a proof now."""
        return self._pressure.level(address) > 0

    def check(self, address: str, proof: str | None) -> None:
        """Let a new session of `address` be made, or ask for work first; `proof` is what the client has sent, if any.

        Raises RequiredError (proof_required) with a challenge, and InvalidInputError (proof_invalid); after both the
        client asks anew. Each request without a proof counts as one for a session, whatever comes of it.
        """
        level = self._pressure.level(address)
        if not level or proof is None:
            self._pressure.asked(address)
        if not level:
            return
        if proof is None or self._take(address, proof) < level - SLACK:
            raise RequiredError(
                Code.PROOF_REQUIRED, "Solve the challenge first, and send the proof", challenge=self._challenge(level)
            )

    def _challenge(self, level: int) -> dict[str, Any]:
        from altcha import create_challenge  # noqa: PLC0415 - most servers never need it

        made = create_challenge(
            ALGORITHM,
            ITERATIONS,
            counter=secrets.randbelow(counters(level)) + 1,
            data=msgspec.to_builtins(_Data(level, int(self._clock.time() + LIFETIME))),
            hmac_secret=self._derive(_CHALLENGE)[0],
            hmac_key_secret=self._derive(_KEY)[0],
        )
        return made.to_dict()

    def _take(self, address: str, proof: str) -> int:
        """Return the level of a proof, which counts no more from now on. Raises InvalidInputError (proof_invalid)."""
        payload = self._payload(proof)
        if payload is None:
            self._pressure.asked(address, FAILURE)
            raise _invalid("The proof is not valid")
        parameters = payload.challenge.parameters
        data, now = parameters.data, self._clock.time()
        if data.expires <= max(now, self._forgotten):
            self._pressure.asked(address)
            raise _invalid("The challenge has expired")
        if parameters.nonce in self._spent:
            self._pressure.asked(address, FAILURE)
            raise _invalid("The proof was used before")
        self._spend(parameters.nonce, data.expires, now)
        return data.level

    def _payload(self, proof: str) -> _Payload | None:
        """Return what was sent, if it is a challenge of ours with its solution."""
        from altcha import Payload, verify_solution  # noqa: PLC0415 - see above

        if len(proof) > LONGEST:
            return None
        try:
            read = _read(base64.b64decode(proof, validate=True))
        except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError):
            return None
        payload = Payload.from_dict(msgspec.to_builtins(read))
        keys = zip(self._derive(_CHALLENGE), self._derive(_KEY), strict=True)
        is_ours = any(verify_solution(payload, secret, hmac_key_secret=key).verified for secret, key in keys)
        return read if is_ours else None

    def _spend(self, nonce: str, expires: int, now: float) -> None:
        spent = self._spent
        while spent and next(iter(spent.values())) <= now:
            spent.popitem(last=False)
        if len(spent) >= self._most:
            # What cannot be remembered must not count again, and neither may what expires before it.
            self._forgotten = max(self._forgotten, spent.popitem(last=False)[1])
        spent[nonce] = expires


def counters(level: int) -> int:
    """Return the highest counter of a challenge of this level, from 1 to HIGHEST."""
    return int(COUNTERS * GROWTH ** (level - 1))


def _invalid(message: str) -> InvalidInputError:
    return InvalidInputError(Code.PROOF_INVALID, message)
