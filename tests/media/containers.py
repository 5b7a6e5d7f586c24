"""Builds and reads containers of pictures and sound, independently of `passerby.media`."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECRET = b"+47.3769+008.5417/ Anna's phone"
"""Private data, put into all metadata fields for place, time and author."""
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"

# ── JPEG ──────────────────────────────────────────────────────────────────────────────────────────


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def segments(jpeg: bytes) -> list[bytes]:
    """Return SOI, all segments, each SOS with its scan data, and EOI."""
    assert jpeg[:2] == b"\xff\xd8"
    found, place = [jpeg[:2]], 2
    while jpeg[place : place + 2] != b"\xff\xd9":
        assert jpeg[place] == 0xFF
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4])
        if jpeg[place + 1] == 0xDA:
            while jpeg[end] != 0xFF or jpeg[end + 1] in {0, *range(0xD0, 0xD8)}:
                end += 1
        found.append(jpeg[place:end])
        place = end
    assert len(jpeg) == place + 2
    return [*found, jpeg[place:]]


def exif(orientation: int | None, order: str = ">", kind: int = 3) -> bytes:
    """Return Exif as a phone writes it: model, optional orientation, location, and a second directory."""
    short, long, text = 3, 4, 2
    count = 2 + (orientation is not None)
    behind = 8 + 2 + 12 * count + 4
    entries = struct.pack(order + "HHII", 0x010F, text, len(SECRET), behind)
    if orientation is not None:
        entries += struct.pack(order + "HHIHH", 0x0112, kind, 1, orientation, 0)
    entries += struct.pack(order + "HHII", 0x8825, long, 1, behind + len(SECRET))
    place = struct.pack(order + "HHHI4sI", 1, 1, text, 2, b"N\0\0\0", 0)
    thumbnail = struct.pack(order + "HHHIHHI", 1, 0x0103, short, 1, 6, 0, 0) + b"\xff\xd8" + SECRET + b"\xff\xd9"
    start = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(order + "IH", 8, count) + entries + struct.pack(order + "I", behind + len(SECRET) + 18)
    return b"Exif\0\0" + start + directory + SECRET + place + thumbnail


def only_orientation(orientation: int) -> bytes:
    """Return a segment that contains the orientation only."""
    return bytes.fromhex(
        "ffe1 0022 457869660000 4d4d002a 00000008 0001 0112 0003 00000001" + f"{orientation:04x}" + "0000 00000000"
    )


# ── PNG ───────────────────────────────────────────────────────────────────────────────────────────


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a PNG. They must be valid, and the last one must end the file."""
    assert png.startswith(PNG_MAGIC)
    found: list[tuple[bytes, bytes]] = []
    place = len(PNG_MAGIC)
    while place < len(png):
        length = int.from_bytes(png[place : place + 4])
        kind, body = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        assert chunk(kind, body) == png[place : place + 12 + length]
        found.append((kind, body))
        place += 12 + length
    assert found[-1] == (b"IEND", b"")
    return found


# ── GIF ───────────────────────────────────────────────────────────────────────────────────────────


def sub_blocks(data: bytes) -> bytes:
    """Return `data` in sub-blocks of up to 255 bytes."""
    parts = [data[place : place + 255] for place in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def blocks(gif: bytes) -> list[bytes]:
    """Return the header with its colour table, all blocks, and the trailer, which must end the file."""

    def colours(flags: int) -> int:
        return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0

    place = 13 + colours(gif[10])
    found = [gif[:place]]
    while gif[place : place + 1] != b";":
        end = place + 2 if gif[place : place + 1] == b"!" else place + 10 + colours(gif[place + 9]) + 1
        while gif[end]:
            end += 1 + gif[end]
        found.append(gif[place : end + 1])
        place = end + 1
    assert gif[place:] == b";"
    return [*found, b";"]


# ── RIFF: WebP, WAV ───────────────────────────────────────────────────────────────────────────────


def riff_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def riff(form: bytes, *parts: bytes) -> bytes:
    body = form + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a RIFF file, which must fill the file."""
    assert data[:4] == b"RIFF"
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    found, place = [], 12
    while place < len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        found.append((data[place : place + 4], data[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    assert place == len(data)
    return found


def wav(data: bytes) -> bytes:
    """Return a WAV of one channel: 8,000 bytes a second."""
    form = riff_chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8))
    return riff(b"WAVE", form, riff_chunk(b"data", data))


def vp8x(flags: int, width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff_chunk(b"VP8X", struct.pack("<I", flags) + size)


# ── MP4 ───────────────────────────────────────────────────────────────────────────────────────────


def box(kind: bytes, *parts: bytes, long: bool = False) -> bytes:
    """Return a box; a `long` one has a 64-bit size."""
    body = b"".join(parts)
    if long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def ftyp(brand: bytes, *compatible: bytes) -> bytes:
    return box(b"ftyp", brand, bytes(4), *compatible)


def mvhd(scale: int, duration: int, version: int = 0) -> bytes:
    times = struct.pack(">QQIQ" if version else ">IIII", 0, 0, scale, duration)
    return box(b"mvhd", bytes([version, 0, 0, 0]), times, bytes(80))


def boxes(mp4: bytes, begin: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield kind, start, start of the body and end of every box, recursing into movies, tracks and media."""
    end = len(mp4) if end is None else end
    while begin < end:
        length, kind = struct.unpack_from(">I4s", mp4, begin)
        body = begin + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", mp4, body)
            body += 8
        stop = begin + length if length else end
        yield kind, begin, body, stop
        if kind in {b"moov", b"trak", b"mdia", b"mvex", b"moof", b"traf"}:
            yield from boxes(mp4, body, stop)
        begin = stop
    assert begin == end


def with_box(mp4: bytes, path: Iterable[bytes], new: bytes) -> bytes:
    """Return `mp4` with the box `new` at the end of the box at `path`."""
    wanted = set(path)
    enclosing = [found for found in boxes(mp4) if found[0] in wanted]
    changed = bytearray(mp4)
    for _, start, _, stop in enclosing:
        changed[start : start + 4] = struct.pack(">I", stop - start + len(new))
    place = min(stop for _, _, _, stop in enclosing) if enclosing else len(mp4)
    return bytes(changed[:place]) + new + bytes(changed[place:])


# ── WebM, Ogg, MP3, AAC, FLAC ────────────────────────────────────────────────────────────────────────────

UNKNOWN = -1
"""An unknown size."""


def element(identifier: int, *parts: bytes, size: int | None = None) -> bytes:
    """Return an EBML element with its size in eight bytes."""
    body = b"".join(parts)
    size = len(body) if size is None else size
    length = b"\x01" + b"\xff" * 7 if size == UNKNOWN else (1 << 56 | size).to_bytes(8)
    return identifier.to_bytes((identifier.bit_length() + 7) // 8) + length + body


WEBM = element(0x1A45DFA3, element(0x4282, b"webm"))
SOUND, PICTURE = element(0x83, b"\2"), element(0x83, b"\1")
"""What makes a track sound or picture."""


def webm(*entries: bytes, data: bytes = bytes(99)) -> bytes:
    """Return a WebM with a track for each of `entries`, and one block of track 1 that contains `data`."""
    tracks = [element(0xAE, element(0xD7, bytes([number])), entry) for number, entry in enumerate(entries, 1)]
    block = element(0xA3, b"\x81\0\0\x80" + data)
    return WEBM + element(0x18538067, element(0x1654AE6B, *tracks), element(0x1F43B675, block))


def ogg_page(granule: int, packet: bytes, serial: int = 1) -> bytes:
    lacing = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    header = b"OggS\0\0" + struct.pack("<qIII", granule, serial, 0, 0)
    return header + bytes([len(lacing)]) + lacing + packet


def ogg_pages(ogg: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield headers (with their tables) and bodies of the pages, which must fill the file and have right checksums."""
    place = 0
    while place < len(ogg):
        assert ogg[place : place + 5] == b"OggS\0"
        start = place + 27 + ogg[place + 26]
        end = start + sum(ogg[place + 27 : start])
        page = ogg[place : place + 22] + bytes(4) + ogg[place + 26 : end]
        assert ogg_checksum(page) == int.from_bytes(ogg[place + 22 : place + 26], "little")
        yield ogg[place:start], ogg[start:end]
        place = end


def ogg_checksum(page: bytes) -> int:
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


def opus_head(pre_skip: int) -> bytes:
    return b"OpusHead\x01\x01" + struct.pack("<HIHB", pre_skip, 44_100, 0, 0)


def mp3_frame(body: bytes = b"", *, padded: bool = False) -> bytes:
    """Return a frame of MPEG 1 layer III: 128 kbit/s, 44.1 kHz, 1,152 samples."""
    return bytes([0xFF, 0xFB, 0x92 if padded else 0x90, 0xC0]) + body.ljust(413 + padded, b"\0")


def mp3_frames(content: bytes) -> bytes:
    """Return frames that contain `content`, and one more."""
    return b"".join(mp3_frame(content[place : place + 413]) for place in range(0, len(content) + 1, 413)) + mp3_frame()


def adts_frame(body: bytes = bytes(100)) -> bytes:
    """Return a frame of AAC: 44.1 kHz, 1,024 samples."""
    size = 7 + len(body)
    return bytes([0xFF, 0xF1, 0x50, 0x80 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC]) + body


def flac(content: bytes, *blocks: tuple[int, bytes], samples: int = 4096) -> bytes:
    """Return FLAC of one frame that contains `content`, with further blocks of metadata; 44.1 kHz."""
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + (44_100 << 44 | samples).to_bytes(8) + bytes(16)
    metadata = [(0, info), *blocks]
    written = [
        bytes([kind | (0x80 if number == len(metadata) else 0)]) + len(body).to_bytes(3) + body
        for number, (kind, body) in enumerate(metadata, 1)
    ]
    return b"fLaC" + b"".join(written) + flac_frame(0) + content


def flac_frame(number: int) -> bytes:
    """Return the header of a frame of 4,096 samples."""
    header = b"\xff\xf8\xc0\0" + chr(number).encode()
    crc = 0
    for byte in header:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (7 if crc & 0x80 else 0)) & 0xFF
    return header + bytes([crc])


def id3(body: bytes) -> bytes:
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body
