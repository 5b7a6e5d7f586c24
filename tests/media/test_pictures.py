from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.media import pictures
from passerby.media.stream import MAX_TAKE, MediaError, Stream
from tests.media import recordings
from tests.media.containers import (
    PNG_MAGIC,
    SECRET,
    blocks,
    chunk,
    chunks,
    exif,
    only_orientation,
    riff,
    riff_chunk,
    riff_chunks,
    segment,
    segments,
    vp8x,
)
from tests.media.feeding import fed, mutants, one_by_one, outcome, splits
from tests.media.pictures import (
    ICC,
    MAX_PIXELS,
    PICTURES,
    ROWS,
    TAILS,
    Picture,
    clean_jpeg,
    ihdr,
    laden_jpeg,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.media.feeding import Parse

COMPLETED = 64
"""Maximum bytes by which a picture becomes longer: its end, and an orientation whose Exif is shorter than ours."""
every_picture = pytest.mark.parametrize("name", sorted(PICTURES))
"""Parametrized by name: a failure shows the name, hypothesis would print the whole picture."""

# ── every format ──────────────────────────────────────────────────────────────────────────────────


@every_picture
def test_what_makes_the_picture_is_kept_and_nothing_else(name: str) -> None:
    picture = PICTURES[name]

    result = fed(picture.parse, picture.laden)

    assert result.out == picture.clean
    assert SECRET not in result.out
    assert result.whole
    assert result.rest == b""
    assert result.size == picture.size


@every_picture
def test_most_samples_do_have_something_to_hide(name: str) -> None:
    picture = PICTURES[name]

    assert (SECRET in picture.laden) is (picture.laden != picture.clean)
    assert (SECRET in picture.laden) is (name != "webp")


@every_picture
@pytest.mark.parametrize("tail", sorted(TAILS))
def test_nothing_behind_the_end_passes(name: str, tail: str) -> None:
    picture = PICTURES[name]

    assert fed(picture.parse, picture.laden + TAILS[tail]).out == picture.clean
    assert fed(picture.parse, picture.laden, TAILS[tail]).out == picture.clean
    assert fed(picture.parse, picture.laden, TAILS[tail]).rest == b""


@every_picture
def test_byte_by_byte_is_as_whole(name: str) -> None:
    picture = PICTURES[name]

    assert fed(picture.parse, *one_by_one(picture.laden)) == fed(picture.parse, picture.laden)


@every_picture
@settings(max_examples=40)
@given(data=st.data())
def test_any_split_is_as_whole(name: str, data: st.DataObject) -> None:
    picture = PICTURES[name]

    assert fed(picture.parse, *data.draw(splits(picture.laden + TAILS["html"]))).out == picture.clean


@every_picture
def test_what_is_clean_stays_as_it_is(name: str) -> None:
    picture = PICTURES[name]

    assert fed(picture.parse, picture.clean).out == picture.clean


@every_picture
@pytest.mark.parametrize("of", ["laden", "clean"])
def test_a_picture_that_is_cut_short_is_refused_or_completed(name: str, of: str) -> None:
    picture = PICTURES[name]
    content = picture.laden if of == "laden" else picture.clean
    stream = Stream(picture.parse)
    outcomes: list[bool] = []
    for place, byte in enumerate(one_by_one(content)):
        assert not stream.whole, place
        result = outcome(picture.parse, content[:place])
        outcomes.append(not isinstance(result, str))
        if isinstance(result, str):
            assert result == "file_damaged"
        else:
            assert SECRET[:5] not in result.everything
            assert result.size == picture.size
            if not name.startswith("webp"):  # its header says how long it should be
                assert fed(picture.parse, result.everything).out == result.everything, "it is complete now"
        stream.feed(byte)

    assert stream.whole
    assert outcomes == sorted(outcomes), "from where on there is something to show, it passes"
    assert outcomes[-1]


@every_picture
@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_picture_is_refused_or_passes_the_same_in_any_split(name: str, data: st.DataObject) -> None:
    picture = PICTURES[name]
    damaged = data.draw(mutants(picture.laden))

    whole = outcome(picture.parse, damaged)

    assert outcome(picture.parse, *data.draw(splits(damaged))) == whole
    if not isinstance(whole, str):
        assert len(whole.everything) <= len(damaged) + COMPLETED


@every_picture
@settings(max_examples=60)
@given(data=st.data())
def test_what_is_left_of_a_damaged_picture_is_clean_too(name: str, data: st.DataObject) -> None:
    picture = PICTURES[name]
    result = outcome(picture.parse, data.draw(mutants(picture.laden)))

    if not isinstance(result, str) and result.whole:
        again = fed(picture.parse, result.everything)
        assert (again.everything, again.whole, again.size) == (result.everything, True, result.size)


@pytest.mark.parametrize("start", [picture.clean[:3] for picture in PICTURES.values()], ids=list(PICTURES))
@settings(max_examples=60)
@given(noise=st.binary(max_size=300))
def test_noise_is_refused_or_never_ends(start: bytes, noise: bytes) -> None:
    for picture in PICTURES.values():
        result = outcome(picture.parse, start + noise)
        assert isinstance(result, str) or not result.whole or result.size is not None


# ── picture sizes ─────────────────────────────────────────────────────────────────────────────────


def sof(width: int, height: int, marker: int = 0xC0) -> bytes:
    return segment(marker, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")


def gif_header(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0)


def gif_frame(width: int, height: int, left: int = 0, top: int = 0) -> bytes:
    return b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\2\2\x44\1\0"


def vp8(width: int, height: int) -> bytes:
    return riff_chunk(b"VP8 ", b"\x10\0\0\x9d\1\x2a" + struct.pack("<HH", width, height) + bytes(20))


def vp8l(width: int, height: int) -> bytes:
    return riff_chunk(b"VP8L", b"\x2f" + struct.pack("<I", width - 1 | (height - 1) << 14) + bytes(20))


FLOODS = {
    "jpeg": (pictures.jpeg, b"\xff\xd8" + sof(50_000, 50_000)),
    "jpeg_progressive": (pictures.jpeg, b"\xff\xd8" + sof(50_000, 50_000, 0xC2)),
    "jpeg_arithmetic": (pictures.jpeg, b"\xff\xd8" + sof(50_000, 50_000, 0xC9)),
    "jpeg_second_frame": (pictures.jpeg, b"\xff\xd8" + sof(1, 1) + sof(50_000, 50_000)),
    "png": (pictures.png, PNG_MAGIC + ihdr(50_000, 50_000)),
    "png_widest": (pictures.png, PNG_MAGIC + ihdr((1 << 31) - 1, (1 << 31) - 1)),
    "gif": (pictures.gif, gif_header(50_000, 50_000)),
    "gif_frame": (pictures.gif, gif_header(1, 1) + gif_frame(50_000, 50_000)),
    "gif_frame_far_off": (pictures.gif, gif_header(1, 1) + gif_frame(1, 1, 50_000, 50_000)),
    "webp": (pictures.webp, riff(b"WEBP", vp8x(0, 50_000, 50_000))),
    "webp_lossy": (pictures.webp, riff(b"WEBP", vp8(16_383, 16_383))),
    "webp_lossless": (pictures.webp, riff(b"WEBP", vp8l(16_384, 16_384))),
    "webp_small_canvas": (pictures.webp, riff(b"WEBP", vp8x(0, 1, 1), vp8(16_383, 16_383))),
}


@pytest.mark.parametrize("name", sorted(FLOODS))
def test_a_flood_of_pixels_is_refused_at_once(name: str) -> None:
    format_of, start = FLOODS[name]
    assert fed(format_of(MAX_PIXELS), start[:12], ends=False).whole is False
    assert outcome(format_of(MAX_PIXELS), *one_by_one(start[:64])) == "picture_too_large"
    with pytest.raises(MediaError, match="50,000,000 pixels"):
        fed(format_of(MAX_PIXELS), start)


@pytest.mark.parametrize(
    ("format_of", "start"),
    [
        (pictures.jpeg, b"\xff\xd8" + sof(30, 20)),
        (pictures.png, PNG_MAGIC + ihdr(30, 20)),
        (pictures.gif, gif_header(30, 20) + gif_frame(30, 20)),
        (pictures.webp, riff(b"WEBP", vp8x(0, 30, 20))),
        (pictures.webp, riff(b"WEBP", vp8(30, 20))),
        (pictures.webp, riff(b"WEBP", vp8l(30, 20))),
    ],
    ids=["jpeg", "png", "gif", "webp", "webp_lossy", "webp_lossless"],
)
def test_as_many_pixels_as_allowed_pass_and_one_more_does_not(format_of: Callable[[int], Parse], start: bytes) -> None:
    assert fed(format_of(600), start, ends=False).size == (30, 20)
    assert outcome(format_of(599), start) == "picture_too_large"


@pytest.mark.parametrize(
    ("parse", "start"),
    [
        (pictures.jpeg(MAX_PIXELS), b"\xff\xd8" + sof(0, 20)),
        (pictures.jpeg(MAX_PIXELS), b"\xff\xd8" + sof(20, 0)),
        (pictures.png(MAX_PIXELS), PNG_MAGIC + ihdr(0, 20)),
        (pictures.png(MAX_PIXELS), PNG_MAGIC + ihdr(20, 0)),
        (pictures.gif(MAX_PIXELS), gif_header(0, 20)),
        (pictures.gif(MAX_PIXELS), gif_header(20, 0)),
        (pictures.webp(MAX_PIXELS), riff(b"WEBP", vp8(0, 20))),
        (pictures.webp(MAX_PIXELS), riff(b"WEBP", vp8(20, 0))),
    ],
    ids=["jpeg_w", "jpeg_h", "png_w", "png_h", "gif_w", "gif_h", "webp_w", "webp_h"],
)
def test_a_picture_without_pixels_is_refused(parse: Parse, start: bytes) -> None:
    assert outcome(parse, start) == "file_damaged"


@pytest.mark.parametrize(
    ("parse", "content"),
    [
        (pictures.jpeg(MAX_PIXELS), b"\xff\xd8\xff\xd9"),
        (pictures.jpeg(MAX_PIXELS), b"\xff\xd8" + segment(0xDA, b"\1\1\0\0\x3f\0") + b"data\xff\xd9"),
        (pictures.png(MAX_PIXELS), PNG_MAGIC + chunk(b"IEND")),
        (pictures.png(MAX_PIXELS), PNG_MAGIC + chunk(b"IDAT", b"x") + ihdr(1, 1) + chunk(b"IEND")),
        (pictures.png(MAX_PIXELS), PNG_MAGIC + ihdr(1, 1) + ihdr(1, 1) + chunk(b"IEND")),
        (pictures.png(MAX_PIXELS), PNG_MAGIC + chunk(b"IHDR", ihdr(1, 1)[8:16]) + chunk(b"IEND")),
        (pictures.png(MAX_PIXELS), PNG_MAGIC + chunk(b"IHDR", ihdr(1, 1)[8:21] + SECRET) + chunk(b"IEND")),
        (pictures.webp(MAX_PIXELS), riff(b"WEBP")),
        (pictures.webp(MAX_PIXELS), riff(b"WEBP", riff_chunk(b"EXIF", SECRET))),
        (pictures.webp(MAX_PIXELS), riff(b"WEBP", riff_chunk(b"VP8X", b""), vp8(3, 2))),
        (pictures.webp(MAX_PIXELS), riff(b"WEBP", riff_chunk(b"VP8X", bytes(10) + SECRET), vp8(3, 2))),
    ],
    ids=[
        "jpeg_of_nothing",
        "jpeg_without_a_frame",
        "png_of_nothing",
        "png_begins_with_data",
        "png_begins_twice",
        "png_short_header",
        "png_long_header",
        "webp_of_nothing",
        "webp_of_metadata",
        "webp_empty_header",
        "webp_long_header",
    ],
)
def test_a_picture_without_its_header_is_refused(parse: Parse, content: bytes) -> None:
    assert outcome(parse, content) == "file_damaged"


# ── JPEG ──────────────────────────────────────────────────────────────────────────────────────────

jpeg = pictures.jpeg(MAX_PIXELS)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_all_that_stays_of_exif(order: str, orientation: int) -> None:
    laden = laden_jpeg(recordings.BASELINE, exif(orientation, order))

    assert SECRET in laden
    assert fed(jpeg, laden).out == clean_jpeg(recordings.BASELINE, only_orientation(orientation))


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize(
    "told",
    [exif(None), exif(0), exif(9), exif(6, kind=4), exif(None, "<")],
    ids=["none", "zero", "nine", "a_long", "none_little"],
)
def test_without_an_orientation_nothing_stays_of_exif(order: str, told: bytes) -> None:
    assert fed(jpeg, laden_jpeg(recordings.BASELINE, told)).out == clean_jpeg(recordings.BASELINE, b"")


@settings(max_examples=300)
@given(data=st.data(), order=st.sampled_from("<>"))
def test_of_damaged_exif_at_most_an_orientation_stays(data: st.DataObject, order: str) -> None:
    told = b"Exif\0\0" + data.draw(mutants(exif(6, order)[6:]))

    out = fed(jpeg, laden_jpeg(recordings.BASELINE, told)).out

    allowed = [b"", *(only_orientation(value) for value in range(1, 9))]
    assert out in [clean_jpeg(recordings.BASELINE, orientation) for orientation in allowed]


def test_a_colour_profile_stays() -> None:
    out = fed(jpeg, PICTURES["jpeg"].laden).out

    assert ICC in out
    assert len(ICC) > 4096


def test_every_segment_that_makes_the_picture_is_the_same() -> None:
    for name, plain in (("jpeg", recordings.BASELINE), ("jpeg_progressive", recordings.PROGRESSIVE)):
        out = segments(fed(jpeg, PICTURES[name].laden).out)
        assert [each for each in out if each[1] < 0xE0] == [each for each in segments(plain) if each[1] < 0xE0]


def test_the_longest_segments_pass() -> None:
    tables = segment(0xDB, bytes(65_533))
    comment = segment(0xFE, bytes(65_533))
    start, *others = segments(recordings.BASELINE)

    assert len(tables) < MAX_TAKE
    assert fed(jpeg, start, tables, comment, *others).out == start + tables + b"".join(others)


def test_marks_within_the_data_of_a_scan_are_no_end() -> None:
    start = b"\xff\xd8" + sof(8, 8) + segment(0xDA, b"\1\1\0\0\x3f\0")
    data = b"a\xff\0b\xff\xd0c\xff\xd7d\xff\xff\0e\xff\xff"
    content = start + data + b"\xff\xd9"

    assert fed(jpeg, content + SECRET).out == content
    assert fed(jpeg, *one_by_one(content + SECRET)).out == content


def test_segments_that_are_reserved_do_not_pass() -> None:
    start, *others = segments(recordings.BASELINE)
    reserved = b"".join(segment(marker, SECRET) for marker in range(0xF0, 0xFE))

    assert fed(jpeg, start, reserved, *others).out == recordings.BASELINE


@pytest.mark.parametrize("junk", [b"\0", b"no marker", b"\xff\0", SECRET * 9, b"\xff\xd3", b"\xff\x01\xff\xff"])
def test_what_is_between_segments_is_dropped(junk: bytes) -> None:
    start, *others = segments(recordings.BASELINE)
    content = start + junk.join([b"", *others[:-1]]) + others[-1]

    assert fed(jpeg, content).out == recordings.BASELINE
    assert fed(jpeg, *one_by_one(content)).out == recordings.BASELINE


@pytest.mark.parametrize("segment", [b"\xff\xe1\0\1", b"\xff\xe1\0\0", b"\xff\xd8"], ids=["short", "empty", "start"])
def test_what_no_browser_shows_is_refused(segment: bytes) -> None:
    start, *others = segments(recordings.BASELINE)

    assert outcome(jpeg, start + segment + b"".join(others)) == "file_damaged"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_those_that_are_shown(orientation: int) -> None:
    shown = (9, 17) if orientation >= 5 else (17, 9)
    start, *others = segments(recordings.BASELINE)
    told = segment(0xE1, exif(orientation))
    png = chunk(b"eXIf", exif(orientation)[6:])
    data, end = chunk(b"IDAT", b"x"), chunk(b"IEND")

    assert fed(jpeg, start, told, *others).size == shown
    assert fed(jpeg, start, *others[:3], told, *others[3:]).size == shown, "also behind the size"
    assert fed(jpeg, start, told, segment(0xE1, exif(1)), *others).size == shown, "the first one counts"
    assert fed(pictures.png(MAX_PIXELS), PNG_MAGIC, ihdr(17, 9), png, data, end).size == shown
    assert fed(pictures.png(MAX_PIXELS), PNG_MAGIC, ihdr(17, 9), data, png, end).size == (17, 9), "nobody looks there"


def test_of_the_exif_of_a_png_only_the_orientation_stays() -> None:
    content = PNG_MAGIC + ihdr(17, 9) + chunk(b"eXIf", exif(6, "<")[6:]) + chunk(b"IDAT", b"x") + chunk(b"IEND")

    out = fed(pictures.png(MAX_PIXELS), content).out

    assert chunks(out)[1] == (b"eXIf", only_orientation(6)[10:])
    assert SECRET not in out


def test_a_webp_is_never_turned() -> None:
    content = riff(b"WEBP", vp8x(8, 17, 9), vp8(17, 9), riff_chunk(b"EXIF", exif(6)[6:]))

    result = fed(pictures.webp(MAX_PIXELS), content)

    assert result.size == (17, 9)
    assert b"EXIF" not in result.out


# ── PNG, GIF, WebP: read by another decoder ───────────────────────────────────────────────────────


def test_the_chunks_of_a_cleaned_png_are_sound_and_hold_its_pixels() -> None:
    found = chunks(fed(PICTURES["png"].parse, PICTURES["png"].laden).out)

    assert zlib.decompress(b"".join(body for kind, body in found if kind == b"IDAT")) == ROWS
    assert [kind for kind, _ in found] == [
        *[b"IHDR", b"eXIf", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"cICP", b"bKGD", b"tRNS", b"pHYs"],
        *[b"IDAT", b"IDAT", b"IEND"],
    ]


def test_a_cleaned_gif_still_moves() -> None:
    found = blocks(fed(PICTURES["gif"].parse, PICTURES["gif"].laden).out)

    assert [block[:2] for block in found if block.startswith(b"!")].count(b"!\xf9") == 2
    assert [block[:1] for block in found].count(b",") == 2
    assert any(b"NETSCAPE2.0" in block for block in found)


def test_a_cleaned_webp_is_as_long_as_before_and_says_no_more_that_it_has_metadata() -> None:
    picture: Picture = PICTURES["webp_animated"]
    out = fed(picture.parse, picture.laden).out
    before, after = riff_chunks(picture.laden), riff_chunks(out)

    assert len(out) == len(picture.laden)
    assert [len(body) for _, body in before] == [len(body) for _, body in after]
    assert before[0][1][0] & 0x0C == 0x0C
    assert after[0][1][0] == before[0][1][0] & ~0x0C
    assert [kind for kind, _ in after].count(b"ANMF") == 2
    assert {kind for kind, _ in after} == {b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"JUNK"}
    assert not any(any(body) for kind, body in after if kind == b"JUNK")


def test_a_frame_of_an_animation_keeps_only_its_picture() -> None:
    pixels = riff_chunk(b"VP8L", b"\x2f" + bytes(20))
    told = riff_chunk(b"EXIF", SECRET) + riff_chunk(b"XMP ", SECRET) + riff_chunk(b"ABCD", SECRET)
    blank = riff_chunk(b"JUNK", bytes(len(SECRET))) * 3
    place = bytes(16)

    def animation(before: bytes, behind: bytes, rest: bytes) -> bytes:
        frame = riff_chunk(b"ANMF", place + before + riff_chunk(b"ALPH", b"1") + pixels + behind + rest)
        return riff(b"WEBP", vp8x(2, 17, 9), riff_chunk(b"ANIM", bytes(6)), frame)

    out = fed(pictures.webp(MAX_PIXELS), animation(told, told, SECRET[:6])).everything

    assert out == animation(blank, blank, bytes(6))
    assert fed(pictures.webp(MAX_PIXELS), *one_by_one(animation(told, told, SECRET[:6]))).everything == out


def test_a_chunk_that_is_longer_than_its_frame_ends_with_it() -> None:
    frame = riff_chunk(b"ANMF", bytes(16) + b"EXIF" + struct.pack("<I", 10_000) + SECRET)
    content = riff(b"WEBP", vp8x(2, 17, 9), frame, riff_chunk(b"XMP ", SECRET))

    out = fed(pictures.webp(MAX_PIXELS), content).everything

    assert SECRET[:5] not in out
    assert len(out) == len(content)


def test_behind_how_to_read_the_colours_nothing_stays() -> None:
    start, rest = recordings.BASELINE[:2], recordings.BASELINE[2:]
    told = segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET)

    out = fed(pictures.jpeg(MAX_PIXELS), start + told + rest).everything

    assert segment(0xEE, b"Adobe\0\x64\0\0\0\0\1") in out
    assert SECRET not in out
