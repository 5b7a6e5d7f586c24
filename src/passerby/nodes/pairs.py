"""What both adapters of the bus do: numbers, eras and losses of each pair of nodes. It moves no bytes itself.

A message, as MessagePack: `[version, sender, era, received, first, frames]`.

| field | |
|---|---|
| `version`, `sender` | of the message, and the id of the node that sent it: the same two in all versions |
| `era` | of the pair, see below; from 1 |
| `received` | how many frames the sender has received from us in this era |
| `first` | the number of the first frame, or of the next one if there is none; from 1 in each era |
| `frames` | an array of frames, possibly empty |

**Eras.** Both nodes of a pair count eras, from 1. Who notices a loss begins the next era, forgets what waits, calls
`on_lost`, and tells the other with a message of the new era. So, of a message that comes:

- its era is ours: it must begin with the number that is due; else something is lost;
- its era is higher: the other has noticed a loss: we go to that era and call `on_lost` once, then its frames are taken;
- its era is lower: it was sent before a loss, and is dropped. The other is told our era, once for each of its eras.

If both notice the same loss they both come to the same era, and neither tells the other news: one call on each side.
If one loses several times before the other hears of it, the other learns of all at once: one call there.
An era without a frame in it cannot be lost, so what breaks again and again is told once. Who had no frame in an era
that the other has lost may learn of it only with the next frame.

**The first frames of an era** are answered with an empty message if nothing else goes back in that turn, so the sender
knows that they came. Without any word of that within `CONFIRMATION` seconds they are lost: the other has perhaps never
heard of us, so it would not tell us that it has missed something. Later frames need no confirmation: they come, or the
subscription of the receiver ends and it says so, or a later frame shows the gap.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import msgspec

from passerby.logs import Sampled
from passerby.nodes.bus import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.background import Background
    from passerby.clock import Timer
    from passerby.nodes.bus import Frame, Take

log = logging.getLogger(__name__)

OUTBOX_LIMIT: Final = 8 * 1024 * 1024
"""Maximum bytes that wait for one node: a slow one costs only its own rooms."""
CONFIRMATION: Final = 5.0
"""Seconds until the first frames of an era must be confirmed: as long as a node that is paused counts as alive."""
MOST_PAIRS: Final = 4096
"""Pairs that are remembered: ids of nodes are new at each start. Those without frames since their loss go first."""
_MOST_ERAS: Final = 1 << 30
"""No node loses so often before another one hears of it; a few steps like that would exhaust the numbers."""
_WORK: Final = "frame of the bus"

_Era: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[int, str, _Era, int, int, list[tuple[Any, ...]]]).decode
_decode_any: Final = msgspec.msgpack.Decoder().decode


class _Pair:
    """What this node knows about itself and another one."""

    __slots__ = ("era", "is_due", "is_queued", "node", "queue", "received", "replied", "sent", "timer", "unanswered")

    def __init__(self, node: str) -> None:
        self.node = node
        self.era = 1
        self.sent = 0
        """Frames that were published in this era."""
        self.received = 0
        """Frames that came in this era."""
        self.queue: list[Frame] = []
        """Frames of this turn of the loop."""
        self.is_queued = False
        """Whether the end of this turn looks at it."""
        self.is_due = False
        """Whether the other node has to hear from us, even without frames."""
        self.replied = 0
        """The highest of its eras for which it was told that ours is a higher one."""
        self.unanswered = 0
        """Bytes that were published, without an answer yet."""
        self.timer: Timer | None = None
        """Set while the first frames of this era are not confirmed."""

    @property
    def is_used(self) -> bool:
        """Return whether there is a frame in this era."""
        return bool(self.sent or self.received or self.queue)


class Pairs:
    """All pairs of one node. Nothing can be sent before `up`, nor after `down`."""

    def __init__(
        self,
        node: str,
        background: Background,
        publish: Callable[[str, bytes, Callable[[object], None]], None],
        outbox_limit: int = OUTBOX_LIMIT,
    ) -> None:
        """`publish(node, message, done)` sends a message, and calls `done` later: with the number of those who listen.

        Anything else than a number above 0 is a failure. Messages for one node come in the order of sending.
        """
        self.node = node
        self._background = background
        self._publish = publish
        self._outbox_limit = outbox_limit
        self._takes: dict[int, Take] = {}
        self._lost: list[Callable[[str], None]] = []
        self._pairs: dict[str, _Pair] = {}
        self._queued: list[_Pair] = []
        """Pairs that the end of this turn looks at."""
        self.is_up = False
        """Whether something can be sent and received."""
        monotonic = background.clock.monotonic
        self._damaged = Sampled(
            log.warning, "messages on the bus that are damaged, or not ours, are ignored", monotonic
        )
        self._unknown = Sampled(
            log.warning, "nodes of an unknown version are on the bus: they are left alone", monotonic
        )
        self.frames_sent = 0
        self.frames_received = 0
        self.messages_sent = 0
        self.messages_received = 0
        self.losses = 0
        """How often a pair was lost."""

    # ── the port ──────────────────────────────────────────────────────────────────────────────────

    def take(self, kind: int, take: Take) -> None:
        """See Bus."""
        self._takes[kind] = take

    def on_lost(self, lost: Callable[[str], None]) -> None:
        """See Bus."""
        self._lost.append(lost)

    def send(self, node: str, frame: Frame) -> None:
        """See Bus. This is the hot path."""
        pair = self._pairs.get(node)
        if pair is None:
            pair = self._pair(node)
        pair.queue.append(frame)
        if not pair.is_queued:
            self._look_soon(pair)

    def gone(self, node: str) -> None:
        """See Bus."""
        pair = self._pairs.get(node)
        if pair is not None and pair.is_used:
            self._lose(pair, pair.era + 1)

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    def _pair(self, node: str) -> _Pair:
        if len(self._pairs) >= MOST_PAIRS:
            self._forget()
        pair = self._pairs[node] = _Pair(node)
        return pair

    def _forget(self) -> None:
        """Make room for some pairs."""
        unused = (pair.node for pair in self._pairs.values() if not (pair.is_used or pair.is_queued))
        for node in [node for node, _ in zip(unused, range(MOST_PAIRS // 4), strict=False)]:
            del self._pairs[node]

    def _look_soon(self, pair: _Pair) -> None:
        pair.is_queued = True
        if not self._queued:
            asyncio.get_running_loop().call_soon(self.flush)
        self._queued.append(pair)

    def flush(self) -> None:
        """Publish what waits: at the end of a turn of the loop."""
        queued, self._queued = self._queued, []
        for pair in queued:
            pair.is_queued = False
            if not self.is_up:
                if pair.queue:
                    self._lose(pair, pair.era + 1)
            elif pair.queue or pair.is_due:
                self._post(pair)

    def _post(self, pair: _Pair) -> None:
        frames, pair.queue = pair.queue, []
        count = len(frames)
        try:
            message = _encode((VERSION, self.node, pair.era, pair.received, pair.sent + 1, frames))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a frame
            pair.queue = frames
            self._background.failed(_WORK, error)
            self._lose(pair, pair.era + 1)
            return
        size = len(message)
        if count:
            if pair.unanswered + size > self._outbox_limit:
                pair.queue = frames
                self._lose(pair, pair.era + 1)
                return
            if not pair.sent:
                pair.timer = self._background.call_later(
                    "confirmation on the bus", CONFIRMATION, partial(self._unconfirmed, pair, pair.era)
                )
            pair.sent += count
            self.frames_sent += count
        pair.is_due = False
        pair.unanswered += size
        self.messages_sent += 1
        try:
            self._publish(pair.node, message, partial(self._published, pair, pair.era, size, count))
        except UnicodeEncodeError as error:  # the id of the node cannot be sent: nobody has such a one
            self._background.failed(_WORK, error)
            self._published(pair, pair.era, size, count, None)

    def _published(self, pair: _Pair, era: int, size: int, count: int, reply: object) -> None:
        pair.unanswered -= size
        if (reply.__class__ is int and reply) or pair.era != era:
            return
        if count:
            self._lose(pair, era + 1)
        else:
            pair.is_due = True  # said with the next frame, or when we are up again

    def _unconfirmed(self, pair: _Pair, era: int) -> None:
        if pair.era == era and pair.timer is not None:
            self._lose(pair, era + 1)

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────

    def receive(self, message: bytes) -> None:
        """Handle a message that came. This is the hot path."""
        try:
            version, sender, era, received, first, frames = _decode(message)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self._not_understood(message)
            return
        if version != VERSION:
            self._not_understood(message)
            return
        self.messages_received += 1
        pair = self._pairs.get(sender)
        if pair is None:
            pair = self._pair(sender)
        if era != pair.era and not self._is_new(pair, era):
            return
        if first != pair.received + 1:
            self._lose(pair, era + 1)
            return
        if pair.timer is not None or not pair.received:
            self._confirm(pair, received, bool(frames))
        count = len(frames)
        pair.received += count
        self.frames_received += count
        self._handle(pair, era, frames)

    def _confirm(self, pair: _Pair, received: int, has_frames: bool) -> None:  # noqa: FBT001 - of one message
        """The other node knows our era, and perhaps that our frames have come. Let it know the same."""
        if received and pair.timer is not None:
            pair.timer.cancel()
            pair.timer = None
        if not pair.received:
            pair.is_due = has_frames
            if has_frames and not pair.is_queued:
                self._look_soon(pair)

    def _handle(self, pair: _Pair, era: int, frames: list[Frame]) -> None:
        takes, sender = self._takes, pair.node
        for frame in frames:
            try:  # `Background.attempt`, inlined
                take = takes.get(frame[0])
                if take is not None:
                    take(sender, frame)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the next frame must be handled
                self._background.failed(_WORK, error)
            if pair.era != era:  # the handler has given it up
                return

    def _is_new(self, pair: _Pair, era: int) -> bool:
        """Go to a higher era; return whether it was higher."""
        if era > pair.era + _MOST_ERAS:
            self._damaged.note()
        elif era > pair.era:
            self._lose(pair, era)
            # A callback may have given it up once more.
            return pair.era == era
        elif era > pair.replied or pair.is_due:
            pair.replied = max(era, pair.replied)
            pair.is_due = True
            if not pair.is_queued:
                self._look_soon(pair)
        return False

    def _not_understood(self, message: bytes) -> None:
        try:
            version, sender, *_ = _decode_any(message)
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
            version = sender = None
        if not isinstance(version, int) or version == VERSION or not isinstance(sender, str):
            self._damaged.note()
            return
        self._unknown.note()
        self.gone(sender)

    # ── losses ────────────────────────────────────────────────────────────────────────────────────

    def _lose(self, pair: _Pair, era: int) -> None:
        """Begin `era`."""
        pair.era = era
        pair.replied = 0
        pair.sent = pair.received = 0
        pair.queue = []
        if pair.timer is not None:
            pair.timer.cancel()
            pair.timer = None
        pair.is_due = True
        if not pair.is_queued:
            self._look_soon(pair)
        self.losses += 1
        for lost in self._lost:
            self._background.attempt("loss on the bus", lost, pair.node)

    def up(self) -> None:
        """From now on messages come, and can be sent."""
        self.is_up = True
        for pair in self._pairs.values():
            if pair.is_due and not pair.is_queued:
                self._look_soon(pair)

    def down(self) -> None:
        """No message comes, or some were missed: all pairs are lost."""
        self.is_up = False
        for pair in list(self._pairs.values()):
            if pair.is_used:
                self._lose(pair, pair.era + 1)

    def close(self) -> None:
        """Send what waits. Nothing is sent after that, and nobody is told of a loss."""
        if self.is_up:
            self.flush()
        self._lost.clear()
        self._takes.clear()
        self.is_up = False
        for pair in self._pairs.values():
            if pair.timer is not None:
                pair.timer.cancel()
                pair.timer = None
