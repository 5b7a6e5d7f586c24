"""Active content: ordinary files have no false positives; executable content is found at any position."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.media.markup import OVERLAP, Search
from passerby.media.sniff import ATTACHMENT, HEAD, kind_of
from passerby.media.stream import Stream
from tests.media import recordings
from tests.media.colours import clean
from tests.media.containers import (
    PICTURE,
    PNG_MAGIC,
    SOUND,
    adts_frame,
    box,
    chunk,
    element,
    flac,
    ftyp,
    id3,
    mp3_frame,
    mp3_frames,
    ogg_page,
    opus_head,
    riff,
    riff_chunk,
    segment,
    sub_blocks,
    wav,
    webm,
)
from tests.media.feeding import splits
from tests.media.pictures import MAX_PIXELS, ihdr
from tests.media.test_sniff import SOI, uploaded

if TYPE_CHECKING:
    from collections.abc import Callable

HTML = b"<html><script>alert(1)</script>"
FILES = 2000
"""Number of random files of each type. A pattern of two bytes in 4 KiB would match one in sixteen of them."""


def gif(width: int, data: bytes, height: int = 20) -> bytes:
    header = b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0)
    return header + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02" + sub_blocks(data) + b";"


def jpeg(data: bytes) -> bytes:
    start, end = recordings.BASELINE[:-2], recordings.BASELINE[-2:]
    return start + data.replace(b"\xff", b"\xff\0") + end


NOISY: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "jpeg": ("image/jpeg", jpeg),
    "png": ("image/png", lambda data: PNG_MAGIC + ihdr(9, 9) + chunk(b"IDAT", data) + chunk(b"IEND")),
    "gif": ("image/gif", lambda data: gif(int.from_bytes(data[:2]) % 2303 + 1, data)),
    "webp": ("image/webp", lambda data: riff(b"WEBP", riff_chunk(b"VP8L", b"\x2f\7\0\1\0" + data))),
    "webm": ("audio/webm", lambda data: webm(SOUND, data=data)),
    "ogg": ("audio/ogg", lambda data: ogg_page(0, opus_head(0)) + ogg_page(0, b"OpusTags") + ogg_page(960, data)),
    "mp4": ("audio/mp4", lambda data: ftyp(b"isom") + box(b"mdat", data) + box(b"moov")),
    "m4a": ("audio/mp4", lambda data: ftyp(b"M4A ") + box(b"mdat", data) + box(b"moov")),
    "wav": ("audio/wav", wav),
    "mp3": ("audio/mpeg", mp3_frames),
    "mp3_id3": ("audio/mpeg", lambda data: id3(b"") + mp3_frames(data)),
    "flac": ("audio/flac", flac),
    "aac": ("audio/aac", lambda data: b"".join(adts_frame(data[at : at + 999]) for at in range(0, len(data), 999))),
}


@pytest.mark.parametrize("name", sorted(NOISY))
async def test_noise_is_shown_as_what_it_is(name: str) -> None:
    mime_type, build = NOISY[name]
    noise = random.Random(name)
    for _ in range(FILES):
        file, _ = await uploaded(build(noise.randbytes(HEAD)), claimed="audio/anything")
        assert (file.inline, file.mime_type) == (True, mime_type)


@pytest.mark.parametrize("start", [b"GIF87a", b"GIF89a"])
async def test_a_gif_of_any_width_is_shown(start: bytes) -> None:
    for width in range(1, 1025):
        file, _ = await uploaded(start + gif(width, b"\x44\1", height=width % 300 + 1)[6:])
        assert (file.inline, file.mime_type, file.width) == (True, "image/gif", width)


async def test_what_text_may_not_hold_is_nothing_in_a_picture() -> None:
    for pattern in (b"<%", b"<svg", b"<html", b"<a>", b"<!--", b"<?xm", b"javascript:", b"MZ\x90\0\3"):
        file, _ = await uploaded(NOISY["png"][1](bytes(100) + pattern + bytes(100)))
        assert file.inline


# ── active content ────────────────────────────────────────────────────────────────────────────────

SCRIPTS = {
    "comment": b"GIF89a/*\1\0\0\0\0" + gif(9, b"*/=1;alert(1)//")[13:],
    "line": b"GIF87a//\1\0\0\0\0" + gif(9, b"\nalert(1)//")[13:],
    "text": b"GIF89a= '\1\0\0\0" + gif(9, b"';alert(1)//")[13:],
    "template": b"GIF89a=`\1\1\0\0\0" + gif(9, b"`;alert(1)//")[13:],
    "later_comment": b"GIF89a=1/*\0\0\0" + gif(9, b"*/;alert(1)//")[13:],
    "sum": b"GIF89a=1;a=\n1" + gif(9, b";alert(1)//")[13:],
}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
async def test_a_gif_that_is_a_script_is_not_shown(name: str) -> None:
    with_many_pixels = 1 << 32
    head = SCRIPTS[name]
    kind = kind_of(head, "", max_pixels=with_many_pixels)
    assert kind.mime_type == "image/gif"

    try:
        file, _ = await uploaded(head)
    except Exception as error:  # noqa: BLE001 - any refusal is accepted
        assert getattr(error, "code", None) == "picture_too_large"  # noqa: PT017
    else:
        assert (file.inline, file.mime_type) == (False, ATTACHMENT)


@pytest.mark.parametrize("place", [0, 3000, HEAD - 20, 6000, 16_384 - 7, 65_536 - 3, 200_000])
@pytest.mark.parametrize("name", ["png", "gif", "wav", "webm", "mp4", "mp3", "flac"])
async def test_markup_is_found_wherever_it_stands(name: str, place: int) -> None:
    file, stored = await uploaded(NOISY[name][1](bytes(place) + HTML + bytes(300)), claimed="audio/anything")

    assert b"<script>" in stored
    assert (file.inline, file.mime_type, file.category) == (False, ATTACHMENT, "document")


async def test_markup_within_the_colours_of_a_picture_is_found() -> None:
    colours = clean({b"A2B0": b"mft1" + bytes(6000) + HTML})
    profile = segment(0xE2, b"ICC_PROFILE\0\1\1" + colours)

    file, _ = await uploaded(SOI + profile + recordings.BASELINE[2:])

    assert (file.inline, file.mime_type) == (False, ATTACHMENT)


async def test_a_sound_that_begins_as_a_pdf_is_not_shown() -> None:
    file, _ = await uploaded(id3(bytes(90)) + mp3_frame(bytes(200) + b"%PDF-1.7\n") * 2)

    assert not file.inline


MARKUP = [
    b"<!DOCTYPE html>",
    b"<HTML>",
    b"<html lang=en>",
    b"<head\n>",
    b"<Body/onload=x>",
    b"<script>",
    b"<ScRiPt src=x>",
    b"<iframe src=x>",
    b"<svg onload=x>",
    b"<svg/onload=x>",
    b"<SVG xmlns='http://x'>",
    b"<svg><script>",
    b"<svg>" + b" " * 16 + b"<a>",
    b"<svg" + b" " * 16 + b"onload=x>",
    b"<?php x",
    b"<?xml version='1.0'?>",
    b"<?xml-stylesheet?>",
]


@settings(max_examples=300)
@given(data=st.data(), markup=st.sampled_from(MARKUP), behind=st.sampled_from([b"\0", b"<", b"x"]))
def test_it_is_found_in_any_pieces(data: st.DataObject, markup: bytes, behind: bytes) -> None:
    content = behind * data.draw(st.integers(0, 200)) + markup + behind * data.draw(st.integers(0, 200))
    search = Search()
    found = [search.finds(piece) for piece in data.draw(splits(content))]

    assert any(found)


def test_no_markup_is_longer_than_what_is_remembered() -> None:
    assert max(map(len, MARKUP)) <= OVERLAP


def test_next_to_nothing_is_remembered() -> None:
    search = Search()
    for size in (1, 5, OVERLAP, 65_536, 2):
        assert not search.finds(bytes(size))
        assert len(search._tail) <= OVERLAP


def test_many_brackets_are_no_markup() -> None:
    assert not any(Search().finds(noise) for noise in (b"<" * 65_536, b"<scrip " * 9000, b"<?" * 30_000))


# ── tracks ────────────────────────────────────────────────────────────────────────────────────────


def mp4(*handlers: bytes, brand: bytes = b"mp42") -> bytes:
    tracks = [box(b"trak", box(b"mdia", box(b"hdlr", bytes(8), handler, bytes(13)))) for handler in handlers]
    return ftyp(brand) + box(b"moov", *tracks)


TRACKS = {
    "webm_sound": (webm(SOUND), "audio/webm"),
    "webm_codec": (webm(element(0x86, b"A_OPUS")), "audio/webm"),
    "webm_video": (webm(PICTURE), "video/webm"),
    "webm_video_codec": (webm(element(0x86, b"V_VP8")), "video/webm"),
    "webm_both": (webm(PICTURE, SOUND), "video/webm"),
    "webm_that_contradicts_itself": (webm(SOUND + element(0x86, b"V_VP8")), "video/webm"),
    "webm_recorded": (recordings.WEBM_RECORDED, "audio/webm"),
    "webm_file": (recordings.WEBM_FILE, "audio/webm"),
    "mp4_sound": (mp4(b"soun"), "audio/mp4"),
    "mp4_video": (mp4(b"vide", b"soun"), "video/mp4"),
    "m4a_with_a_cover": (mp4(b"soun", b"vide", brand=b"M4A "), "audio/mp4"),
    "mp4_recorded": (recordings.MP4_FRAGMENTED, "audio/mp4"),
    "ogg_opus": (recordings.OGG_OPUS, "audio/ogg"),
    "ogg_film": (ogg_page(0, b"\x80theora" + bytes(35)), "video/ogg"),
}


@pytest.mark.parametrize("claimed", ["", "audio/webm", "video/webm", "application/octet-stream", "image/png"])
@pytest.mark.parametrize("name", sorted(TRACKS))
async def test_whether_it_is_sound_or_video_its_tracks_tell(name: str, claimed: str) -> None:
    content, mime_type = TRACKS[name]

    file, stored = await uploaded(content, claimed=claimed)

    assert (file.mime_type, file.category, file.inline) == (mime_type, mime_type.partition("/")[0], True)
    assert stored


def test_tracks_are_remembered_once() -> None:
    content = webm(*[SOUND, PICTURE] * 50)
    stream = Stream(kind_of(content, "", max_pixels=MAX_PIXELS).parse)
    stream.feed(content)

    assert stream.tracks == {"audio", "video"}
