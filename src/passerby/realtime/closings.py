"""Close reasons: those of Socket.IO and of Passerby in one table, for clients, documentation and metrics."""

from __future__ import annotations

from typing import Final

from passerby.errors import Code
from passerby.socketio import CLOSINGS as SOCKETIO
from passerby.socketio import CloseCode, Closing

_OURS: Final = (
    Closing(
        Code.REPLACED, CloseCode.POLICY_VIOLATION, come_back=False, meaning="You are connected from another place now"
    ),
    Closing(Code.SESSION_ENDED, CloseCode.POLICY_VIOLATION, come_back=False, meaning="Your session has ended"),
    Closing(Code.BANNED, CloseCode.POLICY_VIOLATION, come_back=False, meaning="You are banned"),
    Closing(Code.RATE_LIMITED, CloseCode.POLICY_VIOLATION, come_back=False, meaning="Too many requests for too long"),
)
CLOSINGS: Final = {Code(closing.code): closing for closing in (*SOCKETIO, *_OURS)}
"""Close reasons by code. If the client should not reconnect, it gets the code in `connection:closing` first."""
