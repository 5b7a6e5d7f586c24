"""The same text or link to many partners: noticed by keyed fingerprints, slowed, then held for review.

No text is kept. A fingerprint's key is random, and changes each hour; then all that was counted is forgotten. Nothing
is shared with other nodes.

Nearly all texts are said once. So each leaves a cheap fingerprint (Python's own keyed hash) in a table of fixed size,
where a later one takes its place; only what is found there again, from another room, is counted by its sender.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sys
import unicodedata
from array import array
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final

from passerby.clock import sleep
from passerby.errors import Code, ConflictError
from passerby.safety.links import IGNORED, has_link

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from passerby.clock import Clock
    from passerby.live import LiveGuest, Member
    from passerby.models import Rule
    from passerby.safety.cases import Source

    Notice = Callable[[LiveGuest, Source, Rule], object]
    """Opens a case about a guest: see `Reports.notice`."""

SHORT: Final = 12
"""Characters of a text, without spaces, that anyone may say to everyone: greetings are short."""
FIRST: Final = 100
"""Messages of a conversation, of both, that are counted: whoever talks for so long is not about many partners."""
COMMON: Final = 24
"""Characters of a text that LENIENCY times as many may get: what one asks everybody ("where are you from?")."""
LENIENCY: Final = 4
"""So many times as many partners; also of one address together, which a school shares."""
WINDOW: Final = 3600.0
"""Seconds after which everything is forgotten."""
PAUSE: Final = 30.0
"""Seconds until a text may go to one partner too many; and so many more to the next."""
_SHORTEST_LINK: Final = 6
"""Characters of the shortest link that leads somewhere: `t.me/a`."""
_READ: Final = 1024
"""Characters of a text that are compared."""
_READ_OF_LINK: Final = 100
"""Characters of a word that may be a link. More would take too long: see `has_link`."""
_MOST_WORDS: Final = 8
"""Words of a text that are looked at, of those that may be links."""
_SLOTS: Final = 1 << 17
"""Texts of all guests that are remembered: of two minutes, if there are a thousand a second. 2 MB."""
_MOST: Final = 20_000
"""Texts of several rooms that are counted, twice each: by sender, and by address. 20 MB."""
_MOST_NOTICES: Final = 10_000
"""Senders of whom it is known that a case was opened in this hour."""
_DOTTED: Final = re.compile(r"\.\w")
"""What every link has, and most texts have not."""
_AROUND: Final = "()[]{}<>\"'`*_~,;:!?."
"""What may stand before and after a link."""


def nobody_looks(_live: LiveGuest, _source: Source, _rule: Rule) -> None:
    """Open no case."""


class _Spread:
    """Which partners have got a text from a sender, or would have."""

    __slots__ = ("free_at", "rooms")

    def __init__(self) -> None:
        self.rooms: tuple[int, ...] = ()
        self.free_at = 0.0
        """When it may go to those beyond the limit (monotonic seconds)."""


class Repeats:
    """Counts how many partners get the same from one sender."""

    def __init__(self, clock: Clock, *, partners: int, notice: Notice = nobody_looks, most: int = _MOST) -> None:
        """`partners` may get the same in an hour: more only after a pause, and twice as many at most; 0: any number.

        `notice` is called for who goes on. At most `most` texts are counted.
        """
        self._clock = clock
        self._partners = partners
        self._most = 2 * most
        self.notice = notice
        self.least = _SHORTEST_LINK if partners else sys.maxsize
        """Characters of the shortest text for which `check` need be called: the caller looks, as many are shorter."""
        self._spreads: OrderedDict[tuple[bytes, Hashable], _Spread] = OrderedDict()
        self._noticed: set[Hashable] = set()
        self._seen = self._rooms = array("q")
        """Texts that were said, and the room of each, by hashes."""
        self.forget()

    def forget(self) -> None:
        """Begin anew, with other keys."""
        self._key = secrets.token_bytes(32)
        self._salt = secrets.token_hex(16)
        slots = _SLOTS if self._partners else 0
        self._seen, self._rooms = array("q", bytes(8 * slots)), array("q", bytes(8 * slots))
        self._spreads.clear()
        self._noticed.clear()

    async def keep(self) -> None:
        """Wait an hour, then `forget`."""
        await sleep(self._clock, WINDOW)
        self.forget()

    def check(self, author: Member, text: str) -> None:
        """Count a text of `author`, once per partner.

        Raises ConflictError: repeated_message with `retry_after`, message_held.
        """
        # Each text comes through here: the common case of `_plain`.
        plain = text.lower().replace(" ", "") if text.isascii() and text.isprintable() else _plain(text)
        length = len(plain)
        if length > SHORT:
            seen = hash(self._salt + plain)
            slot = seen & (_SLOTS - 1)
            room = hash(author.room.id)
            if self._seen[slot] != seen:
                self._seen[slot] = seen
                self._rooms[slot] = room
            elif self._rooms[slot] != room:
                # Somebody has said it before, most likely the same guest.
                self._count(author, _plain(text), 1, LENIENCY if length <= COMMON else 1)
        if "." in text and _DOTTED.search(text):
            for link in links(text):
                self._count(author, f"\n{link}", 0, 1)  # no text has a line break now, so it is none

    def _count(self, author: Member, text: str, before: int, leniency: int) -> None:
        """Count one more room, beside so many `before`, and refuse what is too much.

        A device, or the first of a chain of sessions, stands for all of them; the bucket of an address for the address,
        which nobody keeps. An address may be a whole school: it is slowed down, and nobody there is accused for others.
        """
        live, guest, now = author.live, author.live.guest, self._clock.monotonic()
        fingerprint = hashlib.blake2b(text.encode(), digest_size=16, key=self._key).digest()
        most = self._partners * leniency
        own = guest.device or guest.root
        senders: tuple[tuple[Hashable, int], ...] = ((id(live.address_bucket), most * LENIENCY), (own, most))
        for sender, limit in senders:
            place, free_at = self._place((fingerprint, sender), hash(author.room.id), now, limit - before)
            if place + before >= 2 * limit and sender is own:
                self._notice(sender, live)
                raise ConflictError(
                    Code.MESSAGE_HELD, "So many have got this from you that somebody has to look at it first"
                )
            if place + before >= limit and now < free_at:
                raise ConflictError(
                    Code.REPEATED_MESSAGE,
                    "Many have got this from you: write something else, or wait",
                    retry_after=free_at - now,
                )

    def _place(self, key: tuple[bytes, Hashable], room: int, now: float, free: int) -> tuple[int, float]:
        """Return how many rooms have got a text before this one; and when this one may, if these are `free` or more."""
        spread = self._spreads.get(key)
        if spread is None:
            if len(self._spreads) >= self._most:
                self._spreads.popitem(last=False)
            self._spreads[key] = spread = _Spread()
        rooms = spread.rooms
        if room in rooms:
            return rooms.index(room), spread.free_at
        self._spreads.move_to_end(key)
        if len(rooms) < 2 * free + 1:
            spread.rooms = (*rooms, room)
            if len(rooms) >= free:
                spread.free_at = max(now, spread.free_at) + PAUSE
        return len(rooms), spread.free_at

    def _notice(self, sender: Hashable, live: LiveGuest) -> None:
        if sender not in self._noticed and len(self._noticed) < _MOST_NOTICES:
            self._noticed.add(sender)
            self.notice(live, "repeats", "spam")


def _plain(text: str) -> str:
    """Return what is compared of a text: no matter how it is spaced, and in which of the forms that look alike."""
    plain = text[:_READ]
    if not plain.isascii():
        plain = IGNORED.sub("", unicodedata.normalize("NFKC", plain))
    return "".join(plain.casefold().split())


def links(text: str) -> Iterator[str]:
    """Yield host and path of links in a text, without what comes after: that differs from partner to partner."""
    for word in islice((word for word in text.split() if "." in word), _MOST_WORDS):
        part = word[:_READ_OF_LINK]
        if has_link(part):
            host, _, rest = part.casefold().rpartition("://")[2].partition("/")
            path = re.split("[?#]", rest, maxsplit=1)[0].rstrip(_AROUND + "/")
            yield f"{host.strip(_AROUND).removeprefix('www.')}/{path}"
