"""The events of calls, in and out: the same names both ways, as WebRTC's own terms have them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from passerby.events import ErrorEvent, Event
from passerby.models import GuestId

CallType = Literal["audio", "video"]
CallId = Annotated[str, Meta(max_length=64, description="One call; signals that name another one go nowhere")]
RelayOnly = Annotated[
    bool, Meta(description="This guest's choice: nothing but relayed candidates of theirs passes, from now on")
]


class SessionDescription(Struct, rename="camel", frozen=True):
    """RTCSessionDescriptionInit."""

    type: Literal["offer", "answer"]
    sdp: Annotated[str, Meta(max_length=65_536, pattern=r"^v=0\r?\n(?:[a-z]=[^\r\n\x00]*(?:\r?\n|$))*$")]


class IceCandidate(Struct, rename="camel", frozen=True):
    """RTCIceCandidateInit."""

    candidate: Annotated[str, Meta(max_length=2048)]
    sdp_mid: Annotated[str, Meta(max_length=64)] | UnsetType | None = field(default=UNSET, name="sdpMid")
    sdp_m_line_index: Annotated[int, Meta(ge=0, le=255)] | UnsetType | None = field(default=UNSET, name="sdpMLineIndex")
    username_fragment: Annotated[str, Meta(max_length=256)] | UnsetType | None = UNSET


# ── client to server ──────────────────────────────────────────────────────────────────────────────


class SendOffer(Event):
    """Call the partner; or within a call, negotiate anew (more media, an ICE restart)."""

    event: ClassVar[str] = "webrtc:offer"
    offer: SessionDescription
    type: CallType
    call_id: CallId | None = None
    relay_only: RelayOnly = False


class SendAnswer(Event):
    """Take the call; or answer a new negotiation."""

    event: ClassVar[str] = "webrtc:answer"
    answer: SessionDescription
    call_id: CallId | None = None
    relay_only: RelayOnly = False


class SendCandidate(Event):
    """A way to reach this guest; null when there are no more."""

    event: ClassVar[str] = "webrtc:ice-candidate"
    candidate: IceCandidate | None
    call_id: CallId | None = None


class Hangup(Event):
    """Base of what ends a call."""

    call_id: CallId | None = None


class EndCall(Hangup):
    """Hang up."""

    event: ClassVar[str] = "webrtc:call-end"


class RejectCall(Hangup):
    """Do not take the call."""

    event: ClassVar[str] = "webrtc:call-reject"


class GiveUpCall(Hangup):
    """Nobody took the call in time, says the client; the server has a clock of its own."""

    event: ClassVar[str] = "webrtc:call-timeout"


class ReportConnected(Event):
    """Sound or pictures flow: the call is active."""

    event: ClassVar[str] = "webrtc:connected"
    call_id: CallId


class ReportLeaving(Event):
    """The page goes: closed, or about to be loaded again. Unless the guest is back soon, the call is over."""

    event: ClassVar[str] = "webrtc:leaving"
    call_id: CallId


# ── server to client ──────────────────────────────────────────────────────────────────────────────


class Signal(Event):
    """Base of what comes from the other side of a call."""

    from_: GuestId = field(name="from")
    call_id: CallId


class NamedSignal(Signal):
    """Base of what also tells the other side's name."""

    from_username: str


class Ringing(Event):
    """To the caller: the call has begun, and this is its id."""

    event: ClassVar[str] = "webrtc:ringing"
    call_id: CallId
    type: CallType
    timeout: Annotated[float, Meta(description="Seconds until the server gives up")]
    polite: Annotated[bool, Meta(description="Which side gives way when both negotiate at once (perfect negotiation)")]


class Offer(NamedSignal):
    """The partner calls, or negotiates anew within the call."""

    event: ClassVar[str] = "webrtc:offer"
    offer: SessionDescription
    type: CallType
    polite: Annotated[bool, Meta(description="Which side gives way when both negotiate at once (perfect negotiation)")]


class Answer(NamedSignal):
    """The partner takes the call, or answers a new negotiation."""

    event: ClassVar[str] = "webrtc:answer"
    answer: SessionDescription


class Candidate(Signal):
    """A way to reach the partner; null when there are no more."""

    event: ClassVar[str] = "webrtc:ice-candidate"
    candidate: IceCandidate | None


class CallEnded(NamedSignal):
    """The call is over."""

    event: ClassVar[str] = "webrtc:call-end"


class CallRejected(NamedSignal):
    """The partner does not take the call."""

    event: ClassVar[str] = "webrtc:call-reject"


class CallTimedOut(NamedSignal):
    """The call was not taken in time; both sides are told."""

    event: ClassVar[str] = "webrtc:call-timeout"


class CallError(ErrorEvent):
    """A signal was refused; it has not reached the partner."""

    event: ClassVar[str] = "webrtc:error"


INBOUND: tuple[type[Event], ...] = (
    SendOffer,
    SendAnswer,
    SendCandidate,
    EndCall,
    RejectCall,
    GiveUpCall,
    ReportConnected,
    ReportLeaving,
)
OUTBOUND: tuple[type[Event], ...] = (
    Ringing,
    Offer,
    Answer,
    Candidate,
    CallEnded,
    CallRejected,
    CallTimedOut,
    CallError,
)
