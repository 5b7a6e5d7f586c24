"""The pulse of the house: how many search now, with which interests, and how long it usually takes.

Each node counts its own searches as they begin and end. Of several nodes one, the first, asks all others about once a
second while anybody searches, and tells all of them the sum; see `Others`. Who does not answer is left out.

An interest is suggested to others only while enough different guests search with it, so that nobody is exposed. A guest
who moves from one node to another may be told by both: nodes tell who searches with an interest that few have, so that
the first counts everybody once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import suppress
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, Final
from zlib import crc32

from msgspec import Struct, msgpack

from passerby.clock import sleep, time_limit
from passerby.matching.waits import Waits, usual

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from passerby.clock import Clock
    from passerby.matching.others import Others
    from passerby.models import Mode, Wish

SUGGESTIONS: Final = 12
"""Interests that are suggested at most."""
WORDS: Final = 64
"""Interests that a node tells the first one, at most: the most frequent. Only a crowd has more, and of a crowd those
few that are suggested are among the most frequent of each node."""
_WRITTEN: Final = 64
"""Guests whose way of writing an interest is looked at, those who have searched longest: of a crowd all would be too
many."""
_WAYS: Final = 3
"""Ways of writing an interest that a node tells."""
_PAUSE: Final = 1.0
"""Seconds from one round to the next: what is known is as old as that."""
_IDLE: Final = 10.0
"""The same, while nobody searches: for what changes by itself with time."""
_PATIENCE: Final = 3.0
"""Seconds without a round after which a node knows of no others: the first may be frozen."""


class Word(Struct, array_like=True):
    """An interest with which guests of a node search."""

    folded: str
    guests: int
    who: list[int]
    """Checksums of the ids of guests, at most as many as a suggestion needs. Two that are the same count as one."""
    written: dict[str, int]
    """How the guests have written it, and how many."""


class Share(Struct, array_like=True):
    """What a node tells the first one."""

    node: str
    searching: dict[str, int]
    """Guests who search, by mode."""
    waits: list[float]
    words: list[Word]


class Summary(Struct, array_like=True):
    """What the first node tells all."""

    searching: dict[str, dict[str, int]]
    """Guests of each node who search, by mode."""
    usual_wait: float | None
    suggestions: list[str]


class Pulse:
    """Counts the searches of this node, and knows about those of the others.

    Whoever starts and ends searches calls `searched` and `ended` of each guest, and `met` once when two are matched.
    """

    def __init__(self, clock: Clock, *, node: str, people: int) -> None:
        """`people` is how many guests have to search with an interest before it is suggested. `node` is our id."""
        self._clock = clock
        self._node = node
        self._people = people
        self.others: Others | None = None
        """The other nodes; None: this one is alone."""
        self._searching: dict[str, Wish] = {}
        """What the guests who search wish, by id."""
        self._counts: Counter[str] = Counter()
        """How many there are of each mode."""
        self._words: dict[str, dict[str, str]] = {}
        """Each interest that is searched with: how each guest has written it."""
        self._common: dict[str, None] = {}
        """Interests of at least two guests, in the order in which they became so."""
        self._waits = Waits(clock)
        self._stirred = asyncio.Event()
        self._elsewhere: Counter[str] = Counter()
        """Guests who search on other nodes, by mode."""
        self._summary = Summary({}, None, [])
        self._until = clock.monotonic()
        """When it is too old (monotonic seconds)."""
        self._known_until = self._until
        """Until when the first node is sure to know that guests search here (monotonic seconds)."""
        self._encode = msgpack.Encoder().encode
        self._decode_share = msgpack.Decoder(Share).decode
        self._decode_summary = msgpack.Decoder(Summary).decode

    # ── what happens here ─────────────────────────────────────────────────────────────────────────

    def searched(self, guest_id: str, wish: Wish) -> None:
        """A guest searches. If they did already, that was with another wish, and counts no longer."""
        if guest_id in self._searching:
            self.ended(guest_id)
        self._searching[guest_id] = wish
        self._counts[wish.mode] += 1
        for word, written in _written(wish).items():
            guests = self._words.setdefault(word, {})
            guests[guest_id] = written
            if len(guests) == 2:  # noqa: PLR2004 - the second guest makes it common
                self._common[word] = None
        self._stirred.set()

    def ended(self, guest_id: str) -> None:
        """A guest searches no longer here, for whatever reason. No effect if they did not."""
        wish = self._searching.pop(guest_id, None)
        if wish is None:
            return
        self._counts[wish.mode] -= 1
        for word in _written(wish):
            guests = self._words[word]
            del guests[guest_id]
            if len(guests) == 1:
                del self._common[word]
            elif not guests:
                del self._words[word]

    def met(self, seconds: float) -> None:
        """Two guests were matched. `seconds` is how long the one has searched who searched longer.

        The other one mostly came when somebody waited already. Such a search takes no time, and would only hide from
        those who have to wait how long that takes.
        """
        self._waits.add(seconds)

    # ── what is known ─────────────────────────────────────────────────────────────────────────────

    def searching(self, mode: Mode) -> int:
        """Return how many guests search in a mode. Those of this node count at once, others about a second later."""
        self._current()
        return self._counts[mode] + self._elsewhere[mode]

    def usual_wait(self) -> float | None:
        """Return how many seconds a search usually takes, about a second old; None: too little is known."""
        return self._current().usual_wait

    def suggestions(self) -> list[str]:
        """Return interests with which several guests search, the most frequent first, as most of them write them."""
        return self._current().suggestions

    def _current(self) -> Summary:
        if self._clock.monotonic() >= self._until:
            self._see(self._merged([]), _PAUSE)
        return self._summary

    def _see(self, summary: Summary, lifetime: float) -> None:
        self._summary = summary
        self._elsewhere = Counter()
        for node, counts in summary.searching.items():
            if node != self._node:
                self._elsewhere.update(counts)
        self._until = self._clock.monotonic() + lifetime

    def _merged(self, shares: list[Share]) -> Summary:
        """Return the sum of this node's share and those of others."""
        return merged([self._share(), *shares], self._people)

    def _share(self) -> Share:
        words = nlargest(WORDS, self._common, key=lambda word: len(self._words[word]))
        if len(words) < WORDS:
            rare = (word for word in self._words if word not in self._common)
            words += islice(rare, WORDS - len(words))
        return Share(self._node, dict(+self._counts), self._waits.lately(), [self._word(word) for word in words])

    def _word(self, word: str) -> Word:
        guests = self._words[word]
        who = [crc32(guest_id.encode()) for guest_id in islice(guests, self._people)]
        written = Counter(islice(guests.values(), _WRITTEN))
        return Word(word, len(guests), who, dict(written.most_common(_WAYS)))

    # ── several nodes ─────────────────────────────────────────────────────────────────────────────

    def stir(self) -> None:
        """A round is due: somebody has begun to search on another node."""
        self._stirred.set()

    async def share(self) -> bytes:
        """Return what this node has for a round."""
        return self._encode(self._share())

    def told(self, summary: bytes) -> None:
        """Take what the first node tells. Raises msgspec.MsgspecError."""
        self._hear(self._decode_summary(summary))

    def _hear(self, summary: Summary) -> None:
        is_busy = any(summary.searching.values())
        self._see(summary, _PATIENCE if is_busy else _IDLE + _PATIENCE)
        if summary.searching.get(self._node):
            self._known_until = self._until
        if is_busy:
            self._stirred.set()  # the next round is due; this node may be the first then

    async def keep(self) -> None:
        """Wait until somebody searches, or it is time; then make a round, or have the first node make one. Pause."""
        others = self.others
        assert others is not None  # noqa: S101 - whoever starts this has set it
        with suppress(TimeoutError):
            async with time_limit(self._clock, _IDLE):
                await self._stirred.wait()
        self._stirred.clear()
        if others.is_first:
            summary = self._merged([self._decode_share(share) for share in await others.gather()])
            others.tell(self._encode(summary))
            self._hear(summary)
        elif self._searching and self._clock.monotonic() >= self._known_until:
            await others.announce()
        if self._searching:
            self._stirred.set()
        await sleep(self._clock, _PAUSE)


def _written(wish: Wish) -> dict[str, str]:
    """Return how the guest has written each interest."""
    return dict(zip(wish.interests, wish.words, strict=False))


def merged(shares: Iterable[Share], people: int) -> Summary:
    """Return the sum of the shares of all nodes. An interest is suggested if at least `people` search with it."""
    searching: dict[str, dict[str, int]] = {}
    waits: list[float] = []
    guests: Counter[str] = Counter()
    who: defaultdict[str, set[int]] = defaultdict(set)
    written: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for share in shares:
        searching[share.node] = share.searching
        waits += share.waits
        for word in share.words:
            guests[word.folded] += word.guests
            who[word.folded].update(word.who)
            written[word.folded].update(word.written)
    frequent = sorted((word for word in guests if len(who[word]) >= people), key=lambda word: (-guests[word], word))
    suggestions = [_as_most_write(word, written[word]) for word in frequent[:SUGGESTIONS]]
    return Summary(searching, usual(waits), suggestions)


def _as_most_write(word: str, written: Mapping[str, int]) -> str:
    """Return how most have written an interest; of equally many, the folded word first."""
    return min(written, key=lambda way: (-written[way], way != word, way))
