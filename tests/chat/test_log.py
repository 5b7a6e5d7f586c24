from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from msgspec import UNSET, UnsetType

from passerby.chat import log as port
from passerby.chat.log import Replay
from passerby.chat.log_memory import MemoryRoomLog
from passerby.limits import TokenBucket
from passerby.models import Message
from passerby.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from passerby.chat.log import RoomLog
    from tests.support.backends import Backend

ROOM = "guest_a_guest_b"
EPOCH = 1_700_000_000_000
MAX_MESSAGES = 5
MAX_BYTES = 8192
CLIENT_IDS = 4
OVERHEAD_AT_MOST = 1024
"""Maximum bytes that an adapter may count for a message in addition to its content."""
PATIENCE = 30.0


@pytest.fixture
async def log(backend: Backend) -> RoomLog:
    log = backend.room_log(MAX_MESSAGES, MAX_BYTES, CLIENT_IDS)
    log.open(ROOM, EPOCH)
    return log


def message(
    text: str | dict[str, object],
    sender: str = "guest_a",
    client_id: str | None = None,
) -> Message:
    return Message(
        id=f"msg_1701945000123_{text if isinstance(text, str) else 'file'}"[:60],
        sender_id=sender,
        sender_username="CoolPanda1234",
        type="text" if isinstance(text, str) else "file",
        content=text,
        timestamp="2023-12-07T10:30:00.000Z",
        status="sent",
        seq=0,
        client_id=client_id if client_id is not None else UNSET,
    )


async def append(log: RoomLog, own: Message, room: str = ROOM, epoch: int = EPOCH) -> tuple[Message, bool]:
    """Append a message; return the accepted message, and whether it is new."""
    told: asyncio.Future[tuple[Message, bool]] = asyncio.get_running_loop().create_future()

    def accepted(_context: object, logged: Message, encoded: bytes | None, error: Exception | None) -> None:
        assert error is None
        assert encoded is None or msgspec.json.decode(encoded, type=Message) == logged
        told.set_result((logged, encoded is not None))

    log.append(room, epoch, own, accepted, None)
    return await asyncio.wait_for(told, PATIENCE)


def answer(accepted: Message) -> tuple[str, str, int, str | UnsetType]:
    """Return what the sender is told of a message."""
    return accepted.id, accepted.timestamp, accepted.seq, accepted.client_id


async def contents(log: RoomLog, after: int = 0) -> list[object]:
    return [logged.content for logged in (await log.replay(ROOM, EPOCH, after)).messages]


# ── entries ───────────────────────────────────────────────────────────────────────────────────────


def seen(log: RoomLog, room: str = ROOM, epoch: int = EPOCH) -> list[object]:
    return [msgspec.json.decode(entry, type=Message).content for entry in log.entries(room, epoch)]


async def test_entries_are_the_messages_of_the_log_as_they_were_relayed(log: RoomLog) -> None:
    assert log.entries(ROOM, EPOCH) == []
    relayed: list[bytes | None] = []
    done = asyncio.Event()

    def accepted(_context: object, own: Message, encoded: bytes | None, _error: Exception | None) -> None:
        relayed.append(encoded)
        if own.content == "three":
            done.set()

    for text in ("one", "two", "three"):
        log.append(ROOM, EPOCH, message(text), accepted, None)
    await asyncio.wait_for(done.wait(), PATIENCE)

    entries = log.entries(ROOM, EPOCH)
    assert entries == relayed
    assert all(entry is own for entry, own in zip(entries, relayed, strict=True))  # no copies


async def test_entries_lack_what_is_evicted_and_repeated(log: RoomLog) -> None:
    for number in range(MAX_MESSAGES + 2):
        await append(log, message(f"{number}", client_id=f"{number}"))
    await append(log, message("again", client_id=f"{MAX_MESSAGES + 1}"))

    assert seen(log) == [f"{number}" for number in range(2, MAX_MESSAGES + 2)]


async def test_entries_are_of_one_room_and_epoch_that_is_open(log: RoomLog) -> None:
    log.open("guest_c_guest_d", EPOCH)
    await append(log, message("here"))
    await append(log, message("there"), "guest_c_guest_d")

    assert seen(log) == ["here"]
    assert seen(log, epoch=EPOCH - 1) == seen(log, "guest_nobody") == []
    log.forget(ROOM, EPOCH)
    assert seen(log) == []


async def test_what_is_settled_is_done_and_among_the_entries(log: RoomLog) -> None:
    told: list[int] = []
    for text in ("one", "two"):
        log.append(ROOM, EPOCH, message(text), lambda _context, own, _encoded, _error: told.append(own.seq), None)
    assert [*range(1, len(log.entries(ROOM, EPOCH)) + 1)] == told  # as far as it is done

    log.settle(ROOM, EPOCH - 1)
    log.settle("guest_nobody", EPOCH)
    log.settle(ROOM, EPOCH)

    assert told == [1, 2]
    assert seen(log) == ["one", "two"]
    await append(log, message("three"))
    assert seen(log) == ["one", "two", "three"]
    assert told == [1, 2]


async def test_entries_come_back_with_a_parked_log(log: RoomLog) -> None:
    await append(log, message("one"))
    open_again = log.park(ROOM, EPOCH)
    assert seen(log) == []
    assert open_again is not None
    open_again()
    await append(log, message("two"))

    assert seen(log) == ["one", "two"]


# ── numbering ─────────────────────────────────────────────────────────────────────────────────────


async def test_messages_are_numbered_from_one_without_holes(log: RoomLog) -> None:
    accepted = [await append(log, message(text)) for text in ("one", "two", "three")]

    assert [(own.seq, own.content, new) for own, new in accepted] == [
        (1, "one", True),
        (2, "two", True),
        (3, "three", True),
    ]


async def test_both_senders_share_the_numbers(log: RoomLog) -> None:
    await append(log, message("from a", "guest_a"))
    accepted, _ = await append(log, message("from b", "guest_b"))

    assert accepted.seq == 2


async def test_an_appended_message_is_replayed_with_every_field(log: RoomLog) -> None:
    await append(log, message("hello 👋\nthere", "guest_b", "c-1"))

    replay = await log.replay(ROOM, EPOCH, 0)

    expected = message("hello 👋\nthere", "guest_b", "c-1")
    expected.seq = 1
    assert replay == Replay([expected], 0)


async def test_a_message_without_client_id_has_none_when_replayed(log: RoomLog) -> None:
    await append(log, message("bare"))

    replay = await log.replay(ROOM, EPOCH, 0)

    assert replay.messages[0].client_id is UNSET


async def test_answers_come_in_the_order_of_the_appends(log: RoomLog) -> None:
    order: list[tuple[str, int]] = []
    done = asyncio.Event()

    def accepted(_context: object, logged: Message, encoded: bytes | None, error: Exception | None) -> None:
        assert error is None
        assert encoded is not None
        order.append((str(logged.content), logged.seq))
        if len(order) == 50:
            done.set()

    for number in range(50):
        log.append(ROOM, EPOCH, message(str(number)), accepted, None)
    await asyncio.wait_for(done.wait(), PATIENCE)

    assert order == [(str(number), number + 1) for number in range(50)]


async def test_an_append_from_within_an_answer_comes_next(log: RoomLog) -> None:
    order: list[int] = []
    done = asyncio.Event()

    def first(_context: object, logged: Message, _encoded: bytes | None, _error: Exception | None) -> None:
        order.append(logged.seq)
        log.append(ROOM, EPOCH, message("second"), second, None)

    def second(_context: object, logged: Message, _encoded: bytes | None, _error: Exception | None) -> None:
        order.append(logged.seq)
        done.set()

    log.append(ROOM, EPOCH, message("first"), first, None)
    await asyncio.wait_for(done.wait(), PATIENCE)

    assert order == [1, 2]
    assert await contents(log) == ["first", "second"]


# ── copies ────────────────────────────────────────────────────────────────────────────────────────


async def test_changing_the_message_of_then_changes_nothing_logged(log: RoomLog) -> None:
    await append(log, message("original", client_id="c"))
    again, _ = await append(log, message("resent", client_id="c"))
    again.content = "changed"

    assert await contents(log) == ["original"]


async def test_changing_a_replayed_message_changes_nothing_logged(log: RoomLog) -> None:
    await append(log, message({"filename": "a.pdf", "sizes": [1, 2]}))
    first = (await log.replay(ROOM, EPOCH, 0)).messages[0]
    assert isinstance(first.content, dict)
    first.content["filename"] = "changed"
    first.seq = 99

    replay = await log.replay(ROOM, EPOCH, 0)

    assert replay.messages[0].content == {"filename": "a.pdf", "sizes": [1, 2]}
    assert replay.messages[0].seq == 1


# ── duplicates ────────────────────────────────────────────────────────────────────────────────────


async def test_the_same_client_id_again_is_the_message_of_then(log: RoomLog) -> None:
    first, _ = await append(log, message("original", client_id="c"))
    expected = answer(first)
    await append(log, message("between"))

    again, new = await append(log, message("resent", client_id="c"))

    assert (answer(again), new) == (expected, False)
    assert await contents(log) == ["original", "between"]


async def test_a_duplicate_takes_no_number(log: RoomLog) -> None:
    await append(log, message("original", client_id="c"))
    await append(log, message("resent", client_id="c"))
    after, _ = await append(log, message("after"))

    assert after.seq == 2


async def test_the_same_client_id_of_the_other_sender_is_another_message(log: RoomLog) -> None:
    await append(log, message("from a", "guest_a", "c"))
    other, new = await append(log, message("from b", "guest_b", "c"))

    assert (other.content, other.seq, new) == ("from b", 2, True)


async def test_messages_without_client_id_are_never_duplicates(log: RoomLog) -> None:
    await append(log, message("same"))
    _, new = await append(log, message("same"))

    assert new
    assert await contents(log) == ["same", "same"]


async def test_the_same_client_id_in_another_room_is_another_message(log: RoomLog) -> None:
    log.open("guest_a_guest_c", EPOCH + 1)
    await append(log, message("here", client_id="c"))
    there, new = await append(log, message("there", client_id="c"), "guest_a_guest_c", EPOCH + 1)

    assert (there.seq, new) == (1, True)


async def test_simultaneous_resends_are_logged_once(log: RoomLog) -> None:
    accepted = await asyncio.gather(*(append(log, message(f"try {n}", client_id="c")) for n in range(50)))

    assert sum(new for _, new in accepted) == 1
    assert len({answer(own) for own, _ in accepted}) == 1
    assert len(await contents(log)) == 1


async def test_simultaneous_appends_get_each_their_own_number(backend: Backend) -> None:
    log = backend.room_log(1000, 1_000_000)
    log.open(ROOM, EPOCH)
    accepted = await asyncio.gather(*(append(log, message(str(n), client_id=str(n))) for n in range(200)))

    assert sorted(own.seq for own, _ in accepted) == list(range(1, 201))
    replay = await log.replay(ROOM, EPOCH, 0)
    assert [own.seq for own in replay.messages] == list(range(1, 201))
    assert {str(own.content): own.seq for own in replay.messages} == {str(own.content): own.seq for own, _ in accepted}


# ── replay, bounds, gap ───────────────────────────────────────────────────────────────────────────


async def test_a_replay_begins_after_the_number_asked_for(log: RoomLog) -> None:
    for text in ("one", "two", "three"):
        await append(log, message(text))

    assert await contents(log, after=0) == ["one", "two", "three"]
    assert await contents(log, after=2) == ["three"]
    assert await log.replay(ROOM, EPOCH, 3) == Replay([], 0)


async def test_a_replay_from_beyond_the_end_is_empty_without_gap(log: RoomLog) -> None:
    await append(log, message("one"))

    assert await log.replay(ROOM, EPOCH, 1000) == Replay([], 0)


async def test_an_empty_log_replays_nothing(log: RoomLog) -> None:
    assert await log.replay(ROOM, EPOCH, 0) == Replay([], 0)


async def test_at_the_bound_of_number_nothing_is_lost(log: RoomLog) -> None:
    for number in range(MAX_MESSAGES):
        await append(log, message(str(number)))

    replay = await log.replay(ROOM, EPOCH, 0)

    assert (len(replay.messages), replay.gap) == (MAX_MESSAGES, 0)


async def test_past_the_bound_of_number_the_oldest_go_and_are_counted(log: RoomLog) -> None:
    for number in range(MAX_MESSAGES + 3):
        await append(log, message(str(number)))

    replay = await log.replay(ROOM, EPOCH, 0)

    assert [own.content for own in replay.messages] == ["3", "4", "5", "6", "7"]
    assert [own.seq for own in replay.messages] == [4, 5, 6, 7, 8]
    assert replay.gap == 3


@pytest.mark.parametrize(("after", "gap"), [(0, 3), (1, 2), (2, 1), (3, 0), (4, 0), (8, 0)])
async def test_the_gap_is_only_of_what_is_asked_for(log: RoomLog, after: int, gap: int) -> None:
    for number in range(MAX_MESSAGES + 3):
        await append(log, message(str(number)))

    replay = await log.replay(ROOM, EPOCH, after)

    assert replay.gap == gap
    assert len(replay.messages) + gap == 8 - after


@pytest.mark.parametrize(
    "text",
    ["a" * 3000, "é" * 1500, "👋" * 750, "\n" * 3000, '"' * 3000],
    ids=["ascii", "two bytes", "four bytes", "newlines", "quotes"],
)
async def test_the_log_stays_within_its_bytes(log: RoomLog, text: str) -> None:
    size = len(text.encode())
    for _ in range(4):
        await append(log, message(text))

    replay = await log.replay(ROOM, EPOCH, 0)

    kept = len(replay.messages)
    assert kept * size <= MAX_BYTES
    assert kept >= 1, "messages within the limits are kept"
    assert replay.gap == 4 - kept


async def test_files_count_with_all_they_hold(log: RoomLog) -> None:
    for _ in range(3):
        await append(log, message({"filename": "x", "extra": "y" * 5000}))

    replay = await log.replay(ROOM, EPOCH, 0)

    assert (len(replay.messages), replay.gap) == (1, 2)


async def test_small_messages_are_not_pushed_out_by_bytes(log: RoomLog) -> None:
    for number in range(MAX_MESSAGES):
        await append(log, message("x" * ((MAX_BYTES // MAX_MESSAGES) - OVERHEAD_AT_MOST) + str(number)))

    assert len(await contents(log)) == MAX_MESSAGES


# ── memory of client ids ──────────────────────────────────────────────────────────────────────────


async def test_a_message_pushed_out_is_still_a_duplicate_with_the_same_answer(log: RoomLog) -> None:
    first, _ = await append(log, message("original", client_id="c"))
    expected = answer(first)
    for number in range(3 * MAX_MESSAGES):
        await append(log, message(str(number)))

    again, new = await append(log, message("resent", client_id="c"))

    assert (answer(again), new) == (expected, False)
    assert "resent" not in await contents(log)


async def test_the_other_sender_shortens_nobodys_memory(log: RoomLog) -> None:
    first, _ = await append(log, message("original", "guest_a", "c"))
    expected = answer(first)
    for number in range(10 * CLIENT_IDS):
        await append(log, message("x", "guest_b", f"b-{number}"))

    again, new = await append(log, message("resent", "guest_a", "c"))

    assert (answer(again), new) == (expected, False)


async def test_of_each_sender_the_newest_client_ids_are_remembered(log: RoomLog) -> None:
    expected = []
    for number in range(10 * CLIENT_IDS):
        accepted, _ = await append(log, message("x", client_id=str(number)))
        expected.append(answer(accepted))

    for number in range(9 * CLIENT_IDS, 10 * CLIENT_IDS):
        again, new = await append(log, message("x", client_id=str(number)))
        assert (answer(again), new) == (expected[number], False)
    _, new = await append(log, message("x", client_id=str(8 * CLIENT_IDS - 1)))
    assert new, "more than twice as many are kept"


async def test_each_sending_lengthens_the_memory(log: RoomLog) -> None:
    first, _ = await append(log, message("original", client_id="c"))
    expected = answer(first)
    number = 0
    for between in range(CLIENT_IDS):
        for _ in range(5):
            for _ in range(between):
                number += 1
                await append(log, message("x", client_id=str(number)))
            again, new = await append(log, message("resent", client_id="c"))
            assert (answer(again), new) == (expected, False)


async def test_duplicates_lengthen_no_memory_but_their_own(log: RoomLog) -> None:
    await append(log, message("original", client_id="c"))
    for number in range(2 * CLIENT_IDS):
        for _ in range(3):
            await append(log, message("x", client_id=str(number)))
            await append(log, message("x", client_id=str(max(0, number - CLIENT_IDS + 1))))

    _, new = await append(log, message("again", client_id="c"))
    assert new, "more than twice as many are kept"


def test_a_flood_of_duplicates_makes_the_memory_no_larger() -> None:
    log = MemoryRoomLog(MAX_MESSAGES, MAX_BYTES, CLIENT_IDS)
    log.open(ROOM, EPOCH)
    largest = 0
    for number in range(20 * CLIENT_IDS):
        log.append(ROOM, EPOCH, message("x", client_id=str(number)), lambda *_: None, None)
        for back in range(3 * CLIENT_IDS):  # remembered and forgotten ones
            log.append(ROOM, EPOCH, message("x", client_id=str(max(0, number - back))), lambda *_: None, None)
            largest = max(largest, len(log.logs[ROOM].sent["guest_a"]))

    assert largest < 2 * CLIENT_IDS


@given(st.lists(st.integers(0, 3 * CLIENT_IDS), max_size=80))
def test_whatever_was_sent_lately_has_one_number(sendings: list[int]) -> None:
    log = MemoryRoomLog(MAX_MESSAGES, MAX_BYTES, CLIENT_IDS)
    log.open(ROOM, EPOCH)
    numbers: list[int] = []
    for place, sending in enumerate(sendings):
        log.append(ROOM, EPOCH, message("x", client_id=str(sending)), lambda _, own, *__: numbers.append(own.seq), None)
        last = next((at for at in range(place - 1, -1, -1) if sendings[at] == sending), None)
        if last is not None and len({*sendings[last + 1 : place]}) < CLIENT_IDS:
            assert numbers[place] == numbers[last]


async def test_the_defaults_remember_what_is_sent_again_and_again(backend: Backend) -> None:
    """See CLIENT_IDS: each acknowledgement is lost, and the guest writes on as fast as allowed."""
    defaults = Settings()
    seconds = defaults.ping_interval + defaults.ping_timeout + defaults.grace
    for before in (0, 1, port.CLIENT_IDS - 1, port.CLIENT_IDS):
        log = backend.room_log(MAX_MESSAGES, MAX_BYTES, port.CLIENT_IDS)
        log.open(ROOM, EPOCH)
        allowed = TokenBucket(defaults.limit_messages, 0.0)
        for number in range(before):
            await append(log, message("x", client_id=f"before-{number}"))
        first, _ = await append(log, message("x", client_id="c"))
        expected = answer(first)
        number, now, resendings = 0, 0.0, 0
        while resendings < 6:
            now += 0.05
            if now >= (resendings + 1) * seconds:
                resendings += 1
                again, new = await append(log, message("x", client_id="c"))
                assert (answer(again), new) == (expected, False)
            elif not allowed.take(now):
                number += 1
                await append(log, message("x", client_id=str(number)))
        log.forget(ROOM, EPOCH)


async def test_the_defaults_remember_all_that_a_guest_can_have_to_send_again(backend: Backend) -> None:
    """See CLIENT_IDS."""
    defaults = Settings()
    seconds = defaults.ping_interval + defaults.ping_timeout + defaults.grace
    many = int(defaults.limit_messages.burst + seconds * defaults.limit_messages.per_second)
    log = backend.room_log(MAX_MESSAGES, MAX_BYTES, port.CLIENT_IDS)
    log.open(ROOM, EPOCH)
    for number in range(3 * many):
        await append(log, message("x" * (number % 3 * 400), client_id=str(number)))

    for number in range(2 * many, 3 * many):
        _, new = await append(log, message("x", client_id=str(number)))
        assert not new


async def test_a_message_that_cannot_be_encoded_takes_no_number_and_is_not_remembered(log: RoomLog) -> None:
    with contextlib.suppress(UnicodeEncodeError):
        await append(log, message("\ud800", client_id="c"))

    accepted, new = await append(log, message("whole", client_id="c"))

    assert (accepted.seq, accepted.content, new) == (1, "whole", True)


# ── rooms, epochs, closing ────────────────────────────────────────────────────────────────────────


async def test_rooms_do_not_mix(log: RoomLog) -> None:
    other = "guest_c_guest_d"
    log.open(other, EPOCH)
    await append(log, message("here"))
    elsewhere, _ = await append(log, message("elsewhere"), other)

    assert elsewhere.seq == 1
    assert await contents(log) == ["here"]


async def test_a_log_of_another_epoch_is_not_there(log: RoomLog) -> None:
    await append(log, message("here"))

    assert await log.replay(ROOM, EPOCH + 1, 0) == Replay([], 0)
    assert await log.replay(ROOM, EPOCH - 1, 0) == Replay([], 0)


async def test_a_room_that_never_opened_replays_nothing(log: RoomLog) -> None:
    assert await log.replay("guest_x_guest_y", EPOCH, 0) == Replay([], 0)


async def test_a_new_epoch_begins_empty_and_takes_the_place_of_the_old_one(log: RoomLog) -> None:
    await append(log, message("of the old epoch", client_id="c"))
    log.open(ROOM, EPOCH + 1)

    assert await log.replay(ROOM, EPOCH, 0) == Replay([], 0)
    assert await log.replay(ROOM, EPOCH + 1, 0) == Replay([], 0)
    first, new = await append(log, message("of the new one", client_id="c"), epoch=EPOCH + 1)
    assert (first.seq, new) == (1, True)


async def test_closing_an_old_epoch_leaves_the_new_one(log: RoomLog) -> None:
    log.open(ROOM, EPOCH + 1)
    await append(log, message("of the new one"), epoch=EPOCH + 1)
    log.forget(ROOM, EPOCH)

    assert len((await log.replay(ROOM, EPOCH + 1, 0)).messages) == 1


async def test_a_closed_log_is_forgotten(log: RoomLog) -> None:
    await append(log, message("gone"))
    log.forget(ROOM, EPOCH)

    assert await log.replay(ROOM, EPOCH, 0) == Replay([], 0)


async def test_closing_what_is_not_open_does_nothing(log: RoomLog) -> None:
    await append(log, message("still here"))
    log.forget("guest_x_guest_y", EPOCH)
    log.forget(ROOM, EPOCH - 1)
    log.forget(ROOM, EPOCH + 1)

    assert await contents(log) == ["still here"]
    log.forget(ROOM, EPOCH)
    log.forget(ROOM, EPOCH)


async def test_after_closing_nothing_is_accepted_any_more(log: RoomLog) -> None:
    accepted: list[Message] = []
    log.forget(ROOM, EPOCH)
    log.append(ROOM, EPOCH, message("too late"), lambda _context, own, _encoded, _error: accepted.append(own), None)
    log.open(ROOM, EPOCH + 1)
    log.append(ROOM, EPOCH, message("old epoch"), lambda _context, own, _encoded, _error: accepted.append(own), None)
    # Work that the log still has to do comes before the next request.
    await append(log, message("barrier"), epoch=EPOCH + 1)

    assert accepted == []
    assert [own.content for own in (await log.replay(ROOM, EPOCH + 1, 0)).messages] == ["barrier"]


async def test_an_answer_pending_at_the_close_does_not_come_after_it(log: RoomLog) -> None:
    accepted: list[str] = []
    closed = False

    def note(_context: object, _own: Message, _encoded: bytes | None, _error: Exception | None) -> None:
        accepted.append("after" if closed else "before")

    for number in range(10):
        log.append(ROOM, EPOCH, message(str(number)), note, None)
    log.forget(ROOM, EPOCH)
    closed = True
    log.open(ROOM, EPOCH + 1)
    await append(log, message("barrier"), epoch=EPOCH + 1)

    assert "after" not in accepted


# ── parking ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_parked_log_is_closed_until_it_is_opened_again_as_it_was(log: RoomLog) -> None:
    for number in range(MAX_MESSAGES + 2):
        await append(log, message(f"{number}", client_id=f"c{number}"))
    first = answer((await append(log, message("again", client_id="c6")))[0])
    before = await log.replay(ROOM, EPOCH, 0)
    open_again = log.park(ROOM, EPOCH)
    assert open_again is not None
    assert await log.replay(ROOM, EPOCH, 0) == Replay([], 0)
    log.append(ROOM, EPOCH, message("too late"), lambda *_: pytest.fail("it is not open"), None)
    log.note(ROOM, EPOCH, "too late", b"")
    log.forget(ROOM, EPOCH)
    assert log.park(ROOM, EPOCH) is None

    open_again()

    assert await log.replay(ROOM, EPOCH, 0) == before
    again, is_new = await append(log, message("again", client_id="c6"))
    assert (answer(again), is_new) == (first, False)
    assert (await append(log, message("next")))[0].seq == MAX_MESSAGES + 3


async def test_what_was_appended_is_done_before_it_is_parked(log: RoomLog) -> None:
    done: list[tuple[object, int]] = []

    def note(_context: object, own: Message, _encoded: bytes | None, error: Exception | None) -> None:
        assert error is None
        done.append((own.content, own.seq))
        if own.content == "two":
            log.append(ROOM, EPOCH, message("three"), note, None)

    for text in ("one", "two"):
        log.append(ROOM, EPOCH, message(text), note, None)
    open_again = log.park(ROOM, EPOCH)
    assert open_again is not None
    assert done == [("one", 1), ("two", 2), ("three", 3)]
    await asyncio.sleep(0)
    open_again()

    assert await contents(log) == ["one", "two", "three"]
    assert (await append(log, message("four")))[0].seq == 4
    assert len(done) == 3


async def test_what_is_not_open_is_not_parked(log: RoomLog) -> None:
    await append(log, message("still here"))

    assert log.park("guest_x_guest_y", EPOCH) is None
    assert log.park(ROOM, EPOCH - 1) is None
    assert log.park(ROOM, EPOCH + 1) is None
    assert await contents(log) == ["still here"]


async def test_a_parked_log_that_is_not_opened_again_is_no_more(log: RoomLog) -> None:
    await append(log, message("gone", client_id="c"))
    assert log.park(ROOM, EPOCH) is not None
    log.open(ROOM, EPOCH + 1)

    assert await log.replay(ROOM, EPOCH + 1, 0) == Replay([], 0)
    first, new = await append(log, message("next", client_id="c"), epoch=EPOCH + 1)
    assert (first.seq, new) == (1, True)
    assert await log.epoch(ROOM) == EPOCH + 1


# ── random sequences ──────────────────────────────────────────────────────────────────────────────


class Model:
    """The expected state of a log: all messages accepted in this epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.accepted: list[tuple[str, str | None, str]] = []
        self.sendings: list[tuple[str, str]] = []
        """Sender and client id of all messages that have one, duplicates too."""
        self.answers: list[tuple[str, str, int, str | UnsetType]] = []
        self.kept = 0

    def may_keep(self, count: int) -> bool:
        """Return whether `count` messages may be within the limits, counting only their text."""
        return count <= MAX_MESSAGES and sum(len(text.encode()) for text in self._newest(count)) <= MAX_BYTES

    def must_keep(self, count: int) -> bool:
        """Return whether `count` messages must be within the limits, with the largest allowed overhead."""
        size = sum(len(json.dumps(text)) + OVERHEAD_AT_MOST for text in self._newest(count))
        return count <= MAX_MESSAGES and size <= MAX_BYTES

    def since(self, sender: str, client_id: str) -> int:
        """Return how many other client ids the sender has sent after this one was sent last."""
        last = len(self.sendings) - self.sendings[::-1].index((sender, client_id))
        return len({sending for sending in self.sendings[last:] if sending[0] == sender})

    def _newest(self, count: int) -> list[str]:
        return [text for _, _, text in self.accepted[len(self.accepted) - count :]]


class LogMachine(RuleBasedStateMachine):
    """Random sequences of commands, compared with lists. The adapter decides the exact size of a message."""

    rooms = ("guest_a_guest_b", "guest_a_guest_c")
    longest = 2 * CLIENT_IDS
    """How many other client ids a sender may send until one is forgotten."""

    def __init__(self, open_backend: Callable[[], AbstractAsyncContextManager[Backend]]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.context = open_backend()
        self.log = self.runner.run(self._open())
        self.models: dict[str, Model] = {}
        self.epoch = EPOCH

    async def _open(self) -> RoomLog:
        return (await self.context.__aenter__()).room_log(MAX_MESSAGES, MAX_BYTES, CLIENT_IDS)

    async def _close(self) -> None:
        await self.context.__aexit__(None, None, None)

    def call(self, method: Callable[..., None], *arguments: object) -> None:
        """Call a method of the log, which needs the event loop."""

        async def called() -> None:
            method(*arguments)

        self.runner.run(called())

    def teardown(self) -> None:
        self.runner.run(self._close())
        self.runner.close()

    @rule(room=st.sampled_from(rooms))
    def open(self, room: str) -> None:
        self.epoch += 1
        self.call(self.log.open, room, self.epoch, (f"a of {self.epoch}", "b"))
        self.models[room] = Model(self.epoch)

    @rule(room=st.sampled_from(rooms), stale=st.booleans())
    def close(self, room: str, stale: bool) -> None:
        model = self.models.get(room)
        if model is None:
            self.call(self.log.forget, room, self.epoch)
        elif stale:
            self.call(self.log.forget, room, model.epoch - 1)
        else:
            self.call(self.log.forget, room, model.epoch)
            del self.models[room]

    @rule(
        room=st.sampled_from(rooms),
        sender=st.sampled_from(["guest_a", "guest_b"]),
        client_id=st.none() | st.sampled_from([f"c{number}" for number in range(3 * CLIENT_IDS)]),
        text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        times=st.sampled_from([1, 1, 1, 40, 150]),
    )
    def append(self, room: str, sender: str, client_id: str | None, text: str, times: int) -> None:
        content = text * times
        model = self.models.get(room)
        if model is None:
            self.call(self.log.append, room, self.epoch, message("nowhere"), self._never, None)
            return
        accepted, new = self.runner.run(append(self.log, message(content, sender, client_id), room, model.epoch))
        if self.accept(model, sender, client_id, content, accepted, new=new):
            self._check(room, model)

    def accept(
        self, model: Model, sender: str, client_id: str | None, content: str, accepted: Message, *, new: bool
    ) -> bool:
        """Check what an append was answered, and remember it. Return whether the log has one more message."""
        used = [
            place
            for place, (by, known_as, _) in enumerate(model.accepted)
            if client_id is not None and (by, known_as) == (sender, client_id)
        ]
        if client_id is not None:
            since = model.since(sender, client_id) if used else 0
            model.sendings.append((sender, client_id))
            if not new:
                assert answer(accepted) == model.answers[used[-1]]
                assert since < self.longest, "a client id is remembered for too long"
                return False
            assert not used or since >= CLIENT_IDS, "a duplicate was logged"
        model.accepted.append((sender, client_id, content))
        model.answers.append(answer(accepted))
        assert accepted.seq == len(model.accepted)
        return True

    def _never(self, _context: object, _own: Message, _encoded: bytes | None, _error: Exception | None) -> None:
        raise AssertionError("accepted into a log that is not open")

    def _check(self, room: str, model: Model) -> None:
        replay = self.runner.run(self.log.replay(room, model.epoch, 0))
        kept = len(replay.messages)
        assert kept <= model.kept + 1
        assert model.may_keep(kept), "kept more than the limits allow"
        if kept < model.kept + 1:
            assert not model.must_keep(kept + 1), "kept less than the limits allow"
        model.kept = kept

    @rule(room=st.sampled_from(rooms), after=st.integers(0, 30))
    def replay(self, room: str, after: int) -> None:
        model = self.models.get(room)
        replay = self.runner.run(self.log.replay(room, self.epoch if model is None else model.epoch, after))
        if model is None:
            assert replay == Replay([], 0)
            return
        total = len(model.accepted)
        first = max(after, total - model.kept)
        assert [own.seq for own in replay.messages] == list(range(first + 1, total + 1))
        assert [own.content for own in replay.messages] == [text for _, _, text in model.accepted[first:]]
        assert replay.gap == max(0, min(first, total) - after)


class ParkingMachine(LogMachine):
    """The same, with rooms that are parked."""

    def __init__(self, open_backend: Callable[[], AbstractAsyncContextManager[Backend]]) -> None:
        super().__init__(open_backend)
        self.parked: dict[str, tuple[Model, Callable[[], None]]] = {}

    @rule(room=st.sampled_from(LogMachine.rooms))
    def park(self, room: str) -> None:
        model = self.models.pop(room, None)
        if model is None:
            return

        async def parking() -> Callable[[], None] | None:
            return self.log.park(room, model.epoch)

        open_again = self.runner.run(parking())
        assert open_again is not None
        self.parked[room] = model, open_again

    @rule(room=st.sampled_from(LogMachine.rooms))
    def open_again(self, room: str) -> None:
        model, open_again = self.parked.pop(room, (None, None))
        if model is not None and open_again is not None and room not in self.models and model.epoch == self.epoch:
            self.call(open_again)
            self.models[room] = model


def test_any_sequence_of_commands_is_as_the_model_says(
    open_backend: Callable[[], AbstractAsyncContextManager[Backend]],
) -> None:
    class Machine(ParkingMachine):
        def __init__(self) -> None:
            super().__init__(open_backend)

    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=60, stateful_step_count=40, deadline=None),
    )
