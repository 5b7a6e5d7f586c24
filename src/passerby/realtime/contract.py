"""Every event of the contract: what the documents, the client's types and the gateway are made from."""

from __future__ import annotations

from passerby.calls.events import CALL_INBOUND, CALL_OUTBOUND
from passerby.events import CHAT_INBOUND, CHAT_OUTBOUND, Event
from passerby.models import Message

INBOUND: tuple[type[Event], ...] = CHAT_INBOUND + CALL_INBOUND
OUTBOUND: tuple[type[Event | Message], ...] = CHAT_OUTBOUND + CALL_OUTBOUND
