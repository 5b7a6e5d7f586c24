"""Delivers a message after the log has accepted it: to the partner, with a receipt to its author.

`RoomLog.append` calls `done` for each message; this is the hot path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.chat.events import ChatError, MessageDelivered, MessageSent
from passerby.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.live import Member
    from passerby.models import Message

    Answer = Callable[[MessageSent | ChatError], None]
    """Acknowledges a `chat:message`."""


def done(
    context: tuple[Member, Answer | None], message: Message, encoded: bytes | None, error: Exception | None
) -> None:
    """Deliver a message of its author and send the result to them and to the answer; see `chat.log.Done`.

    `context` has the author and the answer.
    """
    author, answer = context
    if error is not None:
        refused = InternalError()
        told: MessageSent | ChatError = ChatError(
            message=refused.message, code=refused.code, client_id=message.client_id
        )
    else:
        message_id, timestamp, seq = message.id, message.timestamp, message.seq
        if encoded is not None:
            room = author.room
            room.seq = seq
            room.deliver(author.partner, message, encoded, MessageDelivered(message_id, timestamp))
        told = MessageSent(message_id, timestamp, "sent", seq, message.client_id)
    link = author.live.link
    if link is not None:
        link.send(told)
    if answer is not None:
        answer(told)
