"""Hooks look at what guests send before it is delivered."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from contextlib import AsyncExitStack
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.errors import Code, NotFoundError
from passerby.safety.acks import Acks
from passerby.safety.checks import MOST_WAITING, Checks
from passerby.safety.hook import ALLOW, Item, ItemKind, Verdict
from passerby.safety.hook_pdq import PictureList, PictureListError
from passerby.safety.hook_words import WordList, WordListError, fold
from passerby.safety.links import hosts
from passerby.settings import SettingsError
from tests.support.clock import turns
from tests.support.conversation import Two, chunk, png
from tests.support.hook_service import SECRET, HookService, hold_what_is_bad, hook_service, response
from tests.support.house import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.conftest import StartServer


@pytest.fixture
async def service() -> AsyncIterator[HookService]:
    async with hook_service() as one:
        yield one


async def meet(start_server: StartServer, service: HookService, **settings: object) -> Two:
    server = await start_server(hook_url=service.url, hook_secret=SECRET, **settings)
    return await Two.meet(server)


async def say(two: Two, text: str, client_id: str) -> None:
    await two.one.emit("chat:message", {"type": "text", "content": text, "clientId": client_id})


async def refused(two: Two, client_id: str, code: str) -> dict[str, Any]:
    error: dict[str, Any] = await two.one.until("chat:error")
    assert (error["code"], error["clientId"]) == (code, client_id)
    return error


# ── the operator's service ────────────────────────────────────────────────────────────────────────


async def test_what_is_held_is_told_to_its_author_and_to_nobody_else(
    start_server: StartServer, service: HookService
) -> None:
    service.answer = hold_what_is_bad
    two = await meet(start_server, service)

    await say(two, "something bad", "a")
    assert (await refused(two, "a", "message_held"))["message"] == "Be kind"
    await say(two, "something good", "b")
    await two.one.until("chat:message:sent")
    assert (await two.other.until("chat:message"))["content"] == "something good"
    assert [name for name, _ in two.other.heard].count("chat:message") == 1
    assert [(about["kind"], body) for about, body in service.asked] == [
        ("text", b"something bad"),
        ("text", b"something good"),
    ]


async def test_messages_stay_in_order_however_long_a_check_takes(
    start_server: StartServer, service: HookService
) -> None:
    service.answer = hold_what_is_bad
    two = await meet(start_server, service)
    texts = ["slow one", "two", "slow three", "bad four", "five"]
    for number, text in enumerate(texts):
        await say(two, text, str(number))

    got = [(await two.other.until("chat:message"))["content"] for _ in range(4)]
    assert got == ["slow one", "two", "slow three", "five"]
    await refused(two, "3", "message_held")


async def test_a_picture_and_a_file_are_given_as_they_are_kept(start_server: StartServer, service: HookService) -> None:
    two = await meet(start_server, service, consent=())
    for body, kind in ((png(), "picture"), (b"%PDF-1.4 hello", "file")):
        info = await two.upload(body, "nämé.bin")
        await two.tell(info)
        await two.other.until("chat:message")
        about, seen = service.asked[-1]
        assert (about["kind"], about["name"], seen) == (kind, info["filename"], await two.read(info))


async def lie(_body: bytes) -> bytes:
    return response(b'{"verdict": "perhaps"}')


async def babble(_body: bytes) -> bytes:
    return response(b"\xff\xfe not JSON")


async def flood(_body: bytes) -> bytes:
    return response(b'{"verdict": "allow", "words": "' + b"x" * 10_000_000 + b'"}')


async def send_elsewhere(_body: bytes) -> bytes:
    return response(b"", "302 Found", "Location: http://127.0.0.1:1/")


async def fail(_body: bytes) -> bytes:
    return response(b'{"verdict": "allow"}', "500 Oops")


async def hang(_body: bytes) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


async def nonsense(_body: bytes) -> bytes:
    return b"\0\1\2 no HTTP at all\r\n\r\n"


@pytest.mark.parametrize("answer", [lie, babble, flood, send_elsewhere, fail, hang, nonsense])
@pytest.mark.parametrize("fails", ["open", "closed"])
async def test_a_service_that_fails_decides_nothing(
    start_server: StartServer, service: HookService, answer: Callable[[bytes], Awaitable[bytes]], fails: str
) -> None:
    service.answer = answer
    two = await meet(start_server, service, hook_fails=fails, hook_timeout=0.2)
    await say(two, "hello", "a")
    if fails == "open":
        assert (await two.other.until("chat:message"))["content"] == "hello"
    else:
        await refused(two, "a", "message_held")


async def test_a_service_that_hangs_is_not_waited_for_again_and_again(
    start_server: StartServer, service: HookService
) -> None:
    service.answer = hang
    two = await meet(start_server, service, hook_timeout=0.05)
    for number in range(8):
        await say(two, f"text {number}", str(number))
        assert (await two.other.until("chat:message"))["content"] == f"text {number}"
    assert len(service.asked) == 5


async def test_nobody_else_waits_for_what_is_checked(start_server: StartServer, service: HookService) -> None:
    gate = asyncio.Event()

    async def later(_body: bytes) -> bytes:
        await gate.wait()
        return response(b"", "204 No Content")

    service.answer = later
    two = await meet(start_server, service, hook_timeout=20)
    for number in range(MOST_WAITING + 1):
        await say(two, "waits", f"{number}")
    await refused(two, f"{MOST_WAITING}", "rate_limited")
    await two.other.emit("chat:message", {"type": "text", "content": "waits too", "clientId": "other"})
    await two.other.emit("chat:typing:start", {})
    await two.one.until("chat:typing:start")
    gate.set()
    for _ in range(MOST_WAITING):
        await two.other.until("chat:message")
    assert (await two.one.until("chat:message"))["content"] == "waits too"


async def test_a_room_that_ends_delivers_nothing_that_was_being_checked(
    start_server: StartServer, service: HookService
) -> None:
    gate = asyncio.Event()

    async def later(_body: bytes) -> bytes:
        await gate.wait()
        return response(b"", "204 No Content")

    service.answer = later
    two = await meet(start_server, service)
    await say(two, "too late", "a")
    await two.other.emit("leave-room")
    await two.one.until("chat:cleared")
    await refused(two, "a", "not_in_room")
    gate.set()
    await two.other.until("chat:clear:confirmed")
    assert "chat:message" not in [name for name, _ in two.other.heard]


async def test_the_same_message_sent_again_is_checked_once(start_server: StartServer, service: HookService) -> None:
    gate = asyncio.Event()

    async def later(_body: bytes) -> bytes:
        await gate.wait()
        return response(b"", "204 No Content")

    service.answer = later
    two = await meet(start_server, service)
    message = {"type": "text", "content": "once", "clientId": "a"}
    asked = [asyncio.ensure_future(two.one.ask("chat:message", message)) for _ in range(3)]
    await turns()  # they are sent
    await asyncio.sleep(0)  # they are sent
    await two.one.emit("consent:answer", {"step": "links", "allowed": True})  # it is handled after the two
    await two.other.until("consent:answered")
    gate.set()
    sent = await two.one.until("chat:message:sent")
    assert await asyncio.gather(*asked) == [sent] * 3
    assert len(service.asked) == 1


# ── hooks of other packages ───────────────────────────────────────────────────────────────────────


class Shouting:
    """A hook that holds capital letters."""

    name = "shouting"
    kinds: tuple[ItemKind, ...] = ("text",)

    async def check(self, item: Item) -> Verdict:
        return Verdict(holds=True, rule="other") if item.content.isupper() else ALLOW

    async def close(self) -> None:
        return


class _Point:
    name = "shouting"

    def __init__(self, load: Callable[[], object]) -> None:
        self.load = load


async def test_a_package_brings_a_hook_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [_Point(lambda: Shouting)])
    house = House()
    assert house.checks.kinds == {"text"}
    await house.stop()


async def test_a_package_whose_hook_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [_Point(lambda: 1 / 0)])
    with pytest.raises(SettingsError, match=r"the hook .shouting. of passerby\.hooks"):
        House()


async def test_without_hooks_nothing_is_checked() -> None:
    house = House()
    assert not house.checks.kinds
    await house.stop()


# ── the list of words ─────────────────────────────────────────────────────────────────────────────

LIST = """
# Ours
[*]
buy followers
link spam.example
[en, hate]
heck
[de, hate]
Mist
[ja, threats]
殺す
"""


@pytest.mark.parametrize(
    ("text", "languages", "rule"),
    [
        ("Buy   FOLLOWERS now", (), "other"),
        ("buy, followers", (), "other"),
        ("buy good followers", (), None),
        ("what the hèck", ("en",), "hate"),
        ("what the h\u200beck", ("en",), "hate"),
        ("\uff28\uff25\uff23\uff2b", ("en",), "hate"),  # full width
        ("checkered", ("en",), None),
        ("mist over the moor", ("en",), None),
        ("so ein MIST!", ("de", "fr"), "hate"),
        ("so ein mist", (), "hate"),
        ("お前を殺すぞ", ("ja",), "threats"),
        ("look at https://www.spam.example/x?y", (), "other"),
        ("look at SPAM.example:8080/x", (), "other"),
        ("look at http://user@spam.example./", (), "other"),
        ("look at notspam.example/x", (), None),
        ("spam.example.org/x", (), None),
        ("", (), None),
        ("_buy_ __followers__", (), "other"),
        ("__heck__", ("en",), "hate"),
        ("h\ufe0fe\U000e0063ck", ("en",), "hate"),
        ("look at _spam.example_", (), "other"),
        ("look at https://sp%61m.example/", (), "other"),
        ("look at http://spam%2eexample/", (), "other"),
        ("look at https://spam.ex\ufe0fample/", (), "other"),
        ("look at https://\U0001e922.spam.example/", (), "other"),  # a letter that is newer than IDNA 2003
        ("so much...spam.example", (), "other"),
        (f"https://{'ä' * 64}.spam.example", (), "other"),
    ],
)
def test_words_are_found_whole_however_they_are_written(
    text: str, languages: tuple[str, ...], rule: str | None
) -> None:
    verdict = WordList(LIST).look(text, languages)
    assert (verdict.rule if verdict.holds else None) == rule


@given(st.text(), st.sampled_from(["heck", "buy followers", "殺す"]), st.text())
def test_a_listed_word_is_found_between_any_others(before: str, word: str, after: str) -> None:
    assert WordList(LIST).look(f"{before} {word} {after}").holds


@given(st.text())
def test_folding_is_done_after_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_hosts_of_any_text_can_be_looked_up(text: str) -> None:
    for host in hosts(text):
        assert host.isascii()
        assert host == host.lower()


def test_hosts_of_the_worst_texts_take_no_time() -> None:
    texts = [
        "".join(chr(0x4E00 + 7 * number) for number in range(998)) + ".ä",
        " ".join(f"{chr(0x430 + number % 32)}{number}.ä" for number in range(180)),
        " ".join("".join(chr(0x4E00 + 97 * line + 7 * number) for number in range(63)) + ".ä" for line in range(15)),
        "%41\u200bä.。" * 120,
    ]
    for text in texts:
        began = time.process_time()
        for _ in range(10):
            hosts(text[:1000])
        assert time.process_time() - began < 0.2  # over a second, if labels of any length are encoded


@pytest.mark.parametrize(
    ("text", "message"),
    [("[en", "line 1"), ("[en, nonsense]", "line 1"), ("\n...", "line 2"), ("link nothing", "line 1")],
)
def test_a_list_that_cannot_be_read_says_where(text: str, message: str) -> None:
    with pytest.raises(WordListError, match=message):
        WordList(text)


async def test_the_lists_hold_over_the_wire(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(LIST, encoding="utf-8")
    two = await Two.meet(await start_server(word_list=str(path), consent=()))
    await say(two, "buy followers", "a")
    await refused(two, "a", "message_held")
    answer = two.one.until("chat:error")
    info = await two.upload(b"%PDF-1.4 hello", "buy followers.pdf")
    await two.one.emit("chat:message", {"type": "file", "content": info, "clientId": "b"})
    assert (await answer)["clientId"] == "b"


def test_lists_that_are_not_there_are_named() -> None:
    with pytest.raises(SettingsError, match="WORD_LIST='/nowhere': No such file"):
        House(word_list="/nowhere")
    with pytest.raises(SettingsError, match="PICTURE_LIST='/nowhere': No such file"):
        House(picture_list="/nowhere")


# ── known pictures ────────────────────────────────────────────────────────────────────────────────


def painted(seed: int, size: int = 256, kind: str = "PNG", quality: int = 90) -> bytes:
    """Return a picture that has something to be known by."""
    from PIL import Image, ImageDraw, ImageFilter  # noqa: PLC0415 - an extra

    picture = Image.new("RGB", (512, 512), "white")
    draw = ImageDraw.Draw(picture)
    for step in range(24):
        place = (seed * 7919 + step * 104_729) % 400
        other = (seed * 15_485_863 + step * 32_452_843) % 400
        colour = ((seed * 37 + step * 91) % 256, (step * 57) % 256, (seed * 11 + step * 5) % 256)
        draw.ellipse((place, other, place + 60 + step * 2, other + 90), fill=colour)
    picture = picture.filter(ImageFilter.GaussianBlur(2)).resize((size, size))
    out = io.BytesIO()
    picture.save(out, kind, quality=quality)
    return out.getvalue()


def hash_of(content: bytes) -> str:
    import numpy as np  # noqa: PLC0415 - an extra
    import pdqhash  # noqa: PLC0415 - an extra
    from PIL import Image  # noqa: PLC0415 - an extra

    bits, quality = pdqhash.compute(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
    assert quality >= 50
    return np.packbits(bits.astype(np.uint8)).tobytes().hex()


@pytest.fixture
def known(tmp_path: Path) -> PictureList:
    path = tmp_path / "pictures.txt"
    path.write_text(f"# ours\n{hash_of(painted(1))} threats\n{hash_of(painted(2))}\n")
    return PictureList(str(path), pixels=1_000_000)


def picture(content: bytes) -> Item:
    return Item(kind="picture", content=content, mime_type="image/png", author="guest_1")


async def test_a_known_picture_is_known_smaller_and_in_another_format(known: PictureList) -> None:
    assert (await known.check(picture(painted(1)))).rule == "threats"
    assert (await known.check(picture(painted(1, 200, "JPEG", 60)))).rule == "threats"
    assert (await known.check(picture(painted(2, 300, "WEBP")))).rule == "sexual"
    assert not (await known.check(picture(painted(3)))).holds
    assert not (await known.check(picture(png()))).holds


BROKEN = png().partition(b"IDAT")[0][:-4] + chunk(b"IDAT", b"garbage!") + chunk(b"IEND", b"")


@pytest.mark.parametrize("content", [b"no picture", BROKEN, painted(1)[:-2000], painted(3, 1001)])
async def test_a_picture_that_cannot_be_decoded_is_held_and_not_counted(known: PictureList, content: bytes) -> None:
    verdict = await known.check(picture(content))
    assert verdict.holds
    assert not verdict.checked
    assert "could not be checked" in verdict.words


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_a_known_picture_is_known_however_it_is_turned(known: PictureList, orientation: int) -> None:
    from PIL import Image, ImageOps  # noqa: PLC0415 - an extra

    exif = Image.Exif()
    exif[0x0112] = orientation
    in_metadata, turned = io.BytesIO(), io.BytesIO()
    with Image.open(io.BytesIO(painted(1))) as original:
        original.save(in_metadata, "JPEG", quality=95, exif=exif)
    with Image.open(io.BytesIO(in_metadata.getvalue())) as shown:
        ImageOps.exif_transpose(shown).save(turned, "JPEG", quality=95, exif=exif)
    assert (await known.check(picture(in_metadata.getvalue()))).rule == "threats"
    assert (await known.check(picture(turned.getvalue()))).rule == "threats"


async def test_a_large_known_picture_is_known(known: PictureList) -> None:
    assert (await known.check(picture(painted(1, 990)))).rule == "threats"
    assert (await known.check(picture(painted(1, 990, "JPEG", 60)))).rule == "threats"


def animated(*contents: bytes, kind: str = "GIF") -> bytes:
    from PIL import Image  # noqa: PLC0415 - an extra

    frames = [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("place", [0, 1, 2, 4, 6])
async def test_a_known_picture_in_an_animation_is_known(known: PictureList, kind: str, place: int) -> None:
    contents = [painted(number + 3, 64) for number in range(7)]
    assert not (await known.check(picture(animated(*contents, kind=kind)))).holds
    contents[place] = painted(1, 64)
    assert (await known.check(picture(animated(*contents, kind=kind)))).rule == "threats"


def blinking(size: tuple[int, int], frames: int) -> bytes:
    """Return a GIF that is small in bytes, whatever it is decoded."""
    from PIL import Image  # noqa: PLC0415 - an extra

    one = io.BytesIO()
    Image.new("P", size).save(one, "GIF")
    head, descriptor, rest = one.getvalue().partition(b"\x2c\0\0\0\0")
    return head + (descriptor + rest.removesuffix(b";")) * frames + b";"


@pytest.mark.parametrize(("size", "frames"), [((1000, 1000), 5), ((2, 2), 1001)])
async def test_an_animation_that_is_too_large_is_held(known: PictureList, size: tuple[int, int], frames: int) -> None:
    assert not (await known.check(picture(blinking(size, frames - 1)))).holds
    verdict = await known.check(picture(blinking(size, frames)))
    assert verdict.holds
    assert not verdict.checked


async def test_when_the_time_is_over_no_more_of_an_animation_is_looked_at(
    known: PictureList, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    looked: list[object] = []

    def find(frame: object) -> None:
        looked.append(frame)
        begun.set()
        go_on.wait()

    monkeypatch.setattr(known, "_find", find)
    late = asyncio.create_task(known.check(picture(animated(*(painted(number, 64) for number in range(3, 6))))))
    await asyncio.to_thread(begun.wait)
    late.cancel()
    await asyncio.wait({late})
    begun.clear()
    following = asyncio.create_task(known.check(picture(painted(3))))
    await turns()
    assert len(looked) == 1  # the thread is still busy, so the next one waits
    go_on.set()
    assert await following is ALLOW
    assert len(looked) == 2
    await known.close()


@pytest.mark.parametrize("text", ["abc", "0" * 64 + " nonsense", "g" * 64])
def test_a_list_of_pictures_that_cannot_be_read_says_where(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pictures.txt"
    path.write_text(text)
    with pytest.raises(PictureListError, match="line 1"):
        PictureList(str(path), pixels=1)


async def test_a_known_picture_is_held_over_the_wire(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "pictures.txt"
    path.write_text(hash_of(painted(1)))
    two = await Two.meet(await start_server(picture_list=str(path), consent=()))
    info = await two.upload(painted(1, 300, "JPEG"), "a.jpg")
    await two.one.emit("chat:message", {"type": "file", "content": info, "clientId": "a"})
    await refused(two, "a", "message_held")


async def test_broken_pictures_do_not_let_known_ones_pass(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "pictures.txt"
    path.write_text(hash_of(painted(1)))
    server = await start_server(picture_list=str(path), consent=(), limits_scale=100)
    noticed: list[object] = []
    server.application.services.checks._noticed = lambda _live, rule: noticed.append(rule)
    two = await Two.meet(server)
    for number in range(5):
        info = await two.upload(BROKEN, "a.png")
        await two.one.emit("chat:message", {"type": "file", "content": info, "clientId": f"broken {number}"})
        assert "could not be checked" in (await refused(two, f"broken {number}", "message_held"))["message"]
    assert noticed == []
    info = await two.upload(painted(1), "a.png")
    await two.one.emit("chat:message", {"type": "file", "content": info, "clientId": "known"})
    await refused(two, "known", "message_held")
    assert noticed == ["sexual"]


# ── what is written beside a file ─────────────────────────────────────────────────────────────────


async def test_fields_beside_a_file_are_checked_as_a_text_is(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(LIST, encoding="utf-8")
    two = await Two.meet(await start_server(word_list=str(path), consent=()))
    info = await two.upload(png())
    unknown: list[dict[str, Any]] = [{"caption": "buy followers"}, {"a": [{"spam.example": 1}]}]
    for number, fields in enumerate(unknown):
        await two.one.emit("chat:message", {"type": "file", "content": {**info, **fields}, "clientId": f"{number}"})
        await refused(two, f"{number}", "message_held")
    await two.tell({**info, "caption": "my cat"})
    assert (await two.other.until("chat:message"))["content"]["caption"] == "my cat"


async def test_a_service_for_texts_is_asked_about_fields_beside_a_file(
    start_server: StartServer, service: HookService
) -> None:
    service.answer = hold_what_is_bad
    two = await meet(start_server, service, consent=(), hook_checks=("text",))
    info = await two.upload(png())
    await two.tell(info)
    await two.other.until("chat:message")
    assert service.asked == []
    await two.one.emit("chat:message", {"type": "file", "content": {**info, "caption": "bad"}, "clientId": "a"})
    await refused(two, "a", "message_held")
    assert [(about["kind"], body) for about, body in service.asked] == [("text", b"caption\nbad")]


# ── what cannot be checked ────────────────────────────────────────────────────────────────────────


class Failing:
    """A hook that never answers."""

    name = "failing"
    kinds: tuple[ItemKind, ...] = ("text",)

    def __init__(self) -> None:
        self.asked = 0

    async def check(self, _item: Item) -> Verdict:
        self.asked += 1
        raise OSError

    async def close(self) -> None:
        return


async def ten_checks(hooks: Checks, house: House, item: Callable[[], Awaitable[Item]]) -> list[str]:
    """Return what becomes of ten messages."""
    member = (await house.pair())[0].live.membership()
    became: list[str] = []
    for number in range(10):
        hooks.check(
            member,
            item,
            lambda: became.append("delivered"),
            lambda error: became.append(error.code),
            content=number,
            client_id=None,
            acks=Acks(None),
        )
        await house.background.settle()
    return became


async def say_hello() -> Item:
    return Item(kind="text", content=b"hello", author="guest_1")


async def read_a_lost_file() -> Item:
    raise NotFoundError(Code.FILE_NOT_FOUND, "gone")


async def test_a_hook_of_ours_never_rests_and_what_it_cannot_check_is_held() -> None:
    house, hook = House(), Failing()
    noticed: list[object] = []
    checks = Checks(
        [],
        house.clock,
        house.background,
        built_in=[hook],
        deadline=2,
        fails_open=True,
        noticed=lambda *about: noticed.append(about),
    )
    assert await ten_checks(checks, house, say_hello) == ["message_held"] * 10
    assert hook.asked == 10
    assert noticed == []
    await house.stop()


async def test_what_cannot_be_read_is_held_also_if_hooks_fail_open() -> None:
    house, hook = House(), Failing()
    checks = Checks(
        [hook], house.clock, house.background, deadline=2, fails_open=True, noticed=lambda _live, _rule: None
    )
    assert await ten_checks(checks, house, say_hello) == ["delivered"] * 10
    assert hook.asked == 5
    assert await ten_checks(checks, house, read_a_lost_file) == ["message_held"] * 10
    await house.stop()


# ── a model ───────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.sampled_from(["good", "bad"]), st.integers(0, 3)), max_size=12))
async def test_what_is_allowed_is_delivered_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    class Slow:
        name = "slow"
        kinds: tuple[ItemKind, ...] = ("text",)

        async def check(self, item: Item) -> Verdict:
            text, wait = item.content.decode().split()
            await turns(int(wait) * 3)
            return Verdict(holds=True) if text == "bad" else ALLOW

        async def close(self) -> None:
            return

    async with AsyncExitStack() as stack:
        house = House()
        stack.push_async_callback(house.stop)
        held: list[int] = []
        noticed: list[str] = []
        checks = Checks(
            [Slow()],
            house.clock,
            house.background,
            deadline=60,
            fails_open=True,
            noticed=lambda live, rule: noticed.append(rule),
        )
        one, _ = await house.pair()
        member = one.live.membership()
        delivered: list[int] = []
        for number, (text, wait) in enumerate(steps):

            async def item(text: str = text, wait: int = wait) -> Item:
                return Item(kind="text", content=f"{text} {wait}".encode(), author="guest_1")

            checks.check(
                member,
                item,
                lambda number=number: delivered.append(number),  # type: ignore[misc]
                lambda _error, number=number: held.append(number),  # type: ignore[misc]
                content=text,
                client_id=str(number),
                acks=Acks(None),
            )
        await house.background.settle()
        assert delivered == [number for number, (text, _) in enumerate(steps) if text == "good"]
        assert held == [number for number, (text, _) in enumerate(steps) if text == "bad"]
        assert len(noticed) == len(held)
        assert not checks.is_busy(member)


async def test_what_is_delivered_is_what_was_checked(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("badword\n")
    two = await Two.meet(await start_server(word_list=str(tmp_path / "words")))
    for text in ("hello", "badword"):
        await two.one.send("42" + json.dumps(["chat:message", {"type": "text", "content": text, "clientId": "same"}]))
    await two.one.until("chat:message:sent")
    await two.one.emit("chat:typing:start")
    await two.other.until("chat:typing:start")
    assert [message["content"] for name, message in two.other.heard if name == "chat:message"] == ["hello"]
