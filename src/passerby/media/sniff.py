"""Detects the type of a file by its first bytes, not by its name or the sender's claim.

Only types in this table may be displayed inside a page. All others are sent as attachments.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from passerby.errors import Code
from passerby.media import markup, mp4, pictures, sound
from passerby.media.stream import MediaError, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

HEAD: Final = 4096
"""Bytes needed to detect the type."""
ATTACHMENT: Final = "application/octet-stream"

Category = Literal["image", "video", "audio", "document"]


class Kind(Struct, frozen=True):
    """One type of file. `inline` types may be displayed in a page; `parse` processes the bytes during upload."""

    mime_type: str
    category: Category = "document"
    inline: bool = False
    parse: Callable[[Stream], Any] = sound.anything
    bounded: bool = False
    """Whether the format has an end marker: a file without it is damaged."""
    by_tracks: bool = False
    """Whether the tracks, which are read later, decide between audio and video."""


_PICTURES: Final = {
    "image/jpeg": (re.compile(rb"\xff\xd8\xff"), pictures.jpeg),
    "image/png": (re.compile(rb"\x89PNG\r\n\x1a\n"), pictures.png),
    "image/webp": (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), pictures.webp),
    "image/gif": (re.compile(rb"GIF8[79]a"), pictures.gif),
}
PICTURE_TYPES: Final = tuple(_PICTURES)
"""Accepted picture types: their metadata can be removed."""
_TOO_MUCH_KNOWN: Final = "Send pictures as JPEG, PNG, WebP or GIF: from others, place and time cannot be removed"
_ACTIVE: Final = re.compile(
    b"|".join(map(re.escape, (*markup.BEGINNINGS, b"<%", b"%pdf-", b"javascript:"))), re.IGNORECASE
)
"""Active content in text."""
_STILLS: Final = frozenset(b"heic heix heim heis hevc hevx avci avcs mif1 msf1 miaf avif avis".split()) | {b"crx "}
"""Brands of HEIF and AVIF, and of Canon's raw pictures."""
_POLYGLOT: Final = re.compile(
    rb"GIF8[79]a(?:/[/*]|[\t-\r -~\x80-\xff]{1,6}[\"'`/]|[\t-\r -~\x80-\xff]{7})|.{0,1023}%PDF-[12]\.", re.DOTALL
)
"""Polyglots. A GIF whose header is also a script that starts a comment or a string; a GIF less than 2,304 pixels
wide has control characters there. A PDF, whose header readers accept anywhere in the first KiB."""


def kind_of(head: bytes, claimed: str, *, max_pixels: int) -> Kind:
    """Return the type of a file; `head` is its first HEAD bytes, or the whole file if it is shorter.

    `claimed` is the sender's MIME type; it only decides between audio and video in the same container.
    Raises MediaError (unsupported_type) for pictures whose metadata cannot be removed.
    """
    return _picture(head, max_pixels) or _media(head, claimed) or _document(head, claimed)


def of_tracks(kind: Kind, tracks: Collection[str]) -> Kind:
    """Return the final type when the tracks are known: a video track makes it a video, whatever the sender claims."""
    if not kind.by_tracks or not tracks:
        return kind
    category: Literal["audio", "video"] = "video" if "video" in tracks else "audio"
    return replace(kind, category=category, mime_type=f"{category}/{kind.mime_type.partition('/')[2]}")


def is_active(text: bytes) -> bool:
    """Return whether the first bytes of a text contain content that a browser might execute."""
    return _ACTIVE.search(text) is not None


def is_polyglot(head: bytes) -> bool:
    """Return whether the head of a picture, sound or video is also an executable format."""
    return _POLYGLOT.match(head) is not None


def _picture(head: bytes, max_pixels: int) -> Kind | None:
    for mime_type, (beginning, parser) in _PICTURES.items():
        if beginning.match(head):
            return Kind(mime_type, "image", inline=True, parse=parser(max_pixels), bounded=True)
    is_still = not _STILLS.isdisjoint(_brands(head))
    is_tiff = head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))
    if is_still or is_tiff or head.startswith((b"8BPS", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ")):
        raise MediaError(Code.UNSUPPORTED_TYPE, _TOO_MUCH_KNOWN)
    return None


def _brands(head: bytes) -> set[bytes]:
    """Return the brands of a file of boxes: its major and its compatible ones."""
    if head[4:8] != b"ftyp":
        return set()
    return {head[8:12]} | {head[place : place + 4] for place in range(16, min(int.from_bytes(head[:4]), len(head)), 4)}


def _media(head: bytes, claimed: str) -> Kind | None:
    second = head[1] if len(head) > 1 else 0
    by_claim: Literal["audio", "video"] = "audio" if claimed.startswith("audio/") else "video"
    riff, brand = head[8:12] if head[:4] == b"RIFF" else b"", head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in (b"M4A ", b"M4B "):
        kind = _played("audio", "mp4", mp4.mp4)  # audio books contain pictures as a video track
    elif brand == b"qt  ":
        kind = _played("video", "quicktime", mp4.mp4)
    elif brand:
        kind = _played(by_claim, "mp4", mp4.mp4, by_tracks=True)
    elif head.startswith(b"\x1aE\xdf\xa3"):
        is_webm = b"webm" in head[:64]
        kind = _played(by_claim, "webm", sound.webm, by_tracks=True) if is_webm else Kind("video/x-matroska", "video")
    elif head.startswith(b"OggS"):
        kind = _played("video" if claimed.startswith("video/") else "audio", "ogg", sound.ogg, by_tracks=True)
    elif riff == b"WAVE":
        kind = _played("audio", "wav", sound.wav)
    elif head.startswith(b"fLaC"):
        kind = _played("audio", "flac", sound.anything)
    elif head[:1] == b"\xff" and second & 0xF6 == 0xF0:  # noqa: PLR2004 - ADTS
        kind = _played("audio", "aac", sound.anything)
    elif head.startswith(b"ID3") or (head[:1] == b"\xff" and second & 0xE6 == 0xE2):  # noqa: PLR2004 - layer III
        kind = _played("audio", "mpeg", sound.mp3)
    else:
        return None
    return kind


def _played(
    category: Literal["audio", "video"], subtype: str, parse: Callable[[Stream], Any], *, by_tracks: bool = False
) -> Kind:
    return Kind(f"{category}/{subtype}", category, inline=True, parse=parse, by_tracks=by_tracks)


_OFFICE: Final = re.compile(
    r"application/(vnd\.(openxmlformats-officedocument|oasis\.opendocument)\.[a-z.-]{1,80}|epub\+zip)"
)
_DOCUMENTS: Final = (
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"{\\rtf", "application/rtf"),
)


def _document(head: bytes, claimed: str) -> Kind:
    for magic, mime_type in _DOCUMENTS:
        if head.startswith(magic):
            office = mime_type == "application/zip" and _OFFICE.fullmatch(claimed)
            return Kind(claimed if office else mime_type)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be incomplete
    except UnicodeDecodeError:
        return Kind(ATTACHMENT)
    is_plain = not any(character < " " and character not in "\t\n\r\f" for character in text)
    return Kind("text/plain" if is_plain and not is_active(head) else ATTACHMENT)
