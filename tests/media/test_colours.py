"""Colour profiles keep the colours, and nothing that says whose they are."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from passerby.media import colours, pictures
from tests.media import exiftool, recordings
from tests.media.colours import DISPLAY, LARGE, PROFILE, clean, private
from tests.media.containers import PNG_MAGIC, chunk, chunks, riff, riff_chunk, riff_chunks, segment, segments
from tests.media.feeding import fed, mutants
from tests.media.pictures import MAX_PIXELS, ihdr

if TYPE_CHECKING:
    from pathlib import Path

SECRET = b"Anna's MacBook"
PRIVATE = private(DISPLAY, SECRET)
KNOWN = ("Description", "Copyright", "CMM", "Creator", "Date", "Manufacturer", "Model", "ID")
"""What ExifTool calls the fields that say more than colours."""


def in_jpeg(*parts: bytes, count: int | None = None) -> bytes:
    total = len(parts) if count is None else count
    told = [segment(0xE2, b"ICC_PROFILE\0" + bytes([number, total]) + part) for number, part in enumerate(parts, 1)]
    return recordings.BASELINE[:2] + b"".join(told) + recordings.BASELINE[2:]


def in_png(profile: bytes, name: bytes = b"icc", level: int = 1) -> bytes:
    told = chunk(b"iCCP", name + b"\0\0" + zlib.compress(profile, level))
    return PNG_MAGIC + ihdr(1, 1) + told + chunk(b"IDAT", zlib.compress(bytes(4))) + chunk(b"IEND")


def in_webp(profile: bytes) -> bytes:
    still = riff_chunk(b"VP8L", b"\x2f" + bytes(9))
    return riff(b"WEBP", riff_chunk(b"VP8X", b"\x20" + bytes(9)), riff_chunk(b"ICCP", profile), still)


def colours_of_jpeg(content: bytes) -> bytes:
    out = fed(pictures.jpeg(MAX_PIXELS), content).everything
    return b"".join(each[18:] for each in segments(out) if each[1] == 0xE2)


@pytest.mark.parametrize("version", [2, 4])
def test_only_colours_stay(version: int) -> None:
    assert colours.bare(private(DISPLAY, SECRET, version)) == clean(DISPLAY, version)


def test_what_is_clean_stays_the_same() -> None:
    assert colours.bare(PROFILE) == PROFILE
    assert colours.bare(LARGE) == LARGE


def test_nothing_stands_behind_the_numbers() -> None:
    tags = {name: tag + SECRET for name, tag in DISPLAY.items()} | {b"gTRC": b"curv" + bytes(8) + SECRET}

    assert colours.bare(clean(tags)) == clean(DISPLAY | {b"gTRC": b"curv" + bytes(8)})


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        PROFILE[:-1],
        PROFILE.replace(b"acsp", b"abcd"),
        PROFILE.replace(b"mntr", b"nmcl"),
        PROFILE.replace(b"para", b"text"),
        clean({}),
        clean({b"rTRC": b"curv" + bytes(4) + b"\xff" * 4}),
    ],
)
def test_a_damaged_profile_is_dropped(profile: bytes) -> None:
    assert colours.bare(profile) is None
    assert fed(pictures.jpeg(MAX_PIXELS), in_jpeg(profile)).out == recordings.BASELINE
    assert b"iCCP" not in dict(chunks(fed(pictures.png(MAX_PIXELS), in_png(profile)).out))
    found = riff_chunks(fed(pictures.webp(MAX_PIXELS), in_webp(profile)).everything)
    assert found[0] == (b"VP8X", bytes(10))
    assert found[1] == (b"JUNK", bytes(len(profile)))


@given(mutants(PRIVATE))
def test_what_passes_of_a_damaged_profile_passes_again(profile: bytes) -> None:
    found = colours.bare(profile)

    if found is not None:
        assert SECRET not in found
        assert len(found) <= len(profile) + 400
        assert colours.bare(found) == found


def test_a_profile_in_segments_is_one() -> None:
    middle = len(PRIVATE) // 2

    assert colours_of_jpeg(in_jpeg(PRIVATE[:middle], PRIVATE[middle:])) == PROFILE


def test_segments_in_disorder_are_dropped() -> None:
    middle = len(PRIVATE) // 2

    assert colours_of_jpeg(in_jpeg(PRIVATE[middle:], PRIVATE[:middle])) == b""
    assert colours_of_jpeg(in_jpeg(PRIVATE, count=2)) == b""
    assert colours_of_jpeg(in_jpeg(PRIVATE, count=0)) == b""
    assert colours_of_jpeg(in_jpeg(PRIVATE, SECRET, count=1)) == PROFILE


def test_a_huge_profile_is_dropped() -> None:
    huge = clean({b"A2B0": b"mft1" + bytes(1 << 20)})
    parts = [huge[at : at + 65_000] for at in range(0, len(huge), 65_000)]

    assert colours_of_jpeg(in_jpeg(*parts)) == b""
    assert len(colours_of_jpeg(in_jpeg(LARGE[:65_000], LARGE[65_000:]))) == len(LARGE)
    assert b"iCCP" not in dict(chunks(fed(pictures.png(MAX_PIXELS), in_png(LARGE, level=9)).out))


def test_a_profile_of_a_png_has_no_name() -> None:
    assert fed(pictures.png(MAX_PIXELS), in_png(PRIVATE, SECRET)).out == in_png(PROFILE)


def test_a_profile_of_a_webp_keeps_its_size() -> None:
    ((_, flags), (kind, found), _) = riff_chunks(fed(pictures.webp(MAX_PIXELS), in_webp(PRIVATE)).everything)

    assert (kind, flags[0]) == (b"ICCP", 0x20)
    assert found == len(PRIVATE).to_bytes(4) + PROFILE[4:] + bytes(len(PRIVATE) - len(PROFILE))


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
def test_exiftool_finds_only_colours(form: str, version: int, tmp_path: Path) -> None:
    profile = private(DISPLAY, SECRET, version)
    parse, content = {
        "jpeg": (pictures.jpeg, in_jpeg(profile)),
        "png": (pictures.png, in_png(profile, SECRET)),
        "webp": (pictures.webp, in_webp(profile)),
    }[form]
    file = tmp_path / f"picture.{form}"
    file.write_bytes(content)
    assert "Anna" in str(exiftool.read(file))

    file.write_bytes(fed(parse(MAX_PIXELS), content).everything)

    found = {name: value for name, value in exiftool.read(file).items() if name.endswith(KNOWN)}
    assert "ICC_Profile:ProfileDescription" in found
    nothing = {"", "0", 0, "0000:00:00 00:00:00", "Colours", "icc", "none", "Unknown ()"}
    assert {str(value) for value in found.values()} <= {str(value) for value in nothing}
