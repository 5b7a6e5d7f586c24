from __future__ import annotations

import io
import math
import struct
import wave
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.media import frames, mp4, ogg, riff, webm
from passerby.media.stream import Stream
from tests.media import recordings
from tests.media.containers import (
    SECRET,
    UNKNOWN,
    adts_frame,
    box,
    boxes,
    element,
    flac,
    flac_frame,
    id3,
    mp3_frame,
    mvhd,
    ogg_page,
    ogg_pages,
    opus_head,
    riff_chunk,
    with_box,
)
from tests.media.containers import riff as riff_of
from tests.media.feeding import fed, mutants, one_by_one, outcome, splits

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


KNOWN = frozenset(
    b"ftyp moov mdat moof mvhd trak tkhd edts mdia mdhd hdlr minf vmhd smhd stbl dinf mvex trex mfhd traf tfhd tfdt"
    b" trun mfra sidx mehd styp".split()
)
"""Boxes that a film needs."""


class Sound(NamedTuple):
    parse: Parse
    content: bytes
    seconds: float
    """The correct duration, by ffprobe or by construction."""


SOUNDS = {
    "wav": Sound(riff.wav, wav(2.5), 2.5),
    "wav_stereo": Sound(riff.wav, wav(1.25, 48_000, 2, 3), 1.25),
    "wav_8_bit": Sound(riff.wav, wav(0.5, 11_025, 1, 1), 0.5),
    "ogg_opus": Sound(ogg.ogg, recordings.OGG_OPUS, 1.5),
    "ogg_vorbis": Sound(ogg.ogg, recordings.OGG_VORBIS, 2.5),
    "webm_file": Sound(webm.webm, recordings.WEBM_FILE, 1.5),
    "webm_recorded": Sound(webm.webm, recordings.WEBM_RECORDED, 1.5),
    "mp4_moov_first": Sound(mp4.mp4, recordings.MP4_MOOV_FIRST, 2.5),
    "mp4_moov_last": Sound(mp4.mp4, recordings.MP4_MOOV_LAST, 2.5),
    "mp4_moov_first_told": Sound(mp4.mp4, told(recordings.MP4_MOOV_FIRST), 2.5),
    "mp4_moov_last_told": Sound(mp4.mp4, told(recordings.MP4_MOOV_LAST), 2.5),
    "mp4_fragmented": Sound(mp4.mp4, recordings.MP4_FRAGMENTED, 2.628),
    "mp3": Sound(frames.mp3, mp3_frame() * 96, 96 * 1152 / 44_100),
    "mp3_padded": Sound(frames.mp3, (mp3_frame() + mp3_frame(padded=True)) * 48, 96 * 1152 / 44_100),
    "mp3_with_id3": Sound(frames.tagged, id3(b"cover" * 300) + mp3_frame() * 96, 96 * 1152 / 44_100),
    "mp3_with_both_id3": Sound(frames.tagged, id3(b"") + mp3_frame() * 96 + b"TAG" + bytes(125), 96 * 1152 / 44_100),
    "mp3_mpeg_2_5": Sound(frames.tagged, recordings.MP3_ID3, 2.5),
    "aac": Sound(frames.adts, adts_frame() * 50, 50 * 1024 / 44_100),
    "flac": Sound(frames.flac, flac(bytes(500)), 4096 / 44_100),
}
every_sound = pytest.mark.parametrize("name", sorted(SOUNDS))


# ── every format ──────────────────────────────────────────────────────────────────────────────────


@every_sound
def test_how_long_it_plays_is_told(name: str) -> None:
    own = SOUNDS[name]

    assert fed(own.parse, own.content).seconds == pytest.approx(own.seconds, abs=0.1)


@every_sound
def test_what_is_clean_stays_as_it_is(name: str) -> None:
    own = SOUNDS[name]

    everything = fed(own.parse, own.content).everything

    again = frames.mp3 if own.parse is frames.tagged else own.parse
    assert fed(again, everything).everything == everything
    assert SECRET[:5] not in everything
    if name.startswith(("mp4", "webm")):
        assert len(everything) == len(own.content), "all offsets are unchanged"
    if "id3" not in name and name.startswith(("mp3", "aac", "flac", "wav")) and name != "mp3_mpeg_2_5":
        assert everything == own.content


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
def test_cut_short_anywhere_it_is_refused_or_passes_as_far_as_it_goes(name: str) -> None:
    own = SOUNDS[name]
    for place in [*range(min(len(own.content), 1500)), *range(1500, len(own.content), 97)]:
        result = outcome(own.parse, own.content[:place])
        if isinstance(result, str):
            assert result == "file_damaged"
            continue
        assert SECRET[:5] not in result.everything
        assert result.seconds is None or 0 < result.seconds < 4
        assert not result.whole or result.everything


@every_sound
@settings(max_examples=150)
@given(data=st.data())
def test_damaged_it_is_refused_or_passes_in_any_split_the_same(name: str, data: st.DataObject) -> None:
    own = SOUNDS[name]
    damaged = data.draw(mutants(own.content[:3000]))

    result = outcome(own.parse, damaged)

    assert outcome(own.parse, *data.draw(splits(damaged))) == result
    if isinstance(result, str):
        assert result in {"file_damaged", "unsupported_type"}
    else:
        assert len(result.everything) <= len(damaged) + 64
        assert result.seconds is None or (math.isfinite(result.seconds) and result.seconds > 0)


@every_sound
@settings(max_examples=40)
@given(noise=st.binary(max_size=400))
def test_noise_behind_the_first_bytes_is_refused_or_passes(name: str, noise: bytes) -> None:
    own = SOUNDS[name]

    result = outcome(own.parse, own.content[:4] + noise)

    assert isinstance(result, str) or result.seconds is None or math.isfinite(result.seconds)


# ── MP4 ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["mp4_moov_first_told", "mp4_moov_last_told"])
def test_place_and_owner_are_blanked_where_they_are(name: str) -> None:
    content = SOUNDS[name].content
    out = fed(mp4.mp4, content).everything

    assert content.count(SECRET) == 6
    assert SECRET not in out
    assert {kind for kind, *_ in boxes(out)} <= KNOWN | {b"free"}
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
    content = box(b"ftyp", b"isom") + box(b"moov") + struct.pack(">I4s", 0, b"meta") + SECRET * 10
    out = fed(mp4.mp4, content).everything

    assert out == content[:20] + struct.pack(">I4s", 0, b"free") + bytes(len(SECRET) * 10)


@pytest.mark.parametrize("length", range(2, 8))
def test_a_box_shorter_than_its_header_is_as_one_of_nothing(length: int) -> None:
    content = box(b"moov") + struct.pack(">I4s", length, b"mvhd") + box(b"udta", PLACE)

    out = fed(mp4.mp4, content).everything

    assert out == box(b"moov") + box(b"free") + box(b"free", bytes(len(PLACE)))
    assert fed(mp4.mp4, *one_by_one(content)).everything == out


def test_a_film_with_too_short_a_header_has_no_length() -> None:
    assert fed(mp4.mp4, box(b"moov", box(b"mvhd", b"\0\0\0\0"))).seconds is None
    assert fed(mp4.mp4, box(b"moov", box(b"mvhd"))).seconds is None


def test_times_names_and_languages_are_removed_and_nothing_else_of_their_boxes() -> None:
    times = b"\xd5\x3a\x11\x22" * 2
    for version, wide in ((0, times), (1, times * 2)):
        start = bytes([version, 0, 0, 7])
        scale = struct.pack(">IQ" if version else ">II", 600, 1200)
        numbers = struct.pack(">IIQ" if version else ">III", TRACK, 0, 1200)
        before = [
            box(b"mvhd", start, wide, scale, b"kept" * 20),
            box(b"tkhd", start, wide, numbers, b"kept" * 15),
            box(b"mdhd", start, wide, scale, b"\x15\xc7", b"\1\2"),
            box(b"hdlr", bytes(8), b"vide", b"appl" * 3, SECRET),
        ]
        after = [
            box(b"mvhd", start, bytes(len(wide)), scale, b"kept" * 20),
            box(b"tkhd", start, bytes(len(wide)), numbers, b"kept" * 15),
            box(b"mdhd", start, bytes(len(wide)), scale, b"\x55\xc4", b"\1\2"),
            box(b"hdlr", bytes(8), b"vide", bytes(12 + len(SECRET))),
        ]
        films = [box(b"moov", film[0], box(b"trak", film[1], box(b"mdia", *film[2:]))) for film in (before, after)]

        assert fed(mp4.mp4, films[0]).everything == films[1]
        assert fed(mp4.mp4, *one_by_one(films[0])).everything == films[1]


def test_where_the_samples_were_is_removed() -> None:
    place = box(b"alis", bytes(4), SECRET)
    film = track(b"vide", box(b"dinf", box(b"dref", bytes(7), b"\1", place)))

    assert fed(mp4.mp4, film).everything == film.replace(SECRET, bytes(len(SECRET)))


def track(handler: bytes, *inside: bytes) -> bytes:
    media = box(b"mdia", box(b"hdlr", bytes(8), handler), box(b"minf", *inside))
    return box(b"moov", box(b"trak", box(b"tkhd", bytes(12), TRACK.to_bytes(4)), media))


def test_a_description_of_samples_names_neither_maker_nor_encoder() -> None:
    needed, told = box(b"avcC", b"kept"), box(b"GoPr", SECRET)
    start = bytes(6) + b"\0\1" + bytes(4)
    picture = start + b"SECR" + bytes(8) + b"kept" * 4 + b"\0\1" + SECRET.ljust(32, b"!") + b"\0\x18\xff\xff"
    clean = start + bytes(4) + bytes(8) + b"kept" * 4 + b"\0\1" + bytes(32) + b"\0\x18\xff\xff"
    film = track(b"vide", box(b"stbl", box(b"stsd", bytes(8), box(b"avc1", picture[:78], needed, told, needed))))

    out = fed(mp4.mp4, film).everything

    assert SECRET[:4] not in out
    assert out.count(needed) == 2
    assert clean[16:48] in out


@pytest.mark.parametrize("handler", [b"text", b"tmcd", b"meta", b"sbtl", b"hint", b"\0\0\0\0"])
def test_a_track_that_is_neither_sound_nor_picture_becomes_free_space(handler: bytes) -> None:
    film = track(handler, box(b"gmhd", SECRET))
    out = fed(mp4.mp4, film).everything

    assert out == film[:8] + film[8:12] + b"free" + bytes(len(film) - 16)
    assert fed(mp4.mp4, *one_by_one(film)).everything == out


def test_a_track_without_a_handler_becomes_free_space() -> None:
    film = box(b"moov", box(b"trak", box(b"tkhd", SECRET)))

    assert fed(mp4.mp4, film).everything == film[:12] + b"free" + bytes(len(film) - 16)


def test_fragments_of_such_a_track_are_refused() -> None:
    assert outcome(mp4.mp4, track(b"meta") + fragment(run(3), default=9)) == "unsupported_type"


def test_so_many_samples_of_such_a_track_are_refused() -> None:
    count = 40_000
    table = box(b"stco", struct.pack(">II", 0, count), b"".join((8 * place).to_bytes(4) for place in range(count)))

    assert outcome(mp4.mp4, track(b"meta", box(b"stbl", table))) == "unsupported_type"
    assert not isinstance(outcome(mp4.mp4, track(b"soun", box(b"stbl", table))), str)


def test_samples_that_lie_on_each_other_are_damage() -> None:
    table = box(b"stsz", struct.pack(">III", 0, 100, 2)), box(b"stco", struct.pack(">IIII", 0, 2, 50, 60))

    assert outcome(mp4.mp4, track(b"meta", box(b"stbl", *table))) == "file_damaged"


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
    media = box(
        b"mdia",
        mvhd(500, 0, version).replace(b"mvhd", b"mdhd")[:-80] + b"\x55\xc4" + bytes(78),
        box(b"hdlr", bytes(8), b"soun", bytes(13)),
    )
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


def shown(*samples: tuple[int, int], version: int = 1) -> bytes:
    """Return a fragment's table: durations of its samples, and how much later than they are decoded they are shown."""
    table = b"".join(struct.pack(">Ii", *sample) for sample in samples)
    return box(b"trun", bytes([version]) + b"\0\x09\0", len(samples).to_bytes(4), table)


def decoded_at(ticks: int, *, version: int = 0) -> bytes:
    return box(b"tfdt", bytes([version, 0, 0, 0]), ticks.to_bytes(8 if version else 4))


@pytest.mark.parametrize("version", [0, 1])
def test_pictures_that_are_shown_in_another_order_last_as_long_as_all_of_them(version: int) -> None:
    pictures = shown((100, 200), (100, 500), (100, 200), (100, 0), (100, 100), version=version)
    behind = shown((100, 0), (100, 300), (100, 0), (100, -200), (100, -100), version=version)

    for run in (pictures, behind):
        content = recorded(fragment(run), fragment(run))

        assert fed(mp4.mp4, content).seconds == pytest.approx(2)
        assert fed(mp4.mp4, content).everything == content
        assert fed(mp4.mp4, *one_by_one(content)) == fed(mp4.mp4, content)


@pytest.mark.parametrize("version", [0, 1])
def test_what_lies_between_fragments_counts_and_what_lies_before_them_does_not(version: int) -> None:
    parts = [fragment(decoded_at(ticks, version=version), run(1, 500)) for ticks in (10_000, 10_500, 12_000)]

    assert fed(mp4.mp4, recorded(*parts)).seconds == 5
    assert fed(mp4.mp4, *one_by_one(recorded(*parts))).seconds == 5


def test_until_others_are_decoded_is_not_how_long_a_picture_is_shown() -> None:
    """An encoder that was paused: the second picture waits for the third, which is shown before it."""
    paused = shown((100, 200), (3000, 3400), (100, 200), (100, 200))
    content = recorded(fragment(paused), fragment(shown(*[(100, 300)] * 10)))

    assert fed(mp4.mp4, content).seconds == pytest.approx((4600 - 200) / 500)


def edited(*edits: tuple[int, int], version: int = 0) -> bytes:
    """Return an edit list: durations in the film's time, and places in the track's time or -1."""
    entries = [struct.pack(">QqI" if version else ">IiI", *edit, 1 << 16) for edit in edits]
    return box(b"edts", box(b"elst", bytes([version, 0, 0, 0]), len(edits).to_bytes(4), *entries))


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("edits", [((1500, -1), (0, 200)), ((700, -1), (800, -1), (0, 200), (0, 900), (0, 1200))])
def test_a_track_in_fragments_begins_where_its_edits_say(version: int, edits: tuple[tuple[int, int], ...]) -> None:
    content = with_box(recorded(), [b"moov", b"trak"], edited(*edits, version=version))
    other = fragment(run(1, 500)).replace(TRACK.to_bytes(4), bytes([0, 0, 0, 9]))
    content += other + fragment(shown((500, 200), (500, 200)))

    assert fed(mp4.mp4, content).seconds == pytest.approx(1.5 + 2)
    assert fed(mp4.mp4, *one_by_one(content)) == fed(mp4.mp4, content)


def test_fragments_follow_on_the_samples_of_the_film() -> None:
    stts = box(b"stbl", box(b"stts", struct.pack(">IIII", 0, 1, 4, 250)))
    content = with_box(recorded(), [b"moov", b"trak", b"mdia"], box(b"minf", stts))

    assert fed(mp4.mp4, content + fragment(run(2, 500, 500))).seconds == 4
    assert fed(mp4.mp4, content + fragment(decoded_at(1000), run(2, 500, 500))).seconds == 4


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


TRACKS = element(
    0x1654AE6B, *[element(0xAE, element(0xD7, bytes([number])), element(0x83, b"\2")) for number in (1, 127)]
)


def film(*parts: bytes) -> bytes:
    return element(0x1A45DFA3, element(0x4282, b"webm")) + element(SEGMENT, TRACKS, *parts, size=UNKNOWN)


def cluster(time: int, *blocks: bytes) -> bytes:
    return element(CLUSTER, element(TIME, time.to_bytes(4)), *blocks, size=UNKNOWN)


def block(time: int, kind: int = SIMPLE, track: bytes = b"\x81") -> bytes:
    return element(kind, track, struct.pack(">hB", time, 0x80), bytes(30))


def test_a_recording_is_as_long_as_its_last_block_is_late() -> None:
    content = film(cluster(0, block(0), block(900)), cluster(1000, block(-20), block(400), block(300)))

    assert fed(webm.webm, content).seconds == pytest.approx(1.5)


def test_blocks_in_groups_and_of_tracks_beyond_127_count() -> None:
    grouped = element(GROUP, block(700, BLOCK), element(0x9B, b"\x14"))

    assert fed(webm.webm, film(cluster(0, grouped))).seconds == pytest.approx(0.8)
    assert fed(webm.webm, film(cluster(0, block(500, track=b"\x40\x7f")))).seconds == pytest.approx(0.6)


def test_times_are_in_the_scale_of_the_file() -> None:
    info = element(INFO, element(SCALE, (100_000).to_bytes(3)))

    assert fed(webm.webm, film(info, cluster(5000, block(1000)))).seconds == pytest.approx(0.7)


@pytest.mark.parametrize(("form", "value"), [(">f", 2500.0), (">d", 2500.0)])
def test_a_length_that_is_written_counts(form: str, value: float) -> None:
    assert fed(webm.webm, film(element(INFO, element(DURATION, struct.pack(form, value))))).seconds == 2.5


@pytest.mark.parametrize("form", [">f", ">d"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -5.0, 0.0, 3e38])
def test_a_length_that_is_none_does_not_count(form: str, value: float) -> None:
    info = element(INFO, element(DURATION, struct.pack(form, value)))

    assert fed(webm.webm, film(info)).seconds is None
    assert fed(webm.webm, film(info, cluster(0, block(300)))).seconds == pytest.approx(0.4)


def test_the_largest_numbers_are_still_a_number() -> None:
    info = element(INFO, element(SCALE, b"\xff" * 12), element(DURATION, struct.pack(">d", 2.0**62)))
    seconds = fed(webm.webm, film(info, cluster(0, block(1)))).seconds

    assert seconds is not None
    assert math.isfinite(seconds)


def test_what_nobody_needs_becomes_void_in_its_place() -> None:
    told = [
        element(identifier, SECRET) for identifier in (0x1254C367, 0x1941A469, 0x1043A770, 0xEC, 0xBF, 0x4DBC, 0x4F00)
    ]
    body = TRACKS + b"".join(told) + element(CLUSTER, element(TIME, b"\0"), told[0], block(1), *told)
    content = element(0x1A45DFA3, element(0x4282, b"webm")) + element(SEGMENT, body)

    out = fed(webm.webm, content + SECRET).everything

    assert len(out) == len(content)
    assert SECRET[:5] not in out
    assert fed(webm.webm, *one_by_one(content + SECRET)).everything == out
    assert out.count(b"\xec") >= 2 * len(told)


def test_a_track_keeps_what_a_decoder_needs() -> None:
    name, language = element(0x536E, SECRET), element(0x22B59C, b"nld")
    sound = element(0xE1, element(0xB5, b"1234"), element(0x7D7B, SECRET))
    entry = element(0xAE, element(0xD7, b"\1"), name, element(0x83, b"\2"), language, sound)
    content = element(0x1A45DFA3, element(0x4282, b"webm")) + element(SEGMENT, element(0x1654AE6B, entry), size=UNKNOWN)

    out = fed(webm.webm, content).everything

    assert len(out) == len(content)
    assert b"\xe1\x86\xb5\x841234" in out
    assert SECRET[:5] not in out
    assert b"nld" not in out


def test_what_belongs_to_no_sound_and_no_picture_becomes_void() -> None:
    words = element(SIMPLE, b"\x82\0\0\0" + SECRET)
    group = element(
        GROUP, element(BLOCK, b"\x82\0\0\0" + SECRET), element(0x75A1, element(0xA6, element(0xA5, SECRET)))
    )
    entry = element(0xAE, element(0xD7, b"\2"), element(0x83, b"\x11"), element(0x63A2, SECRET))
    content = film(element(0x1654AE6B, entry), cluster(0, words, block(1), group, block(2)))

    out = fed(webm.webm, content).everything

    assert len(out) == len(content)
    assert SECRET[:5] not in out
    assert out.count(block(1)[8:]) == content.count(block(1)[8:])


@pytest.mark.parametrize(
    ("codec", "frame", "is_key"),
    [
        ("A_OPUS", b"\xff", True),
        ("V_VP8", b"\x10\0\0", True),
        ("V_VP8", b"\x11\0\0", False),
        ("V_VP9", b"\x82\x49", True),
        ("V_VP9", b"\x86\0", False),
        ("V_VP9", b"\x88\0", False),
        ("V_AV1", b"\x12\0\x0a\x0b", True),
        ("V_AV1", b"\x12\0\x32\x0b", False),
        ("V_MPEG4/ISO/AVC", b"\0\0\0\1", False),
    ],
)
def test_frames_at_which_playing_can_begin_are_marked(codec: str, frame: bytes, is_key: bool) -> None:
    kind = b"\2" if codec.startswith("A") else b"\1"
    entry = element(0xAE, element(0xD7, b"\1"), element(0x83, kind), element(0x86, codec.encode()))
    start = element(0x1A45DFA3, element(0x4282, b"webm"))
    content = start + element(
        SEGMENT, element(0x1654AE6B, entry), cluster(0, element(SIMPLE, b"\x81\0\0\0" + frame)), size=UNKNOWN
    )

    out = fed(webm.webm, content).everything

    assert out[-len(frame) - 1] == (0x80 if is_key else 0)


def test_a_missing_duration_is_added() -> None:
    told = element(0x4D80, b"SECRETMUXER" * 3), element(0x4461, bytes(8)), element(0x7BA9, SECRET)
    content = film(element(INFO, *told), cluster(0, block(0), block(20), block(40)))

    out = fed(webm.webm, content)

    assert len(out.everything) == len(content)
    assert b"\x44\x89\x88" + struct.pack(">d", 60.0) in out.everything
    assert SECRET[:5] not in out.everything
    assert out.seconds == pytest.approx(0.06)


# ── Ogg, WAV, MP3 ─────────────────────────────────────────────────────────────────────────────────

OPUS = ogg_page(0, opus_head(0)) + ogg_page(0, b"OpusTags" + bytes(300))


def opus_page(granule: int, packets: int, serial: int = 1) -> bytes:
    """Return a page with packets of 20 ms."""
    header = b"OggS\0\0" + struct.pack("<qIII", granule, serial, 0, 0) + bytes([packets]) + b"\3" * packets
    return header + b"x12" * packets


def test_samples_that_are_skipped_do_not_play() -> None:
    content = ogg_page(0, opus_head(3840)) + ogg_page(0, b"OpusTags" + bytes(300)) + opus_page(48_000, 50)

    assert fed(ogg.ogg, content).seconds == pytest.approx(1.0 - 0.08)


def test_it_begins_where_its_first_page_begins() -> None:
    content = OPUS + opus_page(480_000 + 48_000, 50) + opus_page(480_000 + 96_000, 50)

    assert fed(ogg.ogg, content).seconds == pytest.approx(2)


def test_a_page_on_which_no_packet_ends_says_nothing() -> None:
    assert fed(ogg.ogg, OPUS + opus_page(24_000, 25) + ogg_page(-1, b"y")).seconds == pytest.approx(0.5)


def test_pages_that_say_less_than_they_contain_are_not_believed() -> None:
    assert fed(ogg.ogg, OPUS + opus_page(960, 250) + opus_page(1920, 250)).seconds == pytest.approx(10)


def test_what_is_no_sound_and_no_film_is_dropped() -> None:
    words = ogg_page(0, b"\x80kate\0\0\0" + SECRET, serial=2), ogg_page(1 << 40, SECRET, serial=2)
    content = OPUS[:47] + words[0] + OPUS[47:] + words[1] + opus_page(24_000, 25) + SECRET + words[1]

    result = fed(ogg.ogg, content)

    assert result.seconds == pytest.approx(0.5)
    assert SECRET[:5] not in result.everything
    assert result.everything == fed(ogg.ogg, OPUS + opus_page(24_000, 25)).everything


def test_pages_are_numbered_anew() -> None:
    long = b"OpusTags" + SECRET * 3000
    pages = [long[place : place + 65_025] for place in range(0, len(long), 65_025)]
    head = b"OggS\0%c" + bytes(8) + b"\1\0\0\0" + bytes(8)
    tagged = [
        head % (1 if number else 0)
        + bytes([len(_lacing(page, is_last=number + 1 == len(pages)))])
        + _lacing(page, is_last=number + 1 == len(pages))
        + page
        for number, page in enumerate(pages)
    ]
    content = ogg_page(0, opus_head(0)) + b"".join(tagged) + opus_page(24_000, 25) + opus_page(48_000, 25)

    found = list(ogg_pages(fed(ogg.ogg, content).everything))

    assert [int.from_bytes(header[18:22], "little") for header, _ in found] == [0, 1, 2, 3]
    assert found[1][1] == b"OpusTags" + bytes(8)
    assert found[0][0][5] == 2


def _lacing(page: bytes, *, is_last: bool) -> bytes:
    return b"\xff" * (len(page) // 255) + (bytes([len(page) % 255]) if is_last else b"")


def test_other_chunks_of_a_wav_are_dropped() -> None:
    original = wav(1.0)
    odd = riff_chunk(b"LIST", b"INFO" + SECRET[:29])
    content = original[:12] + odd + original[12:] + odd

    result = fed(riff.wav, content)

    assert result.seconds == 1.0
    assert result.everything == original


def test_data_before_its_format_is_damage() -> None:
    assert outcome(riff.wav, riff_of(b"WAVE", riff_chunk(b"data", bytes(100)))) == "file_damaged"


def test_what_is_no_frame_is_dropped() -> None:
    content = mp3_frame() * 3 + SECRET + mp3_frame() + SECRET + id3(SECRET) + mp3_frame() * 5 + SECRET

    result = fed(frames.mp3, content)

    assert result.everything == mp3_frame() * 8, "nor is one that stands alone"
    assert result.seconds == pytest.approx(8 * 1152 / 44_100)


@pytest.mark.parametrize("parse", [frames.mp3, frames.tagged, frames.adts])
def test_no_two_frames_in_a_row_are_damage(parse: Parse) -> None:
    assert outcome(parse, id3(bytes(20)) + b"no frame at all") == "file_damaged"
    assert outcome(parse, id3(bytes(20)) + mp3_frame() + bytes(99)) == "file_damaged"


def test_behind_id3_there_may_be_something_else() -> None:
    for content, subtype in ((adts_frame() * 3, "aac"), (flac(bytes(300)), "flac"), (mp3_frame() * 3, None)):
        stream = Stream(frames.tagged)
        out = stream.feed(id3(SECRET) + id3(b"") + content) + stream.finish()
        assert out == content
        assert stream.subtype == subtype


def test_a_frame_that_only_describes_the_others_is_no_sound() -> None:
    body = bytearray(mp3_frame())
    body[36:44] = b"Info\0\0\0\x0f"
    described = bytes(body)
    assert fed(frames.mp3, described + mp3_frame() * 100).seconds == pytest.approx(100 * 1152 / 44_100)
    body[156:165], body[177:180] = b"LAME3.100", (576 << 12 | 1000).to_bytes(3)
    assert fed(frames.mp3, bytes(body) + mp3_frame() * 100).seconds == pytest.approx((100 * 1152 - 1576) / 44_100)


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"APETAGEX\xd0\x07\0\0" + SECRET, b"ID3\x04\0" + SECRET])
@pytest.mark.parametrize("length", [300, 5000, 100_000])
def test_a_tag_behind_flac_is_dropped(tag: bytes, length: int) -> None:
    content = flac(b"x" * length)

    assert fed(frames.flac, content + tag).everything == content
    assert fed(frames.flac, *one_by_one(content[:1000] + tag)).everything == content[:1000]


def test_flac_is_as_long_as_its_frames_say() -> None:
    content = flac(bytes(300), samples=99)
    for number in range(1, 40):
        content += flac_frame(number) + bytes(300)

    assert fed(frames.flac, content).seconds == pytest.approx(40 * 4096 / 44_100)
    assert fed(frames.flac, content + flac_frame(126) + bytes(9)).seconds == pytest.approx(40 * 4096 / 44_100)


ITEM = struct.pack("<II", len(SECRET), 0) + b"Title\0" + SECRET
APE_FOOTER = b"APETAGEX" + struct.pack("<IIII", 1000, len(ITEM * 40) + 32, 40, 0) + bytes(8)
LYRICS = b"LYRICSBEGIN" + SECRET * 9
OLD = b"TAG" + SECRET.ljust(125)
TAILS = {
    "ape_1": ITEM * 40 + APE_FOOTER,
    "ape_1_id3_1": ITEM * 40 + APE_FOOTER + OLD,
    "ape_1_lyrics_id3_1": ITEM * 40 + APE_FOOTER + LYRICS + b"LYRICSEND" + OLD,
    "lyrics": LYRICS + b"LYRICSEND" + OLD,
    "lyrics_2": LYRICS + b"000300LYRICS200" + OLD,
    "id3_1": OLD,
    "id3_1_enhanced": b"TAG+" + SECRET.ljust(223) + OLD,
    "id3_2": id3(SECRET * 40),
    "id3_2_appended": id3(SECRET * 40).replace(b"ID3\3\0\0", b"ID3\4\0\x10") + b"3DI\4\0\x10\0\0\0\0",
    "id3_2_id3_1": id3(SECRET * 40) + OLD,
}


@pytest.mark.parametrize("tail", sorted(TAILS))
@pytest.mark.parametrize("name", ["mp3", "aac", "flac"])
def test_no_tag_behind_the_sound_passes(name: str, tail: str) -> None:
    sound = {"mp3": mp3_frame() * 4, "aac": adts_frame() * 4, "flac": flac(bytes(range(16)) * 300)}[name]
    parse = {"mp3": frames.mp3, "aac": frames.adts, "flac": frames.flac}[name]

    whole = fed(parse, sound + TAILS[tail])
    piecemeal = fed(parse, *one_by_one(sound + TAILS[tail]))

    assert whole.everything.rstrip(b"\0") == fed(parse, sound).everything.rstrip(b"\0")
    assert piecemeal.everything == whole.everything
    assert whole.seconds == fed(parse, sound).seconds
