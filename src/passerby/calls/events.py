"""The events of calls, in both directions. Names follow WebRTC; both directions use the same event names."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from passerby.events import ErrorEvent, Event
from passerby.models import GuestId

CallType = Literal["audio", "video"]
CallId = Annotated[str, Meta(max_length=64, description="Id of the call; signals of another call are ignored")]
RelayOnly = Annotated[
    bool, Meta(description="The guest's choice: from now on, only relay candidates of this guest are forwarded")
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
    """Call the partner; within a call: renegotiate (more media, an ICE restart)."""

    event: ClassVar[str] = "webrtc:offer"
    offer: SessionDescription
    type: CallType
    call_id: CallId | None = None
    relay_only: RelayOnly = False


class SendAnswer(Event):
    """Answer the call or a renegotiation."""

    event: ClassVar[str] = "webrtc:answer"
    answer: SessionDescription
    call_id: CallId | None = None
    relay_only: RelayOnly = False


class SendCandidate(Event):
    """An ICE candidate of this guest; null when there are no more."""

    event: ClassVar[str] = "webrtc:ice-candidate"
    candidate: IceCandidate | None
    call_id: CallId | None = None


class Hangup(Event):
    """Base of events that end a call."""

    call_id: CallId | None = None


class EndCall(Hangup):
    """Hang up."""

    event: ClassVar[str] = "webrtc:call-end"


class RejectCall(Hangup):
    """Reject the call."""

    event: ClassVar[str] = "webrtc:call-reject"


class GiveUpCall(Hangup):
    """The call was not answered in time, according to the client; the server has its own timeout."""

    event: ClassVar[str] = "webrtc:call-timeout"


class ReportConnected(Event):
    """Media flows: the call is active."""

    event: ClassVar[str] = "webrtc:connected"
    call_id: CallId


class ReportLeaving(Event):
    """The page is being closed or reloaded. The call ends unless the guest returns soon."""

    event: ClassVar[str] = "webrtc:leaving"
    call_id: CallId


# ── server to client ──────────────────────────────────────────────────────────────────────────────


class Signal(Event):
    """Base of events from the other side of a call."""

    from_: GuestId = field(name="from")
    call_id: CallId


class NamedSignal(Signal):
    """Base of signals that include the other side's name."""

    from_username: str


class Ringing(Event):
    """To the caller: the call has started; contains its id."""

    event: ClassVar[str] = "webrtc:ringing"
    call_id: CallId
    type: CallType
    timeout: Annotated[float, Meta(description="Seconds until the call times out")]
    polite: Annotated[
        bool, Meta(description="Whether this side gives way when both negotiate at once (perfect negotiation)")
    ]


class Offer(NamedSignal):
    """The partner calls, or renegotiates the call."""

    event: ClassVar[str] = "webrtc:offer"
    offer: SessionDescription
    type: CallType
    polite: Annotated[
        bool, Meta(description="Whether this side gives way when both negotiate at once (perfect negotiation)")
    ]


class Answer(NamedSignal):
    """The partner answers the call or a renegotiation."""

    event: ClassVar[str] = "webrtc:answer"
    answer: SessionDescription


class Candidate(Signal):
    """An ICE candidate of the partner; null when there are no more."""

    event: ClassVar[str] = "webrtc:ice-candidate"
    candidate: IceCandidate | None


class CallEnded(NamedSignal):
    """The call has ended."""

    event: ClassVar[str] = "webrtc:call-end"


class CallRejected(NamedSignal):
    """The partner rejects the call."""

    event: ClassVar[str] = "webrtc:call-reject"


class CallTimedOut(NamedSignal):
    """The call was not answered in time; sent to both sides."""

    event: ClassVar[str] = "webrtc:call-timeout"


class CallError(ErrorEvent):
    """A signal was refused and not forwarded to the partner."""

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
