"""Guests' tokens: JWT (RFC 7519), HS256 only.

Their times are of a steady clock: a wall clock that is set while the server runs ends no token and prolongs none.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final

import jwt
from jwt.algorithms import HMACAlgorithm
from msgspec import MsgspecError, Struct, json

from passerby import errors
from passerby.clock import SteadyClock
from passerby.errors import Code, UnauthorizedError, UnavailableError

if TYPE_CHECKING:
    from passerby.clock import Clock

_ALGORITHM: Final = "HS256"
_RETRY: Final = 2.0
"""Seconds after which a guest may ask again, while it is not known whether the token is valid."""
_MAX_LENGTH: Final = 2048
"""Our tokens have about 300 characters; longer input is not parsed."""


def bearer(header: str) -> str | None:
    """Return the token in an `Authorization` header (RFC 6750 §2.1); None: there is none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def derive(secret: str, purpose: str) -> bytes:
    """Return a key for another purpose than tokens, derived from their secret."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")


class _Claims(Struct, rename="camel"):
    iss: str
    aud: str
    iat: float
    exp: float
    session_id: str


class _PreparedKeys(HMACAlgorithm):
    """HMAC with a few keys, each examined once: PyJWT would look for each token whether its key is a certificate."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__(HMACAlgorithm.SHA256)
        self._keys = {key: super(_PreparedKeys, self).prepare_key(key) for key in keys}

    def prepare_key(self, key: str | bytes) -> bytes:
        return self._keys[key]  # type: ignore[index]  # ours are str


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
        self.secret = secret or secrets.token_urlsafe(48)
        """The one that signs."""
        self.is_provisional = False
        """Whether guests may have tokens of another secret, which is not known yet (`adopt`): they are not refused."""
        self.has_issued = False
        """Whether there are tokens of this process."""
        self._accept(self.secret, previous)
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime

    def _accept(self, *accepted: str | None) -> None:
        self._accepted = tuple(secret for secret in accepted if secret)
        self._jws = jwt.PyJWS(algorithms=())
        self._jws.register_algorithm(_ALGORITHM, _PreparedKeys(self._accepted))

    def adopt(self, secrets: tuple[str, ...]) -> None:
        """Sign with the first from now on, and accept the others; what was accepted so far still is."""
        self.is_provisional = False
        self.secret = secrets[0]
        accepted = tuple(dict.fromkeys((*secrets, *self._accepted)))
        if accepted != self._accepted:
            self._accept(*accepted)

    def change(self, secret: str, previous: str | None) -> None:
        """Sign with `secret` from now on, and accept `previous`; no other is accepted any more."""
        self.secret = secret
        self._accept(secret, previous)

    def derive(self, purpose: str) -> bytes:
        """Return a key for another purpose, derived from the tokens' secret."""
        return derive(self.secret, purpose)

    def derive_all(self, purpose: str) -> list[bytes]:
        """Return the keys for another purpose, of each secret that is accepted; the first is the one that signs."""
        return [derive(secret, purpose) for secret in self._accepted]

    def issue(self, session_id: str) -> tuple[str, float]:
        """Return a token for a session, and its expiry (seconds since the Unix epoch)."""
        self.has_issued = True
        now = self._clock.time()
        expires = now + self._lifetime
        claims = _Claims(self._issuer, self._audience, int(now), int(expires), session_id)
        return self._jws.encode(json.encode(claims), self.secret, _ALGORITHM), float(int(expires))

    def left(self, expires: float) -> float:
        """Return the seconds until `expires`, an expiry that `issue` or `verify` has returned."""
        return expires - self._clock.time()

    def wall(self, expires: float) -> float:
        """Return an expiry in seconds of the wall clock, for timestamps."""
        return self._clock.wall(expires)

    def verify(self, token: str) -> tuple[str, float]:
        """Return the session id and the expiry (seconds since the Unix epoch) of a token.

        Raises UnauthorizedError: token_required, token_expired, token_invalid; and UnavailableError.
        """
        if not token:
            raise UnauthorizedError(Code.TOKEN_REQUIRED, errors.TOKEN_REQUIRED)
        claims = self._decode(token)
        if claims.exp <= self._clock.time():
            raise UnauthorizedError(Code.TOKEN_EXPIRED, errors.TOKEN_EXPIRED)
        return claims.session_id, claims.exp

    def _decode(self, token: str) -> _Claims:
        if len(token) <= _MAX_LENGTH:
            for secret in self._accepted:
                try:
                    claims = json.decode(self._jws.decode(token, secret, [_ALGORITHM]), type=_Claims)
                except (jwt.InvalidTokenError, MsgspecError):
                    continue
                if (claims.iss, claims.aud) == (self._issuer, self._audience):
                    return claims
        if self.is_provisional:
            raise UnavailableError(["the secret of tokens"], retry_after=_RETRY)
        raise UnauthorizedError(Code.TOKEN_INVALID, errors.TOKEN_INVALID)
