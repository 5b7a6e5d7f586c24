"""What of the open rooms is on its way to Redis; see `log_redis`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import asyncio

    from passerby.chat.log import Done
    from passerby.chat.log_contents import Log
    from passerby.models import Message

Told: TypeAlias = "tuple[Done, Any, Message, bytes | None]"
"""What is to be called, and what it gets, beside no error."""


class LoggedRoom:
    """An open room: its log in memory, and what Redis should have of it."""

    __slots__ = (
        "batches",
        "epoch",
        "id",
        "is_current",
        "is_foreign",
        "is_new",
        "is_open",
        "keys",
        "length",
        "log",
        "members",
        "noted",
        "notes",
        "owner",
        "pending",
        "seq",
        "told",
    )

    def __init__(self, room_id: str, members: tuple[str, str], log: Log) -> None:
        self.id = room_id
        self.keys: tuple[str, ...] = ()
        """Those of the state, the log and the identities; none before the first batch: many rooms never have one."""
        self.epoch = log.epoch
        self.owner = ""
        """Who may write, in Redis: this process, for this epoch. Set with `keys`."""
        self.members = members
        """The session ids of both."""
        self.log = log
        self.notes: dict[str, bytes] = {}
        self.noted: set[str] = set()
        """Names of notes that have changed since they were written."""
        self.seq = log.seq
        """The number of the last message that was sent to Redis."""
        self.length = len(log.entries)
        """The length that the log in Redis has then."""
        self.told = log.seq
        """The number of the last message that is done."""
        self.pending: Batch | None = None
        """What this turn sends to Redis."""
        self.batches: deque[Batch] = deque()
        """All batches that are not done, in order, with the pending one."""
        self.is_current = False
        """Whether Redis holds what is expected, if all succeeds that was sent. If not, the room must be written."""
        self.is_foreign = False
        """Whether it belongs to another owner, in Redis: from then on it is only in this process's memory."""
        self.is_open = True
        self.is_new = False
        """Whether Redis knows nothing of it yet: a room that closes at once is never written."""


class Batch:
    """Messages of one room that Redis gets with one command, and what is done after they are there."""

    __slots__ = ("is_answered", "is_write", "messages", "room", "told", "waiter")

    def __init__(self, room: LoggedRoom) -> None:
        self.room = room
        self.messages: list[bytes] = []
        self.told: list[Told] = []
        """In order; also duplicates, and messages that were not for Redis."""
        self.is_write = False
        """Whether the whole room is written."""
        self.is_answered = False
        self.waiter: asyncio.Future[None] | None = None
        """Is set when all of it is done."""
