"""Messages of cameras within films of H.264 and H.265 are overwritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from passerby.media import mp4, riff, webm
from tests.media import containers as c
from tests.media.feeding import fed, one_by_one

if TYPE_CHECKING:
    from tests.media.feeding import Parse

CAMCORDER = bytes.fromhex("17ee8c60f84d11d98cd60800200c9a66")
SECRET = b"MDPM 2023-05-17 13:22:32 SECRETPLACE"
PICTURE = b"\0\0\0\x40\x65" + bytes(range(1, 64))


def message(text: bytes, identifier: bytes = CAMCORDER, start: bytes = b"\x06") -> bytes:
    size = len(identifier + text)
    return start + b"\5" + b"\xff" * (size // 255) + bytes([size % 255]) + identifier + text + b"\x80"


def unit(body: bytes) -> bytes:
    return len(body).to_bytes(4) + body


FRAMES = {
    "camcorder": lambda text: unit(message(text)) + PICTURE,
    "camcorder_without_lengths": lambda text: b"\0\0\1" + message(text) + PICTURE,
    "camcorder_behind_another_message": lambda text: unit(b"\x06\1\1\0" + message(text)[1:]) + PICTURE,
    "other": lambda text: unit(message(text, b"0123456789abcdef")) + PICTURE,
    "other_long": lambda text: unit(message(text * 30, b"0123456789abcdef")) + PICTURE,
    "other_h265": lambda text: PICTURE + unit(message(text, b"0123456789abcdef", b"\x4e\1")) + PICTURE,
}


def film(form: str, frame: bytes) -> tuple[Parse, bytes]:
    if form == "mp4":
        return mp4.mp4, c.ftyp(b"isom") + c.box(b"mdat", bytes(99), frame) + c.box(b"moov")
    if form == "mkv":
        return webm.webm, c.webm(c.PICTURE + c.element(0x86, b"V_MPEG4/ISO/AVC"), data=frame)
    head = c.riff_chunk(b"strh", b"vidsH264" + bytes(48))
    movi = b"movi" + c.riff_chunk(b"00dc", frame)
    return riff.avi, c.riff(b"AVI ", c.riff_chunk(b"LIST", b"strl" + head), c.riff_chunk(b"LIST", movi))


@pytest.mark.parametrize("form", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("name", sorted(FRAMES))
def test_messages_are_overwritten_and_nothing_else(form: str, name: str) -> None:
    parse, content = film(form, FRAMES[name](SECRET))
    _, blank = film(form, FRAMES[name](bytes(len(SECRET))))

    out = fed(parse, content).everything

    assert out == fed(parse, blank).everything
    assert len(out) == len(content)
    assert fed(parse, *one_by_one(content)).everything == out


@pytest.mark.parametrize("form", ["mp4", "mkv", "avi"])
def test_what_only_looks_like_a_message_passes(form: str) -> None:
    frame = b"\0\0\1\1\x06\5\x20" + SECRET
    parse, content = film(form, frame)

    assert frame in fed(parse, content).everything
