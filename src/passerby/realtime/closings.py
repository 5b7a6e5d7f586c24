"""Why connections end: Socket.IO's reasons and ours in one table, for clients, docs and metrics."""

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
    Closing(Code.RATE_LIMITED, CloseCode.POLICY_VIOLATION, come_back=False, meaning="Too many requests for too long"),
)
CLOSINGS: Final = {Code(closing.code): closing for closing in (*SOCKETIO, *_OURS)}
"""Each by its code. Where a client is not to come back by itself, `connection:closing` tells it the code first."""
