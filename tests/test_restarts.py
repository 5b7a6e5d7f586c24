"""Random actions of guests and networks, as in `test_everything`, while the process dies and begins again."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from passerby.calls.events import (
    EndCall,
    IceCandidate,
    ReportConnected,
    SendAnswer,
    SendCandidate,
    SendOffer,
    SessionDescription,
)
from passerby.chat.events import MessageSent
from passerby.errors import ConflictError
from tests.support.clock import ManualClock
from tests.support.durable import Disk, begin, kill, stop
from tests.support.house import GRACE, House
from tests.test_everything import LOG_MESSAGES, WHO, Client, ClosingMachine

if TYPE_CHECKING:
    from collections.abc import Callable

SDP = "v=0\r\na=ice-ufrag:abcd\r\n"


class RestartMachine(ClosingMachine):
    """Random sequences of actions, with the end of the process between any two of them, and a new one."""

    async def _build(self) -> House:
        self.disk = Disk(ManualClock(), messages=LOG_MESSAGES)
        self.epochs: dict[str, int] = {}
        return await begin(self.disk, [], **self._settings())

    @staticmethod
    def _settings() -> dict[str, object]:
        return {"room_log_messages": LOG_MESSAGES}

    # ── the end of the process ────────────────────────────────────────────────────────────────────

    @rule(
        gently=st.booleans(),
        at_rest=st.booleans(),
        pause=st.sampled_from([0.0, 0.0, 2.0]),
        set_back=st.sampled_from([0, 0, 0, 30]),
    )
    def restart(self, gently: bool, at_rest: bool, pause: float, set_back: int) -> None:
        if at_rest:
            self.run(self.house.pass_time(0.2))  # notes about calls may be so late
            self.settle()
        searching = [client for client in self.clients if client.connected and client.person.live.ticket is not None]
        calls = {room.id: (call.id, call.state) for room, call in self.house.calls._calls.items()}
        rooms = {(room.id, room.epoch, room.seq) for room in self.house.rooms._open.values()}
        self._restart(gently=gently, pause=pause, set_back=set_back)
        now = self.house.rooms._open.values()
        assert {(room.id, room.epoch, room.seq) for room in now} == rooms, "a room is lost, or there again"
        if at_rest and not pause:
            assert {room.id: (call.id, call.state) for room, call in self.house.calls._calls.items()} == calls
        for client in searching:
            kept = self.run(self.house.adapters.queue.recall(client.person.id))
            assert kept is not None, "a search is lost"

    def _restart(self, *, gently: bool = False, pause: float = 0.0, set_back: int = 0) -> None:
        people = [client.person for client in self.clients]
        self.run(stop(self.house, people) if gently else kill(self.house, self.disk, people))
        for client in self.clients:
            client.connected = False
        self.disk.clock.advance(pause)
        self.disk.clock.set_wall(-set_back)
        self.house = self.run(begin(self.disk, people, **self._settings()))

    @rule(who=WHO, gently=st.booleans())
    def restart_while_a_connection_is_lost(self, who: int, gently: bool) -> None:
        client = self.pick(who)
        if client is not None:
            self.do(partial(self._disconnect, client))
            self._restart(gently=gently)

    @rule(who=WHO)
    def restart_while_a_message_is_acknowledged(self, who: int) -> None:
        """It is logged, but neither the author nor the partner learns of it from this process."""
        client = self.pick(who)
        if client is None or client.room is None or client.person.live.member is None:
            return
        room = client.person.live.member.room
        if (room.id, room.epoch) != client.room:
            return
        self.count += 1
        client_id, text = f"c{self.count}", f"text {self.count}"
        client.unanswered[client_id] = text
        self.disk.process.is_silent = True
        self.do(partial(self.house.rooms.send, client.person.live.member, "text", text, client_id, None))
        self._restart()
        replay = self.run(self.house.adapters.log.replay(room.id, room.epoch, 0))
        logged = replay.messages[-1]
        assert logged.client_id == client_id
        sent = MessageSent(logged.id, logged.timestamp, "sent", logged.seq, client_id)
        self.accepted.setdefault(client.room, {})[logged.seq] = (client, sent)

    @rule(who=WHO)
    def restart_during_a_search(self, who: int) -> None:
        client = self.pick(who)
        if client is None or client.person.live.member is not None:
            return

        async def searching() -> None:
            task = asyncio.ensure_future(client.person.search())
            await asyncio.sleep(0)
            await task

        self.run(searching())
        self._restart()

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────

    @rule(who=WHO, steps=st.integers(1, 4))
    def come_so_far_in_a_call(self, who: int, steps: int) -> None:
        client = self.pick(who)
        partner = self._partner(client) if client is not None else None
        if client is None or partner is None or not partner.connected:
            return
        place, other = self._place(client), self._place(partner)
        for step in [partial(self.call, place), partial(self.answer, other), partial(self.candidate, other)][:steps]:
            step()
        if steps == 4:
            self.media_flows(place)

    def _place(self, client: Client) -> int:
        return [one for one in self.clients if one.connected and not one.ended].index(client)

    @rule(who=WHO)
    def call(self, who: int) -> None:
        self._act(who, self.house.calls.offer, SendOffer(offer=SessionDescription("offer", SDP), type="audio"))

    @rule(who=WHO)
    def answer(self, who: int) -> None:
        self._act(who, self.house.calls.answer, SendAnswer(answer=SessionDescription("answer", SDP)))

    @rule(who=WHO)
    def candidate(self, who: int) -> None:
        candidate = IceCandidate("candidate:1 1 udp 1 192.0.2.1 9 typ host")
        self._act(who, self.house.calls.candidate, SendCandidate(candidate=candidate))

    @rule(who=WHO)
    def media_flows(self, who: int) -> None:
        client = self.pick(who)
        if client is not None and client.person.live.member is not None:
            call = self.house.calls._calls.get(client.person.live.member.room)
            if call is not None:
                self._act(who, self.house.calls.connected, ReportConnected(call_id=call.id))

    @rule(who=WHO)
    def hang_up(self, who: int) -> None:
        self._act(who, partial(self.house.calls.hang_up, how=EndCall), None, key="call_id")

    def _act(self, who: int, act: Callable[..., None], signal: object, key: str = "payload") -> None:
        client = self.pick(who)
        if client is None:
            return
        with contextlib.suppress(ConflictError):  # not possible now
            self.do(partial(act, client.person.live, **{key: signal}))
        self.settle()

    # ── invariants ────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def epochs_of_a_pair_grow(self) -> None:
        for room in self.house.rooms._open.values():
            assert room.epoch >= self.epochs.get(room.id, 0)
            self.epochs[room.id] = room.epoch

    @invariant()
    def the_disk_has_the_rooms_that_are_open(self) -> None:
        assert set(self.disk.rooms) == set(self.house.rooms._open)

    @invariant()
    def nothing_fails(self) -> None:
        assert self.house.background.failures.total() == 0

    @rule()
    def nobody_returns(self) -> None:
        """After a restart and a grace window nothing is left of the rooms."""
        self._restart()
        self.run(self.house.pass_time(GRACE))
        self.settle()
        assert self.disk.rooms == {}
        assert self.house.rooms.count == 0
        assert self.house.calls._calls == {}


def test_whatever_happens_a_restart_is_a_reconnect() -> None:
    run_state_machine_as_test(
        RestartMachine,
        settings=settings(max_examples=100, stateful_step_count=50, deadline=None),
    )
