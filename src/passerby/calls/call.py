"""One call: its states, what may follow what, and its two sides."""

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
    """Where a call stands. A call that is over is none."""

    RINGING = "ringing"
    CONNECTING = "connecting"
    ACTIVE = "active"
    OVER = "over"


class Act(Enum):
    """What can happen to a call."""

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
"""What follows; what is not here does not happen."""


class Side(Struct, eq=False):
    """One of the two in a call."""

    member: Member
    polite: bool
    """Gives way when both negotiate at once: the one who was called."""
    relay_only: bool = False
    offering: bool = False
    """Has an offer out that is not answered."""
    needed: list[Signal] = field(default_factory=list)
    """What it has sent that the other needs to connect: its description and candidates, until media flows."""
    leaving: Timer | None = None
    """Runs while its page is gone; the call waits so long for it."""

    def withdraw(self, *kinds: type[Signal]) -> None:
        """Forget what is not needed any more."""
        self.needed = [signal for signal in self.needed if not isinstance(signal, kinds)]

    def stay(self) -> None:
        """The page is back, or it does not matter any more."""
        if self.leaving is not None:
            self.leaving.cancel()
            self.leaving = None


class Call:
    """One call of a room (the seed's WebRTCSession). `started` is when it was taken, in epoch seconds."""

    def __init__(self, kind: CallType, caller: Member, rings_until: float) -> None:
        """Ring, until a time of the monotonic clock."""
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
        """Return a member's own side and the other one."""
        return (self.caller, self.callee) if member is self.caller.member else (self.callee, self.caller)
