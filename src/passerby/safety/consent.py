"""The consent ladder: before the first link, picture, file, voice note or call of each side the other one is asked.

What the other has not allowed waits here, and never leaves the server: it is not logged, not numbered, and not yet
acknowledged to its author. So nothing is lost if the process ends meanwhile: the author's client sends it again.
Only a recipient whose client can ask is asked. Others get everything, except the steps that the operator has closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, Struct

from passerby.errors import Code, ConflictError
from passerby.live import CONSENT, RoomObserver, not_in_room
from passerby.models import Step
from passerby.safety.events import ConsentAnswered, ConsentAsked, ConsentWaiting, ConsentWithdrawn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from passerby.background import Background
    from passerby.clock import Clock
    from passerby.errors import PasserbyError
    from passerby.live import LiveGuest, Member, Room
    from passerby.safety.acks import Acks
    from passerby.safety.pressure import Pressure

    Note = Callable[[str, int, str, bytes | None], None]
    """See `RoomLog.note`."""

MOST_HELD: Final = 16
"""Maximum messages of one author that wait for an answer."""
MOST_HELD_BYTES: Final = 65_536
"""Maximum bytes of them together; one may always wait."""
_NOTE: Final = "consent:"
"""The note about what a member has answered; the guest id follows."""


class Held(Struct, eq=False):
    """A message, a call, or a picture for one, that waits until its recipient allows the step."""

    step: Step
    deliver: Callable[[], None]
    """It is allowed."""
    refuse: Callable[[PasserbyError], None]
    """It is not: tells its author why."""
    client_id: str | None = None
    """Of a message. One with the same id takes the place of the one before."""
    size: int = 0
    """Bytes that it holds."""
    acks: Acks | None = None
    """Those of a message, which `deliver` and `refuse` call; None: it is something else."""


class _Answers(Struct, array_like=True):
    """What a member has allowed the partner, and what not."""

    allowed: list[Step] = []
    declined: list[Step] = []


_read: Final = msgspec.json.Decoder(_Answers).decode


class _Asking:
    """One side of a room: what its guest has answered, and what waits for an answer."""

    __slots__ = ("answers", "waiting")

    def __init__(self) -> None:
        self.answers: dict[Step, bool] = {}
        self.waiting: dict[Step, list[Held]] = {}


class NewDevices:
    """Keeps a new browser from some steps for a while: whoever is banned has to wait with each new one."""

    def __init__(self, clock: Clock, pressure: Pressure, *, seconds: float, steps: Collection[Step]) -> None:
        """A browser is new for so many `seconds`, in which it cannot take `steps`; 0: none is."""
        self._time = clock.time
        self._pressure = pressure
        self._seconds = seconds
        self._steps = frozenset(steps) if seconds else frozenset()
        self.closes_links = "links" in self._steps

    def wait(self, author: LiveGuest, step: Step) -> float:
        """Return the seconds until `author` may take a step; 0.0: now.

        Clients that cannot ask their guest, as old ones, keep no id of their device either: each session has a new one.
        Those are only taken for new as long as the house is under suspicion.
        """
        if author.is_established or step not in self._steps:
            return 0.0
        if CONSENT not in author.features and not self._pressure.house:
            return 0.0
        since = author.guest.device_since
        if since is None:
            return self._seconds if self._pressure.house else 0.0
        age = self._time() - since
        if 0 <= age < self._seconds:  # below 0: the clock was set back, and says nothing about the device
            return self._seconds - age
        author.is_established = True
        return 0.0


class Consent(RoomObserver):
    """What the two in a room allow each other."""

    def __init__(
        self,
        background: Background,
        *,
        steps: Collection[Step],
        closed: Collection[Step],
        new_devices: NewDevices,
        note: Note | None = None,
    ) -> None:
        """`steps` are asked for. `closed` are refused to guests whose client cannot ask.

        `note` is `RoomLog.note` if logs outlive the process: then answers do too.
        """
        self._background = background
        self._steps = frozenset(steps)
        self._closed = frozenset(closed)
        self._new = new_devices
        self._checks_new = new_devices.closes_links
        self._note = note
        self._sides: dict[Member, _Asking] = {}
        """By the recipient. Only of those who were asked or have answered."""

    # ── the author ────────────────────────────────────────────────────────────────────────────────

    def checks_links(self, author: Member) -> bool:
        """Return whether it makes a difference if a text of `author` has a link. Called for each message."""
        if self._checks_new and not author.live.is_established and self._new.wait(author.live, "links"):
            return True
        recipient = author.partner
        live = recipient.live
        if CONSENT not in live.features and not live.is_recalled:
            return "links" in self._closed
        side = self._sides.get(recipient)
        return side is None or side.answers.get("links") is not True

    def allows(self, author: Member, step: Step) -> bool:
        """Return whether the partner gets this step of `author` now; if not, it has to `wait`.

        Raises ConflictError: consent_declined, step_closed, new_device with `retry_after`.
        """
        wait = self._new.wait(author.live, step)
        if wait:
            raise ConflictError(
                Code.NEW_DEVICE, "This is not possible in the first moments with a new browser", retry_after=wait
            )
        recipient = author.partner
        live = recipient.live
        if CONSENT not in live.features:
            if live.is_recalled:  # what their client knows is not known yet
                return step not in self._steps and step not in self._closed
            if step in self._closed:
                raise ConflictError(Code.STEP_CLOSED, "This is not possible with the program that the other one uses")
            return True
        if step not in self._steps or step in live.open_steps:
            return True
        side = self._sides.get(recipient)
        answer = None if side is None else side.answers.get(step)
        if answer is False:
            raise declined()
        return answer is True

    def wait(self, author: Member, held: Held) -> None:
        """Keep something until the partner allows its step; ask them, if they are not asked yet.

        Raises ConflictError (consent_pending) if too much of this author waits already.
        """
        recipient, step = author.partner, held.step
        side = self._sides.setdefault(recipient, _Asking())
        waiting = side.waiting.get(step, [])
        again = next((one for one in waiting if held.client_id and one.client_id == held.client_id), None)
        if again is not None:
            if held.acks is not None and again.acks is not None:
                held.acks.join(again.acks)
            waiting[waiting.index(again)] = held
        else:
            others = [one for each in side.waiting.values() for one in each]
            if len(others) >= MOST_HELD or (others and held.size + sum(one.size for one in others) > MOST_HELD_BYTES):
                raise ConflictError(Code.CONSENT_PENDING, "The other one is asked first: wait for the answer")
            if not waiting:
                side.waiting[step] = waiting
                self._ask(recipient, step)
            waiting.append(held)
        author.room.tell(author, ConsentWaiting(step=step, client_id=held.client_id or UNSET))

    def withdraw(self, author: Member, held: Held) -> None:
        """Something waits no longer."""
        side, step = self._sides.get(author.partner), held.step
        waiting = [] if side is None else side.waiting.get(step, [])
        if side is None or held not in waiting:
            return
        waiting.remove(held)
        if not waiting:
            del side.waiting[step]
            guest = author.guest
            author.room.tell(author.partner, ConsentWithdrawn(user_id=guest.id, username=guest.username, step=step))

    # ── the recipient ─────────────────────────────────────────────────────────────────────────────

    def answer(self, guest: LiveGuest, step: Step, *, allowed: bool, to: str | None = None) -> None:
        """Allow the partner a step from now on, or not now. Raises ConflictError (not_in_room).

        `to` is whom the answer is for, if the client says so: it may have been on its way when they left.
        """
        member = guest.membership()
        if to not in (None, member.partner.guest.id):
            return
        side = self._sides.setdefault(member, _Asking())
        side.answers[step] = allowed
        self._keep(member, side)
        member.room.tell(
            member.partner,
            ConsentAnswered(user_id=guest.guest.id, username=guest.guest.username, step=step, allowed=allowed),
        )
        self._settle(side, step, allowed=allowed)

    def open(self, guest: LiveGuest, steps: Sequence[Step]) -> None:
        """Allow these steps to every partner, instead of those told before."""
        guest.open_steps = frozenset(steps)
        if guest.member is not None:
            self._review(guest.member)

    def _review(self, recipient: Member) -> None:
        """Deliver what waits and is allowed by now: the guest has opened it, or has a client that cannot ask."""
        side = self._sides.get(recipient)
        for step in [] if side is None else list(side.waiting):
            try:
                if not self.allows(recipient.partner, step):
                    self._ask(recipient, step)
                    continue
            except ConflictError as error:
                self._settle(self._sides[recipient], step, allowed=False, error=error)
            else:
                self._settle(self._sides[recipient], step, allowed=True)

    def _settle(self, side: _Asking, step: Step, *, allowed: bool, error: PasserbyError | None = None) -> None:
        for held in side.waiting.pop(step, []):
            if allowed:
                self._background.attempt("delivery of what was allowed", held.deliver)
            else:
                self._background.attempt("refusal of what was not allowed", held.refuse, error or declined())

    @staticmethod
    def _ask(recipient: Member, step: Step) -> None:
        author = recipient.partner.guest
        recipient.room.tell(recipient, ConsentAsked(user_id=author.id, username=author.username, step=step))

    def _keep(self, member: Member, side: _Asking) -> None:
        """Note the answers for a later process. If that fails, the partner is asked again there."""
        if self._note is None:
            return
        answers = _Answers(
            [step for step, allowed in side.answers.items() if allowed],
            [step for step, allowed in side.answers.items() if not allowed],
        )
        room = member.room
        self._background.attempt(
            "noting of a consent",
            self._note,
            room.id,
            room.epoch,
            _NOTE + member.guest.id,
            msgspec.json.encode(answers),
        )

    # ── room events ───────────────────────────────────────────────────────────────────────────────

    def room_recalled(self, room: Room, notes: Mapping[str, bytes]) -> None:
        """See RoomObserver. Without a note, or with a damaged one, the members are asked again."""
        for member in room.members:
            note = notes.get(_NOTE + member.guest.id)
            if note is None:
                continue
            try:
                answers = _read(note)
            except (msgspec.MsgspecError, ValueError) as error:
                self._background.failed("recalling a consent", error)
                continue
            side = self._sides.setdefault(member, _Asking())
            side.answers = dict.fromkeys(answers.declined, False) | dict.fromkeys(answers.allowed, True)

    def member_back(self, member: Member) -> None:
        """See RoomObserver. The member is asked again for what waits."""
        self._review(member)

    def room_restored(self, room: Room) -> None:
        """See RoomObserver."""
        for member in room.members:
            self._review(member)

    def room_lost(self, room: Room) -> None:
        """See RoomObserver. The authors' clients send again what waited."""
        for member in room.members:
            self._sides.pop(member, None)

    def room_closed(self, room: Room) -> None:
        """See RoomObserver. Authors are told of messages that waited; of calls they are told by `calls`."""
        for member in room.members:
            side = self._sides.pop(member, None)
            for held in [] if side is None else [one for waiting in side.waiting.values() for one in waiting]:
                if held.acks is not None:
                    self._background.attempt("refusal of what waited", held.refuse, not_in_room())


def declined() -> ConflictError:
    """Return the error for what the partner does not want now."""
    return ConflictError(Code.CONSENT_DECLINED, "The other one does not want this now")
