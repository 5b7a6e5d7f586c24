from __future__ import annotations

import re
import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from passerby.chat.events import (
    ChatCleared,
    Matched,
    MessageDelivered,
    MessageSent,
    PartnerAway,
    PartnerBack,
    Resume,
    RoomClosed,
    RoomResumed,
    TypingStarted,
    TypingStopped,
    UserLeft,
)
from passerby.chat.log import CLIENT_IDS
from passerby.chat.rooms import MAX_ROOM_BYTES
from passerby.errors import ConflictError, InvalidInputError
from passerby.guests.events import ConnectionEstablished
from passerby.live import MAX_PENDING
from passerby.models import Message
from tests.support.clock import turns
from tests.support.fakes import SlowRoomLog
from tests.support.house import GRACE, House, Person

if TYPE_CHECKING:
    from passerby.errors import Code
    from passerby.events import Event

LARGEST = ("👋" + "\U000e0101" * 15) * 1000
"""A text of the largest allowed size: 64,000 bytes."""


class Nobody:
    """A link whose events nobody keeps."""

    def send(self, event: Event | Message) -> None: ...

    def deliver(self, message: bytes, receipt: Event) -> None: ...

    async def drain(self) -> None: ...

    def close(self, code: Code) -> None: ...


@pytest.fixture
def house() -> House:
    return House()


def confirm(person: Person, message: Message) -> None:
    person.house.rooms.confirm(person.live, message.id)


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_reaches_the_partner_whole(house: House) -> None:
    anna, berta = await house.pair()
    sent = anna.say("hello", "c-1")

    message = berta.link.last(Message)

    assert msgspec.to_builtins(message) == {
        "id": sent.message_id,
        "senderId": anna.id,
        "senderUsername": "Anna",
        "type": "text",
        "content": "hello",
        "timestamp": "2023-11-14T22:13:20.000Z",
        "status": "sent",
        "seq": 1,
        "clientId": "c-1",
    }
    assert re.fullmatch(r"msg_1700000000000_[0-9a-z]+", message.id)
    assert berta.link.names() == ["chat:message", "chat:message:delivered"]
    assert berta.link.last(MessageDelivered).message_id == message.id


async def test_the_sender_is_told_what_the_acknowledgement_says(house: House) -> None:
    anna, _ = await house.pair()
    answer = anna.say("hello", "c-1")

    assert anna.link.sent == [answer]
    assert (answer.status, answer.seq, answer.client_id) == ("sent", 1, "c-1")
    assert answer.timestamp == "2023-11-14T22:13:20.000Z"


async def test_without_client_id_none_comes_back(house: House) -> None:
    anna, berta = await house.pair()

    assert anna.say("hello").client_id is UNSET
    assert berta.link.last(Message).client_id is UNSET


async def test_both_sides_share_the_numbers_of_a_room(house: House) -> None:
    anna, berta = await house.pair()

    assert [anna.say("1").seq, berta.say("2").seq, anna.say("3").seq] == [1, 2, 3]
    assert [message.seq for message in berta.link.of(Message)] == [1, 3]


async def test_a_thousand_messages_at_the_same_instant_have_a_thousand_ids(house: House) -> None:
    anna, _ = await house.pair()

    assert len({anna.say(str(number)).message_id for number in range(1000)}) == 1000


async def test_line_ends_are_cleaned_before_they_are_sent(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("a\r\nb")

    assert berta.link.texts() == ["a\nb"]


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "text_empty"), (" \n", "text_empty"), ("x" * 1001, "text_too_long"), ("\x00", "text_control_characters")],
)
async def test_a_bad_text_is_refused_and_nothing_has_happened(house: House, text: str, code: str) -> None:
    anna, berta = await house.pair()

    with pytest.raises(InvalidInputError) as caught:
        anna.say(text, "c")

    assert caught.value.code == code
    assert (anna.link.sent, berta.link.sent) == ([], [])
    assert anna.say("next", "c").seq == 1


async def test_a_message_without_a_room_is_refused(house: House) -> None:
    anna = await house.visitor()

    with pytest.raises(ConflictError) as caught:
        anna.say("hello")

    assert caught.value.code == "not_in_room"


async def test_a_message_reaches_nobody_but_the_partner(house: House) -> None:
    anna, berta = await house.pair()
    carla, dora = await house.pair("Carla", "Dora")
    anna.say("for Berta")

    assert berta.link.texts() == ["for Berta"]
    assert (carla.link.sent, dora.link.sent) == ([], [])


# ── epochs ────────────────────────────────────────────────────────────────────────────────────────


async def test_every_room_has_a_greater_epoch_than_the_one_before(house: House) -> None:
    anna, berta = await house.pair()
    epochs = []
    for _ in range(5):
        member = anna.live.member
        assert member is not None
        epochs.append(member.room.epoch)
        house.rooms.leave(anna.live, "user_left")
        await anna.search()
        await berta.search()

    assert epochs == sorted(set(epochs))


async def test_the_epoch_is_greater_after_a_restart_too() -> None:
    before = House()
    one, _ = await before.pair()
    after = House()
    after.clock.advance(1)
    other, _ = await after.pair()
    first, second = one.live.member, other.live.member
    assert first is not None
    assert second is not None

    assert second.room.epoch > first.room.epoch


async def test_a_new_room_begins_at_one_and_knows_no_old_client_ids(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("old", "c")
    house.rooms.leave(anna.live, "user_left")
    await anna.search()
    await berta.search()
    berta.link.clear()

    assert anna.say("new", "c").seq == 1
    assert berta.link.texts() == ["new"]


# ── client ids ────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_sent_again_is_delivered_once_with_the_same_acknowledgement(house: House) -> None:
    anna, berta = await house.pair()
    first = anna.say("hello", "c-1")
    house.clock.advance(3)
    again = anna.say("hello", "c-1")

    assert again == first
    assert berta.link.texts() == ["hello"]
    assert anna.link.of(MessageSent) == [first, first]


async def test_the_first_content_counts(house: House) -> None:
    anna, berta = await house.pair()
    first = anna.say("first", "c-1")

    assert anna.say("second", "c-1") == first
    assert berta.link.texts() == ["first"]


async def test_the_same_client_id_from_both_sides_is_two_messages(house: House) -> None:
    anna, berta = await house.pair()

    assert anna.say("from Anna", "c").message_id != berta.say("from Berta", "c").message_id
    assert (anna.link.texts(), berta.link.texts()) == (["from Berta"], ["from Anna"])


async def test_a_message_sent_again_after_a_reconnection_is_still_the_same(house: House) -> None:
    anna, berta = await house.pair()
    first = anna.say("hello", "c-1")
    anna.drop()
    await anna.connect(anna.resume_from(0))

    assert anna.say("hello", "c-1") == first
    assert berta.link.texts() == ["hello"]


async def test_a_message_sent_again_after_the_log_has_moved_on_is_still_the_same(house: House) -> None:
    anna, berta = await house.pair()
    first = anna.say("hello", "c-1")
    for number in range(10):
        berta.say(LARGEST, f"b-{number}")
    resume = anna.resume_from(0)
    anna.drop()
    await anna.connect(resume)
    assert anna.link.last(RoomResumed).gap > 1, "the message is no longer in the log"

    assert anna.say("hello", "c-1") == first
    assert berta.link.texts() == ["hello"]


async def test_a_message_sent_again_and_again_is_confirmed_once(house: House) -> None:
    anna, berta = await house.pair()
    first = anna.say("hello", "c-1")
    received = berta.link.last(Message)
    assert anna.say("hello", "c-1") == first
    confirm(berta, received)
    for number in range(5 * CLIENT_IDS):
        anna.say("on", f"on-{number}")
        if number % (CLIENT_IDS - 1) == 0:
            assert anna.say("hello", "c-1") == first
            confirm(berta, received)

    assert berta.link.texts().count("hello") == 1
    assert [told.message_id for told in anna.link.of(MessageDelivered)] == [first.message_id]


@given(data=st.data())
@settings(max_examples=50)
async def test_whatever_is_sent_again_whenever_each_client_id_has_one_number(data: st.DataObject) -> None:
    house = House(room_log_messages=3, room_log_bytes=2048)
    people = await house.pair()
    told: dict[tuple[str, str], MessageSent] = {}
    for _ in range(data.draw(st.integers(1, 60))):
        author = people[data.draw(st.integers(0, 1))]
        client_id = data.draw(st.sampled_from("abcdefgh"))
        text = data.draw(st.sampled_from(["x", "y" * 900]))
        sent = author.say(text, client_id)
        assert told.setdefault((author.id, client_id), sent) == sent

    assert sorted(sent.seq for sent in told.values()) == list(range(1, len(told) + 1))
    for reader in people:
        received = [(message.sender_id, message.client_id, message.seq) for message in reader.link.of(Message)]
        assert received == [
            (author, client_id, sent.seq) for (author, client_id), sent in told.items() if author != reader.id
        ]


# ── confirmation ──────────────────────────────────────────────────────────────────────────────────


async def test_the_author_is_told_when_the_recipient_confirms(house: House) -> None:
    anna, berta = await house.pair()
    sent = anna.say("hello")
    anna.link.clear()
    house.clock.advance(2)
    confirm(berta, berta.link.last(Message))

    assert anna.link.sent == [MessageDelivered(message_id=sent.message_id, timestamp="2023-11-14T22:13:22.000Z")]


async def test_a_confirmation_covers_all_before_and_is_told_once(house: House) -> None:
    anna, berta = await house.pair()
    for text in ("1", "2", "3"):
        anna.say(text)
    first, second, third = berta.link.of(Message)
    anna.link.clear()
    confirm(berta, second)
    confirm(berta, second)
    confirm(berta, first)
    assert [event.message_id for event in anna.link.of(MessageDelivered)] == [first.id, second.id]

    confirm(berta, third)

    assert [event.message_id for event in anna.link.of(MessageDelivered)] == [first.id, second.id, third.id]


async def test_of_many_unconfirmed_messages_any_can_be_confirmed(house: House) -> None:
    anna, berta = await house.pair()
    sent = [anna.say(str(number)).message_id for number in range(3 * MAX_PENDING)]
    anna.link.clear()
    house.rooms.confirm(berta.live, sent[-2 * MAX_PENDING])
    assert anna.link.sent == [], "forgotten: no longer among the newest"

    house.rooms.confirm(berta.live, sent[-2])
    told = [event.message_id for event in anna.link.of(MessageDelivered)]
    assert MAX_PENDING - 1 <= len(told) < 2 * MAX_PENDING
    assert told == sent[-1 - len(told) : -1]

    house.rooms.confirm(berta.live, sent[-1])
    assert anna.link.last(MessageDelivered).message_id == sent[-1]


async def test_ids_that_are_not_the_partners_messages_here_are_ignored(house: House) -> None:
    anna, berta = await house.pair()
    carla, dora = await house.pair("Carla", "Dora")
    own = anna.say("Anna's own")
    carla.say("of another room")
    foreign = dora.link.last(Message)
    for link in (anna.link, berta.link, carla.link, dora.link):
        link.clear()

    house.rooms.confirm(anna.live, own.message_id)
    house.rooms.confirm(berta.live, foreign.id)
    house.rooms.confirm(berta.live, "msg_0_nonsense")
    house.rooms.confirm(berta.live, "")

    assert [link.sent for link in (anna.link, berta.link, carla.link, dora.link)] == [[], [], [], []]
    house.rooms.confirm(berta.live, own.message_id)
    assert anna.link.names() == ["chat:message:delivered"], "still unconfirmed until then"


async def test_confirming_without_a_room_is_refused(house: House) -> None:
    anna = await house.visitor()

    with pytest.raises(ConflictError, match="not in a conversation"):
        house.rooms.confirm(anna.live, "msg_0_x")


# ── typing ────────────────────────────────────────────────────────────────────────────────────────


async def test_typing_is_told_to_the_partner_only(house: House) -> None:
    anna, berta = await house.pair()
    house.rooms.typing(anna.live, started=True)
    house.rooms.typing(anna.live, started=False)

    assert berta.link.sent == [
        TypingStarted(user_id=anna.id, username="Anna"),
        TypingStopped(user_id=anna.id, username="Anna"),
    ]
    assert anna.link.sent == []


async def test_typing_without_a_room_is_refused(house: House) -> None:
    anna = await house.visitor()

    with pytest.raises(ConflictError, match="not in a conversation"):
        house.rooms.typing(anna.live, started=True)


async def test_typing_is_not_kept_for_a_partner_who_is_away(house: House) -> None:
    anna, berta = await house.pair()
    berta.drop()
    house.rooms.typing(anna.live, started=True)
    await berta.connect(berta.resume_from(0))

    assert berta.link.of(TypingStarted) == []


# ── leaving ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_partner_of_one_who_leaves_is_told(house: House) -> None:
    anna, berta = await house.pair()

    assert house.rooms.leave(anna.live, "user_left") == 0.0

    assert berta.link.names() == ["room:user_left", "chat:cleared"]
    assert berta.link.last(UserLeft).user_id == anna.id
    assert berta.link.last(ChatCleared) == ChatCleared(user_id=anna.id, username="Anna", reason="user_left")
    assert (anna.live.member, berta.live.member) == (None, None)
    assert (house.rooms.count, house.rooms.online_members) == (0, 0)


async def test_leaving_without_a_room_does_nothing(house: House) -> None:
    anna = await house.visitor()
    anna.link.clear()

    assert house.rooms.leave(anna.live, "user_left") == 0.0
    assert anna.link.sent == []


async def test_a_partner_who_was_away_learns_of_the_leaving_on_return(house: House) -> None:
    anna, berta = await house.pair()
    berta.say("arrived", "b-1")
    confirm(anna, anna.link.last(Message))
    resume = berta.resume_from(1)
    berta.drop()
    anna.say("goodbye")
    house.rooms.leave(anna.live, "user_left")
    await berta.connect(resume)

    closed = berta.link.last(RoomClosed)
    assert (closed.user_id, closed.username, closed.reason) == (anna.id, "Anna", "user_left")
    assert closed.undelivered == []
    assert berta.link.last(ConnectionEstablished).room is None
    assert berta.link.of(RoomResumed) == []
    berta.drop()
    await berta.connect()
    assert berta.link.of(RoomClosed) == [], "sent only once"


async def test_what_never_reached_the_one_who_left_is_named(house: House) -> None:
    """Berta wrote while Anna was away. Anna ends her session over HTTP while Berta is away."""
    anna, berta = await house.pair()
    anna.drop()
    sent = berta.say("are you there?", "b-1")
    berta.drop()
    guest, _ = await house.guests.authenticate(anna.token)
    await house.presence.end(guest)
    await berta.connect()

    closed = berta.link.last(RoomClosed)
    assert closed.reason == "session_ended"
    assert [(lost.message_id, lost.client_id) for lost in closed.undelivered] == [(sent.message_id, "b-1")]


# ── disconnecting and reconnecting ────────────────────────────────────────────────────────────────


async def test_the_partner_is_told_at_once_who_is_away_and_for_how_long(house: House) -> None:
    anna, berta = await house.pair()
    anna.drop()

    away = berta.link.last(PartnerAway)
    assert (away.user_id, away.username, away.grace) == (anna.id, "Anna", GRACE)
    assert house.rooms.online_members == 1
    assert house.rooms.count == 1


async def test_the_partner_is_told_who_is_back(house: House) -> None:
    anna, berta = await house.pair()
    anna.drop()
    await anna.connect()

    assert berta.link.names() == ["room:partner_away", "room:partner_back"]
    assert berta.link.last(PartnerBack).user_id == anna.id
    assert house.rooms.online_members == 2


async def test_the_partner_is_told_of_a_page_that_was_loaded_anew(house: House) -> None:
    anna, berta = await house.pair()
    resume = replace(anna.resume_from(0), reloaded=True)
    for is_noticed in (True, False):  # the new page may be faster than the end of the old connection
        if is_noticed:
            anna.drop()
        await anna.connect(resume)
        assert berta.link.last(PartnerBack).reloaded is True
        assert house.rooms.online_members == 2

    anna.drop()
    await anna.connect(anna.resume_from(0))
    assert berta.link.last(PartnerBack).reloaded is UNSET


async def test_on_return_the_room_is_told_and_what_is_missing_follows_in_order(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    resume = berta.resume_from(1)
    berta.drop()
    anna.say("2")
    anna.say("3")
    await berta.connect(resume)

    assert berta.link.names() == ["connection:established", "room:resumed", "chat:message", "chat:message"]
    room = berta.link.last(ConnectionEstablished).room
    assert room is not None
    assert (room.room_id, room.epoch, room.seq, room.partner.id) == (resume.room_id, resume.epoch, 3, anna.id)
    resumed = berta.link.last(RoomResumed)
    assert (resumed.room_id, resumed.epoch, resumed.seq) == (resume.room_id, resume.epoch, 3)
    assert (resumed.partner.id, resumed.partner_away, resumed.gap) == (anna.id, False, 0)
    assert [(message.seq, message.content) for message in berta.link.of(Message)] == [(2, "2"), (3, "3")]


async def test_messages_after_the_return_come_after_the_replay(house: House) -> None:
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    anna.say("1")
    await berta.connect(resume)
    anna.say("2")

    assert berta.link.texts() == ["1", "2"]


async def test_a_resume_replays_both_sides_from_where_the_client_was(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    berta.say("2", "b-2")
    anna.say("3")
    resume = berta.resume_from(1)
    berta.drop()
    await berta.connect(resume)

    messages = berta.link.of(Message)
    assert [(message.seq, message.sender_id) for message in messages] == [(2, berta.id), (3, anna.id)]
    assert messages[0].client_id == "b-2"


async def test_a_resume_of_what_the_client_has_whole_replays_nothing(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    resume = berta.resume_from(1)
    berta.drop()
    await berta.connect(resume)

    assert berta.link.names() == ["connection:established", "room:resumed"]


@pytest.mark.parametrize("change", ["room", "epoch"])
async def test_a_resume_of_another_room_replays_everything(house: House, change: str) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    berta.say("2")
    good = berta.resume_from(2)
    berta.drop()
    await berta.connect(
        Resume(
            room_id="guest_x_guest_y" if change == "room" else good.room_id,
            epoch=good.epoch - 1 if change == "epoch" else good.epoch,
            seq=2,
        )
    )

    resumed = berta.link.last(RoomResumed)
    assert (resumed.room_id, resumed.epoch, resumed.gap) == (good.room_id, good.epoch, 0)
    assert [message.seq for message in berta.link.of(Message)] == [1, 2]


async def test_a_resume_from_beyond_the_end_does_no_harm(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    resume = berta.resume_from(10**15)
    berta.drop()
    await berta.connect(resume)
    anna.say("2")

    assert berta.link.last(RoomResumed).gap == 0
    assert berta.link.texts() == ["2"]


async def test_an_old_client_gets_what_the_partner_wrote_meanwhile(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    confirm(berta, berta.link.last(Message))
    berta.say("2")
    berta.drop()
    anna.say("3")
    await berta.connect()

    assert [message.seq for message in berta.link.of(Message)] == [3]


async def test_an_old_client_that_confirms_everything_gets_nothing_twice(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    confirm(berta, berta.link.last(Message))
    seen = berta.link.texts()
    for number in (2, 3):
        berta.drop()
        anna.say(str(number))
        await berta.connect()
        confirm(berta, berta.link.last(Message))
        seen += berta.link.texts()

    assert seen == ["1", "2", "3"]


async def test_an_old_client_that_confirms_gets_what_it_has_not_confirmed(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    anna.say("2")
    anna.say("3")
    confirm(berta, berta.link.of(Message)[0])
    berta.drop()
    await berta.connect()

    assert [message.seq for message in berta.link.of(Message)] == [2, 3]


async def test_whoever_is_back_learns_what_the_partner_has_of_theirs(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    anna.say("2")
    confirm(berta, berta.link.of(Message)[0])
    resume = anna.resume_from(2)
    anna.drop()
    confirm(berta, berta.link.of(Message)[1])
    await anna.connect(resume)

    assert anna.link.last(RoomResumed).delivered == 2


async def test_whoever_is_back_learns_that_the_partner_is_away(house: House) -> None:
    anna, berta = await house.pair()
    resume = anna.resume_from(0)
    anna.drop()
    berta.drop()
    await anna.connect(resume)

    assert anna.link.last(RoomResumed).partner_away is True


async def test_a_gap_is_told_and_the_rest_follows() -> None:
    house = House(room_log_messages=3)
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    for number in range(1, 8):
        anna.say(str(number))
    await berta.connect(resume)

    resumed = berta.link.last(RoomResumed)
    assert (resumed.seq, resumed.gap) == (7, 4)
    assert berta.link.texts() == ["5", "6", "7"]


async def test_a_gap_is_counted_from_where_the_client_was() -> None:
    house = House(room_log_messages=3)
    anna, berta = await house.pair()
    anna.say("1")
    anna.say("2")
    resume = berta.resume_from(2)
    berta.drop()
    for number in range(3, 8):
        anna.say(str(number))
    await berta.connect(resume)

    assert berta.link.last(RoomResumed).gap == 2


# ── end of the grace window ───────────────────────────────────────────────────────────────────────


async def test_when_the_grace_ends_the_partner_learns_what_never_arrived(house: House) -> None:
    anna, berta = await house.pair()
    berta.say("arrived", "b-1")
    confirm(anna, anna.link.last(Message))
    anna.drop()
    first = berta.say("waits", "b-2")
    second = berta.say("waits too")
    await house.pass_time(GRACE)

    closed = berta.link.last(RoomClosed)
    assert (closed.user_id, closed.username, closed.reason) == (anna.id, "Anna", "user_disconnected")
    assert [(lost.message_id, lost.client_id) for lost in closed.undelivered] == [
        (first.message_id, "b-2"),
        (second.message_id, UNSET),
    ]
    assert berta.live.member is None
    assert house.rooms.count == 0


async def test_of_a_client_that_confirms_everything_unconfirmed_is_undelivered(house: House) -> None:
    anna, berta = await house.pair()
    berta.say("confirmed", "b-1")
    confirm(anna, anna.link.last(Message))
    berta.say("sent into a dead connection", "b-2")
    anna.drop()
    berta.say("waits", "b-3")
    await house.pass_time(GRACE)

    assert [lost.client_id for lost in berta.link.last(RoomClosed).undelivered] == ["b-2", "b-3"]


async def test_however_many_never_arrived_all_are_named() -> None:
    house = House(room_log_messages=3)
    anna, berta = await house.pair()
    anna.drop()
    sent = [berta.say(str(number)).message_id for number in range(8)]
    await house.pass_time(GRACE)

    assert [lost.message_id for lost in berta.link.last(RoomClosed).undelivered] == sent


async def test_both_away_until_the_first_graces_end(house: House) -> None:
    anna, berta = await house.pair()
    anna.drop()
    await house.pass_time(5)
    sent = berta.say("anybody?", "b-1")
    berta.drop()
    await house.pass_time(GRACE - 5)
    await berta.connect()

    closed = berta.link.last(RoomClosed)
    assert closed.reason == "partner_offline"
    assert [lost.message_id for lost in closed.undelivered] == [sent.message_id]


async def test_whoever_returns_too_late_and_finds_nobody_learns_it(house: House) -> None:
    anna, berta = await house.pair()
    resume = anna.resume_from(0)
    berta.drop()
    await house.pass_time(GRACE)
    anna.drop()
    await house.settle()
    await anna.connect(resume)

    # The room has ended; Anna got the event about it while connected.
    closed = anna.link.last(RoomClosed)
    assert (closed.reason, closed.user_id, closed.undelivered) == ("partner_offline", berta.id, [])


async def test_of_more_than_can_be_named_the_newest_are(house: House) -> None:
    anna, berta = await house.pair()
    anna.drop()
    sent = [berta.say(str(number)).message_id for number in range(3 * MAX_PENDING)]
    await house.pass_time(GRACE)

    assert [lost.message_id for lost in berta.link.last(RoomClosed).undelivered] == sent[-MAX_PENDING:]


# ── memory ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "client_id", ["", "c" * 56, "👋" * 56, "\x01" * 56], ids=["none", "ascii", "four bytes", "escaped"]
)
async def test_a_room_whose_messages_nobody_confirms_stays_within_its_bound(house: House, client_id: str) -> None:
    people = await house.pair()
    for person in people:
        person.live.link = Nobody()
    kept = []
    tracemalloc.start()
    try:
        for number in range(2 * CLIENT_IDS - 1):
            for person in people:
                text = LARGEST if number % 8 == 0 else "x"
                name = f"{client_id}{number:08}" if client_id else None
                house.rooms.send(person.live.membership(), "text", f"{text}", name, None)
            if number % 100 == 0:
                kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()

    assert max(kept) < house.settings.room_log_bytes + MAX_ROOM_BYTES


# ── a slow client ─────────────────────────────────────────────────────────────────────────────────


async def test_a_long_replay_waits_for_the_client_to_read(house: House) -> None:
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    for number in range(1, 101):
        anna.say(str(number))
    link = await berta.arrive(resume)
    link.read.shut()
    await link.read.arrival()
    assert 0 < len(link.of(Message)) < 100, "a part, not all"
    anna.say("101")
    link.read.open()
    await house.settle()
    anna.say("102")

    assert link.texts() == [str(number) for number in range(1, 103)]
    assert len(link.of(RoomResumed)) == 1


async def test_a_client_lost_while_it_reads_gets_the_rest_over_its_next_connection(house: House) -> None:
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    for number in range(1, 101):
        anna.say(str(number))
    first = await berta.arrive(resume)
    first.read.shut()
    await first.read.arrival()
    read = first.of(Message)[-1].seq
    berta.drop()
    second = await berta.arrive(Resume(room_id=resume.room_id, epoch=resume.epoch, seq=read))
    first.read.open()
    await house.settle()

    assert first.of(Message)[-1].seq == read
    assert [message.seq for message in second.of(Message)] == list(range(read + 1, 101))


async def test_a_replay_of_large_messages_waits_for_the_client_after_each(house: House) -> None:
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    for number in range(3):
        anna.say(f"{number}{LARGEST[1:]}")
    link = await berta.arrive(resume)
    link.read.shut()
    await link.read.arrival()
    assert len(link.of(Message)) == 1
    link.read.open()
    anna.say("after")
    await house.settle()

    assert [str(text)[0] for text in link.texts()] == ["0", "1", "2", "a"]


async def test_a_replay_of_large_messages_ends_with_its_connection(house: House) -> None:
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    for number in range(3):
        anna.say(f"{number}{LARGEST[1:]}")
    first = await berta.arrive(resume)
    first.read.shut()
    await first.read.arrival()
    second = await berta.arrive(resume)
    first.read.open()
    await house.settle()

    assert len(first.of(Message)) == 1
    assert [message.seq for message in second.of(Message)] == [1, 2, 3]


# ── a slow log ────────────────────────────────────────────────────────────────────────────────────


async def test_messages_during_a_replay_come_after_it_and_once() -> None:
    log = SlowRoomLog()
    house = House(stand_ins={"log": log})
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    anna.say("1")
    anna.say("2")
    log.told.shut()
    await berta.arrive(resume)
    await log.told.arrival()
    anna.say("3")
    anna.say("4")
    log.told.open()
    await house.settle()
    anna.say("5")

    assert berta.link.texts() == ["1", "2", "3", "4", "5"]
    assert berta.link.names()[:2] == ["connection:established", "room:resumed"]


async def test_a_second_connection_during_a_replay_gets_everything_once_and_the_first_nothing_more() -> None:
    log = SlowRoomLog()
    house = House(stand_ins={"log": log})
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    anna.say("1")
    log.told.shut()
    first = await berta.arrive(resume)
    await log.told.arrival()
    second = await berta.arrive(resume)
    await log.told.arrival(2)
    anna.say("2")
    log.told.open()
    await house.settle()

    assert first.texts() == []
    assert second.texts() == ["1", "2"]
    assert second.of(RoomResumed)[0].gap == 0


async def test_a_replay_to_a_replaced_connection_does_not_open_the_next_one_too_soon() -> None:
    log = SlowRoomLog()
    house = House(stand_ins={"log": log})
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    for number in range(1, 31):
        anna.say(str(number))
    first = await berta.arrive(resume)
    first.read.shut()
    await first.read.arrival()
    second = await berta.arrive(resume)
    second.read.shut()
    await second.read.arrival()
    first.read.open()
    await turns()
    anna.say("31")
    second.read.open()
    await house.settle()

    assert second.texts() == [str(number) for number in range(1, 32)]


async def test_lost_again_during_a_replay_and_back_once_more() -> None:
    log = SlowRoomLog()
    house = House(stand_ins={"log": log})
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    anna.say("1")
    log.told.shut()
    await berta.arrive(resume)
    await log.told.arrival()
    berta.drop()
    anna.say("2")
    log.told.open()
    await house.settle()
    await berta.connect(resume)
    anna.say("3")

    assert berta.link.texts() == ["1", "2", "3"]


async def test_a_partner_who_leaves_during_a_replay_is_told_of_and_nothing_follows() -> None:
    log = SlowRoomLog()
    house = House(stand_ins={"log": log})
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    anna.say("1")
    log.told.shut()
    await berta.arrive(resume)
    await log.told.arrival()
    house.rooms.leave(anna.live, "user_left")
    log.told.open()
    await house.settle()

    names = berta.link.names()
    assert names[-2:] == ["room:user_left", "chat:cleared"]
    assert berta.live.member is None


async def test_a_gap_that_opens_during_a_replay_is_told_too() -> None:
    log = SlowRoomLog(max_messages=3)
    house = House(stand_ins={"log": log}, room_log_messages=3)
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    anna.say("1")
    log.told.shut()
    await berta.arrive(resume)
    await log.told.arrival()
    for number in range(2, 9):
        anna.say(str(number))
    log.told.open()
    await house.settle()

    told = sum(resumed.gap for resumed in berta.link.of(RoomResumed))
    received = [message.seq for message in berta.link.of(Message)]
    assert received == sorted(set(received))
    assert len(received) + told == 8, "each message is replayed or counted in `gap`"


async def test_a_partners_message_between_a_replacing_connection_and_its_replay_comes_once(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    await berta.arrive(berta.resume_from(1))
    anna.say("2")
    await house.settle()
    anna.say("3")

    assert berta.link.texts() == ["2", "3"]
    assert berta.link.names()[:2] == ["connection:established", "room:resumed"]


async def test_a_partners_message_between_a_return_and_its_replay_comes_once(house: House) -> None:
    anna, berta = await house.pair()
    anna.say("1")
    resume = berta.resume_from(1)
    berta.drop()
    await berta.arrive(resume)
    anna.say("2")
    await house.settle()

    assert berta.link.texts() == ["2"]
    assert berta.link.names()[:2] == ["connection:established", "room:resumed"]


async def test_a_new_match_while_an_old_replay_is_still_on_its_way_gets_only_its_own() -> None:
    log = SlowRoomLog()
    house = House(stand_ins={"log": log})
    anna, berta = await house.pair()
    resume = berta.resume_from(0)
    berta.drop()
    anna.say("of the old room")
    log.told.shut()
    await berta.arrive(resume)
    await log.told.arrival()
    house.rooms.leave(anna.live, "user_left")
    carla = await house.newcomer("Carla")
    await carla.arrive()
    await carla.search()
    await berta.search()
    carla.say("of the new room")
    log.told.open()
    await house.settle()
    await turns()

    matched = berta.link.last(Matched)
    assert matched.matched_user.id == carla.id
    assert berta.link.texts() == ["of the new room"]
    assert berta.link.of(RoomResumed) == []
