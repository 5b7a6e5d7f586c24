"""Random actions of guests and networks on all services at once, checked by clients that track their expected state."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from passerby.chat.events import ChatCleared, Matched, MessageSent, Resume, RoomClosed, RoomResumed
from passerby.errors import ConflictError, UnauthorizedError
from passerby.guests.events import ConnectionEstablished
from passerby.models import Message
from tests.support.house import GRACE, House, Person

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from passerby.events import Event

T = TypeVar("T")

LOG_MESSAGES = 6
CROWD = 5
WHO = st.integers(0, CROWD - 1)

RoomKey = tuple[str, int]


def room_of(client: Client) -> RoomKey | None:
    """Return the room that a client is in, according to its own state."""
    return client.room


class Client:
    """A client that follows the protocol and detects when the server does not.

    It reads events when told to. Events that it has not read when the connection is lost are lost. It does not filter
    duplicates: the server must not send any to a client that resumes with its `seq`.
    """

    def __init__(self, person: Person) -> None:
        self.person = person
        self.connected = False
        self.ended = False
        self.read_up_to = 0
        self.room: RoomKey | None = None
        self.seq = 0
        self.knows_its_place = True
        """False after a reload that lost the room state: then only the order can be checked."""
        self.unanswered: dict[str, str] = {}
        self.received: set[str] = set()
        """Ids of all messages ever received."""
        self.shown: set[str] = set()
        """Ids of messages that it still remembers: without `resume`, unconfirmed messages are sent again."""
        self.confirmed = 0
        self.newest_from_partner: Message | None = None
        self.undelivered: dict[str, set[str]] = {}
        self.closed_by_grace: set[str] = set()
        self.told_of_gap = False
        self.lags = False
        """Whether it reads only when told to, and so can lose events. Other clients read at once."""

    @property
    def unread(self) -> int:
        return len(self.person.link.sent) - self.read_up_to if self.connected else 0

    def read(self, count: int) -> None:
        for event in self.person.link.sent[self.read_up_to : self.read_up_to + count]:
            self.read_up_to += 1
            self._take(event)

    def _take(self, event: Event | Message) -> None:
        if isinstance(event, ConnectionEstablished):
            key = None if event.room is None else (event.room.room_id, event.room.epoch)
            if key is not None and key != self.room:
                self._enter(key)  # without a room, an event about its end follows
        elif isinstance(event, Matched):
            assert self.room is None, "matched while in a room"
            assert event.matched_user.id != self.person.id, "matched with oneself"
            self._enter((event.room_id, event.epoch))
            self.knows_its_place = True
        elif isinstance(event, RoomResumed):
            assert (event.room_id, event.epoch) == self.room
            self.told_of_gap = self.told_of_gap or event.gap > 0
            if self.knows_its_place:
                self.seq += event.gap
        elif isinstance(event, Message):
            self._take_message(event)
        elif isinstance(event, MessageSent):
            assert self.room is not None
            self.unanswered.pop(str(event.client_id), None)
            if event.seq > self.seq:
                self._number(event.seq)
        elif isinstance(event, ChatCleared | RoomClosed):
            self._take_end(event)

    def _take_message(self, message: Message) -> None:
        self._number(message.seq)
        if message.sender_id == self.person.id:
            self.unanswered.pop(str(message.client_id), None)
        else:
            assert message.id not in self.shown, "a message was received twice"
            assert message.seq > self.confirmed, "a message was received again after its confirmation"
            self.shown.add(message.id)
            self.received.add(message.id)
            self.newest_from_partner = message

    def _take_end(self, event: ChatCleared | RoomClosed) -> None:
        if isinstance(event, RoomClosed):
            for lost in event.undelivered:
                self.undelivered.setdefault(event.user_id, set()).add(lost.message_id)
            if event.reason == "user_disconnected":
                self.closed_by_grace.add(event.user_id)
        self.leave()

    def _number(self, seq: int) -> None:
        assert self.room is not None, "received a message without a room"
        if self.knows_its_place:
            assert seq == self.seq + 1, f"message {seq} after {self.seq}"
        else:
            assert seq > self.seq, f"message {seq} after {self.seq}"
        self.seq = seq

    def _enter(self, key: RoomKey) -> None:
        self.room, self.seq, self.newest_from_partner = key, 0, None
        self.told_of_gap = False
        self.confirmed = 0
        self.unanswered.clear()

    def leave(self) -> None:
        self.room, self.seq, self.newest_from_partner = None, 0, None
        self.unanswered.clear()

    def resume(self) -> Resume | None:
        if self.room is None or not self.knows_its_place:
            return None
        return Resume(room_id=self.room[0], epoch=self.room[1], seq=self.seq)


class HouseMachine(RuleBasedStateMachine):
    """Random sequences of actions, see the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.house = self.run(self._build())
        self.clients: list[Client] = []
        self.accepted: dict[RoomKey, dict[int, tuple[Client, MessageSent]]] = {}
        self.members: dict[RoomKey, tuple[Client, Client]] = {}
        self.count = 0

    async def _build(self) -> House:
        return House(room_log_messages=LOG_MESSAGES)

    def run(self, work: Coroutine[None, None, T]) -> T:
        return self.loop.run_until_complete(work)

    def do(self, call: Callable[[], T]) -> T:
        """Call a function that needs a running event loop."""

        async def calling() -> T:
            return call()

        return self.run(calling())

    def settle(self) -> None:
        """Run the event loop until nothing is left to do; clients read their events."""
        self.run(self.house.settle())
        for client in self.clients:
            if not client.lags:
                client.read(client.unread)

    def teardown(self) -> None:
        self.settle()
        self.loop.close()

    # ── connecting and disconnecting ──────────────────────────────────────────────────────────────

    def pick(self, who: int, *, connected: bool = True) -> Client | None:
        """Return a client that is connected, or one that is not."""
        clients = [client for client in self.clients if client.connected is connected and not client.ended]
        return clients[who % len(clients)] if clients else None

    @initialize()
    def open_the_house(self) -> None:
        self.everybody_comes_and_searches()

    @rule()
    def everybody_comes_and_searches(self) -> None:
        while sum(not client.ended for client in self.clients) < CROWD:
            self.clients.append(Client(self.run(self.house.newcomer())))
        for client in self.clients:
            if not client.connected and not client.ended:
                self.run(self._connect(client))
        self.settle()
        self._search([client for client in self.clients if client.connected])

    @rule(who=WHO, lags=st.booleans())
    def read_later(self, who: int, lags: bool) -> None:
        client = self.pick(who)
        if client is not None:
            client.lags = lags

    @rule(who=WHO, forgetful=st.sampled_from([False, False, False, True]))
    def connect(self, who: int, forgetful: bool) -> None:
        client = self.pick(who, connected=False)
        if client is not None:
            if forgetful:
                client.leave()
                client.knows_its_place = False
            self.run(self._connect(client))
            self.settle()

    async def _connect(self, client: Client) -> None:
        resume = client.resume()
        if resume is None:
            client.seq = 0
            client.shown.clear()
        try:
            await client.person.arrive(resume)
        except UnauthorizedError:
            assert self.house.guests.live(client.person.session_id) is None
            client.ended = True
            return
        client.connected, client.read_up_to = True, 0

    @rule(who=WHO)
    def disconnect(self, who: int) -> None:
        client = self.pick(who)
        if client is not None:
            self.do(partial(self._disconnect, client))
            self.settle()

    @staticmethod
    def _disconnect(client: Client) -> None:
        client.connected = False
        client.person.drop()

    @rule(who=WHO)
    def lose_and_return_in_one_instant(self, who: int) -> None:
        client = self.pick(who)
        if client is not None:
            searched = client.person.live.ticket is not None
            self.run(self._lose_and_return(client))
            self.settle()
            live = client.person.live
            assert not searched or live.ticket is not None or live.member is not None, "a search is lost"

    async def _lose_and_return(self, client: Client) -> None:
        self._disconnect(client)
        await self._connect(client)

    @rule(who=WHO, said_meanwhile=st.booleans())
    def connect_a_second_time(self, who: int, said_meanwhile: bool) -> None:
        client = self.pick(who)
        if client is not None:
            self.run(self._connect_again(client, said_meanwhile))
            self.settle()

    async def _connect_again(self, client: Client, said_meanwhile: bool) -> None:
        first = client.person.link
        client.connected = False
        await self._connect(client)
        assert first.closed == "replaced"
        partner = self._partner(client)
        if said_meanwhile and partner is not None and partner.connected and partner.room is not None:
            self._say(partner)

    @rule(seconds=st.sampled_from([0.5, 5.0, GRACE / 2, GRACE]))
    def time_passes(self, seconds: float) -> None:
        self.run(self.house.pass_time(seconds))
        self.settle()

    @rule(who=WHO, connected=st.booleans())
    def end(self, who: int, connected: bool) -> None:
        client = self.pick(who, connected=connected)
        if client is not None:
            live = self.house.guests.live(client.person.session_id)
            guest = (
                live.guest if live is not None else self.run(self.house.adapters.store.load(client.person.session_id))
            )
            if guest is not None:
                self.run(self.house.presence.end(guest))
            client.ended, client.connected = True, False
            self.settle()

    # ── searching and talking ─────────────────────────────────────────────────────────────────────

    @rule(who=WHO)
    def search(self, who: int) -> None:
        client = self.pick(who)
        if client is not None:
            self._search([client])

    def _search(self, chosen: list[Client]) -> None:
        async def all_at_once() -> list[BaseException | None]:
            return await asyncio.gather(*(client.person.search() for client in chosen), return_exceptions=True)

        for client, problem in zip(chosen, self.run(all_at_once()), strict=True):
            if problem is None:
                assert client.person.live.ticket is not None or client.person.live.member is not None
            else:
                assert isinstance(problem, ConflictError)
                assert client.person.live.member is not None
        self.settle()

    @rule(who=WHO)
    def cancel(self, who: int) -> None:
        client = self.pick(who)
        if client is None:
            return
        searched = client.person.live.ticket is not None
        try:
            self.run(client.person.cancel())
        except ConflictError:
            assert not searched
        else:
            assert searched
        assert client.person.live.ticket is None
        self.settle()

    @rule(who=WHO, times=st.sampled_from([1, 2, 3, LOG_MESSAGES + 2]))
    def say(self, who: int, times: int) -> None:
        client = self.pick(who)
        for _ in range(times):
            if client is not None and client.room is not None:
                self.do(partial(self._say, client))
        self.settle()

    def _say(self, client: Client) -> None:
        self.count += 1
        client_id = f"c{self.count}"
        client.unanswered[client_id] = f"text {self.count}"
        self._send(client, client_id)

    @rule(who=WHO)
    def say_again_what_was_not_answered(self, who: int) -> None:
        client = self.pick(who)
        for client_id in list(client.unanswered) if client is not None else ():
            assert client is not None
            self.do(partial(self._send, client, client_id))
        self.settle()

    def _send(self, client: Client, client_id: str) -> None:
        member = client.person.live.member
        if member is None:
            return  # refused, see test_rooms; the client gets an error event
        room = member.room
        if (room.id, room.epoch) != client.room:
            return
        logged = self.accepted.setdefault(client.room, {})
        before = [sent for by, sent in logged.values() if by is client and sent.client_id == client_id]
        sent = client.person.say(client.unanswered[client_id], client_id)
        if before:
            assert sent == before[-1], "a different acknowledgement for the same message"
        else:
            assert sent.seq not in logged
            logged[sent.seq] = (client, sent)

    @rule(who=WHO, share=st.sampled_from([0.3, 1.0]))
    def read(self, who: int, share: float) -> None:
        client = self.pick(who)
        if client is not None:
            client.read(int(client.unread * share) or 1)

    @rule(who=WHO)
    def confirm(self, who: int) -> None:
        client = self.pick(who)
        if client is None or client.room is None or client.newest_from_partner is None:
            return
        if client.person.live.member is not None:
            client.confirmed = client.newest_from_partner.seq
            self.do(partial(self.house.rooms.confirm, client.person.live, client.newest_from_partner.id))
            self.settle()

    @rule(who=WHO)
    def leave(self, who: int) -> None:
        client = self.pick(who)
        if client is not None:
            client.read(client.unread)
            self.do(partial(self.house.rooms.leave, client.person.live, "user_left"))
            client.leave()
            self.settle()

    # ── invariants ────────────────────────────────────────────────────────────────────────────────

    def _partner(self, client: Client) -> Client | None:
        live = self.house.guests.live(client.person.session_id)
        if live is None or live.member is None:
            return None
        partner = live.member.partner.live
        return next(other for other in self.clients if other.person.session_id == partner.guest.session_id)

    @invariant()
    def membership_is_symmetric_and_single(self) -> None:
        rooms: dict[int, list[str]] = {}
        for live in self.house.lives():
            member = live.member
            guest = live.guest
            assert guest.in_chat is (member is not None)
            assert guest.is_searching is (live.ticket is not None)
            assert not (guest.in_chat and guest.is_searching), "searching while in a room"
            if member is None:
                assert guest.connected_user is None
                continue
            assert member.live is live
            assert member.partner.partner is member
            assert member.partner.live is not live, "in a room with oneself"
            assert member.partner.live.member is member.partner, "the partner is in another room"
            assert self.house.guests.live(member.partner.live.guest.session_id) is member.partner.live
            assert guest.connected_user == member.partner.live.guest.id
            rooms.setdefault(id(member.room), []).append(guest.id)
        assert all(len(set(guests)) == 2 for guests in rooms.values())
        assert self.house.rooms.count == len(rooms)

    @invariant()
    def counts_equal_a_recount(self) -> None:
        lives = self.house.lives()
        online = [live for live in lives if live.link is not None]
        tally = self.house.stats.tally()
        assert {live.guest.id for live in online} == set(self.house.guests.online)
        assert tally.online == len(online) == sum(client.connected for client in self.clients)
        assert tally.chatting == sum(live.member is not None for live in online)
        assert tally.pairs == sum(live.member is not None for live in lives) / 2
        tickets = sum(live.ticket is not None for live in lives)
        assert self.house.matchmaking.waiting == tickets
        assert self.run(self.house.adapters.queue.size()) == tickets
        stored = [self.run(self.house.adapters.store.load(client.person.session_id)) for client in self.clients]
        assert self.run(self.house.adapters.store.count()) >= sum(guest is not None for guest in stored)

    @invariant()
    def whoever_is_online_is_stored_as_they_are(self) -> None:
        for live in self.house.lives():
            stored = self.run(self.house.adapters.store.load(live.guest.session_id))
            if live.link is not None:
                assert stored is not None
                assert (stored.is_online, stored.in_chat) == (True, live.guest.in_chat)

    @invariant()
    def the_ended_stay_ended(self) -> None:
        for client in self.clients:
            if client.ended:
                assert self.house.guests.live(client.person.session_id) is None
                assert self.run(self.house.adapters.store.load(client.person.session_id)) is None

    @invariant()
    def whoever_reads_everything_has_everything(self) -> None:
        for client in self.clients:
            if not client.connected or client.unread or client.room is None or not client.knows_its_place:
                continue
            member = client.person.live.member
            assert member is not None, "the client got no event about the end of the room"
            assert (member.room.id, member.room.epoch) == client.room
            assert client.seq == member.room.seq, "messages are missing"

    @invariant()
    def nothing_acknowledged_is_silently_lost(self) -> None:
        """Messages of an open room are replayed or in `gap`; at the end of a grace window they are `undelivered`."""
        for client in self.clients:
            live = self.house.guests.live(client.person.session_id)
            if live is None or live.member is None:
                continue
            room = live.member.room
            logged = self.accepted.get((room.id, room.epoch), {})
            assert sorted(logged) == list(range(1, room.seq + 1)), "sequence numbers have gaps"
            resumes = client.room == (room.id, room.epoch) and client.knows_its_place
            seen = client.seq if resumes and not client.connected else 0
            replay = self.run(self.house.adapters.log.replay(room.id, room.epoch, seen))
            assert [message.seq for message in replay.messages] == list(range(seen + replay.gap + 1, room.seq + 1))
            expected = [logged[message.seq][1].message_id for message in replay.messages]
            assert [message.id for message in replay.messages] == expected


class ClosingMachine(HouseMachine):
    """The same; when a grace window ends a room, the states of both sides are compared."""

    @rule()
    def somebody_does_not_come_back(self) -> None:
        pairs = [(client, self._partner(client)) for client in self.clients if client.connected]
        for stays, goes in pairs:
            if goes is None or stays.room is None or not goes.connected:
                continue
            stays.read(stays.unread)
            room = room_of(stays)
            member = goes.person.live.member
            if room is None or member is None:
                continue
            received = set(goes.received)
            self.do(partial(self._disconnect, goes))
            goes.ended = True
            self.do(partial(self._say, stays))
            self.run(self.house.pass_time(GRACE))
            self.settle()
            stays.read(stays.unread)
            assert room_of(stays) is None
            assert goes.person.id in stays.closed_by_grace
            named = stays.undelivered.get(goes.person.id, set())
            logged = self.accepted[room]
            for seq in sorted(logged)[-LOG_MESSAGES if goes.told_of_gap else 0 :]:
                author, sent = logged[seq]
                if author is stays and sent.message_id not in received:
                    assert sent.message_id in named
            return


def test_whatever_guests_and_networks_do_the_books_agree() -> None:
    run_state_machine_as_test(
        ClosingMachine,
        settings=settings(max_examples=60, stateful_step_count=50, deadline=None),
    )
