from __future__ import annotations

import io
import math
import struct
import wave
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.media import mp4, sound
from tests.media import recordings
from tests.media.containers import (
    SECRET,
    UNKNOWN,
    box,
    boxes,
    element,
    id3,
    mp3_frame,
    mvhd,
    ogg_page,
    opus_head,
    riff,
    riff_chunk,
    with_box,
)
from tests.media.feeding import fed, mutants, one_by_one, splits

if TYPE_CHECKING:
    from tests.media.feeding import Parse


def wav(seconds: float, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setframerate(rate)
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.writeframes(bytes(int(rate * seconds) * channels * width))
    return file.getvalue()


PLACE = box(b"\xa9xyz", struct.pack(">HH", len(SECRET), 0x15C7), SECRET)
META = box(b"meta", bytes(4), box(b"hdlr", bytes(24)), box(b"ilst", SECRET))


def told(mp4: bytes) -> bytes:
    """Put metadata into the movie, the track and the file."""
    mp4 = with_box(mp4, [b"moov", b"trak", b"mdia"], box(b"udta", PLACE, long=True))
    mp4 = with_box(mp4, [b"moov", b"trak"], META)
    mp4 = with_box(mp4, [b"moov"], box(b"udta", PLACE, META))
    return with_box(mp4, [], box(b"uuid", b"\xbe\x7a\xcf\xcb" * 4, SECRET)) + META


class Sound(NamedTuple):
    parse: Parse
    content: bytes
    seconds: float | None
    """The correct duration, by ffprobe or by construction."""


SOUNDS = {
    "wav": Sound(sound.wav, wav(2.5), 2.5),
    "wav_stereo": Sound(sound.wav, wav(1.25, 48_000, 2, 3), 1.25),
    "wav_8_bit": Sound(sound.wav, wav(0.5, 11_025, 1, 1), 0.5),
    "ogg_opus": Sound(sound.ogg, recordings.OGG_OPUS, 1.5),
    "ogg_vorbis": Sound(sound.ogg, recordings.OGG_VORBIS, 2.5),
    "webm_file": Sound(sound.webm, recordings.WEBM_FILE, 1.5),
    "webm_recorded": Sound(sound.webm, recordings.WEBM_RECORDED, 1.5),
    "mp4_moov_first": Sound(mp4.mp4, recordings.MP4_MOOV_FIRST, 2.5),
    "mp4_moov_last": Sound(mp4.mp4, recordings.MP4_MOOV_LAST, 2.5),
    "mp4_moov_first_told": Sound(mp4.mp4, told(recordings.MP4_MOOV_FIRST), 2.5),
    "mp4_moov_last_told": Sound(mp4.mp4, told(recordings.MP4_MOOV_LAST), 2.5),
    "mp4_fragmented": Sound(mp4.mp4, recordings.MP4_FRAGMENTED, 2.628),
    "mp3": Sound(sound.mp3, mp3_frame() * 96, 96 * 1152 / 44_100),
    "mp3_padded": Sound(sound.mp3, (mp3_frame() + mp3_frame(padded=True)) * 48, 96 * 1152 / 44_100),
    "mp3_with_id3": Sound(sound.mp3, id3(b"cover" * 300) + mp3_frame() * 96, 96 * 1152 / 44_100),
    "mp3_with_both_id3": Sound(sound.mp3, id3(b"") + mp3_frame() * 96 + b"TAG" + bytes(125), 96 * 1152 / 44_100),
    "mp3_mpeg_2_5": Sound(sound.mp3, recordings.MP3_ID3, 2.664),
    "flac": Sound(sound.anything, b"fLaC\0\0\0\x22" + bytes(500), None),
}
every_sound = pytest.mark.parametrize("name", sorted(SOUNDS))


def blanked(mp4: bytes) -> bytes:
    """Return `mp4` with every metadata box, as found by an independent reader, replaced by free space of zeros."""
    blank = bytearray(mp4)
    for kind, start, body, stop in boxes(mp4):
        if kind in {b"udta", b"meta", b"uuid"}:
            blank[start + 4 : start + 8] = b"free"
            blank[body:stop] = bytes(stop - body)
    return bytes(blank)


# ── every format ──────────────────────────────────────────────────────────────────────────────────


@every_sound
def test_how_long_it_plays_is_told(name: str) -> None:
    own = SOUNDS[name]
    seconds = fed(own.parse, own.content).seconds

    if own.seconds is None:
        assert seconds is None
    else:
        assert seconds == pytest.approx(own.seconds, rel=0.05)


@every_sound
def test_every_byte_passes_in_its_place_but_metadata_of_mp4(name: str) -> None:
    own = SOUNDS[name]

    everything = fed(own.parse, own.content).everything

    assert everything == (blanked(own.content) if name.startswith("mp4") else own.content)
    assert fed(own.parse, everything).everything == everything


@every_sound
def test_byte_by_byte_is_as_whole(name: str) -> None:
    own = SOUNDS[name]

    assert fed(own.parse, *one_by_one(own.content)) == fed(own.parse, own.content)


@every_sound
@settings(max_examples=40)
@given(data=st.data())
def test_any_split_is_as_whole(name: str, data: st.DataObject) -> None:
    own = SOUNDS[name]

    assert fed(own.parse, *data.draw(splits(own.content))) == fed(own.parse, own.content)


@every_sound
def test_cut_short_anywhere_it_passes_as_far_as_it_goes(name: str) -> None:
    own = SOUNDS[name]
    whole = fed(own.parse, own.content)

    for place in [*range(min(len(own.content), 1500)), *range(1500, len(own.content), 97)]:
        result = fed(own.parse, own.content[:place])
        assert result.everything == whole.everything[: len(result.out)] + own.content[len(result.out) : place]
        assert len(result.rest) < 300, "at most an incomplete header"
        assert SECRET[:5] not in result.everything
        assert result.seconds is None or math.isfinite(result.seconds)
        assert not result.whole


@every_sound
@settings(max_examples=150)
@given(data=st.data())
def test_damaged_it_passes_in_its_length_and_in_any_split_the_same(name: str, data: st.DataObject) -> None:
    own = SOUNDS[name]
    damaged = data.draw(mutants(own.content[:3000]))

    result = fed(own.parse, damaged)

    assert len(result.everything) == len(damaged)
    assert result.seconds is None or (math.isfinite(result.seconds) and result.seconds > 0)
    assert fed(own.parse, *data.draw(splits(damaged))) == result


@every_sound
@settings(max_examples=40)
@given(noise=st.binary(max_size=400))
def test_noise_behind_the_first_bytes_passes(name: str, noise: bytes) -> None:
    own = SOUNDS[name]

    result = fed(own.parse, own.content[:4] + noise)

    assert len(result.everything) == 4 + len(noise)
    assert result.seconds is None or (math.isfinite(result.seconds) and result.seconds > 0)


# ── MP4 ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["mp4_moov_first_told", "mp4_moov_last_told"])
def test_place_and_owner_are_blanked_where_they_are(name: str) -> None:
    content = SOUNDS[name].content
    out = fed(mp4.mp4, content).everything

    assert content.count(SECRET) == 6
    assert SECRET not in out
    assert not {kind for kind, *_ in boxes(out)} & {b"udta", b"meta", b"uuid"}
    assert [place for _, *place in boxes(out)] == [place for _, *place in boxes(content)], "all offsets are unchanged"


def test_the_order_of_film_and_data_is_as_it_was() -> None:
    for name, order in (("mp4_moov_first", [b"moov", b"mdat"]), ("mp4_moov_last", [b"mdat", b"moov"])):
        kinds = [kind for kind, *_ in boxes(fed(mp4.mp4, SOUNDS[name].content).everything)]
        assert [kind for kind in kinds if kind in order] == order


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("long", [False, True])
def test_a_film_of_either_version_in_a_box_of_either_size(version: int, long: bool) -> None:
    content = box(b"ftyp", b"isom", bytes(4)) + box(b"moov", mvhd(600, 4500, version), long=long)

    assert fed(mp4.mp4, content).seconds == 7.5


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("scale_and_duration", [(600, 0), (0, 600), (600, -1)])
def test_a_film_that_does_not_know_its_length_has_none(version: int, scale_and_duration: tuple[int, int]) -> None:
    scale, duration = scale_and_duration
    unknown = 0xFFFFFFFFFFFFFFFF if version else 0xFFFFFFFF
    content = box(b"moov", mvhd(scale, unknown if duration < 0 else duration, version))

    assert fed(mp4.mp4, content).seconds is None


def test_a_box_up_to_the_end_of_the_file_may_be_metadata() -> None:
    content = box(b"ftyp", b"isom") + struct.pack(">I4s", 0, b"meta") + SECRET * 10
    out = fed(mp4.mp4, content).everything

    assert out == box(b"ftyp", b"isom") + struct.pack(">I4s", 0, b"free") + bytes(len(SECRET) * 10)


@pytest.mark.parametrize("length", range(2, 8))
def test_a_box_shorter_than_its_header_is_as_one_of_nothing(length: int) -> None:
    content = struct.pack(">I4s", length, b"mvhd") + box(b"udta", PLACE)

    out = fed(mp4.mp4, content).everything

    assert out == content[:8] + box(b"free", bytes(len(PLACE)))
    assert fed(mp4.mp4, *one_by_one(content)).everything == out


def test_a_film_with_too_short_a_header_has_no_length() -> None:
    assert fed(mp4.mp4, box(b"moov", box(b"mvhd", b"\0\0\0\0"))).seconds is None
    assert fed(mp4.mp4, box(b"moov", box(b"mvhd"))).seconds is None


TRACK = 7


def fragment(*runs: bytes, default: int | None = None, offsets: int = 0) -> bytes:
    """Return a fragment of a recording; `offsets` are flags of fields before its default duration."""
    flags = offsets | (8 if default is not None else 0)
    before = bytes(8 * (offsets & 1) + 2 * (offsets & 2))
    own = b"" if default is None else default.to_bytes(4)
    head = box(b"tfhd", struct.pack(">II", flags, TRACK), before, own)
    return box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", head, *runs)) + box(b"mdat", bytes(50))


def run(count: int, *durations: int, flags: int = 0) -> bytes:
    """Return a fragment's table: durations of its samples, with zeros for the other fields in `flags`."""
    flags |= 0x100 if durations else 0
    before = bytes(4 * (flags & 1) + (flags & 4))
    more = bytes(4 * ((flags & 0xE00).bit_count()))
    return box(b"trun", struct.pack(">II", flags, count), before, *[each.to_bytes(4) + more for each in durations])


def recorded(*fragments: bytes, default: int = 0, version: int = 0) -> bytes:
    """Return a recording of one track with 500 ticks a second; the movie has 1,000."""
    head = box(b"tkhd", bytes([version, 0, 0, 0]), bytes(16 if version else 8), TRACK.to_bytes(4), bytes(64))
    media = box(b"mdia", mvhd(500, 0, version).replace(b"mvhd", b"mdhd"), box(b"hdlr", bytes(8), b"soun", bytes(13)))
    trex = box(b"trex", struct.pack(">IIIIII", 0, TRACK, 1, default, 0, 0))
    return box(b"moov", mvhd(1000, 0), box(b"trak", head, media), box(b"mvex", trex)) + b"".join(fragments)


@pytest.mark.parametrize("version", [0, 1])
def test_a_recording_in_fragments_is_as_long_as_they_are_together(version: int) -> None:
    content = recorded(*[fragment(run(10), default=50)] * 60, version=version)

    result = fed(mp4.mp4, content)

    assert result.seconds == 60
    assert result.everything == content
    assert fed(mp4.mp4, *one_by_one(content)) == result


@pytest.mark.parametrize("offsets", range(4))
def test_how_long_a_sample_plays_its_fragment_says_or_the_film(offsets: int) -> None:
    assert fed(mp4.mp4, recorded(fragment(run(5), default=100, offsets=offsets), default=9)).seconds == 1
    assert fed(mp4.mp4, recorded(fragment(run(5), offsets=offsets), default=200)).seconds == 2


@pytest.mark.parametrize("flags", [0, 1, 4, 5, 0x200, 0xE05])
def test_or_the_sample_itself(flags: int) -> None:
    durations = range(1, 101)
    content = recorded(fragment(run(100, *durations, flags=flags), run(1, 450), default=10**6))

    result = fed(mp4.mp4, content)

    assert result.seconds == (sum(durations) + 450) / 500
    assert fed(mp4.mp4, *one_by_one(content)) == result


def test_a_table_that_promises_more_than_it_holds_counts_what_it_holds() -> None:
    assert fed(mp4.mp4, recorded(fragment(run(2**32 - 1, 500, 500)))).seconds == 2


def test_without_a_track_the_films_own_time_counts() -> None:
    content = box(b"moov", mvhd(1000, 0)) + fragment(run(3), default=1000) * 2

    assert fed(mp4.mp4, content).seconds == 6


def test_fragments_of_tracks_without_number_are_not_remembered() -> None:
    tracks = [fragment(run(1), default=500).replace(TRACK.to_bytes(4), bytes([9, 9, 9, n])) for n in range(200)]

    assert fed(mp4.mp4, recorded(*tracks)).seconds == 0.5


# ── WebM ──────────────────────────────────────────────────────────────────────────────────────────

SEGMENT, INFO, CLUSTER, GROUP = 0x18538067, 0x1549A966, 0x1F43B675, 0xA0
SCALE, DURATION, TIME, SIMPLE, BLOCK = 0x2AD7B1, 0x4489, 0xE7, 0xA3, 0xA1


def webm(*parts: bytes) -> bytes:
    return element(0x1A45DFA3, element(0x4282, b"webm")) + element(SEGMENT, *parts, size=UNKNOWN)


def cluster(time: int, *blocks: bytes) -> bytes:
    return element(CLUSTER, element(TIME, time.to_bytes(4)), *blocks, size=UNKNOWN)


def block(time: int, kind: int = SIMPLE, track: bytes = b"\x81") -> bytes:
    return element(kind, track, struct.pack(">hB", time, 0x80), bytes(30))


def test_a_recording_is_as_long_as_its_last_block_is_late() -> None:
    content = webm(cluster(0, block(0), block(900)), cluster(1000, block(-20), block(400), block(300)))

    assert fed(sound.webm, content).seconds == pytest.approx(1.4)


def test_blocks_in_groups_and_of_tracks_beyond_127_count() -> None:
    grouped = element(GROUP, block(700, BLOCK), element(0x9B, b"\x14"))

    assert fed(sound.webm, webm(cluster(0, grouped))).seconds == pytest.approx(0.7)
    assert fed(sound.webm, webm(cluster(0, block(500, track=b"\x40\x81")))).seconds == pytest.approx(0.5)


def test_times_are_in_the_scale_of_the_file() -> None:
    info = element(INFO, element(SCALE, (100_000).to_bytes(3)))

    assert fed(sound.webm, webm(info, cluster(5000, block(1000)))).seconds == pytest.approx(0.6)


@pytest.mark.parametrize(("form", "value"), [(">f", 2500.0), (">d", 2500.0)])
def test_a_length_that_is_written_counts(form: str, value: float) -> None:
    assert fed(sound.webm, webm(element(INFO, element(DURATION, struct.pack(form, value))))).seconds == 2.5


@pytest.mark.parametrize("form", [">f", ">d"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -5.0, 0.0, 3e38])
def test_a_length_that_is_none_does_not_count(form: str, value: float) -> None:
    info = element(INFO, element(DURATION, struct.pack(form, value)))

    assert fed(sound.webm, webm(info)).seconds is None
    assert fed(sound.webm, webm(info, cluster(0, block(300)))).seconds == pytest.approx(0.3)


def test_the_largest_numbers_are_still_a_number() -> None:
    info = element(INFO, element(SCALE, b"\xff" * 12), element(DURATION, struct.pack(">d", 2.0**62)))
    seconds = fed(sound.webm, webm(info, cluster(0, block(1)))).seconds

    assert seconds is not None
    assert math.isfinite(seconds)


# ── Ogg, WAV, MP3 ─────────────────────────────────────────────────────────────────────────────────


def test_samples_that_are_skipped_do_not_play() -> None:
    content = ogg_page(0, opus_head(3840)) + ogg_page(0, b"OpusTags" + bytes(300)) + ogg_page(48_000 + 3840, bytes(900))

    assert fed(sound.ogg, content).seconds == 1.0


def test_a_page_on_which_no_packet_ends_says_nothing() -> None:
    content = ogg_page(0, opus_head(0)) + ogg_page(24_000, b"x") + ogg_page(-1, b"y")

    assert fed(sound.ogg, content).seconds == 0.5


def test_only_pages_of_the_sound_tell_its_length() -> None:
    film = ogg_page(0, b"\x80theora", serial=2) + ogg_page(1 << 40, b"frame", serial=2)
    content = ogg_page(0, opus_head(0)) + film + ogg_page(24_000, b"x") + film

    assert fed(sound.ogg, content).seconds == 0.5


def test_an_ogg_of_something_else_has_no_length() -> None:
    assert fed(sound.ogg, ogg_page(0, b"\x7fFLAC") + ogg_page(48_000, b"x")).seconds is None


def test_other_chunks_of_a_wav_are_no_sound() -> None:
    original = wav(1.0)
    odd = riff_chunk(b"LIST", b"INFO" + SECRET[:29])
    content = original[:12] + odd + original[12:] + odd

    result = fed(sound.wav, content)

    assert result.seconds == 1.0
    assert result.everything == content


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_that_did_not_know_its_length_has_none(size: int) -> None:
    content = riff(b"WAVE", wav(1.0)[12:36]) + b"data" + struct.pack("<I", size) + bytes(500)

    assert fed(sound.wav, content).seconds is None


def test_data_before_its_format_has_no_length() -> None:
    assert fed(sound.wav, riff(b"WAVE", riff_chunk(b"data", bytes(100)))).seconds is None


def test_frames_are_counted_up_to_the_first_that_is_none() -> None:
    content = mp3_frame() * 3 + b"\0\0\0\0" + mp3_frame() * 5

    assert fed(sound.mp3, content).seconds == pytest.approx(3 * 1152 / 44_100)
    assert fed(sound.mp3, id3(bytes(20)) + b"no frame at all").seconds is None
