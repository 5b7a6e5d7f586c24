"""One call: its states, allowed transitions, and its two sides."""

from __future__ import annotations

import secrets
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from passerby.calls.events import (
    Signal,
)

if TYPE_CHECKING:
    from passerby.calls.events import (
        CallType,
    )
    from passerby.clock import Timer
    from passerby.live import Member


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
    """One of the two members in a call."""

    member: Member
    polite: bool
    """Whether this side gives way when both negotiate at once; true for the callee."""
    relay_only: bool = False
    offering: bool = False
    """Whether its last offer is unanswered."""
    needed: list[Signal] = field(default_factory=list)
    """Signals sent by this side that the other needs to connect (description, candidates), until media flows."""
    leaving: Timer | None = None
    """Runs while its page is reloading; the call ends when it fires."""

    def withdraw(self, *kinds: type[Signal]) -> None:
        """Remove signals that are no longer needed."""
        self.needed = [signal for signal in self.needed if not isinstance(signal, kinds)]

    def stay(self) -> None:
        """Cancel the timer `leaving`."""
        if self.leaving is not None:
            self.leaving.cancel()
            self.leaving = None


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

    def sides(self, member: Member) -> tuple[Side, Side]:
        """Return the member's own side and the other side."""
        return (self.caller, self.callee) if member is self.caller.member else (self.callee, self.caller)
