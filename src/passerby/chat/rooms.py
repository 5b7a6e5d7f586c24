"""Rooms: two guests, their messages in order, and replay after a lost connection.

A room exists in the process of its members. Its log numbers and keeps the messages. A member who reconnects first
gets the missed messages (`resume`), and only then new messages directly, so messages always arrive in order.

A member who leaves may be able to come back for a moment (`restore`). Until then the room is parked: nobody is in it,
and it is in no durable log, so if the process ends it has ended too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import UNSET, UnsetType
from msgspec.json import encode
from msgspec.structs import replace

from passerby import ids
from passerby.background import ANSWER_LIMIT
from passerby.chat import saved
from passerby.chat.delivery import done
from passerby.chat.events import (
    ChatCleared,
    Matched,
    MessageDelivered,
    PartnerAway,
    PartnerBack,
    RoomClosed,
    RoomRestored,
    RoomResumed,
    Shared,
    TypingStarted,
    TypingStopped,
    Undelivered,
    UserJoined,
    UserLeft,
)
from passerby.chat.parked import Parked, can_be_followed
from passerby.chat.stamps import Stamps
from passerby.clock import Timestamps, time_limit
from passerby.errors import Code, ConflictError
from passerby.live import MAX_PENDING, Member, Room
from passerby.models import Message, Partner, RoomSummary, read_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from passerby.background import Background
    from passerby.chat.delivery import Answer
    from passerby.chat.events import Resume
    from passerby.chat.log import RoomLog, SavedRoom
    from passerby.clock import Clock
    from passerby.live import Link, LiveGuest, RoomObserver
    from passerby.models import Guest, MessageType

_REPLAY_CHUNK: Final = 16
"""Messages per replay portion. The next waits until most are read, so a slow client does not overflow its outbox."""

_REPLAY_BYTES: Final = 65_536
"""Bytes of texts in a portion, or one text: four of the largest would overflow the outbox."""

MAX_ROOM_BYTES: Final = 2_097_152
"""Maximum bytes of memory of a room beside its log: ids of unconfirmed messages, and client ids (`chat.log`)."""

_RETRY_PAUSE: Final = 1.0
"""Seconds after a failure of the log until a retry."""

_DISSOLVING: Final = 10.0
"""Seconds after the end of a room in which what is under way in it may still look at its members."""

_NOTHING: Final = Shared(interests=[], language=None)

Departure = Literal["user_left", "session_ended"]


class Rooms:
    """All rooms of the process. `changed` is called when a room has changed a guest's session; it raises nothing."""

    def __init__(
        self,
        log: RoomLog,
        clock: Clock,
        background: Background,
        *,
        grace: float,
        undo: float,
        observers: Sequence[RoomObserver],
        changed: Callable[[LiveGuest], None],
    ) -> None:
        """`grace` and `undo` are in seconds; `observers` are called in order; see `observe`.

        A member who has left may come back within `undo`; 0: never.
        """
        self._log = log
        self._is_durable = log.is_durable
        """Whether a later process may need notes about the rooms."""
        self._clock = clock
        self._background = background
        self._timestamps = Timestamps(clock)
        self._stamps = Stamps(clock)
        self._grace = grace
        self._undo = undo
        self._observers = [*observers]
        self._changed = changed
        self._last_epoch = 0
        self._open: dict[str, Room] = {}
        self._parked: dict[LiveGuest, Parked] = {}
        """The room that a guest was in until a moment ago, of both members."""
        self.node = ""
        """This node's id, if there are `others`."""
        self.others: Collection[str] = ()
        """The other nodes that are alive."""
        self.is_one_of_several = False
        """Whether there are others again if there is none now."""
        self._is_stopping = False
        self.replays = self.gaps = self.undelivered = 0
        """Replays after a lost connection, those of them that lacked messages, and messages of rooms that have ended
        whose author was told that they did not arrive."""
        self.online_members = 0
        """Number of connected members, of all rooms."""

    def observe(self, observer: RoomObserver) -> None:
        """Tell one more observer, after the others, of what happens from now on."""
        self._observers.append(observer)

    @property
    def count(self) -> int:
        """Number of open rooms."""
        return len(self._open)

    @property
    def last_epoch(self) -> int:
        """The epoch of the newest room that is known here."""
        return self._last_epoch

    @property
    def at(self) -> str | UnsetType:
        """What clients of guests who live here are told of where that is."""
        return self.node if self.others or self.is_one_of_several else UNSET

    def find(self, room_id: str) -> Room | None:
        """Return the open room with this id."""
        return self._open.get(room_id)

    def has(self, room_id: str, epoch: int) -> bool:
        """Return whether a room is open, or parked: then its files are still there."""
        room = self._open.get(room_id)
        if room is not None:
            return room.epoch == epoch
        return any((one.room.id, one.room.epoch) == (room_id, epoch) for one in self._parked.values())

    # ── the conversation ──────────────────────────────────────────────────────────────────────────

    def open(
        self,
        first: LiveGuest,
        second: LiveGuest,
        shared: tuple[Shared, Shared] = (_NOTHING, _NOTHING),
        *,
        met_before: bool = False,
    ) -> Room:
        """Open a room for two guests who are in no room, and inform both, also of what they share.

        If it raises anything, what the log raises for example, no room is open.
        """
        if self._parked:
            self.gone(first)
            self.gone(second)
        # Milliseconds, so that a later room of the same guests has a greater epoch, also after a restart, which takes
        # longer than the epochs are in advance of the clock.
        self._last_epoch = max(self._last_epoch + 1, int(self._clock.time() * 1000))
        room = Room(ids.room_id(first.guest.id, second.guest.id), self._last_epoch, first, second)
        joined = _joined(first.guest), _joined(second.guest)
        at = self.at
        views = Partner.of(second.guest), Partner.of(first.guest)
        before: Literal[True] | UnsetType = True if met_before else UNSET
        self._log.open(room.id, room.epoch, (first.guest.session_id, second.guest.session_id))
        try:
            self._enter(room)
            for member, view, both in zip(room.members, views, shared, strict=True):
                matched = Matched(
                    matched_user=view, room_id=room.id, epoch=room.epoch, at=at, shared=both, met_before=before
                )
                room.tell(member, matched, *joined)
        except BaseException:
            self._close(room)
            raise
        return room

    def _enter(self, room: Room) -> None:
        self._open[room.id] = room
        for observer in self._observers:
            try:  # `Background.attempt`, inlined: a match has many such calls
                observer.room_opened(room)
            except Exception as error:  # noqa: BLE001 - the room and the other observers continue
                self._background.failed("observer of an opened room", error)
        for member in room.members:
            self.online_members += not member.away
            self._seat(member)

    def begin_after(self, epoch: int) -> None:
        """Rooms that are opened from now on have a greater epoch than this one of an earlier process."""
        self._last_epoch = max(self._last_epoch, epoch)

    def reopen(self, room: SavedRoom, lives: tuple[LiveGuest, LiveGuest]) -> None:
        """Open a saved room again, whose log is open, for its two guests, who are away and in no room.

        Raises msgspec.MsgspecError if it is damaged; then no room is open.
        """
        reopened = Room(room.room_id, room.epoch, *lives)
        reopened.seq = room.seq
        reopened.was_restored = saved.RESTORED in room.notes
        for member in reopened.members:
            member.attached = False
            member.confirmed = saved.confirmed(room, member.guest.id)
            member.pending.extend(saved.unconfirmed(room, member.guest.id))
        self.begin_after(room.epoch)
        for live in lives:
            self.gone(live)
        self._open[room.room_id] = reopened
        for member in reopened.members:
            self._seat(member)
            if saved.away_since(room, member.guest.id) is None:
                self._note_absence(member)
        for observer in self._observers:
            self._background.attempt("observer of a recalled room", observer.room_recalled, reopened, room.notes)

    def _seat(self, member: Member) -> None:
        """The guest is in the room from now on."""
        live, guest = member.live, member.live.guest
        live.member = member
        live.notice = None
        guest.in_chat, guest.connected_user = True, member.partner.guest.id
        self._changed(live)

    def bury(self, room: SavedRoom, survivor: LiveGuest | None) -> None:
        """Forget a saved room, whose log is open: a member is gone. Inform the survivor, who is away and in no room."""
        self.begin_after(room.epoch)
        if survivor is not None:
            gone = saved.partner_id(room.room_id, survivor.guest.id)
            name = saved.username(room, gone)
            survivor.notice = RoomClosed(
                user_id=gone,
                username=name,
                message=f"{name or 'Your partner'} did not come back",
                reason="partner_offline",
                undelivered=[
                    Undelivered(lost.id, lost.client_id) for lost in map(read_identity, saved.unconfirmed(room, gone))
                ],
            )
            survivor.guest.in_chat, survivor.guest.connected_user = False, None
            self.undelivered += len(survivor.notice.undelivered)
            self._changed(survivor)
        self._forget_log(room.room_id, room.epoch)

    def send(
        self,
        member: Member,
        kind: MessageType,
        content: str | dict[str, Any],
        client_id: str | None,
        answer: Answer | None,
    ) -> None:
        """Log and deliver a member's message with validated content; send the result to them and to `answer`.

        Raises what the log raises; then nothing is sent.
        """
        message_id, timestamp = self._stamps.next()
        guest = member.live.guest
        message = Message(
            message_id,
            guest.id,
            guest.username,
            kind,
            content,
            timestamp,
            "sent",
            0,
            client_id or UNSET,
        )
        room = member.room
        self._log.append(room.id, room.epoch, message, done, (member, answer))

    def confirm(self, recipient: LiveGuest, message_id: str) -> None:
        """The recipient's client has received a message and all before it: inform the author, once.

        Ignored if the message is of another room or already confirmed, or if the room has just ended.
        Raises ConflictError (not_in_room).
        """
        if recipient.notice is not None:
            self._confirm_parked(recipient, message_id)
            return
        member = recipient.membership()
        start = b'{"id":' + encode(message_id)
        # Each message that is compared in vain is confirmed as well, so that it is not compared again.
        for encoded in member.pending:
            if encoded.startswith(start):
                self._confirm_through(member, read_identity(encoded).seq)
                break

    def _confirm_through(self, member: Member, seq: int) -> None:
        pending, room, author, timestamp = member.pending, member.room, member.partner, self._timestamps.now()
        confirmed = 0
        for message in map(read_identity, pending):
            if message.seq > seq:
                break
            confirmed += 1
            member.confirmed = message.seq
            room.tell(author, MessageDelivered(message.id, timestamp))
        del pending[:confirmed]
        if self._is_durable:
            self._log.note(room.id, room.epoch, saved.CONFIRMED + member.guest.id, b"%d" % member.confirmed)

    def _confirm_parked(self, recipient: LiveGuest, message_id: str) -> None:
        """Confirm what came just before the author has left: room:resumed tells it, if they come back."""
        parked = self._parked.get(recipient)
        if parked is None:
            return
        member = parked.who_stays
        start = b'{"id":' + encode(message_id)
        for place, encoded in enumerate(member.pending, 1):
            if encoded.startswith(start):
                member.confirmed = read_identity(encoded).seq
                del member.pending[:place]
                break

    def typing(self, guest: LiveGuest, *, started: bool) -> None:
        """Forward to the partner; ignored if they have just left. Raises ConflictError (not_in_room)."""
        if guest.notice is not None:
            return
        member = guest.membership()
        event = TypingStarted if started else TypingStopped
        member.room.tell(member.partner, event(user_id=guest.guest.id, username=guest.guest.username))

    # ── away and back ─────────────────────────────────────────────────────────────────────────────

    def away(self, guest: LiveGuest) -> None:
        """A guest lost the connection: inform the partner; messages wait."""
        member = guest.member
        if member is None:
            return
        member.attached = False
        if member.away:
            return
        member.away = True
        self.online_members -= 1
        self._note_absence(member)
        name = guest.guest.username
        member.room.tell(
            member.partner,
            PartnerAway(
                user_id=guest.guest.id,
                username=name,
                message=f"{name} lost the connection; messages will wait",
                grace=self._grace,
            ),
        )

    def _note_absence(self, member: Member) -> None:
        """Note since when a member is away, or that they are not, for a later process."""
        if self._is_durable and not self._is_stopping:
            since = b"%.3f" % self._clock.time() if member.away else None
            self._log.note(member.room.id, member.room.epoch, saved.AWAY + member.guest.id, since)

    def stop(self) -> None:
        """The process is about to close all connections: that is no absence of the members."""
        self._is_stopping = True

    def hold(self, guest: LiveGuest) -> None:
        """Hold messages to a guest until `resume`, because their connection is about to be replaced."""
        if guest.member is not None:
            guest.member.attached = False

    def back(self, guest: LiveGuest, *, reloaded: bool = False) -> None:
        """A guest has reconnected: inform the partner, if they know that the guest was away, or of a new page."""
        member = guest.member
        if member is None:
            return
        if member.away or reloaded:
            self.online_members += member.away
            if member.away:
                member.away = False
                self._note_absence(member)
            name = guest.guest.username
            member.room.tell(
                member.partner,
                PartnerBack(
                    user_id=guest.guest.id,
                    username=name,
                    message=f"{name} is back",
                    reloaded=True if reloaded else UNSET,
                ),
            )
        for observer in self._observers:
            self._background.attempt("observer of a returned member", observer.member_back, member)

    def summary(self, guest: LiveGuest) -> RoomSummary | None:
        """Return the guest's room."""
        member = guest.member
        if member is None:
            return None
        room = member.room
        return RoomSummary(room.id, room.epoch, room.seq, Partner.of(member.partner.guest))

    async def resume(self, guest: LiveGuest, link: Link, resume: Resume | None) -> None:
        """Send room:resumed and the missed messages over the member's new `link`, in order.

        If `resume` names this room: all messages after its `seq`, of both members. If it names another room: all
        messages in the log. Without `resume` (old clients): the partner's messages that the guest has not confirmed.
        If the client has messages that the log has lost, the room ends: their numbers must not be used again.
        Raises TimeoutError, and what the log raises; then the member needs another `resume`. An earlier one ends.
        """
        member = guest.member
        if member is None:
            return
        room = member.room
        replaying = member.replay = object()
        after = self._position(member, resume)
        if after > room.seq and self._is_durable:
            self._lose(room)
            return
        announced = False
        while True:
            async with time_limit(self._clock, ANSWER_LIMIT):
                replay = await self._log.replay(room.id, room.epoch, after, _REPLAY_CHUNK)
            if guest.member is not member or guest.link is not link or member.replay is not replaying:
                return  # disconnected, or replaced by a connection that resumes itself, or left and come back
            if replay.gap or not announced:  # messages may also be evicted during a long replay
                self.replays += not announced
                self.gaps += replay.gap > 0
                announced = True
                link.send(self._resumed(member, replay.gap))
            for message in _portion(replay.messages):
                after = message.seq
                if resume is not None or message.sender_id != guest.guest.id:
                    link.send(message)
            if after >= room.seq or not replay.messages:
                member.attached = True
                return
            await link.drain()

    def _position(self, member: Member, resume: Resume | None) -> int:
        """Return the number after which a replay begins."""
        room = member.room
        if resume is None:
            return member.confirmed
        if (resume.room_id, resume.epoch) != (room.id, room.epoch):
            return 0
        self._confirm_through(member, resume.seq)  # confirmations may be lost with the connection
        return resume.seq

    def _resumed(self, member: Member, gap: int) -> RoomResumed:
        room = member.room
        partner = member.partner.guest
        return RoomResumed(
            room_id=room.id,
            epoch=room.epoch,
            seq=room.seq,
            partner=Partner.of(partner),
            partner_away=not partner.is_online,
            delivered=member.partner.confirmed,
            gap=gap,
        )

    # ── ending ────────────────────────────────────────────────────────────────────────────────────

    def leave(self, guest: LiveGuest, reason: Departure, *, undo: bool = False) -> float:
        """End the room at the guest's request, if they are in one; with `undo` it is parked, if it can be.

        Return the seconds in which `restore` brings it back; 0.0: it is over, also for whoever has just left them.
        A partner who is away gets room:closed when they return; so does a partner whose connection is dead but not yet
        detected as dead.
        """
        member = guest.member
        if member is None:
            self.moved_on(guest)
            return 0.0
        partner = member.partner
        for observer in self._observers:
            self._background.attempt("observer of a member who leaves", observer.member_leaves, member)
        seconds = self._undo if undo and self._park(member) else 0.0
        try:
            self._tell_left(member, reason, seconds)
            notice = partner.live.notice = self._closed(partner, reason, f"{guest.guest.username} has left")
            if not partner.is_here:  # else they have just been told that it is over, and not what is lost
                self.undelivered += len(notice.undelivered)
        finally:
            if not seconds:
                self._close(member.room)
        return seconds

    @staticmethod
    def _tell_left(member: Member, reason: Departure, undo: float = 0.0) -> None:
        """Tell the partner that the member has left, and for how many seconds they may come back."""
        user_id, name = member.guest.id, member.guest.username
        member.room.tell(
            member.partner,
            UserLeft(user_id=user_id, username=name, message=f"{name} has left", undo=undo or UNSET),
            ChatCleared(user_id=user_id, username=name, reason=reason),
        )

    def partner(self, guest: LiveGuest) -> LiveGuest:
        """Return whom the guest talks with, or has talked with in a room that is parked.

        Raises ConflictError (not_in_room).
        """
        parked = self._parked.get(guest)
        member = guest.membership() if parked is None else parked.member(guest)
        return member.partner.live

    def is_with(self, guest: LiveGuest, partner_id: str) -> bool:
        """Return whether `partner` is the guest with this id."""
        parked = self._parked.get(guest)
        member = guest.member if parked is None else parked.member(guest)
        return member is not None and member.partner.live.guest.id == partner_id

    def part(self, guest: LiveGuest) -> None:
        """End the guest's room, open or parked: nobody comes back to it."""
        parked = self._parked.get(guest)
        if parked is None:
            self.leave(guest, "user_left")
            return
        self._end_parked(parked)
        if guest is parked.who_left.live:
            self._tell_left(parked.who_left, "user_left")

    def expire(self, guest: LiveGuest) -> None:
        """End the room of a guest who did not return in time; inform the partner which messages did not arrive."""
        member = guest.member
        if member is None:
            return
        partner = member.partner
        message = f"{guest.guest.username} did not come back"
        try:
            notice = partner.live.notice = self._closed(partner, "partner_offline", message)
            self.undelivered += len(notice.undelivered)
            member.room.tell(partner, replace(notice, reason="user_disconnected"))
        finally:
            self._close(member.room)

    def _lose(self, room: Room) -> None:
        """End a room whose newest messages are lost, because the process and the durable log failed at once."""
        try:
            for member in room.members:
                notice = self._closed(member, "partner_offline", "A part of the conversation was lost")
                self.undelivered += len(notice.undelivered)
                room.tell(member, notice)
                member.live.notice = None if member.is_here else notice
        finally:
            self._close(room)

    def _closed(
        self,
        member: Member,
        reason: Departure | Literal["user_disconnected", "partner_offline"],
        message: str,
    ) -> RoomClosed:
        """Return the event that informs `member`: the partner is gone, and these messages did not reach the partner."""
        gone = member.partner
        guest = gone.guest
        lost = [read_identity(message) for message in gone.pending[-MAX_PENDING:]]
        return RoomClosed(
            user_id=guest.id,
            username=guest.username,
            message=message,
            reason=reason,
            undelivered=[Undelivered(message.id, message.client_id) for message in lost],
        )

    def _forget_log(self, room_id: str, epoch: int) -> None:
        """Delete a room's log; retry after a failure, because nothing of a conversation may remain."""
        name = "forgetting a room's log"
        if not self._background.attempt(name, self._log.forget, room_id, epoch):
            self._background.call_later(name, _RETRY_PAUSE, lambda: self._forget_log(room_id, epoch))

    def lose(self, room: Room) -> None:
        """Another process has the room now: nobody is in it here. The members must not be connected any more."""
        self._log.release(room.id, room.epoch)
        self._open.pop(room.id, None)
        for member in room.members:
            self.online_members -= not member.away
            member.live.member = None
        for observer in self._observers:
            self._background.attempt("observer of a lost room", observer.room_lost, room)
        self._dissolve(room)

    def _close(self, room: Room) -> None:
        """Close a room, also one whose opening has failed halfway."""
        for observer in self._observers:
            self._background.attempt("observer of a closing room", observer.room_closing, room)
        self._dismiss(room)
        self._forget_log(room.id, room.epoch)
        self._tell_closed(room)

    def _dismiss(self, room: Room) -> None:
        """Nobody is in the room any more."""
        self._open.pop(room.id, None)
        for member in room.members:
            live = member.live
            if live.member is not member:
                continue
            live.member = None
            self.online_members -= not member.away
            live.guest.in_chat, live.guest.connected_user = False, None
            self._changed(live)

    def _tell_closed(self, room: Room) -> None:
        for observer in self._observers:
            try:
                observer.room_closed(room)
            except Exception as error:  # noqa: BLE001 - the room and the other observers continue
                self._background.failed("observer of a closed room", error)
        self._dissolve(room)

    def _dissolve(self, room: Room) -> None:
        self._background.call_later("dissolving a room", _DISSOLVING, room.dissolve)

    # ── a way back ────────────────────────────────────────────────────────────────────────────────

    def _park(self, member: Member) -> bool:
        """Dismiss the room of a member who leaves, and keep it for a while; return False if nobody could come back."""
        room = member.room
        if not self._undo or room.was_restored or not can_be_followed(member.partner.live):
            return False
        # What is on its way is delivered before the room ends: observers who look at the log see it.
        if not self._background.attempt("last messages of a room", self._log.settle, room.id, room.epoch):
            return False
        for observer in self._observers:
            self._background.attempt("observer of a parked room", observer.room_parked, room)
        try:
            open_log = self._log.park(room.id, room.epoch)
        except Exception as error:  # noqa: BLE001 - then the room ends
            self._background.failed("parking of a room's log", error)
            return False
        if open_log is None:
            return False
        self._dismiss(room)
        timer = self._background.call_later("end of a parked room", self._undo, lambda: self._end_parked(parked))
        parked = Parked(member, open_log, timer)
        for one in room.members:
            self._parked[one.live] = parked
        return True

    def restore(self, guest: LiveGuest, resume: Resume) -> Member:
        """Open the room of `resume` again, which the guest has left, and inform both; return the guest's member.

        A member who is not attached then needs `resume`. Raises ConflictError (undo_impossible).
        """
        parked = self._parked.get(guest)
        if parked is None or not parked.is_of(guest, resume) or not parked.can_be_restored():
            raise ConflictError(Code.UNDO_IMPOSSIBLE, "The conversation cannot be brought back")
        self._unpark(parked)
        room, back, other = parked.room, parked.who_left, parked.who_stays
        room.was_restored = True
        back.attached = False
        other.attached = other.attached and other.live.link is parked.link
        try:
            parked.open_log()
            self._open[room.id] = room
            for member in room.members:
                member.away = False
                self._seat(member)
                self.online_members += 1
            if self._is_durable:
                self._log.note(room.id, room.epoch, saved.RESTORED, b"1")
            for member in room.members:
                room.tell(member, self._restored(member, guest.guest))
        except BaseException:
            self._close(room)
            raise
        for observer in self._observers:
            self._background.attempt("observer of a restored room", observer.room_restored, room)
        return back

    @staticmethod
    def _restored(member: Member, back: Guest) -> RoomRestored:
        room, name = member.room, back.username
        return RoomRestored(
            user_id=back.id,
            username=name,
            message=f"{name} is back",
            room_id=room.id,
            epoch=room.epoch,
            seq=room.seq,
            partner=Partner.of(member.partner.guest),
        )

    def moved_on(self, guest: LiveGuest) -> None:
        """The guest searches, or does not wait: whoever has left them does not come back any more."""
        parked = self._parked.get(guest)
        if parked is not None and guest is parked.who_stays.live:
            self._end_parked(parked)

    def returned(self, guest: LiveGuest, resume: Resume | None) -> None:
        """A guest has connected. Nobody comes back to a room that their client does not name."""
        parked = self._parked.get(guest)
        if parked is not None and guest is parked.who_stays.live and not parked.is_named(resume):
            self._end_parked(parked)

    def gone(self, guest: LiveGuest) -> None:
        """The guest meets another one, or is on this node no more: the room that they were in is over."""
        parked = self._parked.get(guest)
        if parked is not None:
            self._end_parked(parked)

    def _end_parked(self, parked: Parked) -> None:
        """Forget everything of a parked room. Its log is nowhere else."""
        self._unpark(parked)
        self._tell_closed(parked.room)

    def _unpark(self, parked: Parked) -> None:
        """The room is open again, or over."""
        parked.timer.cancel()
        for member in parked.room.members:
            self._parked.pop(member.live, None)


def _joined(guest: Guest) -> UserJoined:
    return UserJoined(user_id=guest.id, username=guest.username, message=f"{guest.username} is here")


def _portion(messages: list[Message]) -> list[Message]:
    """Return the first messages, as many as have _REPLAY_BYTES of text together, but at least one.

    Content that is not text is small: see `files.content`.
    """
    left = _REPLAY_BYTES
    for count, message in enumerate(messages):
        left -= len(message.content.encode()) if isinstance(message.content, str) else 0
        if count and left < 0:
            return messages[:count]
    return messages
