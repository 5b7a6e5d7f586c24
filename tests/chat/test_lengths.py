"""Conversations are counted, and how long they took, also if somebody leaves and comes back."""

from __future__ import annotations

import pytest

from passerby.chat.events import Resume
from passerby.chat.lengths import Conversations
from passerby.live import UNDO
from tests.support.house import House

SECONDS = 5.0


async def test_a_conversation_lasts_until_it_is_left_and_not_until_nobody_may_come_back() -> None:
    house = House(undo_seconds=SECONDS)
    talks = Conversations(house.clock)
    house.rooms.observe(talks)
    anna, berta = await house.pair(features=(UNDO,))
    room = anna.live.membership().room
    await house.pass_time(40)
    anna.say("hello")
    house.rooms.leave(anna.live, "user_left", undo=True)
    await house.pass_time(1)
    house.presence.undo(anna.live, Resume(room.id, room.epoch, room.seq))
    await house.settle()
    await house.pass_time(20)
    berta.say("you are back")
    assert talks.messages == 2
    house.rooms.leave(berta.live, "user_left", undo=False)

    assert (talks.begun, talks.messages) == (1, 2)
    assert talks.lengths.total == pytest.approx(61, abs=0.1)


async def test_a_conversation_that_is_left_for_good_ends_when_it_was_left() -> None:
    house = House(undo_seconds=SECONDS)
    talks = Conversations(house.clock)
    house.rooms.observe(talks)
    anna, _ = await house.pair(features=(UNDO,))
    await house.pass_time(10)
    house.rooms.leave(anna.live, "user_left", undo=True)
    assert sum(talks.lengths.counts) == 0
    await house.pass_time(SECONDS)

    assert sum(talks.lengths.counts) == 1
    assert talks.lengths.total == pytest.approx(10, abs=0.1)
