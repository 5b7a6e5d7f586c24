"""The log of one room in memory, which the adapters share."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, Struct

from passerby.models import SMALL_MESSAGE, Message, without_content

if TYPE_CHECKING:
    from collections.abc import Iterable

_LARGEST: Final = 2**53 - 1
"""The largest number that every client reads exactly."""
_MOST_CLIENT_IDS: Final = 7 / 4
"""How many times the client ids of one sender that must be remembered there are, at most: with up to 682 entries, a
dict takes half the memory of one with 768."""


class Log:
    """One room's log: messages as JSON, oldest first, and what is remembered of each sender."""

    __slots__ = (
        "entries",
        "epoch",
        "first",
        "most_client_ids",
        "second",
        "sent",
        "sent_by_first",
        "sent_by_second",
        "seq",
        "size",
    )

    def __init__(self, epoch: int, client_ids: int, saved: int = 0) -> None:
        """Remember at least `client_ids` of each sender, and `saved` ones more until as many were sent."""
        self.epoch = epoch
        self.most_client_ids = int(_MOST_CLIENT_IDS * client_ids) + saved
        """Client ids of one sender at which the oldest are forgotten."""
        self.seq = 0
        self.size = 0
        self.entries: deque[bytes] = deque()
        self.sent: dict[str, dict[str, bytes]] = {}
        """The newest messages of each sender by client id, as JSON for `read_identity`, oldest first."""
        self.first: str | None = None
        self.second: str | None = None
        self.sent_by_first: dict[str, bytes] = {}
        """The same as `sent[first]`, without looking it up."""
        self.sent_by_second: dict[str, bytes] = {}

    def introduce(self, sender_id: str) -> dict[str, bytes]:
        """Return what is remembered of a sender who is not the first or second."""
        sent = self.sent.setdefault(sender_id, {})
        if self.first is None:
            self.first, self.sent_by_first = sender_id, sent
        else:
            self.second, self.sent_by_second = sender_id, sent
        return sent

    def shorten(self, sender_id: str, count: int) -> None:
        """Remember only the `count` newest messages of a sender."""
        sent = self.sent[sender_id]
        shorter = self.sent[sender_id] = dict(islice(sent.items(), max(0, len(sent) - count), None))
        if self.sent_by_first is sent:
            self.sent_by_first = shorter
        if self.sent_by_second is sent:
            self.sent_by_second = shorter

    def fill(self, entries: Iterable[bytes], max_messages: int, max_bytes: int) -> None:
        """Log messages as JSON, oldest first, that have their numbers already; the limits evict the oldest."""
        self.entries.extend(entries)
        self.size = sum(map(len, self.entries))
        while self.size > max_bytes or len(self.entries) > max_messages:
            self.size -= len(self.entries.popleft())

    def identities(self, entries: Iterable[bytes]) -> list[bytes]:
        """Return what is remembered of each sender, without the messages that `entries` have whole."""
        logged = set(entries)
        return [kept for sent in self.sent.values() for kept in sent.values() if kept not in logged]


class _Sender(Struct, rename="camel"):
    """What tells from a message's JSON whose client id it has."""

    sender_id: str
    client_id: str | None = None


_read_message = msgspec.json.Decoder(Message).decode
_read_sender = msgspec.json.Decoder(_Sender).decode


def restored(epoch: int, seq: int, entries: list[bytes], identities: list[bytes], client_ids: int) -> Log:
    """Return a log as it was saved, but still without its entries, see `Log.fill`.

    It remembers all client ids that were saved, until `client_ids` more are sent. Raises ValueError, TypeError or
    MsgspecError if what was saved is damaged.
    """
    if max(epoch, seq) > _LARGEST:
        raise ValueError("a number is too large")
    messages = [_read_message(entry) for entry in entries]
    if [message.seq for message in messages] != list(range(seq - len(messages) + 1, seq + 1)) or seq < len(messages):
        raise ValueError("numbers are missing")
    # Which of them were sent again, and count as new, is not known.
    log = Log(epoch, client_ids, len(identities) + len(entries))
    log.seq = seq
    for identity in identities:
        sender = _read_sender(identity)
        if sender.client_id is not None:
            log.sent.setdefault(sender.sender_id, {})[sender.client_id] = identity
    for entry, message in zip(entries, messages, strict=True):
        if message.client_id is not UNSET:
            kept = entry if len(entry) <= SMALL_MESSAGE else without_content(message)
            log.sent.setdefault(message.sender_id, {})[message.client_id] = kept
    return log
