"""The same to many partners is slowed, then held; what everybody says is not."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby import ids
from passerby.errors import ConflictError
from passerby.limits import Rate, TokenBucket
from passerby.live import LiveGuest, Member, Room
from passerby.models import Guest
from passerby.safety.repeats import COMMON, FIRST, LENIENCY, PAUSE, SHORT, WINDOW, Repeats, links
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from tests.conftest import StartServer

PARTNERS = 3
SENT, SLOWED, HELD = "sent", "repeated_message", "message_held"
SPAM = "Come and see my pictures on the other site, it is free"
LINK = "https://www.spam.example/pictures?for={}"


class Author:
    """A guest who meets one partner after the other."""

    def __init__(self, repeats: Repeats, *, device: str | None = None, bucket: TokenBucket | None = None) -> None:
        self.repeats = repeats
        self.live = live(device)
        self.live.address_bucket = bucket or TokenBucket(Rate(1, 1), 0)
        self.member = self.meet()

    def meet(self) -> Member:
        self.member = Room(ids.room_id(self.live.guest.id, ids.guest_id()), 1, self.live, live()).members[0]
        return self.member

    def say(self, text: str) -> str:
        """Say it to the partner of now; return what comes of it."""
        try:
            self.repeats.check(self.member, text)
        except ConflictError as error:
            return error.code if (error.code == SLOWED) == (error.retry_after is not None) else "odd"
        return "sent"

    def tell_many(self, text: str, partners: int) -> list[str]:
        said = []
        for number in range(partners):
            self.meet()
            said.append(self.say(text.format(number)))
        return said


def live(device: str | None = None) -> LiveGuest:
    guest = Guest(id=ids.guest_id(), session_id="s", username="Anna", last_seen="", created_at="", device=device)
    return LiveGuest(guest)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def noticed() -> list[tuple[LiveGuest, str, str]]:
    return []


@pytest.fixture
def repeats(clock: ManualClock, noticed: list[tuple[LiveGuest, str, str]]) -> Repeats:
    return Repeats(clock, partners=PARTNERS, notice=lambda guest, source, rule: noticed.append((guest, source, rule)))


@pytest.mark.parametrize("text", [SPAM, "look: " + LINK, "t.me/x", "spam.example/x"])
def test_the_same_to_many_is_slowed_then_held(
    repeats: Repeats, noticed: list[tuple[LiveGuest, str, str]], text: str
) -> None:
    author = Author(repeats)
    assert author.tell_many(text, 8) == [SENT] * 3 + [SLOWED] * 3 + [HELD] * 2
    assert noticed == [(author.live, "repeats", "spam")]


def test_what_is_slowed_may_be_said_later(repeats: Repeats, clock: ManualClock) -> None:
    author = Author(repeats)
    author.tell_many(SPAM, 4)
    with pytest.raises(ConflictError) as refused:
        repeats.check(author.member, SPAM)
    assert refused.value.retry_after == pytest.approx(PAUSE)
    clock.advance(PAUSE - 1)
    assert author.say(SPAM) == SLOWED
    clock.advance(2)
    assert [author.say(SPAM) for _ in range(3)] == [SENT] * 3


def test_to_one_partner_the_same_may_be_said_again_and_again(repeats: Repeats) -> None:
    author = Author(repeats)
    assert [author.say(SPAM) for _ in range(50)] == [SENT] * 50
    assert author.tell_many(SPAM, 3) == [SENT, SENT, SLOWED]


@pytest.mark.parametrize("text", ["hi", "Hello there!", "How are you", "ok", "👋", "a.b c"])
def test_greetings_never_count(repeats: Repeats, text: str) -> None:
    assert Author(repeats).tell_many(text, 100) == [SENT] * 100


def test_what_one_asks_everybody_may_be_asked_more_often(repeats: Repeats) -> None:
    text = "Where are you from?"
    assert SHORT < len(text.replace(" ", "")) <= COMMON
    said = Author(repeats).tell_many(text, 30)
    assert said == [SENT] * 12 + [SLOWED] * 12 + [HELD] * 6


def test_other_texts_and_other_authors_do_not_count(repeats: Repeats) -> None:
    one, other = Author(repeats), Author(repeats)
    assert one.tell_many("This is what I say to number {} of them", 50) == [SENT] * 50
    one.tell_many(SPAM, 2)
    assert other.tell_many(SPAM, 2) == [SENT] * 2


@pytest.mark.parametrize(
    "variant",
    [
        SPAM.upper(),
        SPAM.replace(" ", "  \n"),
        SPAM.replace(" ", "\u200b "),
        "".join(chr(ord(letter) + 0xFEE0) if letter.isalpha() else letter for letter in SPAM),  # full width
        SPAM.replace("i", "i\u200d"),
    ],
)
def test_variants_that_look_alike_are_the_same(repeats: Repeats, variant: str) -> None:
    author = Author(repeats)
    assert author.tell_many(SPAM, 3) == [SENT] * 3
    assert author.tell_many(variant, 1) == [SLOWED]


def test_numbers_make_a_difference(repeats: Repeats) -> None:
    author = Author(repeats)
    author.tell_many("Shall we meet at four in room 0001?", 3)
    assert author.tell_many("Shall we meet at four in room 0002?", 1) == [SENT]


def test_a_device_and_a_chain_of_sessions_are_one_sender(repeats: Repeats) -> None:
    for device in ("d", None):
        text, origin = f"{SPAM} {device}", ids.guest_id()
        said = []
        for _ in range(4):
            author = Author(repeats, device=device)
            author.live.guest.origin = origin
            said += author.tell_many(text, 1)
        assert said == [SENT] * 3 + [SLOWED]


def test_many_of_one_address_may_say_more_but_not_anything(repeats: Repeats) -> None:
    bucket = TokenBucket(Rate(1, 1), 0)
    said = [text for _ in range(13) for text in Author(repeats, bucket=bucket).tell_many(SPAM, 1)]
    assert said == [SENT] * (PARTNERS * LENIENCY) + [SLOWED]


def test_nobody_is_accused_for_what_others_of_their_address_say(
    repeats: Repeats, noticed: list[tuple[LiveGuest, str, str]]
) -> None:
    bucket = TokenBucket(Rate(1, 1), 0)
    said = [text for _ in range(100) for text in Author(repeats, bucket=bucket).tell_many(SPAM, 1)]
    assert set(said) == {SENT, SLOWED}
    assert noticed == []


async def test_after_an_hour_all_is_forgotten(repeats: Repeats, clock: ManualClock) -> None:
    author = Author(repeats)
    author.tell_many(SPAM, 4)
    before = repeats._key
    keeping = asyncio.ensure_future(repeats.keep())
    await clock.run(WINDOW - 1)
    assert author.tell_many(SPAM, 1) == [SLOWED]
    await clock.run(2)
    await keeping
    assert author.tell_many(SPAM, 4) == [SENT] * 3 + [SLOWED]
    assert repeats._key != before


async def test_a_wall_clock_that_is_set_changes_nothing(repeats: Repeats, clock: ManualClock) -> None:
    author = Author(repeats)
    author.tell_many(SPAM, 4)
    for jump in (-1e9, 2e9):
        clock.set_wall(jump)
        assert author.say(SPAM) == SLOWED


def test_a_case_is_opened_once_an_hour(repeats: Repeats, noticed: list[tuple[LiveGuest, str, str]]) -> None:
    author = Author(repeats)
    for text in (SPAM, SPAM + "!", LINK):
        author.tell_many(text, 10)
    assert len(noticed) == 1
    repeats.forget()
    author.tell_many(SPAM, 10)
    assert len(noticed) == 2


def test_what_is_remembered_is_bounded_and_holds_no_text(clock: ManualClock) -> None:
    repeats = Repeats(clock, partners=PARTNERS, most=10)
    author = Author(repeats)
    for number in range(100):
        author.tell_many(f"{SPAM} {number}", 20)
        assert len(repeats._spreads) <= 20
    assert max(len(spread.rooms) for spread in repeats._spreads.values()) <= 2 * PARTNERS * LENIENCY + 1
    gc.collect()
    assert "pictures" not in repr(repeats.__dict__)


def test_any_number_if_there_is_no_limit(clock: ManualClock) -> None:
    off = Repeats(clock, partners=0)
    assert off.least > 1_000_000
    assert len(off._seen) == 0


@given(st.text(min_size=1, max_size=2000))
def test_no_text_breaks_it(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # the gateway refuses it
    repeats = Repeats(ManualClock(), partners=1)
    author = Author(repeats)
    said = author.tell_many(text.replace("{", "").replace("}", ""), 4)
    assert said in ([SENT] * 4, [SENT, SLOWED, HELD, HELD])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://www.Example.com/A/b/?q=1#x now", ["example.com/a/b"]),
        ("(example.com)", ["example.com/"]),
        ("example.com, and t.me/x!", ["example.com/", "t.me/x"]),
        ("no link. None at all.", []),
        ("example.com " * 100, ["example.com/"] * 8),
    ],
)
def test_links(text: str, found: list[str]) -> None:
    assert list(links(text)) == found


# ── over the wire ─────────────────────────────────────────────────────────────────────────────────


async def test_the_author_is_told_and_nobody_gets_it(start_server: StartServer) -> None:
    server = await start_server(repeat_partners=1)
    _, anna = await server.visitor(username="Anna")
    codes: list[Any] = []
    for number in range(3):
        _, partner = await server.visitor(username=f"Partner{number}")
        await server.match(anna, partner)
        answer = await anna.say(SPAM, f"c{number}")
        codes.append(answer.get("code"))
        if codes[-1]:
            assert answer["clientId"] == f"c{number}"
            await anna.say("But this you get")
        got = await partner.until("chat:message")
        assert got["content"] == ("But this you get" if codes[-1] else SPAM)
        await anna.emit("chat:clear")
        await anna.until("chat:clear:confirmed")
        await partner.until("chat:cleared")
    assert codes == [None, "repeated_message", "message_held"]


async def test_who_talks_for_long_is_not_counted(start_server: StartServer) -> None:
    server = await start_server(repeat_partners=1, limit_messages=Rate(1000, 1000))
    _, anna = await server.visitor(username="Anna")
    for number in range(3):
        _, partner = await server.visitor(username=f"Partner{number}")
        await server.match(anna, partner)
        for count in range(FIRST):
            await anna.say(f"message {count}")
        assert (await anna.say(SPAM))["status"] == "sent"
        await anna.emit("chat:clear")
        await anna.until("chat:clear:confirmed")
