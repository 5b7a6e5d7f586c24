"""What a file is, by its first bytes: its name and its sender's word count for nothing that matters.

Only what stands in this table may be shown inside a page. Everything else is handed out as an attachment.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from passerby.media import pictures, sound
from passerby.media.stream import MediaError, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD: Final = 4096
"""Bytes that tell what a file is."""
ATTACHMENT: Final = "application/octet-stream"

Category = Literal["image", "video", "audio", "document"]


class Kind(Struct, frozen=True):
    """One kind of file. `inline` ones may be shown in a page; `parse` is run over the bytes on their way in."""

    mime_type: str
    category: Category = "document"
    inline: bool = False
    parse: Callable[[Stream], Any] = sound.anything
    bounded: bool = False
    """Its end can be told: a file without it is damaged."""


_TOO_MUCH_KNOWN: Final = "Send pictures as JPEG, PNG, WebP or GIF: from others, place and time cannot be removed"
_ACTIVE: Final = re.compile(
    rb"<!doctype|<html|<head|<body|<script|<iframe|<svg|<\?xml|<\?php|<%|%pdf-|javascript:|mz\x90\0\x03", re.IGNORECASE
)
_STILLS: Final = frozenset(b"heic heix heim heis hevc hevx avci avcs mif1 msf1 miaf avif avis".split()) | {b"crx "}
"""Brands of HEIF and AVIF, of Canon's raw pictures."""
_GIF_SCRIPT: Final = re.compile(rb"GIF8[79]a(/\*|=|\+)")


def kind_of(head: bytes, claimed: str, *, max_pixels: int) -> Kind:
    """Return the kind of a file that begins with `head`, its first HEAD bytes or all there are.

    `claimed` is the MIME type that the sender says: it only decides between sound and video in one container.
    Raises MediaError (unsupported_type) for pictures that cannot be freed of their metadata.
    """
    return _picture(head, max_pixels) or _media(head, claimed) or _document(head, claimed)


def is_active(head: bytes) -> bool:
    """Tell whether the first bytes hold what a browser might run: then nothing is shown inline."""
    return _ACTIVE.search(head) is not None or _GIF_SCRIPT.match(head) is not None


def _picture(head: bytes, max_pixels: int) -> Kind | None:
    if head.startswith(b"\xff\xd8\xff"):
        return Kind("image/jpeg", "image", True, pictures.jpeg(max_pixels), True)  # noqa: FBT003 - inline, bounded
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind("image/png", "image", True, pictures.png(max_pixels), True)  # noqa: FBT003
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Kind("image/gif", "image", True, pictures.gif(max_pixels), True)  # noqa: FBT003
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Kind("image/webp", "image", True, pictures.webp(max_pixels), True)  # noqa: FBT003
    is_still = not _STILLS.isdisjoint(_brands(head))
    is_tiff = head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))
    if is_still or is_tiff or head.startswith((b"8BPS", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ")):
        raise MediaError("unsupported_type", _TOO_MUCH_KNOWN)
    return None


def _brands(head: bytes) -> set[bytes]:
    """Return what a file of boxes says that it is, and is compatible with."""
    if head[4:8] != b"ftyp":
        return set()
    return {head[8:12]} | {head[place : place + 4] for place in range(16, min(int.from_bytes(head[:4]), len(head)), 4)}


def _media(head: bytes, claimed: str) -> Kind | None:
    second = head[1] if len(head) > 1 else 0
    by_claim: Literal["audio", "video"] = "audio" if claimed.startswith("audio/") else "video"
    riff, brand = head[8:12] if head[:4] == b"RIFF" else b"", head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in (b"M4A ", b"M4B "):
        kind = Kind("audio/mp4", "audio", True, sound.mp4)  # noqa: FBT003
    elif brand == b"qt  ":
        kind = Kind("video/quicktime", "video", True, sound.mp4)  # noqa: FBT003
    elif brand:
        kind = _played(by_claim, "mp4", sound.mp4)
    elif head.startswith(b"\x1aE\xdf\xa3"):
        kind = _played(by_claim, "webm", sound.webm) if b"webm" in head[:64] else Kind("video/x-matroska", "video")
    elif head.startswith(b"OggS"):
        kind = _played("video" if claimed.startswith("video/") else "audio", "ogg", sound.ogg)
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


def _played(category: Literal["audio", "video"], subtype: str, parse: Callable[[Stream], Any]) -> Kind:
    return Kind(f"{category}/{subtype}", category, True, parse)  # noqa: FBT003


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
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # whose last character may be cut
    except UnicodeDecodeError:
        return Kind(ATTACHMENT)
    is_plain = not any(character < " " and character not in "\t\n\r\f" for character in text)
    return Kind("text/plain" if is_plain and not is_active(head) else ATTACHMENT)
