"""Translates Socket.IO events to service calls, and errors to the `*:error` event of the event's family."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from passerby import errors
from passerby.background import FAILURES, is_failure
from passerby.calls import events as call_events
from passerby.chat import events as chat_events
from passerby.chat.text import clean_text
from passerby.errors import (
    BannedError,
    Code,
    ConflictError,
    InternalError,
    InvalidInputError,
    NotFoundError,
    PasserbyError,
    RateLimitedError,
    UnavailableError,
)
from passerby.events import ErrorEvent, Event
from passerby.files.content import text_of
from passerby.limits import TokenBucket, take_both
from passerby.live import LiveGuest
from passerby.logs import Sampled
from passerby.matching import events as match_events
from passerby.realtime.contract import ANSWERS, Accepted, Auth, Token
from passerby.realtime.links import SocketLink
from passerby.safety import events as safety_events
from passerby.safety.acks import Acks
from passerby.safety.consent import Held
from passerby.safety.hook import Item
from passerby.safety.links import has_link
from passerby.safety.repeats import FIRST
from passerby.socketio import ConnectError, HandOver, InvalidPayloadError
from passerby.stats import events as stats_events

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from passerby.background import Background
    from passerby.calls.calls import Calls
    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock
    from passerby.farewell import Farewell
    from passerby.files.files import Files
    from passerby.guests.sessions import Guests
    from passerby.limits import AddressLimit, Rate
    from passerby.live import Member
    from passerby.matching.matchmaking import Matchmaking
    from passerby.matching.preferences import Preferences
    from passerby.measures import Refusals
    from passerby.models import Guest, MessageType, Step
    from passerby.presence import Presence
    from passerby.safety.banlist import BanList
    from passerby.safety.checks import Checks
    from passerby.safety.consent import Consent
    from passerby.safety.repeats import Repeats
    from passerby.safety.reports import Reports
    from passerby.socketio import Ack, Client, Namespace, Socket
    from passerby.stats.statistics import Statistics

    _Call = Callable[[LiveGuest, Any, Ack | None], Awaitable[None] | None]

log = logging.getLogger(__name__)


GUEST_RATES: Final = ("reports", "messages", "typing", "matching", "events", "refusals", "connects")
"""Rate limits per guest; see Settings."""


_RETRY: Final = 1.0
"""Seconds until a guest may try again for whom another node has not answered."""
_FILE_CONTENT: Final = 4096
"""Bytes of a message about a file at most, about: see `files.content`."""
_ACCEPTED: Final = Accepted()
_MESSAGE_LENGTH: Final = 256
"""Maximum characters of an error's message, which may quote the payload."""


class _Admission(msgspec.Struct, frozen=True):
    """Result of authentication, passed from the middleware to the connect handler."""

    guest: Any
    token_expires: float
    resume: chat_events.Resume | None
    features: list[str]


_NO_SUCH_EVENT: Final = NotFoundError(Code.NOT_FOUND, "There is no such event")


class Gateway:
    """Registers every event of the contract on a namespace. `socket.data` is the LiveGuest once connected."""

    def __init__(
        self,
        *,
        namespace: Namespace,
        guests: Guests,
        rooms: Rooms,
        files: Files,
        calls: Calls,
        consent: Consent,
        bans: BanList,
        farewell: Farewell,
        reports: Reports,
        checks: Checks,
        repeats: Repeats,
        matchmaking: Matchmaking,
        presence: Presence,
        stats: Statistics,
        clock: Clock,
        background: Background,
        text_limit: int,
        preferences: Preferences,
        rates: dict[str, Rate],
        addresses: AddressLimit,
        connects: Callable[[str], Awaitable[float]],
        reporting: Callable[[str], Awaitable[float]],
        refusals: Refusals,
    ) -> None:
        """`text_limit` is in characters. `checks` are those of hooks.

        `rates` has one rate for each of GUEST_RATES. `addresses` limits events. `connects(address)` limits CONNECT
        packets: it returns 0.0, or the seconds to wait; `reporting(address)` does so for reports.
        """
        self._guests = guests
        self._rooms = rooms
        self._files = files
        self._calls = calls
        self._consent = consent
        self._bans = bans
        self._farewell = farewell
        self._reports = reports
        self._checks = checks
        self._repeats = repeats
        self._matchmaking = matchmaking
        self._presence = presence
        self._stats = stats
        self._monotonic = clock.monotonic
        self._background = background
        self.text_limit = text_limit
        self._preferences = preferences
        self._rates = rates
        self._addresses = addresses
        self._connects = connects
        self._reporting = reporting
        self._refusals = refusals
        self._families: dict[str, type[ErrorEvent]] = {}
        self._closed = Sampled(log.info, "connections closed after repeated rate-limit errors", clock.monotonic)
        self.settle: Callable[[Guest, chat_events.Resume | None], Awaitable[str | None]] | None = None
        """Lets a guest who is not live here live here, or returns the node where they live. Raises OSError."""
        self.hand_over: Callable[[str, Client, str], None]
        """Gives a client to another node; its CONNECT is handled there."""
        namespace.use(self._admit)
        namespace.on_connect = self._connected
        namespace.on_disconnect = self._disconnected
        namespace.on_error = self._malformed
        namespace.on_unknown = self._unknown
        self._register(namespace)

    def _register(self, namespace: Namespace) -> None:
        def on(
            event: type[Event],
            call: _Call,
            *,
            rate: str,
            error: type[ErrorEvent] = chat_events.ChatError,
            payload: Any = msgspec.Raw,  # noqa: ANN401 - a type, or a union of types
        ) -> None:
            self._families[event.event] = error
            namespace.on(event.event, payload, self._guarded(event.event, error, rate, call))

        # Without `payload` the argument is not validated: old clients may send anything.
        on(chat_events.SendMessage, self._send, rate="messages", payload=chat_events.SendMessage)
        on(chat_events.ConfirmDelivery, self._confirm, rate="events", payload=chat_events.ConfirmDelivery)
        on(chat_events.TypingStart, self._typing_start, rate="typing")
        on(chat_events.TypingStop, self._typing_stop, rate="typing")
        on(
            match_events.MatchRequest,
            self._match,
            rate="matching",
            error=match_events.MatchError,
        )
        on(match_events.MatchCancel, self._cancel, rate="matching", error=match_events.MatchCancelError)
        on(chat_events.ChatClear, self._clear, rate="matching")
        for leave in (chat_events.LeaveRoom, chat_events.CloseRoom):
            on(leave, self._leave, rate="matching")
        on(
            chat_events.ChatUndo,
            self._undo,
            rate="matching",
            error=chat_events.UndoError,
            payload=chat_events.ChatUndo,
        )
        on(
            safety_events.AnswerConsent,
            lambda live, payload, _ack: self._consent.answer(
                live, payload.step, allowed=payload.allowed, to=payload.user_id
            ),
            rate="events",
            error=safety_events.ConsentError,
            payload=safety_events.AnswerConsent,
        )
        on(
            safety_events.OpenConsent,
            lambda live, payload, _ack: self._consent.open(live, payload.steps),
            rate="events",
            error=safety_events.ConsentError,
            payload=safety_events.OpenConsent,
        )
        on(
            safety_events.Report,
            self._report,
            rate="reports",
            error=safety_events.ReportError,
            payload=safety_events.Report,
        )
        on(safety_events.Block, self._block, rate="matching")
        on(stats_events.GetStats, self._get_stats, rate="events", error=stats_events.StatsError)

        def signal(event: type[Event], call: _Call, payload: Any = None) -> None:  # noqa: ANN401 - a type, or a union
            on(event, call, rate="events", error=call_events.CallError, payload=payload or event)

        signal(call_events.SendOffer, lambda live, payload, _ack: self._calls.offer(live, payload))
        signal(call_events.SendAnswer, lambda live, payload, _ack: self._calls.answer(live, payload))
        signal(call_events.SendCandidate, lambda live, payload, _ack: self._calls.candidate(live, payload))
        signal(call_events.ReportConnected, lambda live, payload, _ack: self._calls.connected(live, payload))
        signal(call_events.ReportLeaving, lambda live, payload, _ack: self._calls.leaving(live, payload))
        for end in (call_events.EndCall, call_events.RejectCall, call_events.GiveUpCall):
            signal(end, self._hanging_up(end), end | None)

    def _hanging_up(self, end: type[call_events.Hangup]) -> _Call:
        def hang_up(live: LiveGuest, payload: call_events.Hangup | None, _ack: Ack | None) -> None:
            self._calls.hang_up(live, end, payload.call_id if payload is not None else None)

        return hang_up

    # ── connecting ────────────────────────────────────────────────────────────────────────────────

    async def _admit(self, socket: Socket) -> None:
        try:
            await self._authenticate(socket)
        except ConnectError as error:
            if isinstance(error.data, dict):
                self._refusals.connect(error.data["code"], socket.address)
            raise

    async def _authenticate(self, socket: Socket) -> None:
        self._check_address(socket)  # first: nothing was spent on them yet
        if not socket.is_passed_on:  # the node with the connection has checked it
            self._check_pace(await self._connects(socket.address))
        auth = _auth(socket)
        token = auth.token or socket.query.get("token")
        if not token:
            raise ConnectError(errors.HANDSHAKE_TOKEN_REQUIRED, {"code": Code.TOKEN_REQUIRED})
        try:
            guest, expires = await self._guests.authenticate(token)
            self._bans.check(device=guest.device)
        except PasserbyError as error:
            raise _refusal(error) from error
        except FAILURES as error:
            if not is_failure(error):
                raise
            self._background.failed("authentication", error)
            raise _refusal(InternalError()) from error
        live = self._guests.live(guest.session_id)
        if live is None and self.settle is not None:
            await self._settle(guest, auth.resume)
            live = self._guests.live(guest.session_id)
        if live is not None:
            guest = live.guest
            now = self._monotonic()
            self._check_pace(self._bucket(live, "connects", now).take(now))
        socket.data = _Admission(guest, expires, auth.resume, auth.features)

    async def _settle(self, guest: Guest, resume: chat_events.Resume | None) -> None:
        """Let the guest live here, or the socket be of where they live. Raises ConnectError, HandOver."""
        assert self.settle is not None  # noqa: S101 - the caller has looked
        try:
            home = await self.settle(guest, resume)
        except PasserbyError as error:
            raise _refusal(error) from error
        except OSError as error:
            raise _refusal(UnavailableError(["sessions"], retry_after=_RETRY)) from error
        if home is not None:
            raise HandOver(partial(self.hand_over, home))

    def adopt(self, socket: Socket, live: LiveGuest) -> SocketLink:
        """A guest has moved here, with the connection; return its link."""
        socket.data = live
        live.address_bucket = self._addresses.bucket(socket.address)
        return SocketLink(socket, self._background)

    def _check_address(self, socket: Socket) -> None:
        """Refuse whose address is banned. Who is meant, and not a neighbour, is told more; only the token shows it."""
        if self._bans.find(address=socket.address) is None:
            return
        token = _auth(socket).token or socket.query.get("token")
        session_id = self._guests.session_of(token) if token else None
        try:
            self._bans.check(session_id=session_id, address=socket.address)
        except BannedError as error:
            raise _refusal(error) from error

    def arrived(self, live: LiveGuest) -> None:
        """A guest who has moved lives here now. What both nodes have missed of them meanwhile is told now."""
        self._bans.greet(live)
        self._farewell.greet(live)

    @staticmethod
    def _check_pace(wait: float) -> None:
        if wait:
            raise _refusal(RateLimitedError(wait))

    def _connected(self, socket: Socket) -> None:
        admission: _Admission = socket.data
        link = SocketLink(socket, self._background)
        live = socket.data = self._presence.connect(
            admission.guest,
            link,
            socket.id,
            admission.token_expires,
            admission.resume,
            features=admission.features,
        )
        live.address, live.address_bucket = socket.address, self._addresses.bucket(socket.address)
        self._bans.greet(live)
        self._farewell.greet(live)
        if not socket.connected:  # it closed meanwhile, when nobody could tell yet whose it was
            self._presence.disconnect(live, link)

    def _disconnected(self, socket: Socket, _reason: str) -> None:
        live = socket.data
        if not isinstance(live, LiveGuest):
            return  # the connect handler failed
        link = live.link
        if isinstance(link, SocketLink) and link.socket is socket:
            self._presence.disconnect(live, link)

    # ── limits and errors ─────────────────────────────────────────────────────────────────────────

    def _guarded(
        self, event: str, family: type[ErrorEvent], rate: str, call: _Call
    ) -> Callable[[Socket, Any, Ack | None], Awaitable[None] | None]:
        """Return `call` as a handler of `event` that applies rate limits and sends errors to the client."""
        monotonic = self._monotonic
        accept = _leave_it_to_the_call if event in ANSWERS else _accept

        def handle(socket: Socket, payload: Any, ack: Ack | None) -> Awaitable[None] | None:  # noqa: ANN401 - the type depends on the event
            live: LiveGuest = socket.data
            # `_charge`, inlined: this is the hot path.
            now = monotonic()
            bucket = live.buckets.get(rate) or self._bucket(live, rate, now)
            wait = take_both(bucket, live.address_bucket, now)
            if wait:
                limited = RateLimitedError(wait, limit=_limit(bucket, rate, now))
                self._refuse(live, family, limited, payload, ack)
                return None
            try:
                work = call(live, payload, ack)
            except Exception as error:  # noqa: BLE001 - any error is reported to the client
                self._refuse(live, family, self._known(event, error), payload, ack)
                return None
            if work is not None:
                return finish(work, live, payload, ack)
            accept(ack)
            return None

        async def finish(work: Awaitable[None], live: LiveGuest, payload: object, ack: Ack | None) -> None:
            try:
                await work
            except FAILURES as error:
                if not is_failure(error):
                    raise
                self._refuse(live, family, self._known(event, error), payload, ack)
            else:
                accept(ack)

        return handle

    def _known(self, event: str, error: BaseException) -> PasserbyError:
        """Return the error for the client. Unexpected exceptions are logged and reported without details."""
        if isinstance(error, PasserbyError):
            return error
        self._background.failed(f"handling of {event}", error)
        return InternalError()

    def _charge(self, live: LiveGuest, rate: str) -> None:
        """Take one token of the guest and one of the address. Raises RateLimitedError."""
        now = self._monotonic()
        bucket = live.buckets.get(rate) or self._bucket(live, rate, now)
        wait = take_both(bucket, live.address_bucket, now)
        if wait:
            raise RateLimitedError(wait, limit=_limit(bucket, rate, now))

    def _bucket(self, live: LiveGuest, rate: str, now: float) -> TokenBucket:
        bucket = live.buckets.get(rate)
        if bucket is None:
            bucket = live.buckets[rate] = TokenBucket(self._rates[rate], now)
        return bucket

    def _refuse(
        self,
        live: LiveGuest,
        family: type[ErrorEvent],
        error: PasserbyError,
        payload: object,
        ack: Ack | None,
    ) -> None:
        self._refusals.event(error, live.guest.id)
        fields: dict[str, Any] = {"message": error.message, "code": error.code}
        if error.field is not None and family is match_events.MatchError:
            fields["field"] = error.field
        if error.retry_after is not None:
            fields["retry_after"] = error.retry_after
        if isinstance(payload, chat_events.SendMessage) and payload.client_id is not None:
            fields["client_id"] = payload.client_id
        event = family(**fields)
        live.send(event)
        if ack is not None:
            ack(event)
        if isinstance(error, RateLimitedError):
            self._warn(live)

    def _warn(self, live: LiveGuest) -> None:
        """Count a rate-limit error; disconnect a guest with too many of them."""
        now = self._monotonic()
        if self._bucket(live, "refusals", now).take(now) and live.link is not None:
            self._closed.note()
            live.link.close(Code.RATE_LIMITED)

    def _unknown(self, socket: Socket, _event: str, ack: Ack | None) -> None:
        """Ignore an unknown event, but count it against the rate limit, and say so to who asks."""
        try:
            self._charge(socket.data, "events")
        except RateLimitedError as limited:
            self._refuse(socket.data, chat_events.ChatError, limited, None, ack)
        else:
            if ack is not None:
                self._refusals.event(_NO_SUCH_EVENT, socket.data.guest.id)
                ack(chat_events.ChatError(message=_NO_SUCH_EVENT.message, code=_NO_SUCH_EVENT.code))

    def _malformed(self, socket: Socket, event: str, error: Exception, ack: Ack | None) -> None:
        """Send an error for an event with an invalid payload."""
        live: LiveGuest = socket.data
        message = (
            str(error) if isinstance(error, msgspec.ValidationError | InvalidPayloadError) else "Malformed payload"
        )
        refusal: PasserbyError = InvalidInputError(Code.INVALID_PAYLOAD, message[:_MESSAGE_LENGTH])
        try:
            self._charge(live, "events")
        except RateLimitedError as limited:
            refusal = limited
        self._refuse(live, self._families[event], refusal, None, ack)

    # ── the events ────────────────────────────────────────────────────────────────────────────────

    def _send(self, live: LiveGuest, payload: chat_events.SendMessage, ack: Ack | None) -> Awaitable[None] | None:
        member = live.member or live.membership()
        kind, content = payload.type, payload.content
        if kind != "text":
            return self._send_file(member, payload, ack)
        if not isinstance(content, str):
            raise InvalidInputError(Code.INVALID_PAYLOAD, "Expected text as content", field="content")
        text = clean_text(content, self.text_limit)
        if "text" in self._checks.kinds or self._checks.is_busy(member):
            self._check(member, payload, text, ack)
        else:
            self._send_text(member, payload, text, ack)
        return None

    def _send_text(self, member: Member, payload: chat_events.SendMessage, text: str, ack: Ack | None) -> None:
        if len(text) >= self._repeats.least and member.room.seq < FIRST:
            self._repeats.check(member, text)
        if self._consent.checks_links(member) and has_link(text) and not self._consent.allows(member, "links"):
            self._hold(member, "links", payload, text, ack)
        else:
            self._rooms.send(member, "text", text, payload.client_id, ack)

    def _check(
        self, member: Member, payload: chat_events.SendMessage, content: str | dict[str, Any], ack: Ack | None
    ) -> None:
        """Let hooks look at a message before it is delivered. Raises RateLimitedError."""
        acks = Acks(ack)

        def refuse(error: PasserbyError) -> None:
            self._refuse(member.live, chat_events.ChatError, error, payload, acks)

        def deliver() -> None:
            try:
                if isinstance(content, str):
                    self._send_text(member, payload, content, acks)
                else:
                    self._deliver_file(member, payload, content, acks)
            except Exception as error:  # noqa: BLE001 - any error is reported to the client
                refuse(self._known(payload.event, error))

        async def item() -> Item:
            if isinstance(content, str):
                return Item(kind="text", content=content.encode(), author=member.guest.id, languages=_spoken(member))
            file = await self._files.of_member(content["fileId"], member.live)
            return Item(
                kind="picture" if file.category == "image" else "file",
                content=await self._files.whole(file),
                mime_type=file.mime_type,
                name=file.filename,
                beside=text_of(content),
                author=member.guest.id,
                languages=_spoken(member),
            )

        client_id = payload.client_id
        self._checks.check(member, item, deliver, refuse, content=content, client_id=client_id, acks=acks)

    def _hold(
        self,
        member: Member,
        step: Step,
        payload: chat_events.SendMessage,
        content: str | dict[str, Any],
        ack: Ack | None,
    ) -> None:
        """Let a message wait until the partner allows it. Raises ConflictError (consent_pending)."""
        acks = Acks(ack)
        size = len(content.encode()) if isinstance(content, str) else _FILE_CONTENT

        def deliver() -> None:
            try:
                self._rooms.send(member, payload.type, content, payload.client_id, acks)
            except Exception as error:  # noqa: BLE001 - any error is reported to the client
                refuse(self._known(payload.event, error))

        def refuse(error: PasserbyError) -> None:
            self._refuse(member.live, chat_events.ChatError, error, payload, acks)

        self._consent.wait(member, Held(step, deliver, refuse, payload.client_id, size, acks))

    async def _send_file(self, member: Member, payload: chat_events.SendMessage, ack: Ack | None) -> None:
        live = member.live
        content = await self._files.content(live, payload.content, voice=payload.type == "voice")
        if live.membership() is not member:
            raise ConflictError(Code.NOT_IN_ROOM, "The conversation is over")
        checks = self._checks
        if (
            not checks.kinds.isdisjoint(("picture", "file"))
            or ("text" in checks.kinds and text_of(content))
            or checks.is_busy(member)
        ):
            self._check(member, payload, content, ack)
        else:
            self._deliver_file(member, payload, content, ack)

    def _deliver_file(
        self, member: Member, payload: chat_events.SendMessage, content: dict[str, Any], ack: Ack | None
    ) -> None:
        step = _step_of(payload.type, content)
        if self._consent.allows(member, step):
            self._rooms.send(member, payload.type, content, payload.client_id, ack)
        else:
            self._hold(member, step, payload, content, ack)

    def _confirm(self, live: LiveGuest, payload: chat_events.ConfirmDelivery, _ack: Ack | None) -> None:
        self._rooms.confirm(live, payload.message_id)

    def _typing_start(self, live: LiveGuest, _payload: object, _ack: Ack | None) -> None:
        self._rooms.typing(live, started=True)

    def _typing_stop(self, live: LiveGuest, _payload: object, _ack: Ack | None) -> None:
        self._rooms.typing(live, started=False)

    def _match(self, live: LiveGuest, payload: msgspec.Raw, _ack: Ack | None) -> Awaitable[None]:
        return self._matchmaking.search(live, self._preferences.read(payload, live.guest))

    def _cancel(self, live: LiveGuest, _payload: object, _ack: Ack | None) -> Awaitable[None]:
        return self._matchmaking.cancel(live)

    def _clear(self, live: LiveGuest, payload: msgspec.Raw, _ack: Ack | None) -> None:
        self._end_room(live, undo=_asks_for_undo(payload))

    def _leave(self, live: LiveGuest, _payload: object, _ack: Ack | None) -> None:
        self._end_room(live, undo=False)

    def _end_room(self, live: LiveGuest, *, undo: bool) -> None:
        seconds = self._rooms.leave(live, "user_left", undo=undo)
        live.send(chat_events.ChatClearConfirmed(message="You have left the conversation", undo=seconds or UNSET))

    async def _report(self, live: LiveGuest, payload: safety_events.Report, ack: Ack | None) -> None:
        wait = await self._reporting(live.address)
        if wait:
            raise RateLimitedError(wait, "reports", limit="address_reports")
        reported = await self._reports.report(live, payload)
        live.send(reported)
        if ack is not None:
            ack(reported)

    def _block(self, live: LiveGuest, _payload: object, _ack: Ack | None) -> Awaitable[None]:
        return self._confirm_block(live, self._presence.block(live))

    @staticmethod
    async def _confirm_block(live: LiveGuest, kept: Awaitable[None]) -> None:
        """Whoever then comes with a new session, to whatever node, has it in place of one that knows of the block."""
        await kept
        live.send(chat_events.ChatClearConfirmed(message="You have left the conversation"))

    def _undo(self, live: LiveGuest, payload: chat_events.ChatUndo, _ack: Ack | None) -> None:
        self._presence.undo(live, payload.resume)

    async def _get_stats(self, live: LiveGuest, _payload: object, _ack: Ack | None) -> None:
        live.send(await self._stats.snapshot())


def _limit(own: TokenBucket, name: str, now: float) -> str:
    """Return which limit was met: the guest's own, or the one of the address."""
    return name if own.ready_at > now else "address_events"


def _accept(ack: Ack | None) -> None:
    """Acknowledge an event that has no answer of its own."""
    if ack is not None:
        ack(_ACCEPTED)


def _leave_it_to_the_call(_ack: Ack | None) -> None:
    """The call acknowledges the event, with its answer."""


def _refusal(error: PasserbyError) -> ConnectError:
    """Return the CONNECT_ERROR of an error: its code says whether another attempt may succeed, and when."""
    data: dict[str, Any] = {"code": error.code}
    if error.retry_after is not None:
        data["retryAfter"] = error.retry_after
    if isinstance(error, BannedError):
        data["ban"] = msgspec.to_builtins(error.notice)
    return ConnectError(error.message, data)


def _spoken(member: Member) -> tuple[str, ...]:
    """Return the primary subtags of the languages of both members, as far as they are known."""
    tags = {one.guest.language for one in member.room.members}
    return tuple(sorted({tag.partition("-")[0].lower() for tag in tags if tag}))


def _step_of(kind: MessageType, content: dict[str, Any]) -> Step:
    """Return what has to be allowed before the first message of its kind."""
    if kind == "voice":
        return "voice"
    return "pictures" if content["fileTypeCategory"] == "image" else "files"


_decode_clear: Final = msgspec.json.Decoder(chat_events.ChatClear).decode


def _asks_for_undo(payload: msgspec.Raw) -> bool:
    """Return whether a chat:clear has `undo`. Anything that is no ChatClear has not: old clients may send anything."""
    try:
        return _decode_clear(payload).undo
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def _auth(socket: Socket) -> Auth:
    """Return the CONNECT packet's auth. An invalid `resume` is ignored; the token is still used."""
    for kind in (Auth, Token):
        try:
            auth = msgspec.json.decode(socket.auth, type=kind)
        except (msgspec.DecodeError, UnicodeError):
            continue
        return auth if isinstance(auth, Auth) else Auth(auth.token)
    raise ConnectError(errors.TOKEN_INVALID, {"code": Code.INVALID_PAYLOAD})
