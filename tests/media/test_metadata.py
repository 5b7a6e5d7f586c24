"""Files of other programs, full of metadata: ExifTool, mutagen and FFmpeg find none of it in what the partner gets."""

from __future__ import annotations

import io
import struct
from functools import cache
from typing import TYPE_CHECKING, Any

import av
import mutagen
import mutagen.aac
import mutagen.apev2
import mutagen.flac
import mutagen.id3
import mutagen.mp3
import mutagen.mp4
import mutagen.oggopus
import mutagen.wave
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.media import mp4
from passerby.media.sniff import HEAD, kind_of, of_stream
from passerby.media.stream import MediaError, Stream
from tests.media import exiftool, recordings, studio
from tests.media.containers import box, boxes, element, ogg_pages, riff_chunk, with_box
from tests.media.feeding import Fed, fed, mutants, one_by_one, outcome
from tests.media.pictures import MAX_PIXELS, PICTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLACE = b"GPS N52.0116 E4.3571 SECRETPLACE"
COVER = recordings.BASELINE + b"SECRETCOVER"
NEVER = "0000:00:00 00:00:00"


def with_text_track(mp4: bytes, samples: int = 3, form: bytes = b"stsz") -> bytes:
    """Return a film with a track of texts, as drones write it, whose samples are at the end."""
    sizes = struct.pack(">III", 0, 0, samples) + samples * struct.pack(">I", len(PLACE))
    if form == b"same":
        sizes = struct.pack(">III", 0, len(PLACE), samples)
    length = 1 << 20

    def film(start: int) -> bytes:
        chunks = struct.pack(">II", 0, samples)
        places = [start + 8 + number * (len(PLACE) + 4) for number in range(samples)]
        table = box(
            b"stbl",
            box(b"stsd", struct.pack(">II", 0, 1), box(b"text", b"SECRET" + bytes(20))),
            box(b"stsc", struct.pack(">IIIII", 0, 1, 1, 1, 1)),
            box(b"stsz", sizes),
            box(b"co64", chunks, *[struct.pack(">Q", place) for place in places])
            if form == b"co64"
            else box(b"stco", chunks, *[struct.pack(">I", place) for place in places]),
        )
        handler = box(b"hdlr", bytes(8), b"text", bytes(12), b"SECRETHANDLER\0")
        media = box(b"mdia", box(b"mdhd", bytes(24)), handler, box(b"minf", table))
        return with_box(mp4, [b"moov"], box(b"trak", box(b"tkhd", bytes(12), struct.pack(">I", 9), bytes(68)), media))

    length = len(film(0))
    return film(length) + box(b"mdat", (PLACE + b"keep") * samples)


def _tagged(content: bytes, name: str, tag: Callable[[Any], None]) -> bytes:
    file = io.BytesIO(content)
    file.name = name
    tag(file)
    return file.getvalue()


def _id3(file: Any) -> None:  # noqa: ANN401 - mutagen has no types
    id3 = mutagen.id3.ID3()
    id3.add(mutagen.id3.TPE1(text="SECRETARTIST"))
    id3.add(mutagen.id3.APIC(mime="image/jpeg", data=COVER * 40))
    id3.add(mutagen.id3.PRIV(owner="XMP", data=b'<?xml version="1.0"?><x:xmpmeta>SECRETXMP</x:xmpmeta>'))
    id3.save(file, v1=2)


def _ape(file: Any) -> None:  # noqa: ANN401 - as above
    ape = mutagen.apev2.APEv2()
    ape["Artist"] = "SECRETARTIST"
    ape["Cover"] = mutagen.apev2.APEValue(COVER * 20, mutagen.apev2.BINARY)
    ape.save(file)


def _flac(file: Any) -> None:  # noqa: ANN401 - as above
    flac = mutagen.flac.FLAC(file)
    picture = mutagen.flac.Picture()
    picture.data, picture.mime = COVER * 40, "image/jpeg"
    flac.add_picture(picture)
    flac["artist"] = "SECRETARTIST"
    file.seek(0)
    flac.save(file)


def _opus(file: Any) -> None:  # noqa: ANN401 - as above
    opus = mutagen.oggopus.OggOpus(file)
    opus["metadata_block_picture"] = "SECRET" * 40_000
    file.seek(0)
    opus.save(file)


def _mp4(file: Any) -> None:  # noqa: ANN401 - as above
    mp4 = mutagen.mp4.MP4(file)
    mp4["\xa9ART"] = "SECRETARTIST"
    mp4["covr"] = [mutagen.mp4.MP4Cover(COVER)]
    file.seek(0)
    mp4.save(file)


def _wav(file: Any) -> None:  # noqa: ANN401 - as above
    wav: Any = mutagen.wave.WAVE(file)
    wav.add_tags()
    wav.tags.add(mutagen.id3.TPE1(text="SECRETARTIST"))
    file.seek(0)
    wav.save(file)


def _with_chunks(wav: bytes) -> bytes:
    """Return a WAV as field recorders write it."""
    told = riff_chunk(b"iXML", b'<?xml version="1.0"?><BWFXML>SECRET</BWFXML>') + riff_chunk(b"bext", b"SECRET" * 101)
    body = wav[8:12] + told + wav[12:] + told
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _with_attachment(webm: bytes) -> bytes:
    """Return a Matroska file with an attachment and a chapter, in a segment whose size is known."""
    start = webm.index(b"\x18\x53\x80\x67") + 12
    more = element(0x1941A469, element(0x61A7, element(0x466E, b"SECRET.jpg"), element(0x465C, COVER)))
    more += element(0x1043A770, element(0x45B9, element(0xB6, element(0x80, element(0x85, b"SECRETCHAPTER")))))
    size = (1 << 56 | len(webm) - start + len(more)).to_bytes(8)
    return webm[: start - 8] + size + webm[start:] + more


FILES: dict[str, Callable[[], bytes]] = {
    "mp4": lambda: studio.recorded("mp4", video="libx264", audio="aac"),
    "mp4_moov_first": lambda: studio.recorded("mp4", video="libx264", audio="aac", options={"movflags": "faststart"}),
    "mp4_fragments": lambda: studio.recorded(
        "mp4", video="libx264", audio="aac", options={"movflags": "frag_keyframe+empty_moov"}
    ),
    "mp4_cover": lambda: _tagged(studio.recorded("mp4", audio="aac"), "a.m4a", _mp4),
    "mp4_text": lambda: with_text_track(studio.recorded("mp4", video="libx264")),
    "mp4_text_of_one_size": lambda: with_text_track(studio.recorded("mp4", video="libx264"), form=b"same"),
    "mp4_text_far_away": lambda: with_text_track(studio.recorded("mp4", video="libx264"), 700, b"co64"),
    "mp4_action_camera": lambda: studio.telemetry(header_first=True, brand=b"mp42", kind=b"gpmd"),
    "mov_phone": lambda: studio.telemetry(header_first=False, brand=b"qt  ", kind=b"mebx"),
    "m4a": lambda: studio.recorded("ipod", audio="alac"),
    "mp4_flac": lambda: studio.recorded("mp4", audio="flac"),
    "3gp": lambda: studio.recorded("3gp", video="mpeg4", audio="aac"),
    "mov": lambda: studio.recorded("mov", video="mjpeg", audio="pcm_s16be"),
    "mov_without_ftyp": lambda: studio.recorded("mov", video="libx264", options={"use_editlist": "0"}),
    "webm": lambda: studio.recorded("webm", video="libvpx", audio="libopus", rate=48_000),
    "webm_vp9": lambda: studio.recorded("webm", video="libvpx-vp9", audio="vorbis"),
    "webm_live": lambda: studio.recorded("webm", audio="libopus", rate=48_000, options={"live": "1"}),
    "mkv": lambda: studio.recorded("matroska", video="libx264", audio="flac"),
    "mkv_attachment": lambda: _with_attachment(studio.recorded("matroska", audio="vorbis")),
    "ogg_opus": lambda: studio.recorded("ogg", audio="libopus", rate=48_000),
    "ogg_opus_cover": lambda: _tagged(studio.recorded("ogg", audio="libopus", rate=48_000), "a.opus", _opus),
    "ogg_vorbis": lambda: studio.recorded("ogg", audio="vorbis"),
    "ogg_flac": lambda: studio.recorded("ogg", audio="flac"),
    "mp3": lambda: studio.recorded("mp3", audio="libmp3lame"),
    "mp3_cover": lambda: _tagged(studio.recorded("mp3", audio="libmp3lame"), "a.mp3", _id3),
    "mp3_ape": lambda: _tagged(studio.recorded("mp3", audio="libmp3lame"), "a.mp3", _ape),
    "mp3_without_its_head": lambda: studio.recorded("mp3", audio="libmp3lame", options={"write_xing": "0"}),
    "mp3_slow": lambda: studio.recorded("mp3", audio="libmp3lame", rate=11_025, options={"write_xing": "0"}),
    "mp2": lambda: studio.recorded("mp2", audio="mp2"),
    "aac": lambda: studio.recorded("adts", audio="aac"),
    "aac_id3": lambda: _tagged(studio.recorded("adts", audio="aac"), "a.aac", _id3),
    "flac": lambda: studio.recorded("flac", audio="flac"),
    "flac_cover": lambda: _tagged(studio.recorded("flac", audio="flac"), "a.flac", _flac),
    "flac_id3": lambda: _tagged(studio.recorded("flac", audio="flac"), "a.flac", _id3),
    "flac_ape": lambda: _tagged(studio.recorded("flac", audio="flac"), "a.flac", _ape),
    "wav": lambda: studio.recorded("wav", audio="pcm_s16le"),
    "wav_id3": lambda: _tagged(studio.recorded("wav", audio="pcm_s16le"), "a.wav", _wav),
    "wav_ixml": lambda: _with_chunks(studio.recorded("wav", audio="pcm_s16le")),
    "wav_adpcm": lambda: studio.recorded("wav", audio="adpcm_ms"),
    "wav_ima": lambda: studio.recorded("wav", audio="adpcm_ima_wav"),
    "wav_large": lambda: studio.recorded("wav", audio="pcm_s16le", options={"rf64": "always"}),
    "avi": lambda: studio.recorded("avi", video="mpeg4", audio="libmp3lame"),
}
every_file = pytest.mark.parametrize("name", sorted(FILES))


@cache
def made(name: str) -> bytes:
    content = FILES[name]()
    if name == "mov_without_ftyp":
        length = int.from_bytes(content[:4])
        return box(b"wide", bytes(length - 8)) + content[length:]
    return content


def cleaned(content: bytes) -> tuple[str, Fed]:
    """Return the type and the cleaned file. Raises MediaError."""
    kind = kind_of(content[:HEAD], "video/anything", max_pixels=MAX_PIXELS)
    stream = Stream(kind.parse)
    stream.feed(content)
    stream.finish()
    return of_stream(kind, stream).mime_type, fed(kind.parse, content)


def holds_a_secret(content: bytes) -> bool:
    return any(secret in content for secret in studio.SECRETS)


@every_file
def test_nothing_is_left_of_it(name: str, tmp_path: Path) -> None:
    content = made(name)
    mime_type, result = cleaned(content)
    path = tmp_path / "file"
    path.write_bytes(result.everything)

    found = exiftool.read(path)

    assert mime_type.startswith(("audio/", "video/"))
    assert not holds_a_secret(result.everything)
    assert found or name in {"aac", "aac_id3", "mp2"}, "ExifTool knows the format"
    assert not [each for each in found.items() if holds_a_secret(str(each).encode())]
    dates = {value for tag, value in found.items() if tag.endswith("Date") and isinstance(value, str)}
    assert dates <= {NEVER, ""}
    assert not [
        tag for tag in found if tag.startswith(("ID3", "APE", "XMP", "Keys", "ItemList", "UserData", "RIFF:Com"))
    ]
    told = studio.tags(result.everything)
    known = {"major_brand", "minor_version", "compatible_brands", "language", "vendor_id", "encoder", "DURATION"}
    assert set(told) <= known
    assert told.get("language", "und") in {"und", "eng"}, "not that of the recorder"
    assert told.get("encoder", "") in {"", "Passerby"}


@every_file
def test_it_did_have_something_to_hide(name: str) -> None:
    tags = {"3gp", "aac", "mp2", "mp3_slow"}

    assert holds_a_secret(made(name)) is (name not in tags - {"3gp", "mp3_slow"})


@every_file
def test_pictures_and_sounds_are_the_same(name: str) -> None:
    content = made(name)

    frames = studio.decoded(cleaned(content)[1].everything)

    assert frames
    assert frames == studio.decoded(content)


@every_file
def test_mutagen_finds_no_tags(name: str) -> None:
    file = io.BytesIO(cleaned(made(name))[1].everything)
    if name.startswith(("mp4", "m4a", "3gp", "mov", "webm", "mkv", "avi")):
        assert not (mutagen.mp4.MP4(file).tags if name.startswith(("mp4", "m4a")) else None)
    else:
        known = {"aac": mutagen.aac.AAC, "mp2": mutagen.mp3.MP3, "mp3": mutagen.mp3.MP3}
        parsed = known.get(name[:3], mutagen.File)(file)
        assert parsed is not None
        assert not parsed.tags
        assert not getattr(parsed, "pictures", [])


@every_file
def test_how_long_it_plays_is_told_within_a_tenth_of_a_second(name: str) -> None:
    content = made(name)

    assert cleaned(content)[1].seconds == pytest.approx(studio.shown(content), abs=0.101)


@pytest.mark.parametrize("name", sorted(studio.FILMS))
def test_a_film_lasts_as_it_is_shown_however_it_says_so(name: str) -> None:
    content = studio.FILMS[name]()

    assert cleaned(content)[1].seconds == pytest.approx(studio.shown(content), abs=0.1)


@every_file
def test_what_is_clean_stays_as_it_is(name: str) -> None:
    result = cleaned(made(name))[1].everything

    assert cleaned(result)[1].everything == result


@every_file
def test_byte_by_byte_is_as_clean(name: str) -> None:
    content = made(name)
    parse = kind_of(content[:HEAD], "", max_pixels=MAX_PIXELS).parse

    assert fed(parse, *one_by_one(content[:30_000]), content[30_000:]).everything == cleaned(content)[1].everything


@every_file
@settings(max_examples=30)
@given(data=st.data())
def test_damaged_it_is_refused_or_passes(name: str, data: st.DataObject) -> None:
    """No other exception, no endless loop, and the same in pieces of any size."""
    content = made(name)
    place = data.draw(st.integers(0, len(content)))
    begin = max(0, place - 200)
    damaged = content[:begin] + data.draw(mutants(content[begin : begin + 400])) + content[begin + 400 :]
    try:
        kind = kind_of(damaged[:HEAD], "", max_pixels=MAX_PIXELS)
    except MediaError as error:
        assert error.code == "unsupported_type"  # noqa: PT017 - most files raise nothing
        return

    whole = outcome(kind.parse, damaged)

    if isinstance(whole, str):
        assert whole in {"file_damaged", "unsupported_type", "picture_too_large"}
    else:
        assert len(whole.everything) <= len(damaged) + 64
    size = data.draw(st.integers(1, 5000))
    assert outcome(kind.parse, *[damaged[at : at + size] for at in range(0, len(damaged), size)]) == whole


@every_file
@settings(max_examples=20)
@given(data=st.data())
def test_cut_short_anywhere_nothing_is_left_of_it(name: str, data: st.DataObject) -> None:
    content = made(name)
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    try:
        result = cleaned(cut)[1].everything if len(cut) > 200 else b""
    except MediaError as error:
        assert error.code == "file_damaged"  # noqa: PT017 - most files raise nothing
    else:
        samples_are_known = not name.startswith("mp4_text") or b"moov" in result
        assert not holds_a_secret(result) or not samples_are_known


def test_a_film_whose_header_is_cut_off_is_refused() -> None:
    """Where the positions are, nobody knows then."""
    content = made("mov_phone")
    (header,) = [place for kind, *place in boxes(content) if kind == b"moov"]
    begin, _, end = header

    assert content[:begin].count(b"SECRETPLACE") == 60
    for cut in range(begin + 8, end, 7):
        assert outcome(mp4.mp4, content[:cut]) == "file_damaged"


# ── pictures ──────────────────────────────────────────────────────────────────────────────────────

TAGS = (
    "-Artist=SECRETARTIST",
    "-Comment=SECRETCOMMENT",
    "-GPSLatitude=52.0116",
    "-GPSLongitude=4.3571",
    "-DateTimeOriginal=2021:05:06 07:08:09",
    "-XMP:Creator=SECRETARTIST",
    "-IPTC:City=SECRETCITY",
)


@pytest.mark.parametrize(
    ("picture", "suffix"),
    [
        (recordings.BASELINE, "jpg"),
        (recordings.PROGRESSIVE, "jpg"),
        (PICTURES["png"].clean, "png"),
        (recordings.GIF, "gif"),
    ],
    ids=["jpeg", "jpeg_progressive", "png", "gif"],
)
def test_nothing_is_left_in_a_picture(picture: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{suffix}"
    path.write_bytes(picture)
    exiftool.write(path, *TAGS)
    laden = path.read_bytes()
    _, result = cleaned(laden)
    path.write_bytes(result.everything)

    assert b"SECRET" in laden
    assert not holds_a_secret(result.everything)
    found = exiftool.read(path)
    assert not [tag for tag in found if tag.startswith(("GPS", "XMP", "IPTC", "ExifIFD"))]
    assert {tag for tag in found if tag.startswith("IFD0")} <= {"IFD0:Orientation"}
    assert studio.decoded(result.everything) == studio.decoded(laden)


@pytest.mark.parametrize("name", ["jpeg", "jpeg_progressive", "png", "gif"])
def test_a_picture_that_was_completed_can_be_decoded(name: str) -> None:
    picture = PICTURES[name]
    end = {"jpeg": 2, "jpeg_progressive": 2, "png": 12, "gif": 1}[name]

    whole = studio.decoded(picture.clean)

    assert studio.decoded(fed(picture.parse, picture.laden[:-end]).everything) == whole
    assert len(studio.decoded(fed(picture.parse, picture.laden[: -end - 5]).everything)) == len(whole)


# ── special cases ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "kind", [b"skip", b"free", b"GPS ", b"thmb", b"mpvd", b"sefd", b"uuid", b"meta", b"udta", b"emsg"]
)
@pytest.mark.parametrize("path", [[], [b"moov"], [b"moov", b"trak"], [b"moov", b"trak", b"mdia"]], ids=len)
def test_of_a_box_that_nobody_needs_nothing_is_left(kind: bytes, path: list[bytes]) -> None:
    content = with_box(recordings.MP4_MOOV_LAST, path, box(kind, PLACE))
    result = cleaned(content)[1].everything

    assert not holds_a_secret(result)
    assert len(result) == len(content)
    assert [place for _, *place in boxes(result)] == [place for _, *place in boxes(content)]


@pytest.mark.parametrize("junk", [PLACE, PLACE * 50, bytes(5), b"\0\0\0"])
def test_behind_a_film_nothing_passes(junk: bytes) -> None:
    for name in ("mp4", "webm", "avi"):
        assert not holds_a_secret(cleaned(made(name) + junk)[1].everything)


def test_samples_of_a_removed_track_are_overwritten_and_no_others() -> None:
    content = made("mp4_text_far_away")
    result = cleaned(content)[1].everything

    assert content.count(PLACE) == 700
    assert result.endswith((bytes(len(PLACE)) + b"keep") * 700)


def test_an_ogg_that_does_not_begin_at_zero() -> None:
    for codec, rate in (("libopus", 48_000), ("vorbis", 44_100), ("flac", 44_100)):
        whole = studio.recorded("ogg", audio=codec, seconds=9, rate=rate, options={"page_duration": "300000"})
        pages = [header + body for header, body in ogg_pages(whole)]
        for missing in (0, 1, 3, 10):
            content = b"".join(pages[:2] + pages[2 + missing :])
            result = cleaned(content)[1]
            assert result.seconds == pytest.approx(studio.seconds(content), abs=0.1)
            assert list(ogg_pages(result.everything)), "all checksums are right"


def test_ogg_files_one_after_another_play_one_after_another() -> None:
    first, second = made("ogg_opus"), recordings.OGG_OPUS
    result = cleaned(first + second)[1]

    assert result.seconds == pytest.approx(2 + 1.5, abs=0.1)
    assert not holds_a_secret(result.everything)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 1 << 30])
def test_a_wav_of_unknown_size_gets_one(size: int) -> None:
    plain = cleaned(made("wav"))[1].everything
    unknown = bytearray(plain)
    unknown[4:8] = (0 if not size else 0xFFFFFFFF).to_bytes(4, "little")
    unknown[40:44] = size.to_bytes(4, "little")

    result = cleaned(bytes(unknown))[1]

    assert result.everything == plain
    assert result.seconds == pytest.approx(2)


def test_flac_of_unknown_length_gets_one() -> None:
    plain = cleaned(made("flac"))[1].everything
    unknown = bytearray(plain)
    unknown[21] &= 0xF0
    unknown[22:26] = bytes(4)

    result = cleaned(bytes(unknown))[1]

    assert result.everything == plain
    assert result.seconds == pytest.approx(2)


def test_a_film_that_says_it_is_short_is_as_long_as_its_sound() -> None:
    content = bytearray(studio.recorded("mp4", audio="aac", seconds=20, options={"use_editlist": "0"}))
    place = content.index(b"mvhd") + 4 + 16
    content[place : place + 4] = (1000).to_bytes(4)

    assert cleaned(bytes(content))[1].seconds == pytest.approx(20, abs=0.1)


def as_firefox(webm: bytes) -> bytes:
    """Return a recording as Firefox makes it: without duration, and without marks where playing can begin."""
    content = bytearray(webm)
    for place in range(len(content) - 8):
        track = place + 1 + 9 - content[place + 1].bit_length()
        if content[place] == 0xA3 and content[track : track + 1] == b"\x81" and content[track + 3] == 0x80:
            content[track + 3] = 0
    return bytes(content)


def test_a_recording_of_firefox_is_repaired() -> None:
    whole = studio.recorded("webm", audio="libopus", rate=48_000, options={"live": "1"}, seconds=3)
    content = as_firefox(whole)
    result = cleaned(content)[1]

    with av.open(io.BytesIO(content), "r") as before, av.open(io.BytesIO(result.everything), "r") as after:
        assert before.duration is None
        assert after.duration == pytest.approx(3_000_000, abs=100_000)
    assert content != whole
    assert result.everything == cleaned(whole)[1].everything, "all marks are there again"
    assert result.seconds == pytest.approx(3, abs=0.1)
    assert len(result.everything) == len(content)
    assert studio.decoded(result.everything) == studio.decoded(whole)
