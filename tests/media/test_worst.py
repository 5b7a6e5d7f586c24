"""No file takes more than a few milliseconds of the event loop at once: files made of what costs most."""

from __future__ import annotations

import struct
import time

import pytest

from passerby.media import frames, mp4, ogg, pictures, riff, webm
from passerby.media.stream import MediaError, Stream
from tests.media import containers as c
from tests.media.pictures import ihdr
from tests.support.worst import BOUND, BUSY

SIZE = 200_000
CHUNK = 64 * 1024
"""More than the socket reads at once."""
BY_ONES = b"\xff" + b"\1" * 255 + b"x" * 255
"""Table and body of a page of packets of one byte."""
PAGE = b"OggS\0\0" + bytes(8) + b"\1\0\0\0" + bytes(8) + BY_ONES
LIVE = c.WEBM + c.element(0x18538067, size=c.UNKNOWN)


def texts(count: int) -> bytes:
    """Return a film with a track of `count` texts, which are to be removed."""
    offsets = b"".join((100 + 200 * number).to_bytes(4) for number in range(count))
    table = c.box(
        b"stbl",
        c.box(b"stsc", struct.pack(">IIIII", 0, 1, 1, 1, 1)),
        c.box(b"stsz", struct.pack(">III", 0, 0, count), b"\0\0\0\x64" * count),
        c.box(b"stco", struct.pack(">II", 0, count), offsets),
    )
    media = c.box(b"mdia", c.box(b"hdlr", bytes(8), b"text"), c.box(b"minf", table))
    return c.box(b"moov", c.box(b"trak", media))


def fragments(track: int) -> bytes:
    """Return as many fragments of a track as fit into a sixteenth."""
    head = c.box(b"tfhd", b"\0\0\0\x08", track.to_bytes(4), b"\0\0\0\1")
    return c.box(b"traf", head, c.box(b"trun", bytes(7) + b"\1") * (SIZE // 16 // 16))


COLOURS = c.element(0x55B0, c.element(0x55D0, b"\x55\xd1\x80" * 250))


def nested(master: int, body: bytes, count: int) -> bytes:
    """Return a track with `count` masters full of elements."""
    return c.element(0xAE, c.PICTURE, *[c.element(master, body)] * count)


def descriptions(box: bytes, boxes: int) -> bytes:
    """Return a film whose sound has 60 descriptions with `boxes` boxes each."""
    description = c.box(b"mp4a", bytes(28), *[box] * boxes)
    count = min(60, 131_000 // len(description))
    table = c.box(b"stsd", struct.pack(">II", 0, count), *[description] * count)
    media = c.box(b"mdia", c.box(b"hdlr", bytes(8), b"soun"), c.box(b"minf", c.box(b"stbl", table)))
    return c.box(b"moov", c.box(b"trak", media))


WORST = {
    "mp3_false_frames": (frames.mp3, c.mp3_frame()[:4] * (SIZE // 4)),
    "mp3_small_frames": (frames.mp3, (b"\xff\xf3\x18\xc0" + bytes(20)) * (SIZE // 24)),
    "aac_small_frames": (frames.adts, c.adts_frame(b"") * (SIZE // 7)),
    "id3_many": (frames.tagged, c.id3(b"") * (SIZE // 10)),
    "flac_false_frames": (frames.flac, c.flac(b"\xff\xf8\x10\x00" * (SIZE // 4))),
    "flac_blocks": (frames.flac, b"fLaC\0\0\0\x22" + bytes(34) + b"\4\0\0\0" * (SIZE // 4)),
    "flac_tags": (frames.flac, c.flac(b"TAG" * (SIZE // 3))),
    "ogg_empty_pages": (ogg.ogg, c.ogg_page(0, c.opus_head(0)) + c.ogg_page(960, b"") * (SIZE // 28)),
    "ogg_small_packets": (ogg.ogg, c.ogg_page(0, c.opus_head(0)) + c.ogg_page(0, b"OpusTags") + PAGE * (SIZE // 538)),
    "ogg_small_headers": (ogg.ogg, c.ogg_page(0, b"\x01vorbis" + bytes(23)) + PAGE * (SIZE // 538)),
    "wav_chunks": (riff.wav, b"RIFF\0\0\0\0WAVE" + b"LIST\0\0\0\0" * (SIZE // 8)),
    "avi_chunks": (riff.avi, b"RIFF\0\0\0\0AVI " + b"00dc\0\0\0\0" * (SIZE // 8)),
    "webm_voids": (webm.webm, LIVE + b"\xec\x80" * (SIZE // 2)),
    "webm_tracks": (webm.webm, LIVE + c.element(0xAE, b"\x9c\x80" * 255) * (SIZE // 520)),
    "webm_track": (webm.webm, LIVE + c.element(0xAE, b"\x9c\x80" * 60_000)),
    "webm_nested_sound": (webm.webm, LIVE + nested(0xE1, b"\x9f\x80" * 255, 240) * 2),
    "webm_nested_colours": (webm.webm, LIVE + nested(0xE0, COLOURS * 4, 16) * 2),
    "webm_nested_encodings": (webm.webm, LIVE + nested(0x6D80, c.element(0x6240, b"\x50\x31\x80" * 200) * 9, 20)),
    "webm_vorbis": (
        webm.webm,
        LIVE + c.element(0xAE, c.SOUND, c.element(0x86, b"A_VORBIS"), c.element(0x63A2, b"\2" + b"\xff" * 130_000)),
    ),
    "mp4_descriptions": (mp4.mp4, descriptions(c.box(b"free"), 200)),
    "mp4_descriptions_nested": (mp4.mp4, descriptions(c.box(b"wave", c.box(b"free") * 63), 31)),
    "mp4_descriptions_flac": (mp4.mp4, descriptions(c.box(b"dfLa", bytes(4), b"\4\0\0\0" * 63), 31)),
    "mp4_zeros": (mp4.mp4, c.box(b"mdat", bytes(SIZE)) + c.box(b"moov")),
    "mp4_messages": (mp4.mp4, c.box(b"mdat", b"\0\0\0\x04\x06\5\1\x80" * (SIZE // 8)) + c.box(b"moov")),
    "mp4_almost_messages": (
        mp4.mp4,
        c.box(b"mdat", b"\0\0\0\0\x06\5\xff\xff\xff\xff\xff\xff" * (SIZE // 12)) + c.box(b"moov"),
    ),
    "mp4_boxes": (mp4.mp4, c.box(b"moov") * (SIZE // 8)),
    "mp4_fragment": (mp4.mp4, c.box(b"moof", c.box(b"traf", c.box(b"trun", b"\0\0\1\0" + b"\xff" * 4 + bytes(SIZE))))),
    "mp4_fragment_offsets": (
        mp4.mp4,
        c.box(b"moof", c.box(b"traf", c.box(b"trun", b"\0\0\x09\0" + b"\xff" * 4 + bytes(SIZE)))),
    ),
    "mp4_fragments": (mp4.mp4, c.box(b"moof", *[fragments(track) for track in range(16)])),
    "mp4_texts": (mp4.mp4, texts(30_000)),
    "jpeg_markers": (pictures.jpeg(99), b"\xff\xd8" + b"\xff\x01" * (SIZE // 2)),
    "jpeg_segments": (pictures.jpeg(99), b"\xff\xd8" + b"\xff\xe3\0\2" * (SIZE // 4)),
    "png_chunks": (pictures.png(99), c.PNG_MAGIC + ihdr(1, 1) + c.chunk(b"IDAT") * (SIZE // 12)),
    "gif_blocks": (pictures.gif(99), b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\0" * (SIZE // 3)),
    "webp_chunks": (pictures.webp(99), b"RIFF\xff\xff\xff\x7fWEBP" + b"ALPH\0\0\0\0" * (SIZE // 8)),
}


@pytest.mark.parametrize("name", sorted(WORST))
def test_no_portion_takes_long(name: str) -> None:
    parse, content = WORST[name]
    longest = 0.0
    stream = Stream(parse)
    pieces = [stream.portions(content[at : at + CHUNK]) for at in range(0, len(content), CHUNK)]
    try:
        for portions in [*pieces, stream.ending()]:
            while True:
                began = time.thread_time()
                portion = next(portions, None)
                longest = max(longest, time.thread_time() - began)
                if portion is None:
                    break
    except MediaError as error:
        assert error.code in {"file_damaged", "unsupported_type"}  # noqa: PT017 - some of these files are accepted

    assert longest < BOUND * BUSY
