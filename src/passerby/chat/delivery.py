"""Delivers a message after the log has accepted it: to the partner, with a receipt to its author.

`RoomLog.append` calls `done` for each message; this is the hot path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from passerby.chat.events import ChatError, MessageDelivered, MessageSent
from passerby.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.live import Member
    from passerby.models import Message

    Answer = Callable[[MessageSent | ChatError], None]
    """Acknowledges a `chat:message`."""


class Pending(Struct, rename="camel", frozen=True):
    """The fields of an unconfirmed message that are needed when it is confirmed."""

    id: str
    seq: int
    client_id: str | UnsetType = UNSET


read_pending = msgspec.json.Decoder(Pending).decode


def done(
    author: Member, answer: Answer | None, message: Message, encoded: bytes | None, error: Exception | None = None
) -> None:
    """Deliver a message of `author` and send the result to them and to `answer`; see `chat.log.Done`."""
    if error is not None:
        refused = InternalError()
        told: MessageSent | ChatError = ChatError(
            message=refused.message, code=refused.code, client_id=message.client_id
        )
    else:
        message_id, timestamp, seq = message.id, message.timestamp, message.seq
        if encoded is not None:
            author.room.seq = seq
            author.room.deliver(author.partner, encoded, MessageDelivered(message_id, timestamp))
        told = MessageSent(message_id, timestamp, "sent", seq, message.client_id)
    link = author.live.link
    if link is not None:
        link.send(told)
    if answer is not None:
        answer(told)
