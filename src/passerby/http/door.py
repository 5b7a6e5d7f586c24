"""Refuses who is banned or under suspicion before the framework sees the request, so a flood of them costs less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from passerby.errors import BannedError, PasserbyError, RateLimitedError
from passerby.guests.tokens import bearer
from passerby.http.app import Answer
from passerby.safety.devices import digest_of
from passerby.socketio.handshake import join_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from passerby.addresses import ClientAddress
    from passerby.nodes.buckets import Buckets
    from passerby.safety.banlist import BanList, Match
    from passerby.safety.proofs import Proofs

_PATH: Final = "/api/guest"
_MOST: Final = 1000
"""Answers that are kept, at most: a flood is of few who are banned."""


class Door:
    """Looks at requests for a new session: who is banned is told so, and who is under suspicion is asked for work."""

    def __init__(
        self,
        bans: BanList,
        proofs: Proofs,
        address: ClientAddress,
        limit: Buckets,
        *,
        session_of: Callable[[str], str | None],
        is_shared: bool,
    ) -> None:
        """`limit` is that of new sessions per address. `session_of(token)` is the id of a session, which may be over.

        `is_shared`: pages of other origins may use this server. The framework answers those, with headers of its own.
        """
        self._bans = bans
        self._proofs = proofs
        self._address = address
        self._limit = limit
        self._session_of = session_of
        self._answers: dict[tuple[int, bool], Answer] = {}
        """What is answered to who is banned, by the id of the ban and by whether only the address is known."""
        self._is_shared = is_shared

    async def refuse(self, scope: MutableMapping[str, Any]) -> Answer | None:
        """Return the answer to a request (ASGI), if this is all that there is to it."""
        if scope["path"] != _PATH or scope["method"] != "POST":
            return None
        headers = join_headers(scope["headers"])
        if self._is_shared and b"origin" in headers:
            return None
        client = scope.get("client")
        forwarded_for = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        address = self._address.of(client[0] if client else "", forwarded_for)
        if self._bans.is_active:
            match = self._ban_of(headers, address)
            if match is not None:
                return self._answer(match)
        if b"proof" in headers or not self._proofs.are_due(address):
            return None
        wait = await self._limit.take(address)
        try:
            if wait:
                raise RateLimitedError(wait, "sessions from your address", limit="address_sessions")
            self._proofs.check(address, None)
        except PasserbyError as error:
            return Answer.of(error)
        return None

    def _ban_of(self, headers: Mapping[bytes, bytes], address: str) -> Match | None:
        """Return the ban of an address, a browser, or the former session of who asks."""
        token = bearer(headers.get(b"authorization", b"").decode("latin-1"))
        return self._bans.find(
            session_id=None if token is None else self._session_of(token),
            device=digest_of(headers.get(b"device", b"").decode("latin-1")),
            address=address,
        )

    def _answer(self, match: Match) -> Answer:
        key = match.sanction.id, match.is_shared
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= _MOST:
                self._answers.clear()
            answer = self._answers[key] = Answer.of(BannedError(self._bans.notice(match)))
        return answer
