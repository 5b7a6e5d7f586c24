"""One call: its states, allowed transitions, and its two sides."""

from __future__ import annotations

import secrets
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from passerby.calls.events import Answer, Candidate, Offer, Signal
from passerby.calls.sdp import ufrag, ufrags

if TYPE_CHECKING:
    from passerby.calls.events import CallType
    from passerby.clock import Timer
    from passerby.live import Link, Member
    from passerby.safety.consent import Held

MAX_CANDIDATES: Final = 200
"""Candidates of one call, from both sides; a new offer resets the count."""
MAX_KEPT_CANDIDATES: Final = MAX_CANDIDATES
"""Candidates of one side that are kept for the other: as many as it can have sent since the last offer."""
MAX_KEPT_BYTES: Final = 524_288
"""Bytes (UTF-8) of these candidates. MAX_KEPT_CANDIDATES of the largest fit, if they are ASCII as RFC 8839 wants."""
_FRAME: Final = 200
"""Bytes of a signal beside its description or candidate: names of fields, ids, the name of the guest."""


class State(Enum):
    """State of a call."""

    RINGING = "ringing"
    CONNECTING = "connecting"
    ACTIVE = "active"
    OVER = "over"


class Act(Enum):
    """Actions that change a call's state."""

    ANSWER = "answer"
    NEGOTIATE = "negotiate"
    CONNECTED = "connected"
    REJECT = "reject"
    TIME_OUT = "time out"
    END = "end"


NEXT: Final = {
    (State.RINGING, Act.ANSWER): State.CONNECTING,
    (State.RINGING, Act.REJECT): State.OVER,
    (State.RINGING, Act.TIME_OUT): State.OVER,
    (State.RINGING, Act.END): State.OVER,
    (State.CONNECTING, Act.ANSWER): State.CONNECTING,
    (State.CONNECTING, Act.NEGOTIATE): State.CONNECTING,
    (State.CONNECTING, Act.CONNECTED): State.ACTIVE,
    (State.CONNECTING, Act.REJECT): State.OVER,
    (State.CONNECTING, Act.END): State.OVER,
    (State.ACTIVE, Act.ANSWER): State.ACTIVE,
    (State.ACTIVE, Act.NEGOTIATE): State.ACTIVE,
    (State.ACTIVE, Act.CONNECTED): State.ACTIVE,
    (State.ACTIVE, Act.REJECT): State.OVER,
    (State.ACTIVE, Act.END): State.OVER,
}
"""State transitions; all others are refused."""


class Side(Struct, eq=False):
    """One of the two members in a call.

    What the other side needs of this one's signals is bounded: one description, MAX_KEPT_CANDIDATES candidates,
    MAX_KEPT_BYTES of candidates.
    """

    member: Member
    polite: bool
    """Whether this side gives way when both negotiate at once; true for the callee."""
    relay_only: bool = False
    offering: bool = False
    """Whether its last offer is unanswered."""
    needed: list[tuple[int, Signal]] = field(default_factory=list)
    """Signals sent by this side that the other needs to connect, until media flows, numbered in order of sending."""
    candidates: int = 0
    size: int = 0
    """How many of `needed` are candidates, and their bytes."""
    sent: int = 0
    """The number of this side's last signal."""
    told: int = 0
    """The number of the other side's last signal that was sent to this side's connection."""
    catching_up: Link | None = None
    """The connection to which the other side's signals are sent in portions: later ones wait behind them."""
    generation: frozenset[str] = frozenset()
    """The ICE user name fragments of its last description."""
    leaving: Timer | None = None
    """Runs while its page is reloading; the call ends when it fires."""
    held: Held | None = None
    """The picture that it wants to add, and that waits for the other side's consent."""

    def keep(self, signal: Signal) -> None:
        """Number a signal of this side and keep it; drop what it replaces, and the oldest candidates over the bounds.

        An offer or answer replaces this side's earlier ones. If it restarts ICE, it also replaces candidates from
        before. Without a restart they are still needed: they are not gathered again.
        """
        self.sent += 1
        if isinstance(signal, Offer | Answer):
            self.withdraw(Offer, Answer)
            self._begin_generation(ufrags(signal.offer.sdp if isinstance(signal, Offer) else signal.answer.sdp))
        self.needed.append((self.sent, signal))
        if isinstance(signal, Candidate):
            self.candidates += 1
            self.size += size_of(signal)
            while self.candidates > MAX_KEPT_CANDIDATES or self.size > MAX_KEPT_BYTES:
                self._drop_oldest()

    def restore(self, needed: list[tuple[int, Signal]], sent: int, generation: frozenset[str]) -> None:
        """Go on as a side of an earlier process that had these signals, in order of their numbers."""
        self.sent, self.generation = sent, generation
        self._retain(needed)

    def withdraw(self, *kinds: type[Signal]) -> None:
        """Remove signals that are no longer needed."""
        if self.needed:
            self._retain([entry for entry in self.needed if not isinstance(entry[1], kinds)])

    def _begin_generation(self, generation: frozenset[str]) -> None:
        """Drop the candidates of another ICE generation than that of a new description."""
        if not generation:
            return
        before, self.generation = self.generation, generation
        if before and generation != before:
            goes_on = not generation.isdisjoint(before)
            self._retain([entry for entry in self.needed if _is_of(entry[1], generation, otherwise=goes_on)])

    def _drop_oldest(self) -> None:
        place = next(place for place, (_, signal) in enumerate(self.needed) if isinstance(signal, Candidate))
        _, signal = self.needed.pop(place)
        self.candidates -= 1
        self.size -= size_of(signal)

    def _retain(self, entries: list[tuple[int, Signal]]) -> None:
        self.needed = entries
        sizes = [size_of(signal) for _, signal in entries if isinstance(signal, Candidate)]
        self.candidates, self.size = len(sizes), sum(sizes)

    def untold(self, number: int, size: int) -> list[tuple[int, Signal]]:
        """Return the next signals after `number`: as many as are at most `size` bytes together, but at least one."""
        portion: list[tuple[int, Signal]] = []
        for entry in self.needed:
            if entry[0] > number:
                size -= size_of(entry[1])
                if portion and size < 0:
                    break
                portion.append(entry)
        return portion

    def stay(self) -> None:
        """Cancel the timer `leaving`."""
        if self.leaving is not None:
            self.leaving.cancel()
            self.leaving = None


def size_of(signal: Signal) -> int:
    """Return about how many bytes a signal is on the wire."""
    if isinstance(signal, Candidate):
        candidate = signal.candidate
        if candidate is None:
            return _FRAME
        mid, fragment = candidate.sdp_mid, candidate.username_fragment
        return (
            _FRAME + _bytes(candidate.candidate) + (_bytes(mid) if mid else 0) + (_bytes(fragment) if fragment else 0)
        )
    if isinstance(signal, Offer):
        return _FRAME + _bytes(signal.offer.sdp)
    return _FRAME + (_bytes(signal.answer.sdp) if isinstance(signal, Answer) else 0)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _is_of(signal: Signal, generation: frozenset[str], *, otherwise: bool) -> bool:
    """Return whether a candidate is of an ICE generation; `otherwise` if it does not say so."""
    candidate = signal.candidate if isinstance(signal, Candidate) else None
    known = None if candidate is None else candidate.username_fragment or ufrag(candidate.candidate)
    return known in generation if known else otherwise


class Call:
    """One call of a room. `started` is when it was answered, in seconds since the Unix epoch."""

    def __init__(self, kind: CallType, caller: Member, rings_until: float) -> None:
        """Ring until `rings_until` (monotonic seconds)."""
        self.id = f"call_{secrets.token_hex(10)}"
        self.kind = kind
        self.state = State.RINGING
        self.started: float | None = None
        self.caller = Side(caller, polite=False)
        self.callee = Side(caller.partner, polite=True)
        self.candidates = 0
        self.rings_until = rings_until
        self.timer: Timer | None = None
        self.held: Held | None = None
        """What waits for the callee's consent, who knows nothing of the call until then."""

    def is_hidden_from(self, side: Side) -> bool:
        """Return whether the member of this side is, or was, only asked whether the other one may call."""
        return self.held is not None and side is self.callee

    def sides(self, member: Member) -> tuple[Side, Side]:
        """Return the member's own side and the other side."""
        return (self.caller, self.callee) if member is self.caller.member else (self.callee, self.caller)
