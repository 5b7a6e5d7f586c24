"""Guests: sessions, tokens, names, and connected guests."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from passerby import errors, ids
from passerby.clock import AnswerLimit, Timestamps, nothing
from passerby.errors import Code, NotFoundError, PasserbyError, UnauthorizedError, UnavailableError
from passerby.live import LiveGuest, not_in_room
from passerby.logs import Sampled
from passerby.models import Guest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping

    from passerby.clock import Clock
    from passerby.guests.store import SessionStore
    from passerby.guests.tokens import Tokens
    from passerby.live import Link

log = logging.getLogger(__name__)

T = TypeVar("T")

_ANSWER_LIMIT: Final = 5.0
"""Maximum seconds for the store, so that a guest is answered before the client, or CONNECT_TIMEOUT, gives up."""
_UNREADABLE_RETRY: Final = 2
"""Seconds after which a guest may try again, when the store cannot be read or written."""
_RETRY: Final = 30
"""Seconds after which a guest may ask again for a session, when there are too many."""
_UNUSED: Final = 60.0
"""Seconds after which a session without a connection may be replaced by a new one, when there are too many."""


class Elsewhere(Protocol):
    """The guests who live on other nodes. All methods raise UnavailableError when a node that has to say does not."""

    async def find(self, session_id: str) -> Guest | None:
        """Return a session that the store does not have (any more), if another node still knows it."""

    async def update(self, session_id: str, traits: Mapping[str, str | None]) -> Guest | None:
        """Let the guest's home change traits; return the updated session. None: the guest lives on no other node.

        Raises UnauthorizedError when the session has ended in the meantime.
        """

    async def is_in_room(self, guest: Guest) -> bool:
        """Return whether a guest who does not live here is in a room."""


class Nowhere:
    """There are no other nodes."""

    async def is_in_room(self, guest: Guest) -> bool:  # noqa: ARG002 - as in Elsewhere
        """See Elsewhere."""
        return False

    async def find(self, session_id: str) -> Guest | None:  # noqa: ARG002 - as in Elsewhere
        """See Elsewhere."""
        return None

    async def update(self, session_id: str, traits: Mapping[str, str | None]) -> Guest | None:  # noqa: ARG002 - as in Elsewhere
        """See Elsewhere."""
        return None


class Guests:
    """Sessions in the store, live guests in memory. For a live guest the copy in memory is authoritative."""

    def __init__(
        self,
        store: SessionStore,
        tokens: Tokens,
        clock: Clock,
        *,
        session_ttl: float,
        limit: int,
        changed: Callable[[LiveGuest], None],
        is_ended: Callable[[str], bool],
        written: Callable[[], Awaitable[None]],
        ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`limit` is the maximum number of sessions.

        `changed` is called at each change of a live guest's session, to save and count it.

        `is_ended` returns whether the session with an id has ended, even if the store still has it.

        `written` waits until what has changed is in the store, or the store has failed.

        `ready` waits until the guests of an earlier process are live again, who may be in a room. Raises
        UnavailableError if that takes too long. None: there are none.
        """
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._answers = AnswerLimit(clock, _ANSWER_LIMIT)
        self._ttl = session_ttl
        self.limit = limit
        self.created = 0
        """Sessions that this process has created."""
        self._creating = 0
        self._unused: OrderedDict[str, float] = OrderedDict()
        """When the sessions that have never had a connection were created, the oldest first."""
        self._full = Sampled(log.warning, "new sessions refused: SESSIONS_LIMIT exist", clock.monotonic)
        self._failed = Sampled(log.warning, "sessions cannot be read or written", clock.monotonic)
        self._changed = changed
        self._is_ended = is_ended
        self._written = written
        self._ready = ready
        self.check_session: Callable[[str], None] = _everybody
        """Called with the session id of a token, before the store is asked. Raises BannedError."""
        self.check_new: Callable[[], None] = nothing
        """Called before a session is created. Raises UnavailableError (no memory), StoppingError."""
        self.elsewhere: Elsewhere = Nowhere()
        """The guests who live on other nodes."""
        self.timestamps = Timestamps(clock)
        self._by_session: dict[str, LiveGuest] = {}
        self.online: dict[str, LiveGuest] = {}
        """The connected guests by id, in order of connection."""

    # ── sessions ──────────────────────────────────────────────────────────────────────────────────

    async def create(
        self,
        username: str | None,
        location: str | None,
        gender: str | None,
        language: str | None,
        *,
        former: Guest | None = None,
        device: tuple[str, float] | None = None,
        is_of_age: bool | None = None,
        rules: str | None = None,
    ) -> tuple[Guest, str]:
        """Create a session that lasts `session_ttl` seconds; return it and its token.

        It takes over from a `former` one whom the guest has met, and must not meet again, and who must not meet them.

        `device` is what the browser is known by, and since when (see `safety.devices`); `is_of_age` and `rules` are
        what the guest has answered (see `safety.newcomers`).

        When there are too many, the oldest one that was never used is replaced, or UnavailableError is raised. It is
        also raised when the store cannot serve now.
        """
        self.check_new()
        guest = self._new(username, location, gender, language)
        if former is not None:
            guest.met, guest.never, guest.origin = former.met, former.never, former.root
        guest.is_of_age, guest.rules = is_of_age, rules
        if device is not None:
            guest.device, guest.device_since = device
        return await self._answer(self._create(guest))

    async def _create(self, guest: Guest) -> tuple[Guest, str]:
        ahead = self._creating  # whom the store may not count yet: else of many at once all would fit
        self._creating += 1
        try:
            if await self._store.count() + ahead >= self.limit:
                await self._replace()
            await self._store.save(guest, self._ttl)
        finally:
            self._creating -= 1
        self.created += 1
        self._note_unused(guest.session_id)
        token, _ = self._tokens.issue(guest.session_id)
        return guest, token

    async def _replace(self) -> None:
        """Remove a session that was never used. Else who only creates sessions would soon lock out everybody."""
        while True:
            oldest, created = next(iter(self._unused.items()), ("", math.inf))
            if self._clock.monotonic() - created < _UNUSED:
                self._full.note()
                raise UnavailableError(["new sessions"], retry_after=_RETRY)
            del self._unused[oldest]
            guest = await self._store.load(oldest)
            if guest is not None and guest.connected_at is None:  # else it has ended, or was used on another node
                await self._store.remove(oldest)
                return

    def _note_unused(self, session_id: str) -> None:
        now = self._clock.monotonic()
        self._unused[session_id] = now
        while next(iter(self._unused.values())) <= now - self._ttl:
            self._unused.popitem(last=False)

    def _new(self, username: str | None, location: str | None, gender: str | None, language: str | None) -> Guest:
        now = self.timestamps.now()
        return Guest(
            id=ids.guest_id(),
            session_id=ids.session_id(),
            username=username or ids.random_username(),
            location=location,
            gender=gender,
            language=language,
            last_seen=now,
            created_at=now,
        )

    async def authenticate(self, token: str) -> tuple[Guest, float]:
        """Return the token's guest and its expiry (seconds since the Unix epoch).

        Raises UnauthorizedError; BannedError, also when the session is over; and UnavailableError when nobody can say
        now whether the session exists, or whether the guest is in a room.
        """
        if self._ready is not None and self._tokens.is_provisional:
            await self._ready()
        session_id, expires = self._tokens.verify(token)
        self.check_session(session_id)
        if self._ready is not None and session_id not in self._by_session:
            await self._ready()
        guest = await self._answer(self.find(session_id))
        if guest is None:
            raise UnauthorizedError(Code.SESSION_NOT_FOUND, errors.SESSION_NOT_FOUND)
        return guest, expires

    def session_of(self, token: str) -> str | None:
        """Return the session id of a token, whether that session exists or not; None if the token is not valid."""
        try:
            return self._tokens.verify(token)[0]
        except PasserbyError:
            return None

    async def public(self, session_id: str) -> Guest:
        """Return the session for its public view. Raises NotFoundError, UnavailableError."""
        guest = await self._answer(self.known(session_id))
        if guest is None:
            raise NotFoundError(Code.SESSION_NOT_FOUND, errors.SESSION_NOT_FOUND)
        return guest

    async def update(self, guest: Guest, **traits: str | None) -> Guest:
        """Change location, gender or language; counts as activity. Return the updated session.

        Raises UnauthorizedError when the session has ended in the meantime; and UnavailableError.
        """
        return await self._answer(self._update(guest, traits))

    async def _update(self, guest: Guest, traits: dict[str, str | None]) -> Guest:
        session_id = guest.session_id
        if session_id not in self._by_session and (updated := await self.elsewhere.update(session_id, traits)):
            return updated
        current = await self.known(session_id)
        if current is None:
            raise UnauthorizedError(Code.SESSION_NOT_FOUND, errors.SESSION_NOT_FOUND)
        for name, value in traits.items():
            setattr(current, name, value)
        live = self._by_session.get(session_id)
        if live is not None:
            self.touch(live)
            await self._written()
        else:
            current.last_seen = self.timestamps.now()
            await self._store.save(current, self._ttl)
            if self._is_ended(session_id):  # it ended while the store was writing
                await self._store.remove(session_id)
                raise UnauthorizedError(Code.SESSION_NOT_FOUND, errors.SESSION_NOT_FOUND)
        return current

    async def check_in_room(self, guest: Guest) -> None:
        """Raise ConflictError (not_in_room) for a guest who is in no room; and UnavailableError."""
        live = self._by_session.get(guest.session_id)
        if live is not None:
            live.membership()
        elif not await self.elsewhere.is_in_room(guest):
            raise not_in_room()

    def renew(self, live: LiveGuest) -> tuple[str, str]:
        """Return a new token and its expiry as a timestamp."""
        token, live.token_expires = self._tokens.issue(live.guest.session_id)
        return token, self.timestamps.at(self._tokens.wall(live.token_expires))

    def token_left(self, live: LiveGuest) -> float:
        """Return the seconds until the live guest's token expires."""
        return self._tokens.left(live.token_expires)

    async def _answer(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` with the store. Raises UnavailableError when the store fails, or takes too long.

        It is never UnauthorizedError: the client would give up a session that may exist.
        """
        try:
            return await self._answers.wait_for(work)
        except OSError as error:  # also TimeoutError
            self._failed.note()
            raise UnavailableError(["sessions"], retry_after=_UNREADABLE_RETRY) from error

    async def find(self, session_id: str) -> Guest | None:
        """Return the session, or None when it has ended. Raises OSError when it cannot be read."""
        guest = await self.known(session_id)
        if guest is None and not self._is_ended(session_id):
            guest = await self.elsewhere.find(session_id)
        return guest

    async def known(self, session_id: str) -> Guest | None:
        """Do as `find`, without other nodes, for ids that anybody may have made up."""
        live = self._by_session.get(session_id)
        if live is not None:
            return live.guest
        guest = await self._store.load(session_id)
        return None if self._is_ended(session_id) else guest

    @property
    def live_count(self) -> int:
        """Return the number of live guests."""
        return len(self._by_session)

    def lives(self) -> Iterable[LiveGuest]:
        """Return all live guests."""
        return self._by_session.values()

    def live_ids(self) -> Iterable[str]:
        """Return the session ids of all live guests."""
        return self._by_session

    # ── presence ──────────────────────────────────────────────────────────────────────────────────

    def live(self, session_id: str) -> LiveGuest | None:
        """Return the live guest of a session: connected, or in the grace window."""
        return self._by_session.get(session_id)

    def attach(self, guest: Guest, link: Link, socket_id: str) -> LiveGuest:
        """The guest's client has connected through `link`."""
        self._unused.pop(guest.session_id, None)
        live = self._by_session.get(guest.session_id)
        if live is None:
            live = self._enter(guest)
        if live.grace is not None:
            live.grace.cancel()
            live.grace = None
        live.link, live.is_recalled = link, False
        own = live.guest
        own.is_online, own.socket_id, own.connected_at = True, socket_id, self.timestamps.now()
        self.online[own.id] = live
        self.touch(live)
        return live

    def recall(self, guest: Guest) -> LiveGuest:
        """A guest of an earlier process, who is not live in this one, is live again, without a connection."""
        live = self._enter(guest)
        live.is_recalled = True
        self._changed(live)
        return live

    async def absent(self) -> AsyncIterator[Guest]:
        """Yield the guests who were connected to an earlier process, and are not live in this one.

        Raises what the store raises.
        """
        async for guest in self._store.saved():
            session_id = guest.session_id
            if guest.connected_at is not None and not (session_id in self._by_session or self._is_ended(session_id)):
                yield guest

    def _enter(self, guest: Guest) -> LiveGuest:
        """Return a new live guest, who is in no room and does not search, whatever the session says of before."""
        guest.is_online, guest.socket_id = False, None
        guest.is_searching, guest.in_chat, guest.connected_user = False, False, None
        live = self._by_session[guest.session_id] = LiveGuest(guest)
        return live

    def release(self, live: LiveGuest) -> None:
        """The live guest moves to another node."""
        self.forget(live)
        live.has_moved, live.link = True, None

    def adopt(self, live: LiveGuest) -> None:
        """A live guest has moved here."""
        guest = live.guest
        self._by_session[guest.session_id] = live
        if live.link is not None:
            self.online[guest.id] = live
        self.touch(live)

    def detach(self, live: LiveGuest) -> None:
        """The guest's client has disconnected."""
        live.link = None
        live.guest.is_online, live.guest.socket_id = False, None
        self.online.pop(live.guest.id, None)
        self.touch(live)

    def touch(self, live: LiveGuest) -> None:
        """The guest's session has changed now."""
        live.guest.last_seen = self.timestamps.now()
        self._changed(live)

    def seen(self, live: LiveGuest) -> None:
        """The guest is active; nothing else has changed."""
        live.guest.last_seen = self.timestamps.now()

    def forget(self, live: LiveGuest) -> None:
        """Remove a live guest. The caller removes the session from the store."""
        self._by_session.pop(live.guest.session_id, None)
        self.online.pop(live.guest.id, None)
        if live.grace is not None:
            live.grace.cancel()
            live.grace = None

    def forget_unused(self, session_id: str) -> None:
        """The session ends without ever having had a connection. The caller removes it from the store."""
        self._unused.pop(session_id, None)


def _everybody(_session_id: str) -> None:
    """Nobody is kept out."""
