"""Reports of a partner, with the server's own log of the conversation as evidence."""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict, deque
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from passerby.clock import sleep, time_limit
from passerby.errors import Code, ConflictError, NotFoundError, UnavailableError
from passerby.live import Ended, RoomObserver
from passerby.models import Message
from passerby.safety.appeals import digest, new_code
from passerby.safety.cases import Mark, NewCase, Outcome, Piece, Subject
from passerby.safety.events import Report, Reported
from passerby.safety.marks import device_mark, session_mark

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from passerby.background import Background
    from passerby.clock import Clock
    from passerby.live import LiveGuest, Room
    from passerby.models import Guest, Rule
    from passerby.safety.cases import CaseStore, Source

log = logging.getLogger(__name__)

MOST_WAITING: Final = 200
"""Maximum reports that wait for the database."""
_MOST_FILES: Final = 5
"""Maximum files of a report."""
_FILE_BYTES: Final = 20_971_520
"""Maximum bytes of them together."""
_PATIENCE: Final = 2.0
"""Seconds that a reporter waits for the database, before the report is written later."""
_PATIENCE_FOR_OTHERS: Final = 1.0
"""The same for a reporter on another node, which waits 2 s for the answer: see `nodes.requests`."""
_PAUSE: Final = 5.0
"""Seconds between two attempts to write those that wait."""
_REMEMBERED: Final = 10_000
"""Reports that are remembered, so that nobody reports the same conversation twice."""
_NOTICE_PAUSE: Final = 3600.0
"""Seconds between two cases of one source about one guest, at least."""

_read_message: Final = msgspec.json.Decoder(Message).decode


class EvidenceMessage(Struct, rename="camel", frozen=True):
    """A message as the server has relayed it."""

    seq: int
    id: str
    sender_id: str
    sender_username: str
    type: str
    content: str | dict[str, Any]
    timestamp: str


class Evidence(Struct, rename="camel", frozen=True, kw_only=True):
    """The log of a reported conversation: what is in `Piece(kind="log")`."""

    reported: str
    """Guest id."""
    reporter: str
    """Guest id; empty: nobody has reported it, the server has noticed something."""
    marked: list[str]
    """Ids of the messages that the reporter has marked, as far as they are in the log."""
    files: dict[str, int]
    """The number of the piece that holds a file, by message id."""
    began_at: float
    """Seconds since the Unix epoch."""
    ended_at: float | None
    """The same; None: the conversation went on."""
    messages: list[EvidenceMessage]


class Person(Struct, frozen=True):
    """One side of a conversation, as it is needed for a report."""

    guest: Guest
    address: str
    live: LiveGuest


class Talk(Struct, eq=False):
    """A conversation that can be reported."""

    room_id: str
    epoch: int
    people: tuple[Person, Person]
    entries: list[bytes]
    """The messages as JSON. Empty if they had to be dropped."""
    size: int
    until: float = 0.0
    """When it cannot be reported any more; monotonic seconds."""
    ended_at: float | None = None
    """Seconds since the Unix epoch; None: it goes on."""
    seq: int = 0
    """The number of its newest message."""

    def sides(self, session_id: str) -> tuple[Person, Person]:
        """Return the guest of this session, who is one of the two, and the partner."""
        one, other = self.people
        return (one, other) if one.guest.session_id == session_id else (other, one)


class ReportedFile(Struct, frozen=True):
    """A file of an open room."""

    name: str
    mime_type: str
    content: bytes


class _Draft(Struct, eq=False):
    """A case that is not written yet."""

    case: NewCase
    subject: Person | None
    """Whose marks are made when it is written; None: the case has them."""
    reporter: Guest | None
    size: int


class MarksOf(Protocol):
    """See `Marks.of`."""

    def __call__(self, guest: Guest, address: str) -> Awaitable[tuple[Mark, ...]]:
        """Return all marks of a guest. Raises OSError."""


class Reports(RoomObserver):
    """Takes reports, and keeps ended conversations for a moment in which they can be reported."""

    def __init__(
        self,
        store: CaseStore,
        clock: Clock,
        background: Background,
        *,
        node: str,
        window: float,
        memory: int,
        is_open: bool,
        keeps_messages: bool,
        marks: MarksOf,
        entries: Callable[[str, int], list[bytes]],
        read: Callable[[LiveGuest, str], Awaitable[ReportedFile | None]],
        leave: Callable[[LiveGuest, str, str], Awaitable[None]],
    ) -> None:
        """`window` is in seconds, `memory` in bytes. `is_open`: there is a database; `keeps_messages`: and a key.

        `entries(room id, epoch)` is the log of a room. `read(guest, file id)` is a file of the guest's room.
        `leave(guest, id of the partner, root of the partner)` ends their conversation, if they are in one: they never
        meet again.
        """
        self._store = store
        self._clock = clock
        self._background = background
        self._node = node
        self._window = window
        self._memory = memory
        self._is_open = is_open
        self._keeps_messages = keeps_messages
        self._marks = marks
        self._entries = entries
        self._read = read
        self._leave = leave
        self.ask: Callable[[str, str, Report], Awaitable[Reported | None]] = _nobody
        """Lets another node, where the conversation has ended, take the report of a session; None: it is gone."""
        self._ended: OrderedDict[str, Talk] = OrderedDict()
        """The last conversation of each guest, by session id, the one that ended first comes first."""
        self._whole: deque[Talk] = deque()
        """Those with messages, the one that ended first comes first; among them some that are forgotten."""
        self._is_due = False
        """Whether a timer is set for the first one that is to be forgotten."""
        self._reported: OrderedDict[tuple[str, str, int], int] = OrderedDict()
        self._noticed: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._waiting: deque[_Draft] = deque()
        self._waiting_bytes = 0
        self._files_in_hand = 0
        """Bytes of files of reports that are just being written."""
        self.taken = self.noticed = 0
        """Reports of guests, and cases that the server has opened itself."""
        self.held = 0
        """Bytes of ended conversations and of reports that wait."""

    # ── conversations that end ────────────────────────────────────────────────────────────────────

    def room_parked(self, room: Room) -> None:
        """See RoomObserver."""
        self._keep(room)

    def room_closing(self, room: Room) -> None:
        """See RoomObserver."""
        self._keep(room)

    def room_restored(self, room: Room) -> None:
        """See RoomObserver. It is open again."""
        for member in room.members:
            talk = self._ended.get(member.guest.session_id)
            if talk is not None and (talk.room_id, talk.epoch) == (room.id, room.epoch):
                self._forget(member.guest.session_id)

    def _keep(self, room: Room) -> None:
        if not self._window or not self._is_open:
            return
        talk = self._talk(room)
        talk.until = self._clock.monotonic() + self._window
        talk.ended_at = self._clock.time()
        for one in talk.people:
            self._forget(one.guest.session_id)
            self._ended[one.guest.session_id] = talk
        if talk.size:
            self._whole.append(talk)
            self.held += talk.size
            self._make_room()
        self._look_later()

    def _talk(self, room: Room) -> Talk:
        one, other = (Person(member.guest, member.live.address, member.live) for member in room.members)
        entries = self._entries(room.id, room.epoch)
        return Talk(room.id, room.epoch, (one, other), entries, sum(map(len, entries)), seq=room.seq)

    def _forget(self, session_id: str) -> None:
        talk = self._ended.pop(session_id, None)
        if talk is not None and not any(self._ended.get(one.guest.session_id) is talk for one in talk.people):
            self._drop(talk)

    def _drop(self, talk: Talk) -> None:
        """Forget the messages."""
        self.held -= talk.size
        talk.entries, talk.size = [], 0
        while self._whole and not self._whole[0].size:
            self._whole.popleft()

    def forget_old(self) -> None:
        """Forget the conversations that cannot be reported any more."""
        now = self._clock.monotonic()
        while self._ended:
            session_id, talk = next(iter(self._ended.items()))
            if talk.until > now:
                return
            self._forget(session_id)

    def _look_later(self) -> None:
        """Forget what has ended in time, whatever else happens, or does not. One timer is set for all."""
        if self._ended and not self._is_due:
            first = next(iter(self._ended.values()))
            pause = max(0.0, first.until - self._clock.monotonic())
            self._is_due = True
            self._background.call_later("end of the time to report", pause, self._look)

    def _look(self) -> None:
        self._is_due = False
        self.forget_old()
        self._look_later()

    def _make_room(self) -> None:
        """Drop the messages of the conversations that ended first, until the rest is within its bound."""
        while self.held > self._memory and self._whole:
            self._drop(self._whole[0])

    # ── guests who move between nodes ─────────────────────────────────────────────────────────────

    def ended(self, live: LiveGuest) -> Ended | None:
        """Return what another node, to which a guest moves, has to know of their last conversation; see `Ended.until`.

        None: there is none that can be reported.
        """
        last = self._last(live)
        if last is None:
            return None
        left = last.until - self._clock.monotonic()
        if isinstance(last, Ended):
            return replace(last, until=left)
        _, partner = last.sides(live.guest.session_id)
        guest = partner.guest
        return Ended(
            node=self._node,
            room_id=last.room_id,
            epoch=last.epoch,
            until=left,
            guest_id=guest.id,
            username=guest.username,
            language=guest.language or "",
            root=guest.root,
            session=session_mark(guest.session_id).value,
            device=b"" if guest.device is None else device_mark(guest.device).value,
        )

    def arrived(self, live: LiveGuest, ended: Ended | None) -> None:
        """A guest has moved here, with what `ended` has returned there."""
        if ended is None or not 0 < ended.until <= self._window:
            return
        live.ended = replace(ended, until=self._clock.monotonic() + ended.until)
        self._background.call_later("end of the time to report", ended.until, partial(setattr, live, "ended", None))

    def _last(self, live: LiveGuest) -> Talk | Ended | None:
        """Return the guest's last conversation that is over, here or on another node."""
        self.forget_old()
        here, elsewhere = self._ended.get(live.guest.session_id), live.ended
        if elsewhere is None or elsewhere.until <= self._clock.monotonic():
            return here
        # Each conversation of a guest has a greater epoch than those before.
        return elsewhere if here is None or here.epoch < elsewhere.epoch else here

    # ── reports that wait for the database ────────────────────────────────────────────────────────

    async def keep(self) -> None:
        """Write what waits for the database."""
        await sleep(self._clock, _PAUSE)
        await self.write_all()

    async def stop(self) -> None:
        """Write what waits, for the last time. Raises OSError when it cannot be written now."""
        try:
            await self.write_all()
        finally:
            if self._waiting:
                log.error("reports are lost: the database was away", extra={"reports": len(self._waiting)})

    async def write_all(self) -> None:
        """Write what waits. Raises OSError when it cannot be written now."""
        while self._waiting:
            draft = self._waiting[0]
            try:
                await self._write(draft)
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001 - it will never be written, and the others must be
                self._background.failed("writing of a report", error)
            if not self._waiting or self._waiting[0] is not draft:
                return  # somebody else writes them too
            self._waiting.popleft()
            self._waiting_bytes -= draft.size
            self.held -= draft.size
            if not self._waiting:
                log.info("all reports are written")

    # ── reports ───────────────────────────────────────────────────────────────────────────────────

    async def report(self, live: LiveGuest, report: Report) -> Reported:
        """Take a report of a guest's partner.

        Raises ConflictError (nothing_to_report, already_reported, reports_closed), and UnavailableError.
        """
        if not self._is_open:
            raise ConflictError(Code.REPORTS_CLOSED, "This place takes no reports")
        talk = self._find(live, report.epoch)
        session_id = live.guest.session_id
        with self._once(session_id, talk) as name:
            if isinstance(talk, Ended):
                return await self._take_elsewhere(live, talk, report, name)
            _, subject = talk.sides(session_id)

            async def leave() -> None:
                await self._leave(live, subject.guest.id, subject.guest.root)

            return await self._take(session_id, talk, name, report, leave if report.leave else None)

    async def report_here(self, session_id: str, report: Report) -> Reported:
        """Take the report of a guest who is on another node, which lets them leave. Raises what `report` raises."""
        self.forget_old()
        talk = self._ended.get(session_id)
        if talk is None or talk.epoch != report.epoch:
            raise _nothing()
        with self._once(session_id, talk) as name:
            return await self._take(session_id, talk, name, report, None, patience=_PATIENCE_FOR_OTHERS)

    def _find(self, live: LiveGuest, epoch: int | None) -> Talk | Ended:
        """Return the conversation with this epoch; None: that of now, else the last one. Raises ConflictError."""
        member, last = live.member, self._last(live)
        if member is not None and epoch in (None, member.room.epoch):
            return self._talk(member.room)
        if last is None or epoch not in (None, last.epoch):
            raise _nothing()
        return last

    @contextmanager
    def _once(self, session_id: str, talk: Talk | Ended) -> Iterator[str]:
        """Nobody reports the same twice: only if the conversation has gone on since. What was not taken does not count.

        Yield the name of what is reported.
        """
        key, name = (session_id, talk.room_id, talk.epoch), f"{talk.room_id} {talk.epoch}"
        before = self._reported.get(key)
        seq = talk.seq if isinstance(talk, Talk) else 0
        if before is not None:
            if seq <= before:
                raise _already()
            name = f"{name} {before}"
        self._reported[key] = seq
        while len(self._reported) > _REMEMBERED:
            self._reported.popitem(last=False)
        try:
            yield name
        except BaseException as error:
            if not (isinstance(error, ConflictError) and error.code is Code.ALREADY_REPORTED):
                if before is None:
                    self._reported.pop(key, None)
                else:
                    self._reported[key] = before
            raise

    async def _take_elsewhere(self, live: LiveGuest, ended: Ended, report: Report, name: str) -> Reported:
        """Let the node take a report that has the conversation; take it without messages if that node is gone."""
        asked = msgspec.structs.replace(report, epoch=ended.epoch)
        reported = await self.ask(ended.node, live.guest.session_id, asked)
        if reported is None:
            subject = Subject(
                guest_id=ended.guest_id, username=ended.username, language=ended.language, marks=_marks_of(ended)
            )
            case, receipt = self._case(report, subject, name, ())
            self._check_space()
            is_written = await self._write_or_wait(_Draft(case, None, live.guest, _size(case)), _PATIENCE)
            reported = Reported(receipt=receipt, queued=not is_written, has_messages=False)
        if report.leave:
            await self._leave(live, ended.guest_id, ended.root)
        return reported

    async def _take(
        self,
        session_id: str,
        talk: Talk,
        name: str,
        report: Report,
        leave: Callable[[], Awaitable[None]] | None,
        *,
        patience: float = _PATIENCE,
    ) -> Reported:
        """Take a report, with the evidence first: `leave` ends the conversation. `name` is that of `_once`."""
        reporter, subject = talk.sides(session_id)
        self._check_space()
        sizes: list[int] = []
        try:
            pieces = await self._pieces(talk, subject, reporter, report.messages, sizes)
            if leave is not None:
                await leave()
            case, receipt = self._case(report, _subject(subject), name, pieces)
            is_written = await self._write_or_wait(_Draft(case, subject, reporter.guest, _size(case)), patience)
        finally:
            self._files_in_hand -= sum(sizes)
        self.taken += 1
        return Reported(receipt=receipt, queued=not is_written, has_messages=bool(pieces))

    def _case(self, report: Report, subject: Subject, room: str, pieces: tuple[Piece, ...]) -> tuple[NewCase, str]:
        """Return a new case, and its receipt."""
        receipt = new_code()
        case = NewCase(
            id=secrets.token_hex(16),
            source="report",
            rule=report.reason,
            opened_at=self._clock.time(),
            subject=subject,
            words=report.words,
            receipt=digest(receipt),
            room=room,
            evidence=pieces,
        )
        return case, receipt

    def _check_space(self) -> None:
        if len(self._waiting) >= MOST_WAITING:
            raise UnavailableError(["reports"], retry_after=_PAUSE)

    async def _pieces(
        self, talk: Talk, subject: Person, reporter: Person | None, wanted: list[str], sizes: list[int]
    ) -> tuple[Piece, ...]:
        """Return the evidence, with files of the messages `wanted` if the room is open; their sizes go to `sizes`."""
        if not self._keeps_messages or not talk.entries:
            return ()
        messages = [_read_message(entry) for entry in talk.entries]
        known = {message.id: message for message in messages}
        marked = [message_id for message_id in dict.fromkeys(wanted) if message_id in known]
        files: list[Piece] = []
        numbers: dict[str, int] = {}
        for message in () if talk.ended_at is not None else (known[message_id] for message_id in marked):
            if message.sender_id != subject.guest.id or len(files) == _MOST_FILES:
                continue
            piece = await self._file(subject.live, message, sizes)
            if piece is not None:
                files.append(piece)
                numbers[message.id] = len(files)
        evidence = Evidence(
            reported=subject.guest.id,
            reporter="" if reporter is None else reporter.guest.id,
            marked=marked,
            files=numbers,
            began_at=talk.epoch / 1000,  # so are epochs made, see `Rooms`
            ended_at=talk.ended_at,
            messages=[_evidence_message(message) for message in messages],
        )
        return (Piece(kind="log", content=msgspec.json.encode(evidence)), *files)

    async def _file(self, live: LiveGuest, message: Message, sizes: list[int]) -> Piece | None:
        """Return a file of a message, if it is still there, and small enough; its size is added to `sizes`."""
        content = message.content
        if isinstance(content, str) or not isinstance(size := content.get("fileSize"), int):
            return None
        if size > min(_FILE_BYTES - sum(sizes), self._memory - self._waiting_bytes - self._files_in_hand):
            return None
        sizes.append(size)
        self._files_in_hand += size
        try:
            file = await self._read(live, str(content.get("fileId")))
        except OSError:
            return None
        return (
            None if file is None else Piece(kind="file", name=file.name, mime_type=file.mime_type, content=file.content)
        )

    async def _write_or_wait(self, draft: _Draft, patience: float) -> bool:
        """Write a case now, or later if the database is away; return whether it is written. Raises UnavailableError."""
        try:
            async with time_limit(self._clock, patience):
                await self._write(draft)
        except OSError as error:  # also TimeoutError
            self._check_space()
            if self._waiting_bytes + draft.size > self._memory:
                raise UnavailableError(["reports"], retry_after=_PAUSE) from error
            self._waiting.append(draft)
            self._waiting_bytes += draft.size
            self.held += draft.size
            self._make_room()
            log.warning("a report waits for the database", extra={"waiting": len(self._waiting)})
            return False
        return True

    async def _write(self, draft: _Draft) -> None:
        """Write a case. Raises OSError; and ConflictError (already_reported)."""
        case = draft.case
        if draft.subject is not None:
            marks = await self._marks(draft.subject.guest, draft.subject.address)
            case = replace(case, subject=replace(case.subject, marks=marks))
        if draft.reporter is not None:
            case = replace(case, reporter=await self._marks(draft.reporter, ""))
        if not await self._store.add(case) and draft not in self._waiting:
            raise _already()

    async def status(self, receipt: str) -> Outcome:
        """Return what has become of a report. Raises NotFoundError (receipt_unknown), UnavailableError."""
        hashed = digest(receipt)
        for draft in self._waiting:
            if draft.case.receipt == hashed:
                return Outcome(state="waiting", rule=draft.case.rule, reported_at=draft.case.opened_at)
        try:
            outcome = await self._store.outcome(hashed)
        except OSError as error:
            raise UnavailableError(["reports"], retry_after=_PAUSE) from error
        if outcome is None:
            raise NotFoundError(Code.RECEIPT_UNKNOWN, "There is no report with this receipt")
        return outcome

    # ── what the server has noticed ───────────────────────────────────────────────────────────────

    def notice(self, live: LiveGuest, source: Source, rule: Rule) -> None:
        """Open a case about a guest in whom the server has noticed something, at most one an hour for each source."""
        member, now = live.member, self._clock.monotonic()
        key = (live.guest.session_id, source)
        if not self._is_open or now - self._noticed.get(key, -_NOTICE_PAUSE) < _NOTICE_PAUSE:
            return
        self._noticed[key] = now
        self._noticed.move_to_end(key)
        while len(self._noticed) > _REMEMBERED:
            self._noticed.popitem(last=False)
        talk = None if member is None else self._talk(member.room)
        talk = talk or self._ended.get(live.guest.session_id)
        self._background.start("case of what was noticed", self._open(live, talk, source, rule))

    async def _open(self, live: LiveGuest, talk: Talk | None, source: Source, rule: Rule) -> None:
        subject = Person(live.guest, live.address, live)
        pieces: tuple[Piece, ...] = ()
        if talk is not None:
            pieces = await self._pieces(talk, subject, None, [], [])
        case = NewCase(
            id=secrets.token_hex(16),
            source=source,
            rule=rule,
            opened_at=self._clock.time(),
            subject=_subject(subject),
            evidence=pieces,
        )
        self._check_space()
        await self._write_or_wait(_Draft(case, subject, None, _size(case)), _PATIENCE)
        self.noticed += 1


def _subject(person: Person) -> Subject:
    return Subject(guest_id=person.guest.id, username=person.guest.username, language=person.guest.language or "")


def _size(case: NewCase) -> int:
    return len(case.words) + sum(len(piece.content) for piece in case.evidence)


def _evidence_message(message: Message) -> EvidenceMessage:
    return EvidenceMessage(
        message.seq,
        message.id,
        message.sender_id,
        message.sender_username,
        message.type,
        message.content,
        message.timestamp,
    )


def _already() -> ConflictError:
    return ConflictError(Code.ALREADY_REPORTED, "You have reported this conversation already")


def _nothing() -> ConflictError:
    return ConflictError(Code.NOTHING_TO_REPORT, "There is no conversation to report")


def _marks_of(ended: Ended) -> tuple[Mark, ...]:
    """Return the marks of a partner. Their address is not known any more."""
    session = Mark("session", ended.session)
    return (session, Mark("device", ended.device)) if ended.device else (session,)


async def _nobody(_node: str, _session_id: str, _report: Report) -> Reported | None:
    """Take nothing: there is no other node."""
    return None
