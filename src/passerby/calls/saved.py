"""A room's calls as they are kept for a later process: JSON of a bounded size, read as input that may be damaged.

What is kept is what `Calls` knows of the room, with times of the wall clock in place of timers. Connections are not
kept: whoever returns gets all signals that the other side still needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from passerby.calls.call import Call, State
from passerby.calls.events import Answer, CallEnded, CallRejected, CallTimedOut, CallType, Candidate, Offer, Signal
from passerby.models import Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from passerby.calls.call import Side
    from passerby.live import Room

MAX_BYTES: Final = 262_144
"""Bytes of one room's note. Two of the largest descriptions fit, and some hundred candidates of the usual size."""

_KINDS: Final[dict[str, type[Signal]]] = {
    "offer": Offer,
    "answer": Answer,
    "candidate": Candidate,
    "ended": CallEnded,
    "rejected": CallRejected,
    "timed out": CallTimedOut,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}


class SavedSignal(Struct, array_like=True):
    """One signal of a side, with its number."""

    number: int
    kind: Literal["offer", "answer", "candidate", "ended", "rejected", "timed out"]
    signal: msgspec.Raw

    @classmethod
    def of(cls, number: int, signal: Signal) -> SavedSignal:
        """Return a signal as it is kept."""
        return cls(number, _NAMES[type(signal)], msgspec.Raw(msgspec.json.encode(signal)))  # type: ignore[arg-type]  # one of the names

    def restored(self) -> Signal:
        """Return the signal. Raises msgspec.MsgspecError."""
        return msgspec.json.decode(self.signal, type=_KINDS[self.kind])


class SavedSide(Struct, omit_defaults=True):
    """One side of a call, see `call.Side`."""

    relay_only: bool = False
    offering: bool = False
    leaving: bool = False
    sent: int = 0
    needed: list[SavedSignal] = []
    generation: list[str] = []


class SavedCall(Struct):
    """A call, see `call.Call`."""

    id: str
    kind: CallType
    state: Literal["ringing", "connecting", "active"]
    caller_id: str
    """The guest's id."""
    started: float | None
    candidates: int
    rings_until: float
    """Seconds since the Unix epoch."""
    caller: SavedSide
    callee: SavedSide
    step: Step | None = None
    """What the callee is asked for before they learn of the call."""


class SavedPast(Struct, omit_defaults=True):
    """What the past calls of a room mean for one member."""

    missed: list[SavedSignal] = []
    told: SavedSignal | None = None
    declined: int = 0
    pause_until: float = 0.0
    """Seconds since the Unix epoch."""

    @classmethod
    def of(cls, missed: Iterable[Signal], told: Signal | None, declined: int, pause_until: float) -> SavedPast:
        """Return these as they are kept."""
        return cls(
            [SavedSignal.of(0, one) for one in missed],
            None if told is None else SavedSignal.of(0, told),
            declined,
            pause_until,
        )

    def ends(self) -> tuple[list[Signal], Signal | None]:
        """Return `missed` and `told` as they were. Raises msgspec.MsgspecError."""
        return [one.restored() for one in self.missed], None if self.told is None else self.told.restored()


class SavedCalls(Struct, omit_defaults=True):
    """What is kept of a room's calls."""

    call: SavedCall | None = None
    past: dict[str, SavedPast] = {}
    """By the member's guest id."""


def encode(calls: SavedCalls) -> bytes | None:
    """Return the note, of at most MAX_BYTES. If candidates make it too large, it is without; None if others do."""
    encoded = msgspec.json.encode(calls)
    if len(encoded) > MAX_BYTES and calls.call is not None:
        for side in (calls.call.caller, calls.call.callee):
            side.needed = [signal for signal in side.needed if signal.kind != "candidate"]
        encoded = msgspec.json.encode(calls)
    return encoded if len(encoded) <= MAX_BYTES else None


def decode(note: bytes) -> SavedCalls:
    """Return what a note says. Raises msgspec.MsgspecError or UnicodeDecodeError if it is damaged."""
    return _read(note)


_read = msgspec.json.Decoder(SavedCalls).decode


def save(call: Call, rings_until: float) -> SavedCall:
    """Return what is kept of a call that is not over; `rings_until` is in seconds since the Unix epoch."""
    return SavedCall(
        call.id,
        call.kind,
        call.state.value,  # type: ignore[arg-type]  # the caller says that it is not over
        call.caller.member.guest.id,
        call.started,
        call.candidates,
        rings_until,
        _save_side(call.caller),
        _save_side(call.callee),
        None if call.held is None else call.held.step,
    )


def restore(saved: SavedCall, room: Room, rings_until: float) -> Call:
    """Return a call that was kept; `rings_until` is in monotonic seconds. Raises msgspec.MsgspecError, ValueError."""
    caller = next((member for member in room.members if member.guest.id == saved.caller_id), None)
    if caller is None:
        raise ValueError("the caller is no member")
    call = Call(saved.kind, caller, rings_until)
    call.id, call.state, call.started, call.candidates = saved.id, State(saved.state), saved.started, saved.candidates
    for side, kept in ((call.caller, saved.caller), (call.callee, saved.callee)):
        side.relay_only, side.offering = kept.relay_only, kept.offering
        side.restore([(one.number, one.restored()) for one in kept.needed], kept.sent, frozenset(kept.generation))
    return call


def _save_side(side: Side) -> SavedSide:
    return SavedSide(
        side.relay_only,
        side.offering,
        side.leaving is not None,
        side.sent,
        [SavedSignal.of(number, signal) for number, signal in side.needed],
        sorted(side.generation),
    )
