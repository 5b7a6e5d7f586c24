"""Calls: at most one per room. Signalling passes through the server, media does not.

The server keeps the state, the timeouts and the order. It validates signals but does not interpret them, except for the
ICE generation of what it keeps (`Side.keep`). Late signals of an ended call are ignored.

A caller may send candidates before the call is answered: they wait for the answer, in order. A member who reconnects
gets all signals that the other side needs to connect again, because signals sent just before may have been lost with
the old connection. What waits is sent in portions, as fast as the client reads, and later signals wait behind it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from passerby.calls import saved
from passerby.calls.call import MAX_CANDIDATES, NEXT, Act, Call, Side, State
from passerby.calls.events import (
    Answer,
    CallEnded,
    CallError,
    CallRejected,
    CallTimedOut,
    Candidate,
    EndCall,
    GiveUpCall,
    Offer,
    RejectCall,
    Ringing,
    SessionDescription,
    Signal,
)
from passerby.calls.saved import SavedPast
from passerby.calls.sdp import is_mid, is_ufrag, relayed, relayed_only, sends_video
from passerby.clock import nothing
from passerby.errors import Code, ConflictError, InvalidInputError
from passerby.live import RoomObserver
from passerby.measures import Histogram
from passerby.safety.consent import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from passerby.background import Background
    from passerby.calls.events import (
        CallType,
        Hangup,
        IceCandidate,
        ReportConnected,
        ReportLeaving,
        SendAnswer,
        SendCandidate,
        SendOffer,
    )
    from passerby.calls.saved import SavedCall
    from passerby.clock import Clock
    from passerby.errors import PasserbyError
    from passerby.live import Link, LiveGuest, Member, Room
    from passerby.models import Step
    from passerby.safety.consent import Consent

    Note = Callable[[str, int, str, bytes | None], None]
    """See `RoomLog.note`."""

_MAX_MISSED: Final = 16
"""Maximum number of ended calls kept for a member who is away: the newest. Each is a name and ids, some 200 bytes."""
_PAUSES: Final = (10.0, 30.0, 120.0, 600.0)
"""Seconds after which one may call again who was declined: once, twice, … in this conversation."""
_CONNECTS: Final = (0.25, 0.5, 1, 2, 3, 5, 10, 20, 30)
"""Bounds of the histogram of times to connect: most take a second, and whoever waits for ten gives up."""
_ENDS: Final = {
    (State.RINGING, Act.REJECT): "declined",
    (State.RINGING, Act.TIME_OUT): "unanswered",
    (State.RINGING, Act.END): "cancelled",
    (State.CONNECTING, Act.END): "not_connected",
    (State.ACTIVE, Act.END): "completed",
}
"""How a call has ended, by what it was and what was done; where nothing else stands, it was ended."""
_NOTE: Final = "call"
"""The note about a room's calls."""
_KEEP_PAUSE: Final = 0.1
"""Seconds between two notes about a room's calls: candidates come in bursts."""
_PORTION: Final = 65_536
"""Bytes of signals sent at once, or one signal: far below OUTBOX_LIMIT, beside a room's replay."""


class Calls(RoomObserver):
    """The calls of the process, by room."""

    def __init__(
        self,
        clock: Clock,
        background: Background,
        *,
        ring: float,
        come_back: float,
        relay_only: bool,
        consent: Consent,
        note: Note | None = None,
    ) -> None:
        """A call rings for `ring` seconds, and waits `come_back` seconds for a page that is reloading.

        Nobody learns of a stranger's first call before they have allowed it, see `safety.consent`.

        With `relay_only`, guests' own addresses are removed from all signals, whatever the guests choose.

        `note` is `RoomLog.note` if logs outlive the process: then calls do too.
        """
        self._clock = clock
        self._background = background
        self._ring = ring
        self._come_back = come_back
        self._relay_only = relay_only
        self._consent = consent
        self._note = note
        self._unkept: dict[Room, bool] = {}
        """Rooms whose calls were kept in the last _KEEP_PAUSE seconds: whether they have changed since."""
        self._kept: set[Room] = set()
        """Rooms with a note about calls."""
        self._calls: dict[Room, Call] = {}
        self.check_new: Callable[[], None] = nothing
        """Called before a new call. Raises StoppingError if none may begin."""
        self._had_calls: set[Room] = set()
        """Rooms that had a call: late signals are ignored there instead of refused."""
        self._declined: dict[Member, tuple[int, float]] = {}
        """Of members whose calls were declined: how often, and when they may call again (monotonic)."""
        self._missed: dict[Member, deque[Signal]] = {}
        """Events about calls that ended while a member was away."""
        self.begun: Counter[CallType] = Counter()
        self.ended: Counter[str] = Counter()
        """How calls have ended, see `_ENDS`."""
        self.connects = Histogram(_CONNECTS)
        """Seconds from the answer until a client says that media flows."""
        self._told: dict[Member, Signal] = {}
        """The event about the last ended call, for members who seemed connected, but may have lost the connection."""

    @property
    def count(self) -> int:
        """Return the number of calls, also of those that ring."""
        return len(self._calls)

    def rooms(self) -> Iterator[str]:
        """Yield the ids of the rooms with a call, also with one that rings."""
        return (room.id for room in self._calls)

    def extend(self, seconds: float) -> None:
        """Let every call ring `seconds` longer, as its timer does: the process was paused."""
        for room, call in self._calls.items():
            self._changes(room)
            call.rings_until += seconds

    # ── signals ───────────────────────────────────────────────────────────────────────────────────

    def offer(self, guest: LiveGuest, payload: SendOffer) -> None:
        """Start a call, or renegotiate within one.

        If both members call at once, the first offer counts. Raises ConflictError (not_in_room, call_active, no_call,
        call_declined), StoppingError, InvalidInputError.
        """
        member = guest.membership()
        self._changes(member.room)
        if payload.offer.type != "offer":
            raise InvalidInputError(Code.INVALID_PAYLOAD, "Expected an offer", field="offer")
        call = self._calls.get(member.room)
        if call is not None and payload.call_id in (None, call.id):
            own, _ = call.sides(member)
            own.relay_only = own.relay_only or payload.relay_only  # also when the offer itself is too late
        if call is None and payload.call_id is None:
            self._begin(member, payload)
        elif call is None:
            self._current(guest, payload.call_id)  # renegotiation of a call that has ended or never existed
        elif payload.call_id is not None and payload.call_id != call.id:
            raise ConflictError(Code.CALL_ACTIVE, "There is a call already")
        elif call.state is not State.RINGING:
            self._extend(call, member, payload)
        elif member is call.caller.member:
            raise ConflictError(Code.CALL_ACTIVE, "You are calling already")
        elif call.held is not None:
            raise ConflictError(Code.CALL_ACTIVE, "The other one is calling: say first whether they may")

    def _begin(self, member: Member, payload: SendOffer) -> None:
        self.check_new()
        self._check_pause(member)
        step: Step = "video" if payload.type == "video" or sends_video(payload.offer.sdp) else "audio"
        is_allowed = self._consent.allows(member, step)
        call = Call(payload.type, member, self._clock.monotonic() + self._ring)
        call.caller.relay_only = payload.relay_only
        offer = self._offer_of(call, call.caller, payload)
        if not is_allowed:
            call.held = Held(step, partial(self._admit, call), partial(self._turn_away, call))
            self._consent.wait(member, call.held)
        self._calls[member.room] = call
        self.begun[call.kind] += 1
        self._had_calls.add(member.room)
        for one in member.room.members:
            self._told.pop(one, None)
        call.caller.offering = True
        self._await_answer(call, self._ring)
        member.room.tell(member, self._ringing(call))
        if is_allowed:
            self._pass_on(call.caller, call.callee, offer)
        else:
            call.caller.keep(offer)

    def _admit(self, call: Call) -> None:
        """The callee allows the call: it rings from now on."""
        caller, call.held = call.caller.member, None
        self._changes(caller.room)
        self._stop_ringing(call)
        call.rings_until = self._clock.monotonic() + self._ring
        self._await_answer(call, self._ring)
        caller.room.tell(caller, self._ringing(call))
        self._catch_up(call, call.callee)

    def _turn_away(self, call: Call, _error: PasserbyError) -> None:
        """The callee does not allow the call."""
        self._changes(call.caller.member.room)
        callee = call.callee.member.guest
        self._end(call, Act.REJECT)
        self._tell_end(call.caller, CallRejected(from_=callee.id, from_username=callee.username, call_id=call.id))

    def _await_answer(self, call: Call, seconds: float) -> None:
        call.timer = self._background.call_later(
            "ring timeout", seconds, lambda: self._end_for_both(call, Act.TIME_OUT, CallTimedOut)
        )

    def _check_pause(self, member: Member) -> None:
        """Raise ConflictError (call_declined) if the partner has just declined; a call back ends the pause."""
        _, until = self._declined.get(member, (0, 0.0))
        left = until - self._clock.monotonic()
        if left > 0:
            raise ConflictError(
                Code.CALL_DECLINED, "The last call was declined: wait before the next", retry_after=left
            )
        self._declined.pop(member.partner, None)

    def _decline(self, caller: Member) -> None:
        times, _ = self._declined.get(caller, (0, 0.0))
        pause = _PAUSES[min(times, len(_PAUSES) - 1)]
        self._declined[caller] = (times + 1, self._clock.monotonic() + pause)

    def _extend(self, call: Call, member: Member, payload: SendOffer) -> None:
        """Negotiate anew; a call with sound gets a picture only when the other one allows that."""
        if call.kind == "video" or not sends_video(payload.offer.sdp) or self._consent.allows(member, "video"):
            self._negotiate(call, member, payload)
            return
        held = Held(
            "video", partial(self._negotiate_late, call, member, payload), partial(self._refuse_video, call, member)
        )
        own, _ = call.sides(member)
        if own.held is not None:
            self._consent.withdraw(member, own.held)  # this offer is instead of that one
        own.held = held
        self._consent.wait(member, held)

    def _negotiate_late(self, call: Call, member: Member, payload: SendOffer) -> None:
        if self._calls.get(member.room) is call:
            self._changes(member.room)
            self._negotiate(call, member, payload)

    def _refuse_video(self, call: Call, member: Member, error: PasserbyError) -> None:
        if self._calls.get(member.room) is call:
            member.room.tell(member, CallError(message=error.message, code=error.code))

    def _negotiate(self, call: Call, member: Member, payload: SendOffer) -> None:
        own, other = call.sides(member)
        if other.offering and own.polite:
            return  # both at once: the polite side drops its offer and answers the other's
        offer = self._offer_of(call, own, payload)
        self._step(call, Act.NEGOTIATE)
        own.offering, other.offering = True, False
        call.candidates = 0
        other.withdraw(Offer)  # it will not be answered
        self._pass_on(own, other, offer)

    def answer(self, guest: LiveGuest, payload: SendAnswer) -> None:
        """Answer a call or a renegotiation. Raises ConflictError (not_in_room, no_call, no_offer)."""
        if payload.answer.type != "answer":
            raise InvalidInputError(Code.INVALID_PAYLOAD, "Expected an answer", field="answer")
        call, own, other = self._current(guest, payload.call_id)
        if call is None:
            return
        if not other.offering or call.is_hidden_from(own):
            raise ConflictError(Code.NO_OFFER, "There is nothing to answer")
        if call.kind != "video" and sends_video(payload.answer.sdp) and not self._consent.allows(own.member, "video"):
            raise ConflictError(Code.CONSENT_PENDING, "Answer with sound, then offer the picture: that is asked for")
        taken = call.state is State.RINGING
        own.relay_only = own.relay_only or payload.relay_only
        answer = self._description(own, payload.answer)
        self._step(call, Act.ANSWER)
        other.offering = False
        guest_id, name = own.member.guest.id, own.member.guest.username
        other.withdraw(Offer)
        self._pass_on(own, other, Answer(from_=guest_id, from_username=name, call_id=call.id, answer=answer))
        if taken:
            call.started = self._clock.time()
            self._declined.pop(call.caller.member, None)
            self._stop_ringing(call)
            self._catch_up(call, own)  # with the caller's candidates

    def candidate(self, guest: LiveGuest, payload: SendCandidate) -> None:
        """Forward a candidate. Raises ConflictError (not_in_room, no_call, too_many_candidates)."""
        call, own, other = self._current(guest, payload.call_id)
        if call is None:
            return
        call.candidates += 1
        if call.candidates > MAX_CANDIDATES:
            raise ConflictError(Code.TOO_MANY_CANDIDATES, f"A call has at most {MAX_CANDIDATES} candidates")
        candidate = payload.candidate
        if candidate is not None and (self._relay_only or own.relay_only):
            candidate = _hidden(candidate)
            if candidate is None:
                return
        signal = Candidate(from_=own.member.guest.id, call_id=call.id, candidate=candidate)
        if call.state is State.RINGING and other is call.callee:
            own.keep(signal)
        else:
            self._pass_on(own, other, signal)

    def connected(self, guest: LiveGuest, payload: ReportConnected) -> None:
        """Media flows. Raises ConflictError (not_in_room, no_call)."""
        call, own, other = self._current(guest, payload.call_id)
        if call is not None:
            if call.state is State.CONNECTING and call.started is not None:
                self.connects.add(max(0.0, self._clock.time() - call.started))
            self._step(call, Act.CONNECTED)
            for side in (own, other):
                side.withdraw(Answer, Candidate)

    def leaving(self, guest: LiveGuest, payload: ReportLeaving) -> None:
        """Start the timeout for a page reload; it is shorter than the grace window of a lost connection.

        Raises ConflictError (not_in_room, no_call).
        """
        call, own, _ = self._current(guest, payload.call_id)
        if call is not None:
            own.stay()
            self._await_return(call, own)

    def _await_return(self, call: Call, side: Side) -> None:
        side.leaving = self._background.call_later(
            "end of a call whose page did not return",
            self._come_back,
            lambda: self._end_for_both(call, Act.END, CallEnded),
        )

    def hang_up(self, guest: LiveGuest, how: type[Hangup], call_id: str | None) -> None:
        """End the call. Raises ConflictError (not_in_room, no_call)."""
        call, own, other = self._current(guest, call_id)
        if call is None:
            return
        event = {EndCall: CallEnded, RejectCall: CallRejected, GiveUpCall: CallTimedOut}[how]
        act = {EndCall: Act.END, RejectCall: Act.REJECT, GiveUpCall: Act.TIME_OUT}[how]
        if (call.state, act) not in NEXT:
            act, event = Act.END, CallEnded
        if act is not Act.TIME_OUT and call.state is State.RINGING and own is call.callee:
            self._decline(other.member)
        self._end(call, act)
        if call.is_hidden_from(other):
            return
        sender = own.member.guest
        self._tell_end(other, event(from_=sender.id, from_username=sender.username, call_id=call.id))

    # ── room events ───────────────────────────────────────────────────────────────────────────────

    def member_back(self, member: Member) -> None:
        """See RoomObserver. Sends the events that the member has or may have missed."""
        room = member.room
        self._changes(room)
        missed, told = self._missed.pop(member, ()), self._told.pop(member, None)
        room.tell(member, *missed)
        call = self._calls.get(room)
        if call is None:
            if told is not None and not missed:
                room.tell(member, told)
            return
        own, _ = call.sides(member)
        own.stay()
        if call.state is State.RINGING and own is call.caller:
            room.tell(member, self._ringing(call))
        own.told, own.catching_up = 0, None
        self._catch_up(call, own)

    def room_lost(self, room: Room) -> None:
        """See RoomObserver. The call goes on elsewhere."""
        self.room_closed(room)  # nobody is told: the members are not connected here, and nothing is kept any more

    def room_parked(self, room: Room) -> None:
        """See RoomObserver. Ends the room's call; nothing can be kept of it later."""
        self._changes(room)
        call = self._calls.get(room)
        if call is not None:
            self._end(call, Act.END)
        self._keep(room)

    def room_closed(self, room: Room) -> None:
        """See RoomObserver. Ends the room's call."""
        call = self._calls.get(room)
        if call is not None:
            self._end(call, Act.END)
        self._had_calls.discard(room)
        self._unkept.pop(room, None)
        self._kept.discard(room)
        for member in room.members:
            self._declined.pop(member, None)
            self._missed.pop(member, None)
            self._told.pop(member, None)

    # ── state ─────────────────────────────────────────────────────────────────────────────────────

    def _current(self, guest: LiveGuest, call_id: str | None) -> tuple[Call | None, Side, Side]:
        """Return the signal's call and its sides. The call is None for a late signal of an ended call."""
        member = guest.membership()
        self._changes(member.room)
        call = self._calls.get(member.room)
        if call is None or (call_id is not None and call_id != call.id):
            if call is None and member.room not in self._had_calls:
                raise ConflictError(Code.NO_CALL, "There is no call")
            nobody = Side(member, polite=False)
            return None, nobody, nobody
        return call, *call.sides(member)

    def _step(self, call: Call, act: Act) -> None:
        following = NEXT.get((call.state, act))
        if following is None:
            raise ConflictError(Code.NO_CALL, f"A call that is {call.state.value} has no {act.value}")
        call.state = following

    def _end(self, call: Call, act: Act) -> None:
        state = call.state
        self._step(call, act)
        self.ended[_ENDS.get((state, act)) or _ENDS[state, Act.END]] += 1
        self._stop_ringing(call)
        call.caller.stay()
        call.callee.stay()
        if call.held is not None:
            self._consent.withdraw(call.caller.member, call.held)
        for side in (call.caller, call.callee):
            if side.held is not None:
                self._consent.withdraw(side.member, side.held)
        del self._calls[call.caller.member.room]

    def _end_for_both(self, call: Call, act: Act, event: type[CallEnded | CallTimedOut]) -> None:
        self._changes(call.caller.member.room)
        self._end(call, act)
        for side, other in ((call.caller, call.callee), (call.callee, call.caller)):
            if call.is_hidden_from(side):
                continue
            gone = other.member.guest
            self._tell_end(side, event(from_=gone.id, from_username=gone.username, call_id=call.id))

    @staticmethod
    def _stop_ringing(call: Call) -> None:
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None

    # ── a later process ───────────────────────────────────────────────────────────────────────────

    def room_recalled(self, room: Room, notes: Mapping[str, bytes]) -> None:
        """See RoomObserver. The room's call goes on; without its note, or with a damaged one, there is none."""
        note = notes.get(_NOTE)
        if note is None:
            return
        try:
            kept = saved.decode(note)
            past = [(member, kept.past.get(member.guest.id)) for member in room.members]
            ends = [(member, one, *one.ends()) for member, one in past if one is not None]
            call = None if kept.call is None else saved.restore(kept.call, room, self._from_wall(kept.call.rings_until))
        except (msgspec.MsgspecError, ValueError) as error:
            self._background.failed("recalling a room's calls", error)
            return
        self._kept.add(room)
        self._had_calls.add(room)
        for member, one, missed, told in ends:
            if missed:
                self._missed[member] = deque(missed, maxlen=_MAX_MISSED)
            if told is not None:
                self._told[member] = told
            if one.declined:
                pause = min(self._from_wall(one.pause_until), self._clock.monotonic() + _PAUSES[-1])
                self._declined[member] = (one.declined, pause)
        if call is not None and kept.call is not None:
            self._go_on(call, kept.call)

    def _go_on(self, call: Call, kept: SavedCall) -> None:
        self._calls[call.caller.member.room] = call
        if call.state is State.RINGING:
            now = self._clock.monotonic()
            call.rings_until = min(max(call.rings_until, now), now + self._ring)
            self._await_answer(call, call.rings_until - now)
        for side, before in ((call.caller, kept.caller), (call.callee, kept.callee)):
            if before.leaving:
                self._await_return(call, side)
        if kept.step is not None:
            call.held = Held(kept.step, partial(self._admit, call), partial(self._turn_away, call))
            self._consent.wait(call.caller.member, call.held)

    def _changes(self, room: Room) -> None:
        """The room's calls change now: keep them for a later process, soon, and at most every _KEEP_PAUSE seconds."""
        if self._note is None:
            return
        if room in self._unkept:
            self._unkept[room] = True
        else:
            self._unkept[room] = False
            asyncio.get_running_loop().call_soon(self._keep, room)  # when they have changed
            self._background.call_later("keeping of calls", _KEEP_PAUSE, lambda: self._keep_again(room))

    def _keep_again(self, room: Room) -> None:
        if self._unkept.pop(room, False):
            self._changes(room)

    def _keep(self, room: Room) -> None:
        if self._note is None or room not in self._unkept:
            return  # it has closed meanwhile
        try:
            note = self._kept_of(room)
            if note is not None or room in self._kept:
                self._note(room.id, room.epoch, _NOTE, note)
                (self._kept.discard if note is None else self._kept.add)(room)
        except Exception as error:  # noqa: BLE001 - the call goes on
            self._background.failed("keeping of calls", error)

    def _kept_of(self, room: Room) -> bytes | None:
        call = self._calls.get(room)
        past = {
            member.guest.id: SavedPast.of(
                self._missed.get(member, ()), self._told.get(member), times, self._to_wall(until) if times else 0.0
            )
            for member in room.members
            for times, until in [self._declined.get(member, (0, 0.0))]
            if times or member in self._missed or member in self._told
        }
        if call is None and not past:
            return None
        kept = None if call is None else saved.save(call, self._to_wall(call.rings_until))
        return saved.encode(saved.SavedCalls(kept, past))

    def _to_wall(self, monotonic: float) -> float:
        return monotonic - self._clock.monotonic() + self._clock.time()

    def _from_wall(self, seconds: float) -> float:
        return seconds - self._clock.time() + self._clock.monotonic()

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    def _offer_of(self, call: Call, own: Side, payload: SendOffer) -> Offer:
        guest = own.member.guest
        return Offer(
            from_=guest.id,
            from_username=guest.username,
            call_id=call.id,
            offer=self._description(own, payload.offer),
            type=payload.type,
            polite=not own.polite,
        )

    def _description(self, own: Side, description: SessionDescription) -> SessionDescription:
        if not (self._relay_only or own.relay_only):
            return description
        return SessionDescription(description.type, relayed_only(description.sdp))

    def _ringing(self, call: Call) -> Ringing:
        left = max(0.0, call.rings_until - self._clock.monotonic())
        return Ringing(call_id=call.id, type=call.kind, timeout=round(left, 3), polite=False)

    @classmethod
    def _pass_on(cls, own: Side, other: Side, signal: Signal) -> None:
        """Send a signal to the other side, behind those that wait; keep it for a replay when they reconnect."""
        own.keep(signal)
        if other.catching_up is None or other.catching_up is not other.member.live.link:
            other.told = own.sent
            cls._tell(other, signal)

    def _catch_up(self, call: Call, side: Side) -> None:
        """Send a side the signals that its connection was not sent yet, in portions."""
        link = side.member.live.link
        if link is None or link is side.catching_up or self._send_portion(call, side):
            return
        side.catching_up = link
        self._background.start(
            "sending signals that waited",
            self._send_portions(call, side, link),
            lambda: link.close(Code.SERVER_ERROR) if side.member.live.link is link else None,
        )

    async def _send_portions(self, call: Call, side: Side, link: Link) -> None:
        """Send further portions as the client reads, until a connection replaces `link` or the call ends."""
        while True:
            await link.drain()
            if side.member.live.link is not link or self._calls.get(side.member.room) is not call:
                return
            if self._send_portion(call, side):
                side.catching_up = None
                return

    @classmethod
    def _send_portion(cls, call: Call, side: Side) -> bool:
        """Send the next portion; return whether nothing is left that may be sent now."""
        if call.is_hidden_from(side):
            return True
        _, other = call.sides(side.member)
        holds_candidates = call.state is State.RINGING and side is call.callee
        for number, signal in other.untold(side.told, _PORTION):
            if holds_candidates and isinstance(signal, Candidate):
                return True
            cls._tell(side, signal)
            side.told = number
        return not other.needed or other.needed[-1][0] <= side.told

    def _tell_end(self, to: Side, signal: Signal) -> None:
        if to.member.is_here:
            self._told[to.member] = signal
            self._tell(to, signal)
        else:
            self._missed.setdefault(to.member, deque(maxlen=_MAX_MISSED)).append(signal)

    @staticmethod
    def _tell(side: Side, *signals: Signal) -> None:
        side.member.room.tell(side.member, *signals)


def _hidden(candidate: IceCandidate) -> IceCandidate | None:
    """Return a candidate of a guest who hides the address, written anew; None if it must not pass."""
    text = relayed(candidate.candidate)
    mid, fragment = candidate.sdp_mid, candidate.username_fragment
    if text is None or (mid and not is_mid(mid)) or (fragment and not is_ufrag(fragment)):
        return None
    return msgspec.structs.replace(candidate, candidate=text)
