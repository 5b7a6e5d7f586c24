"""What guests send is checked by hooks before it is delivered, in order, and held if one of them says so."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from passerby.background import FAILURES, is_failure
from passerby.clock import time_limit
from passerby.errors import Code, ConflictError, RateLimitedError
from passerby.live import RoomObserver, not_in_room
from passerby.logs import Sampled
from passerby.safety.hook import ALLOW, Item, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from passerby.background import Background
    from passerby.clock import Clock
    from passerby.errors import PasserbyError
    from passerby.live import LiveGuest, Member, Room
    from passerby.models import Rule
    from passerby.safety.acks import Acks
    from passerby.safety.hook import Hook, ItemKind

log = logging.getLogger(__name__)

MOST_WAITING: Final = 16
"""Maximum messages of one author that are being checked."""
_RETRY: Final = 1.0
"""Seconds until an author may try again who has too many."""
_FAILURES: Final = 5
"""Failures in a row after which a hook is not asked for some time."""
_PAUSE: Final = 10.0
"""How long, in seconds. Until then it counts as failed at once: nobody waits for a deadline again and again."""
_HELD: Final = "This was held, and is not delivered"
_LATER: Final = Verdict(holds=True, words="This cannot be checked now, try again later", checked=False)


class _Waiting(Struct, eq=False):
    """A message that is being checked, or that waits for those before it."""

    deliver: Callable[[], None]
    refuse: Callable[[PasserbyError], None]
    client_id: str | None
    acks: Acks
    content: object
    """What is checked: with the same client id, but another content, it is another message."""
    verdict: Verdict | None = None
    """None: it is not known yet."""


class _Asked:
    """A hook, and how it has fared."""

    def __init__(self, hook: Hook, clock: Clock, *, without: Verdict, rests: bool) -> None:
        """`without` is the verdict if it gives none. `rests`: it is not asked for some time after failures in a row."""
        self.hook = hook
        self._without = without
        self._rests = rests
        self._clock = clock
        self.unanswered = 0
        """Questions without an answer."""
        self._failures = 0
        self._rests_until = 0.0
        self.unanswered = 0
        """Questions that it has not answered."""
        self._failed = Sampled(log.warning, f"{hook.name} has not answered", clock.monotonic)

    async def check(self, item: Item, deadline: float) -> Verdict:
        """Return its verdict, or the one without it."""
        if self._clock.monotonic() < self._rests_until:
            self.unanswered += 1
            return self._without
        try:
            async with time_limit(self._clock, deadline):
                verdict = await self.hook.check(item)
        except FAILURES as error:
            if not is_failure(error):
                raise
            self._failures += 1
            self.unanswered += 1
            self._failed.note()
            if self._rests and self._failures >= _FAILURES:
                self._rests_until = self._clock.monotonic() + _PAUSE
            return self._without
        self._failures = 0
        return verdict


class _Team:
    """The hooks that are asked, until others are."""

    def __init__(self, members: list[_Asked]) -> None:
        self.members = members
        self.asking = 0
        """Items about which they are being asked."""
        self.gone: list[Hook] = []
        """Those of them to close when nobody asks them any more."""


class Checks(RoomObserver):
    """What is being checked in all rooms."""

    def __init__(
        self,
        hooks: Sequence[Hook],
        clock: Clock,
        background: Background,
        *,
        built_in: Sequence[Hook] = (),
        deadline: float,
        fails_open: bool,
        noticed: Callable[[LiveGuest, Rule], object],
    ) -> None:
        """`deadline` is in seconds, for each item. `fails_open` is what becomes of an item if a hook does not answer.

        Those that are `built_in` are asked first. They fail for what guests do, and not because a service is away: what
        they cannot check is held, and they never rest, or one guest could switch them off for all.
        `noticed` is called with the author of what was held, and why.
        """
        self._clock = clock
        self._background = background
        self._noticed = noticed
        self._hooks = _Team([])
        self._unanswered = 0
        """Questions that hooks have not answered which are not asked any more."""
        self.kinds: frozenset[ItemKind]
        """What hooks look at: nothing else needs to be given to `check`, unless something is being checked."""
        self.change(hooks, built_in=built_in, deadline=deadline, fails_open=fails_open)
        self.held = self.passed = 0
        """Items that were held, and those that were delivered."""
        self._lines: dict[Member, deque[_Waiting]] = {}
        """What is being checked of each author, in order."""

    def change(self, hooks: Sequence[Hook], *, built_in: Sequence[Hook], deadline: float, fails_open: bool) -> None:
        """Ask other hooks from now on. Those before are closed once all that they were asked is answered."""
        self._unanswered = self.unanswered
        before, without = self._hooks, ALLOW if fails_open else _LATER
        self._hooks = _Team(
            [
                *(_Asked(hook, self._clock, without=_LATER, rests=False) for hook in built_in),
                *(_Asked(hook, self._clock, without=without, rests=True) for hook in hooks),
            ]
        )
        self._deadline = deadline
        self.kinds = frozenset(kind for asked in self._hooks.members for kind in asked.hook.kinds)
        stay = [asked.hook for asked in self._hooks.members]
        before.gone = [asked.hook for asked in before.members if all(asked.hook is not hook for hook in stay)]
        self._close_gone(before)

    def _close_gone(self, team: _Team) -> None:
        if not team.asking:
            gone, team.gone = team.gone, []
            for hook in gone:
                self._background.start(f"closing of {hook.name}", hook.close())

    @property
    def unanswered(self) -> int:
        """Return how many questions the hooks have not answered."""
        return self._unanswered + sum(asked.unanswered for asked in self._hooks.members)

    def is_busy(self, author: Member) -> bool:
        """Return whether something of `author` is being checked: what follows must wait for it."""
        return author in self._lines

    def check(
        self,
        author: Member,
        item: Callable[[], Awaitable[Item]],
        deliver: Callable[[], None],
        refuse: Callable[[PasserbyError], None],
        *,
        content: object,
        client_id: str | None,
        acks: Acks,
    ) -> None:
        """Ask the hooks about an item, then `deliver` it, or `refuse` it with the reason; after those before it.

        `acks` are those that `deliver` and `refuse` call. One with the same `client_id` and `content` that is being
        checked already is the same message, sent again: it is delivered or refused once, and all `acks` are called.
        Raises RateLimitedError if too many of this author are being checked.
        """
        line = self._lines.setdefault(author, deque())
        again = next((one for one in line if client_id and (one.client_id, one.content) == (client_id, content)), None)
        if again is not None:
            acks.join(again.acks)
            again.deliver, again.refuse, again.acks = deliver, refuse, acks  # of the connection of now
            return
        if len(line) >= MOST_WAITING:
            raise RateLimitedError(_RETRY, "messages that are being checked", limit="checks")
        waiting = _Waiting(deliver, refuse, client_id, acks, content)
        line.append(waiting)
        self._background.start("check of a message", self._check(author, item, waiting))

    async def _check(self, author: Member, item: Callable[[], Awaitable[Item]], waiting: _Waiting) -> None:
        verdict = _LATER  # what cannot be read whole has not been checked, whatever HOOK_FAILS says
        try:
            verdict = await self._ask(await item())
        finally:
            waiting.verdict = verdict
            self.held += verdict.holds
            self.passed += not verdict.holds
            self._go_on(author)

    async def _ask(self, item: Item) -> Verdict:
        """Ask one hook after the other: the built-in ones are the first, and cost the least."""
        parts = [item, _text_beside(item)] if item.beside else [item]
        team = self._hooks
        team.asking += 1
        try:
            for asked in team.members:
                for part in parts:
                    if part.kind not in asked.hook.kinds:
                        continue
                    verdict = await asked.check(part, self._deadline)
                    if verdict.holds:
                        return verdict
            return ALLOW
        finally:
            team.asking -= 1
            self._close_gone(team)

    def _go_on(self, author: Member) -> None:
        """Deliver or refuse what is at the beginning of the line."""
        line = self._lines.get(author)
        while line and line[0].verdict is not None:
            waiting = line.popleft()
            self._background.attempt("delivery of what was checked", self._settle, author, waiting)
        if line is not None and not line:
            del self._lines[author]

    def _settle(self, author: Member, waiting: _Waiting) -> None:
        verdict = waiting.verdict
        if author.live.member is not author:
            waiting.refuse(not_in_room())
        elif verdict is not None and verdict.holds:
            retry = _PAUSE if verdict is _LATER else None
            waiting.refuse(ConflictError(Code.MESSAGE_HELD, verdict.words or _HELD, retry_after=retry))
            if verdict.checked:
                self._noticed(author.live, verdict.rule)
        else:
            waiting.deliver()

    def room_closed(self, room: Room) -> None:
        """See RoomObserver. Nothing that was being checked is delivered, and its authors are told."""
        for member in room.members:
            for waiting in self._lines.pop(member, ()):
                self._background.attempt("refusal of what was being checked", waiting.refuse, not_in_room())

    def room_lost(self, room: Room) -> None:
        """See RoomObserver. The authors' clients send again what was being checked."""
        for member in room.members:
            self._lines.pop(member, None)

    async def close(self) -> None:
        """Release the hooks."""
        for asked in self._hooks.members:
            await self._background.finish(f"closing of {asked.hook.name}", asked.hook.close, self._deadline)


def _text_beside(item: Item) -> Item:
    """Return what was written beside a file as an item of its own."""
    return Item(kind="text", content=item.beside.encode(), author=item.author, languages=item.languages)
