"""Guests' tokens: JWT (RFC 7519), HS256 only.

Their times are of a steady clock: a wall clock that is set while the server runs ends no token and prolongs none.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

import jwt

from passerby import errors
from passerby.clock import SteadyClock
from passerby.errors import Code, UnauthorizedError

if TYPE_CHECKING:
    from passerby.clock import Clock

_ALGORITHM: Final = "HS256"
_MAX_LENGTH: Final = 2048
"""Our tokens have about 300 characters; longer input is not parsed."""


class Tokens:
    """Issues and verifies tokens. `secret` signs; `previous` is still accepted, so that secrets can be rotated."""

    def __init__(
        self,
        clock: Clock,
        *,
        secret: str | None,
        previous: str | None,
        issuer: str,
        audience: str,
        lifetime: float,
    ) -> None:
        """Without `secret` a random one is used, so tokens become invalid on restart. `lifetime` is in seconds."""
        self._clock = SteadyClock(clock)
        self._secret = secret or secrets.token_urlsafe(48)
        self._accepted = (self._secret, previous) if previous else (self._secret,)
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime

    def derive(self, purpose: str) -> bytes:
        """Return a key for another purpose, derived from the tokens' secret."""
        return hmac.digest(self._secret.encode(), purpose.encode(), "sha256")

    def issue(self, session_id: str) -> tuple[str, float]:
        """Return a token for a session, and its expiry (seconds since the Unix epoch)."""
        now = self._clock.time()
        expires = now + self._lifetime
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "iat": int(now),
            "exp": int(expires),
            "sessionId": session_id,
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM), float(int(expires))

    def left(self, expires: float) -> float:
        """Return the seconds until `expires`, an expiry that `issue` or `verify` has returned."""
        return expires - self._clock.time()

    def wall(self, expires: float) -> float:
        """Return an expiry in seconds of the wall clock, for timestamps."""
        return self._clock.wall(expires)

    def verify(self, token: str) -> tuple[str, float]:
        """Return the session id and the expiry (seconds since the Unix epoch) of a token.

        Raises UnauthorizedError: token_required, token_expired, token_invalid.
        """
        if not token:
            raise UnauthorizedError(Code.TOKEN_REQUIRED, errors.TOKEN_REQUIRED)
        claims = self._decode(token)
        expires, session_id = claims["exp"], claims.get("sessionId")
        if not isinstance(session_id, str) or not isinstance(expires, int | float):
            raise UnauthorizedError(Code.TOKEN_INVALID, errors.TOKEN_INVALID)
        if expires <= self._clock.time():
            raise UnauthorizedError(Code.TOKEN_EXPIRED, errors.TOKEN_EXPIRED)
        return session_id, float(expires)

    def _decode(self, token: str) -> dict[str, Any]:
        if len(token) <= _MAX_LENGTH:
            for secret in self._accepted:
                try:
                    return jwt.decode(
                        token,
                        secret,
                        algorithms=[_ALGORITHM],
                        issuer=self._issuer,
                        audience=self._audience,
                        # `verify` checks times with the injected clock.
                        options={
                            "require": ["iss", "aud", "exp", "iat"],
                            "verify_exp": False,
                            "verify_iat": False,
                            "verify_nbf": False,
                        },
                    )
                except jwt.InvalidTokenError:
                    continue
        raise UnauthorizedError(Code.TOKEN_INVALID, errors.TOKEN_INVALID)
