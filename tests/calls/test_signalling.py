"""Calls: one per room, its states, its timeouts, and signals that are not forwarded."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from passerby.calls.call import MAX_CANDIDATES, MAX_KEPT_BYTES, MAX_KEPT_CANDIDATES, State, size_of
from passerby.calls.events import (
    Answer,
    CallEnded,
    CallRejected,
    CallTimedOut,
    Candidate,
    EndCall,
    GiveUpCall,
    IceCandidate,
    Offer,
    RejectCall,
    ReportConnected,
    ReportLeaving,
    Ringing,
    SendAnswer,
    SendCandidate,
    SendOffer,
    SessionDescription,
)
from passerby.calls.sdp import relayed, relayed_only
from passerby.errors import ConflictError, InvalidInputError
from tests.support.clock import turns
from tests.support.failing import Failing
from tests.support.house import CALL_RETURN, GRACE, RING, House

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.calls.call import Call
    from passerby.calls.events import CallType, Hangup
    from passerby.events import Event
    from tests.support.house import Person

HOST = "candidate:1 1 udp 2122260223 192.168.1.7 50000 typ host generation 0"
REFLEXIVE = "candidate:2 1 udp 1686052607 203.0.113.9 50001 typ srflx raddr 192.168.1.7 rport 50000"
RELAYED = "candidate:3 1 udp 41885439 198.51.100.3 60000 typ relay raddr 203.0.113.9 rport 50001"
SDP = (
    "v=0\r\no=- 4611731400430051336 2 IN IP4 192.168.1.7\r\ns=-\r\nt=0 0\r\n"
    "m=audio 50000 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 203.0.113.9\r\na=rtcp:9 IN IP4 203.0.113.9\r\n"
    f"a={HOST}\r\na={REFLEXIVE}\r\na={RELAYED}\r\na=mid:0\r\n"
)


class Phone:
    """One side of a call: sends signals, records received ones."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.calls = person.house.calls

    def offer(
        self, kind: CallType = "video", call_id: str | None = None, *, relay_only: bool = False, sdp: str = SDP
    ) -> None:
        offer = SendOffer(offer=SessionDescription("offer", sdp), type=kind, call_id=call_id, relay_only=relay_only)
        self.calls.offer(self.person.live, offer)

    def answer(self, call_id: str | None = None, *, relay_only: bool = False, sdp: str = SDP) -> None:
        answer = SendAnswer(answer=SessionDescription("answer", sdp), call_id=call_id, relay_only=relay_only)
        self.calls.answer(self.person.live, answer)

    def candidate(self, text: str | None = HOST, call_id: str | None = None, *, ufrag: str | None = None) -> None:
        candidate = None if text is None else IceCandidate(text, "0", 0, ufrag)
        self.calls.candidate(self.person.live, SendCandidate(candidate=candidate, call_id=call_id))

    def connected(self) -> None:
        self.calls.connected(self.person.live, ReportConnected(call_id=self.call_id))

    def leaving(self) -> None:
        self.calls.leaving(self.person.live, ReportLeaving(call_id=self.call_id))

    def hang_up(self, how: type[Hangup] = EndCall, call_id: str | None = None) -> None:
        self.calls.hang_up(self.person.live, how, call_id)

    @property
    def call_id(self) -> str:
        """The id of the latest call that it knows."""
        known = [event.call_id for event in self.person.link.sent if isinstance(event, Ringing | Offer)]
        return known[-1]

    def got(self) -> list[str]:
        """Return the names of received call events, in order."""
        return [event.event for event in self.person.link.sent if event.event.startswith("webrtc:")]

    def candidates(self) -> list[str | None]:
        """Return the received candidates, in order."""
        came = [event.candidate for event in self.person.link.of(Candidate)]
        return [None if candidate is None else candidate.candidate for candidate in came]


async def phones(house: House | None = None) -> tuple[Phone, Phone]:
    one, other = await (house or House()).pair()
    return Phone(one), Phone(other)


async def talking(house: House | None = None) -> tuple[Phone, Phone]:
    caller, callee = await phones(house)
    caller.offer()
    callee.answer()
    caller.connected()
    for phone in (caller, callee):
        assert phone.got()
    return caller, callee


async def test_a_call_rings_is_taken_and_ends() -> None:
    caller, callee = await phones()

    caller.offer("audio")
    offer = callee.person.link.last(Offer)
    ringing = caller.person.link.last(Ringing)
    assert (offer.type, offer.from_, offer.from_username) == ("audio", caller.person.id, caller.person.username)
    assert offer.offer == SessionDescription("offer", SDP)
    assert (ringing.call_id, ringing.type, ringing.timeout) == (offer.call_id, "audio", RING)
    assert (ringing.polite, offer.polite) == (False, True)

    callee.answer(offer.call_id)
    answer = caller.person.link.last(Answer)
    assert (answer.from_, answer.call_id) == (callee.person.id, offer.call_id)

    caller.hang_up()
    assert callee.person.link.last(CallEnded).from_username == caller.person.username
    assert caller.got() == ["webrtc:ringing", "webrtc:answer"]


async def test_candidates_of_the_caller_wait_for_the_answer_and_keep_their_order() -> None:
    caller, callee = await phones()
    caller.offer()
    sent = [HOST, RELAYED, REFLEXIVE, None]
    for text in sent:
        caller.candidate(text)
    assert callee.candidates() == []

    callee.candidate("of the callee")
    callee.answer()
    caller.candidate("later")

    assert callee.candidates() == [*sent, "later"]
    assert caller.candidates() == ["of the callee"]


@pytest.mark.parametrize(
    ("how", "event"), [(RejectCall, CallRejected), (GiveUpCall, CallTimedOut), (EndCall, CallEnded)]
)
async def test_a_ringing_call_ends_as_either_side_says(how: type[Hangup], event: type[Event]) -> None:
    caller, callee = await phones()
    caller.offer()

    callee.hang_up(how)

    assert len(caller.person.link.of(event)) == 1
    callee.offer()  # a new call may start
    assert caller.got()[-1] == "webrtc:offer"


async def test_calls_are_counted_by_how_they_have_ended_and_how_long_they_took_to_connect() -> None:
    house = House()
    caller, callee = await phones(house)
    for how, by in ((EndCall, caller), (GiveUpCall, caller), (RejectCall, callee)):
        caller.offer("audio")
        by.hang_up(how)
    callee.offer("audio")
    caller.answer()
    callee.hang_up()
    callee.offer()
    caller.answer()
    await house.pass_time(2.5)
    caller.connected()
    callee.connected()
    callee.hang_up()

    assert house.calls.begun == {"audio": 4, "video": 1}
    assert house.calls.ended == {
        "cancelled": 1,
        "unanswered": 1,
        "declined": 1,
        "not_connected": 1,
        "completed": 1,
    }
    assert sum(house.calls.connects.counts) == 1
    assert house.calls.connects.total == pytest.approx(2.5)
    assert house.calls.count == 0


async def test_who_was_declined_waits_before_the_next_call_and_longer_each_time() -> None:
    house = House()
    caller, callee = await phones(house)
    for pause in (10, 30, 120, 600, 600):
        caller.offer()
        callee.hang_up(RejectCall)

        with pytest.raises(ConflictError) as caught:
            caller.offer()

        assert (caught.value.code, caught.value.retry_after) == ("call_declined", pause)
        await house.pass_time(pause - 0.1)
        with pytest.raises(ConflictError):
            caller.offer()
        await house.pass_time(0.2)
    caller.offer()
    assert len(callee.got()) == 6


async def test_a_call_that_is_answered_or_called_back_ends_the_pauses() -> None:
    house = House()
    caller, callee = await phones(house)
    caller.offer()
    callee.hang_up(RejectCall)
    callee.offer()  # called back
    callee.hang_up(EndCall)
    caller.offer()
    callee.hang_up(RejectCall)
    await house.pass_time(11)
    caller.offer()
    callee.answer()
    callee.hang_up(EndCall)
    caller.offer()
    callee.hang_up(RejectCall)
    with pytest.raises(ConflictError) as caught:
        caller.offer()
    assert caught.value.retry_after == 10


async def test_who_gives_up_or_is_not_answered_may_call_again() -> None:
    house = House()
    caller, callee = await phones(house)
    caller.offer()
    caller.hang_up(EndCall)
    caller.offer()
    await house.pass_time(RING)
    caller.offer()
    assert callee.got().count("webrtc:offer") == 3


async def test_nobody_rings_for_ever() -> None:
    house = House()
    caller, callee = await phones(house)
    caller.offer()

    await house.pass_time(RING - 0.1)
    assert not caller.person.link.of(CallTimedOut)
    await house.pass_time(0.1)

    assert caller.person.link.last(CallTimedOut).from_ == callee.person.id
    assert callee.person.link.last(CallTimedOut).from_ == caller.person.id
    callee.answer()  # sent at the same time as the end: ignored without an error
    assert "webrtc:answer" not in caller.got()


async def test_a_call_that_was_taken_is_not_given_up() -> None:
    house = House()
    caller, callee = await talking(house)

    await house.pass_time(10 * RING)

    assert not caller.person.link.of(CallTimedOut)
    assert not callee.person.link.of(CallTimedOut)


async def test_both_calling_at_once_is_one_call_and_no_error() -> None:
    caller, callee = await phones()
    caller.offer()
    callee.offer()

    assert caller.got() == ["webrtc:ringing"]
    assert callee.got() == ["webrtc:offer"]
    callee.answer()
    assert caller.got() == ["webrtc:ringing", "webrtc:answer"]


async def test_signals_of_a_call_that_is_over_go_nowhere() -> None:
    caller, callee = await talking()
    old = caller.call_id
    caller.hang_up()
    callee.hang_up()  # at the same time
    callee.offer()
    before = callee.got(), caller.got()

    caller.candidate(HOST, old)
    caller.answer(old)
    caller.hang_up(EndCall, old)

    assert (callee.got(), caller.got()) == before


async def test_there_is_one_call_at_a_time() -> None:
    caller, callee = await phones()
    caller.offer()
    for phone in (caller, callee):
        with pytest.raises(ConflictError) as caught:
            phone.offer(call_id="call_of_my_own")
        assert caught.value.code == "call_active"
    with pytest.raises(ConflictError) as caught:
        caller.offer()
    assert caught.value.code == "call_active"
    assert callee.got() == ["webrtc:offer"]


async def test_within_a_call_either_side_may_negotiate_anew() -> None:
    caller, callee = await talking()

    callee.offer("video", callee.call_id)
    caller.answer()
    caller.offer("video")
    callee.answer()

    assert caller.got() == ["webrtc:ringing", "webrtc:answer", "webrtc:offer", "webrtc:answer"]
    assert callee.got() == ["webrtc:offer", "webrtc:answer", "webrtc:offer"]
    assert (caller.person.link.last(Offer).polite, callee.person.link.last(Offer).polite) == (False, True)


async def test_of_two_negotiations_at_once_the_polite_sides_stands_back() -> None:
    caller, callee = await talking()
    callee.offer()  # of the polite side
    caller.offer()  # the impolite side's offer takes precedence
    assert callee.person.link.of(Offer)[-1].from_ == caller.person.id

    with pytest.raises(ConflictError) as caught:
        caller.answer()
    assert caught.value.code == "no_offer"
    callee.answer()
    assert caller.got()[-1] == "webrtc:answer"


@pytest.mark.parametrize("bad", ["answer", "candidate", "end", "reject", "time-out"])
async def test_without_a_call_nothing_can_be_signalled(bad: str) -> None:
    caller, callee = await phones()
    acts: dict[str, Callable[[], None]] = {
        "answer": caller.answer,
        "candidate": caller.candidate,
        "end": caller.hang_up,
        "reject": lambda: caller.hang_up(RejectCall),
        "time-out": lambda: caller.hang_up(GiveUpCall),
    }

    with pytest.raises(ConflictError) as caught:
        acts[bad]()

    assert caught.value.code == "no_call"
    assert callee.got() == []


async def test_an_offer_is_answered_once_and_not_by_who_made_it() -> None:
    caller, callee = await phones()
    caller.offer()
    with pytest.raises(ConflictError):
        caller.answer()
    callee.answer()
    with pytest.raises(ConflictError) as caught:
        callee.answer()
    assert caught.value.code == "no_offer"
    assert caller.got() == ["webrtc:ringing", "webrtc:answer"]


async def test_an_offer_is_no_answer() -> None:
    caller, callee = await phones()
    with pytest.raises(InvalidInputError):
        caller.calls.offer(caller.person.live, SendOffer(offer=SessionDescription("answer", SDP), type="audio"))
    caller.offer()
    with pytest.raises(InvalidInputError):
        callee.calls.answer(callee.person.live, SendAnswer(answer=SessionDescription("offer", SDP)))
    assert callee.got() == ["webrtc:offer"]


async def test_a_call_has_so_many_candidates_and_no_more() -> None:
    caller, callee = await talking()
    for number in range(MAX_CANDIDATES):
        (caller, callee)[number % 2].candidate(f"candidate {number}")
    with pytest.raises(ConflictError) as caught:
        caller.candidate("one more")
    assert caught.value.code == "too_many_candidates"
    assert len(caller.candidates()) + len(callee.candidates()) == MAX_CANDIDATES


async def test_outside_of_a_room_there_is_no_call() -> None:
    house = House()
    phone = Phone(await house.visitor())
    for act in (phone.offer, phone.answer, phone.candidate, phone.hang_up):
        with pytest.raises(ConflictError) as caught:
            act()
        assert caught.value.code == "not_in_room"


async def test_with_its_room_a_call_is_over() -> None:
    house = House()
    caller, callee = await phones(house)
    caller.offer()
    house.rooms.leave(callee.person.live, "user_left")
    await house.pass_time(RING)
    assert not caller.person.link.of(CallTimedOut)

    await callee.person.search()
    await caller.person.search()
    callee.offer()  # in the next room
    assert caller.got()[-1] == "webrtc:offer"


async def test_a_member_who_is_away_gets_the_signals_on_return() -> None:
    house = House()
    caller, callee = await talking(house)
    callee.person.drop()
    caller.offer("video")
    caller.candidate("anew")

    await callee.person.connect()

    assert callee.got() == ["webrtc:offer", "webrtc:ice-candidate"]
    callee.answer()
    assert caller.got()[-1] == "webrtc:answer"


async def test_a_member_who_comes_back_learns_that_the_call_is_over() -> None:
    house = House()
    caller, callee = await talking(house)
    callee.person.drop()
    caller.candidate("of no use any more")
    caller.hang_up()

    await callee.person.connect()

    assert callee.got() == ["webrtc:call-end"]


async def test_for_who_comes_back_it_still_rings() -> None:
    """The offer was sent to a dead connection, or to a page that was reloaded."""
    house = House()
    caller, callee = await phones(house)
    caller.offer()
    caller.candidate("early")
    callee.person.drop()

    await callee.person.connect()

    assert callee.got() == ["webrtc:offer"]
    callee.answer()
    assert callee.candidates() == ["early"]
    assert caller.got() == ["webrtc:ringing", "webrtc:answer"]


@pytest.mark.parametrize("pause", [0, 10])
async def test_a_caller_who_comes_back_learns_that_it_rings_and_for_how_long(pause: float) -> None:
    """A pause of the process makes it longer; see `Watch`."""
    house = House()
    caller, callee = await phones(house)
    caller.offer()
    call_id = caller.call_id
    caller.person.drop()
    callee.candidate("of the callee")
    await house.pass_time(3)
    house.calls.extend(pause)

    await caller.person.connect()

    assert caller.got() == ["webrtc:ringing", "webrtc:ice-candidate"]
    ringing = caller.person.link.last(Ringing)
    assert (ringing.call_id, ringing.timeout) == (call_id, RING - 3 + pause)


async def test_until_media_flows_who_comes_back_is_told_again_what_it_takes() -> None:
    house = House()
    caller, callee = await phones(house)
    caller.offer()
    callee.answer()
    callee.candidate("of the callee")
    caller.candidate("of the caller")

    for phone, signals in (
        (caller, ["webrtc:answer", "webrtc:ice-candidate"]),
        (callee, ["webrtc:ice-candidate"]),  # the offer is answered
    ):
        phone.person.drop()
        await phone.person.connect()
        assert phone.got() == signals


async def test_once_media_flows_only_what_is_not_answered_is_told_again() -> None:
    house = House()
    caller, callee = await phones(house)
    caller.offer()
    callee.answer()
    callee.candidate()
    caller.candidate()
    call_id = caller.call_id
    caller.connected()

    for phone in (caller, callee):
        phone.person.drop()
        await phone.person.connect()
        assert phone.got() == []
    callee.offer("video", call_id)
    caller.person.drop()
    await caller.person.connect()
    assert caller.got() == ["webrtc:offer"]


@pytest.mark.parametrize("stage", ["ringing", "active"])
async def test_a_call_does_not_wait_long_for_a_page_that_went(stage: str) -> None:
    house = House()
    caller, callee = await phones(house)
    caller.offer()
    if stage == "active":
        callee.answer()
    callee.leaving()
    callee.person.drop()
    await house.pass_time(CALL_RETURN - 0.1)
    assert "webrtc:call-end" not in caller.got()

    await house.pass_time(0.1)

    ended = caller.person.link.last(CallEnded)
    assert (ended.from_, ended.call_id) == (callee.person.id, caller.call_id)
    await callee.person.connect()
    assert callee.got() == ["webrtc:call-end"]
    caller.offer()  # both may call again
    assert callee.got() == ["webrtc:call-end", "webrtc:offer"]


async def test_a_page_that_is_back_in_time_is_waited_for_no_more() -> None:
    house = House()
    caller, callee = await talking(house)
    for phone in (caller, callee):
        phone.leaving()
        phone.leaving()
        phone.person.drop()
        await phone.person.connect()

    await house.pass_time(CALL_RETURN * 2)

    assert "webrtc:call-end" not in [*caller.got(), *callee.got()]
    caller.person.drop()  # a network failure, not a page reload
    await house.pass_time(CALL_RETURN * 2)
    assert "webrtc:call-end" not in callee.got()


async def test_a_call_that_ends_first_ends_once() -> None:
    house = House()
    caller, callee = await talking(house)
    callee.leaving()
    callee.person.drop()
    caller.hang_up()
    caller.offer()
    await house.pass_time(CALL_RETURN)
    assert caller.got().count("webrtc:call-end") == 0
    await callee.person.connect()
    assert callee.got() == ["webrtc:call-end", "webrtc:offer"]


async def test_a_member_who_stays_away_ends_the_call_with_the_room() -> None:
    house = House()
    caller, callee = await talking(house)
    callee.person.drop()
    await house.pass_time(GRACE)
    with pytest.raises(ConflictError):
        caller.hang_up()


@pytest.mark.parametrize("whose", ["operator", "guest"])
async def test_with_relay_only_no_address_of_a_guest_passes(whose: str) -> None:
    caller, callee = await phones(House(relay_only=whose == "operator"))
    caller.offer(relay_only=whose == "guest")
    callee.answer(relay_only=whose == "guest")
    for phone in (caller, callee):
        for text in (HOST, REFLEXIVE, RELAYED, "", None):
            phone.candidate(text)

    for phone in (caller, callee):
        assert phone.candidates() == [relayed(RELAYED), "", None]
        descriptions = [event.offer.sdp for event in phone.person.link.of(Offer)]
        descriptions += [event.answer.sdp for event in phone.person.link.of(Answer)]
        assert descriptions
        for sdp in descriptions:
            assert "192.168.1.7" not in sdp
            assert "203.0.113.9" not in sdp
            assert "198.51.100.3" in sdp


async def test_a_guests_choice_hides_only_that_guest() -> None:
    caller, callee = await phones()
    caller.offer(relay_only=True)
    callee.answer()
    caller.candidate(HOST)
    callee.candidate(HOST)
    assert (callee.candidates(), caller.candidates()) == ([], [HOST])


def test_a_description_without_addresses_stays_a_description() -> None:
    hidden = relayed_only(SDP)
    assert hidden.startswith("v=0\r\no=- 4611731400430051336 2 IN IP4 0.0.0.0\r\ns=-\r\n")
    assert hidden.count("\r\n") == SDP.count("\r\n") - 2
    assert hidden.endswith("a=mid:0\r\n")
    assert relayed_only(hidden) == hidden


# ── undetected dead connections ───────────────────────────────────────────────────────────────────


async def test_who_replaces_a_dead_connection_is_told_what_it_takes() -> None:
    caller, callee = await phones()
    caller.offer()
    await callee.person.connect()  # the server has not detected the loss of the old connection
    assert callee.got() == ["webrtc:offer"]

    callee.answer()
    caller.candidate(RELAYED)
    await caller.person.connect()
    assert caller.got() == ["webrtc:answer"]
    assert "room:partner_back" not in callee.person.link.names(), "the partner was not told that they were away"


async def test_a_page_that_replaces_itself_is_back() -> None:
    house = House()
    caller, callee = await talking(house)
    callee.leaving()
    await callee.person.connect()
    await house.pass_time(CALL_RETURN * 2)
    assert "webrtc:call-end" not in [*caller.got(), *callee.got()]


async def test_an_end_that_went_into_a_dead_connection_is_told_again() -> None:
    caller, callee = await talking()
    caller.hang_up()
    await callee.person.connect()
    assert callee.got() == ["webrtc:call-end"]
    await callee.person.connect()
    assert callee.got() == []

    caller.offer()
    callee.answer()
    await callee.person.connect()
    assert "webrtc:call-end" not in callee.got(), "the event of the previous call is sent again"


async def test_who_gives_way_hides_all_the_same() -> None:
    caller, callee = await phones()
    caller.offer()
    callee.offer(relay_only=True)  # both at once; the other side was first
    callee.candidate(HOST)
    callee.candidate(RELAYED)
    callee.answer()
    assert all("typ host" not in str(text) for text in caller.candidates())

    caller, callee = await talking()
    caller.offer(call_id=caller.call_id)
    callee.offer(call_id=callee.call_id, relay_only=True)
    callee.candidate(HOST)
    assert caller.candidates() == []


async def test_after_a_new_offer_the_candidates_are_counted_anew() -> None:
    caller, _ = await talking()
    for _ in range(2):
        for _ in range(MAX_CANDIDATES):
            caller.candidate(RELAYED)
        with pytest.raises(ConflictError):
            caller.candidate(RELAYED)
        caller.offer(call_id=caller.call_id)


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────


def generation(*ufrags: str) -> str:
    """Return a description of one ICE generation."""
    return SDP + "".join(f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{ufrag * 8}\r\n" for ufrag in ufrags)


async def returned(phone: Phone) -> list[str | None]:
    """Lose the connection and return; return the candidates that come."""
    phone.person.drop()
    await phone.person.connect()
    return phone.candidates()


async def connecting(ufrag: str = "one") -> tuple[Phone, Phone]:
    """Return two phones whose media does not flow yet."""
    caller, callee = await phones()
    caller.offer(sdp=generation(f"{ufrag}-of-caller"))
    callee.answer(sdp=generation(f"{ufrag}-of-callee"))
    return caller, callee


async def test_an_ice_restart_replaces_the_candidates_of_before_on_both_sides() -> None:
    caller, callee = await connecting()
    for phone in (caller, callee):
        phone.candidate("of before")
        phone.candidate(None)
        phone.candidate("of before, by name", ufrag="one-of-caller" if phone is caller else "one-of-callee")

    caller.offer(call_id=caller.call_id, sdp=generation("two-of-caller"))
    caller.candidate("anew")
    assert await returned(callee) == ["anew"]
    callee.answer(sdp=generation("two-of-callee"))
    callee.candidate("anew too")

    assert await returned(caller) == ["anew too"]
    assert caller.got()[-2:] == ["webrtc:answer", "webrtc:ice-candidate"]


async def test_without_an_ice_restart_candidates_are_still_needed() -> None:
    caller, callee = await connecting()
    caller.candidate("of the caller")
    callee.candidate("of the callee")
    for _ in range(5):
        caller.offer(call_id=caller.call_id, sdp=generation("one-of-caller"))
        callee.answer(sdp=generation("one-of-callee"))

    assert await returned(callee) == ["of the caller"]
    assert await returned(caller) == ["of the callee"]


async def test_candidates_that_name_the_new_generation_may_come_before_its_description() -> None:
    caller, callee = await connecting()
    caller.candidate("candidate:1 1 udp 1 192.0.2.7 5 typ host ufrag two")
    caller.candidate("early", ufrag="two")
    caller.candidate("of before", ufrag="one-of-caller")
    caller.offer(call_id=caller.call_id, sdp=generation("two"))

    assert await returned(callee) == ["candidate:1 1 udp 1 192.0.2.7 5 typ host ufrag two", "early"]


async def test_new_media_with_an_own_generation_is_no_restart() -> None:
    caller, callee = await connecting()
    caller.candidate("nameless")
    caller.candidate("of the sound", ufrag="one-of-caller")
    caller.offer(call_id=caller.call_id, sdp=generation("one-of-caller", "of-the-picture"))

    assert await returned(callee) == ["nameless", "of the sound"]


async def test_however_often_is_negotiated_only_so_many_candidates_are_kept() -> None:
    caller, callee = await talking()
    for round_ in range(30):
        for number in range(MAX_CANDIDATES):
            caller.candidate(f"candidate {round_} {number}")
        caller.offer(call_id=caller.call_id)

    assert await returned(callee) == [f"candidate 29 {number}" for number in range(MAX_CANDIDATES)]
    assert callee.got()[-1] == "webrtc:offer"


async def test_candidates_are_bounded_in_bytes() -> None:
    caller, callee = await talking()
    for number in range(MAX_CANDIDATES):
        caller.candidate(f"{number:04}{'👋' * 2044}")

    came = await returned(callee)
    assert 0 < len(came) * 4 * 2044 <= MAX_KEPT_BYTES
    assert [str(text)[:4] for text in came] == [
        f"{number:04}" for number in range(MAX_CANDIDATES - len(came), MAX_CANDIDATES)
    ]


async def test_of_the_largest_candidates_of_a_browser_all_are_kept() -> None:
    caller, callee = await talking()
    for number in range(MAX_CANDIDATES):
        candidate = IceCandidate(f"{number:04}{'c' * 2044}", "m" * 64, 255, "u" * 256)
        caller.calls.candidate(caller.person.live, SendCandidate(candidate=candidate))

    assert len(await returned(callee)) == MAX_CANDIDATES


async def test_of_calls_that_ended_meanwhile_the_newest_are_told() -> None:
    caller, callee = await talking()
    callee.person.drop()
    caller.hang_up()
    for _ in range(100):
        caller.offer()
        caller.hang_up()
    newest = caller.call_id
    await callee.person.connect()

    assert callee.got() == ["webrtc:call-end"] * 16
    assert callee.person.link.last(CallEnded).call_id == newest


# ── a slow client ─────────────────────────────────────────────────────────────────────────────────

LARGE = "c" * 2000


async def filled(count: int = 100) -> tuple[Phone, Phone]:
    """Return two phones of a call; so many large candidates wait for the callee, who is away."""
    caller, callee = await talking()
    callee.person.drop()
    for number in range(count):
        caller.candidate(f"{number} {LARGE}")
    return caller, callee


def numbers(phone: Phone) -> list[int]:
    return [int(str(text).split(" ", maxsplit=1)[0]) for text in phone.candidates()]


async def test_signals_that_waited_are_sent_as_the_client_reads_and_later_ones_behind_them() -> None:
    caller, callee = await filled()
    link = await callee.person.arrive()
    link.read.shut()
    await link.read.arrival(1)
    assert 0 < len(numbers(callee)) * len(LARGE) <= 65_536
    caller.candidate(f"100 {LARGE}")
    caller.offer(call_id=caller.call_id)
    assert "webrtc:offer" not in callee.got(), "overtook the candidates"

    link.read.open()
    await callee.person.house.settle()
    caller.candidate("101")

    assert numbers(callee) == list(range(102))
    assert callee.got().index("webrtc:offer") == len(callee.got()) - 2
    callee.answer()
    assert "webrtc:answer" in caller.got()


async def test_candidates_that_waited_for_the_answer_are_sent_as_the_client_reads() -> None:
    caller, callee = await phones()
    caller.offer()
    for number in range(100):
        caller.candidate(f"{number} {LARGE}")
    callee.person.link.read.shut()
    callee.answer()
    await callee.person.link.read.arrival()
    assert 0 < len(numbers(callee)) < 100
    caller.candidate("100")
    callee.person.link.read.open()
    await callee.person.house.settle()

    assert numbers(callee) == list(range(101))


async def test_a_connection_that_is_replaced_meanwhile_gets_no_more_and_the_next_one_everything() -> None:
    caller, callee = await filled()
    first = await callee.person.arrive()
    first.read.shut()
    await first.read.arrival()
    part = len(first.of(Candidate))
    second = await callee.person.arrive()
    second.read.shut()
    await second.read.arrival()
    first.read.open()
    await turns()
    assert len(second.of(Candidate)) == part, "the first replay goes on over the second connection"
    caller.candidate("100")
    second.read.open()
    await callee.person.house.settle()

    assert len(first.of(Candidate)) == part
    assert numbers(callee) == list(range(101))


async def test_a_client_lost_meanwhile_gets_everything_on_its_next_return() -> None:
    caller, callee = await filled()
    first = await callee.person.arrive()
    first.read.shut()
    await first.read.arrival()
    callee.person.drop()
    first.read.open()
    await callee.person.house.settle()
    caller.candidate("100")
    await callee.person.connect()

    assert numbers(callee) == list(range(101))


@pytest.mark.parametrize("how", ["hang up", "call again", "leave"])
async def test_a_call_that_ends_meanwhile_sends_no_more_of_its_signals(how: str) -> None:
    caller, callee = await filled()
    link = await callee.person.arrive()
    link.read.shut()
    await link.read.arrival()
    part = len(numbers(callee))
    if how == "leave":
        callee.person.house.rooms.leave(caller.person.live, "user_left")
    else:
        caller.hang_up()
    if how == "call again":
        caller.offer()
    link.read.open()
    await callee.person.house.settle()

    assert len(numbers(callee)) == part
    told = [] if how == "leave" else ["webrtc:call-end"]
    assert callee.got()[part:] == [*told, *(["webrtc:offer"] if how == "call again" else [])]


async def test_what_is_no_longer_needed_when_the_client_has_read_is_not_sent() -> None:
    caller, callee = await filled()
    link = await callee.person.arrive()
    link.read.shut()
    await link.read.arrival()
    part = len(numbers(callee))
    caller.offer(call_id=caller.call_id, sdp=generation("one"))
    caller.offer(call_id=caller.call_id, sdp=generation("two"))
    caller.candidate("1000")
    link.read.open()
    await callee.person.house.settle()

    assert numbers(callee) == [*range(part), 1000]
    assert callee.got()[part:] == ["webrtc:offer", "webrtc:ice-candidate"]


async def test_a_connection_that_cannot_be_caught_up_is_closed_so_that_its_client_returns() -> None:
    caller, callee = await filled()
    link = await callee.person.arrive()
    Failing(link, "drain")
    await callee.person.house.settle()
    assert link.closed == "server_error"

    callee.person.drop()
    await callee.person.connect()
    assert numbers(callee) == list(range(100))
    assert caller.person.link.closed is None


# ── any sequence ──────────────────────────────────────────────────────────────────────────────────


class CallMachine(RuleBasedStateMachine):
    """Random signals, lost connections and slow clients; what is kept stays bounded, what is sent stays in order."""

    SIDES = st.integers(0, 1)

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.phones: tuple[Phone, Phone] = self.loop.run_until_complete(phones(House(grace=10_000)))
        self.count = 0
        self.away = [False, False]

    def teardown(self) -> None:
        for phone in self.phones:
            phone.person.link.read.open()
        self.loop.run_until_complete(self.phones[0].person.house.settle())
        self.loop.close()

    def do(self, act: Callable[[], object]) -> None:
        """Perform an act that may be refused, and what follows from it."""

        async def acting() -> None:
            with contextlib.suppress(ConflictError):
                act()
            await turns()

        self.loop.run_until_complete(acting())

    def call(self) -> Call | None:
        member = self.phones[0].person.live.membership()
        return self.phones[0].calls._calls.get(member.room)

    @initialize()
    def begin(self) -> None:
        self.do(self.phones[0].offer)

    @rule(who=SIDES, ufrag=st.sampled_from(["", "a", "b", "c"]), padding=st.sampled_from([0, 60_000]))
    def offer(self, who: int, ufrag: str, padding: int) -> None:
        sdp = f"{generation(ufrag) if ufrag else SDP}a=x-padding:{'p' * padding}\r\n"
        self.do(lambda: self.phones[who].offer(sdp=sdp))

    @rule(who=SIDES, ufrag=st.sampled_from(["", "a", "b", "c"]))
    def answer(self, who: int, ufrag: str) -> None:
        self.do(lambda: self.phones[who].answer(sdp=generation(ufrag) if ufrag else SDP))

    @rule(
        who=SIDES,
        ufrag=st.sampled_from([None, "a", "b", "c"]),
        size=st.sampled_from([0, 2000]),
        letter=st.sampled_from("c👋"),
        times=st.sampled_from([1, 5, 150]),
    )
    def candidates(self, who: int, ufrag: str | None, size: int, letter: str, times: int) -> None:
        for _ in range(times):
            self.count += 1
            text = f"{self.count} {letter * size}"
            self.do(lambda text=text: self.phones[who].candidate(text, ufrag=ufrag))  # type: ignore[misc]

    @rule(who=SIDES)
    def connected(self, who: int) -> None:
        call = self.call()
        if call is not None:
            phone = self.phones[who]
            self.do(lambda: phone.calls.connected(phone.person.live, ReportConnected(call_id=call.id)))

    @rule(who=SIDES, slow=st.booleans())
    def connect(self, who: int, slow: bool) -> None:
        async def arriving() -> None:
            link = await self.phones[who].person.arrive()
            if slow:
                link.read.shut()
            await turns()

        self.phones[who].person.link.read.open()
        self.loop.run_until_complete(arriving())
        self.away[who] = False

    @rule(who=SIDES)
    def disconnect(self, who: int) -> None:
        if not self.away[who]:
            self.away[who] = True
            self.do(self.phones[who].person.drop)

    @rule(who=SIDES)
    def read(self, who: int) -> None:
        self.phones[who].person.link.read.open()
        self.do(lambda: None)

    @rule(who=SIDES)
    def hang_up_and_call_again(self, who: int) -> None:
        self.do(self.phones[who].hang_up)
        self.do(self.phones[who].offer)

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        call = self.call()
        for side in () if call is None else (call.caller, call.callee):
            kept = [signal for _, signal in side.needed]
            candidates = [signal for signal in kept if isinstance(signal, Candidate)]
            assert len(kept) - len(candidates) <= 1, "more than one description"
            assert len(candidates) == side.candidates <= MAX_KEPT_CANDIDATES
            assert sum(map(size_of, candidates)) == side.size <= MAX_KEPT_BYTES
            assert [number for number, _ in side.needed] == sorted({number for number, _ in side.needed})
        for missed in self.phones[0].calls._missed.values():
            assert len(missed) <= 16
        assert len(self.phones[0].calls._missed) + len(self.phones[0].calls._told) <= 4

    @invariant()
    def over_one_connection_each_candidate_comes_once_and_in_order(self) -> None:
        for phone in self.phones:
            came = numbers(phone)
            assert came == sorted(set(came))

    @invariant()
    def who_reads_has_everything_that_is_kept(self) -> None:
        call = self.call()
        if call is None:
            return
        for who, phone in enumerate(self.phones):
            own, other = call.sides(phone.person.live.membership())
            if self.away[who] or phone.person.link.read.waiting:
                continue
            known = phone.person.link.sent
            rings = call.state is State.RINGING and own is call.callee
            assert all(signal in known for _, signal in other.needed if not (rings and isinstance(signal, Candidate)))


def test_whatever_is_signalled_little_is_kept_and_all_of_it_arrives_in_order() -> None:
    run_state_machine_as_test(CallMachine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
