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
from passerby.media import frames, markup, mp4, ogg, pictures, riff, webm
from passerby.media.stream import MediaError, Stream, anything

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD: Final = 4096
"""Bytes needed to detect the type."""
ATTACHMENT: Final = "application/octet-stream"

Category = Literal["image", "video", "audio", "document"]


class Kind(Struct, frozen=True):
    """One type of file. `inline` types may be displayed in a page; `parse` processes the bytes during upload."""

    mime_type: str
    category: Category = "document"
    inline: bool = False
    parse: Callable[[Stream], Any] = anything
    by_tracks: bool = False
    """Whether the tracks, which are read later, decide between audio and video."""


_RIFF: Final = frozenset({b"RIFF", b"RF64", b"BW64"})
_PICTURES: Final = {
    "image/jpeg": (re.compile(rb"\xff\xd8\xff"), pictures.jpeg),
    "image/png": (re.compile(rb"\x89PNG\r\n\x1a\n"), pictures.png),
    "image/webp": (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), pictures.webp),
    "image/gif": (re.compile(rb"GIF8[79]a"), pictures.gif),
}
PICTURE_TYPES: Final = tuple(_PICTURES)
"""Accepted picture types: their metadata can be removed."""
_TOO_MUCH_KNOWN: Final = (
    "Send pictures as JPEG, PNG, WebP or GIF, sound as MP3, M4A, Ogg, WAV or FLAC, and films as MP4, MOV, WebM, MKV or"
    " AVI: from others, place and time cannot be removed"
)
_UNCLEANABLE: Final = re.compile(
    b"|".join(
        (
            # pictures: TIFF, raw pictures of cameras (most of them are TIFF), JPEG XL, 2000 and XR, Photoshop, …
            rb"II[*+]\0|MM\0[*+]|II(?:RO|RS|U\0|T\0)|MMOR|II\x1a\0\0\0HEAP|II\xbc[\0\x01]|FUJIFILMCCD-RAW|FOVb",
            rb"\0MRM",
            rb"8BP[SB]\0|\xff\x0a|\0\0\0\x0c(?:JXL |jP  )|\xffO\xffQ|gimp xcf |v/1\x01|BPG\xfb|FLIF|\x8aMNG|\x8bJNG",
            rb"#\?R(?:ADIANCE|GBE)|SDPX|XPDS|.{128}DICM",
            # sound: ASF (WMA and WMV), AIFF, CAF, AU, Wave64, Monkey's Audio, WavPack, Musepack, TTA, DSD, RealMedia, …
            rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11|FORM.{4}(?:AIF[FC]|8SVX)|caff|\.snd|RIFX|riff\x2e\x91\xcf\x11",
            rb"MAC |wvpk|MP\+|MPCK|TTA[12]|OFR |DSD |FRM8|\.RMF|\.ra\xfd|MThd|ADIF|APETAGEX|TAG.{125}",
            rb"Creative Voice File",
            # film: Flash, MPEG programs and transport streams, MXF, RED, DV, NUT
            rb"FLV\x01|\0\0\x01[\xb3\xba]|(?:G.{187}){2}G|(?:.{4}G.{187}){2}.{4}G|\x06\x0e\x2b\x34|.{4}RED[12]",
            rb"\x1f\x07\0[\xbf\x3f]|nut/multimedia container",
            # pictures: IFF (ILBM, …), DjVu, Paint Shop Pro, EPS with a preview, WMF, EMF, Cineon
            rb"(?:AT&T)?FORM.{4}[A-Z0-9 ]{4}|Paint Shop Pro Image File|\x01\0\0\0.{36} EMF",
            rb"\xc5\xd0\xd3\xc6|\xd7\xcd\xc6\x9a",
            rb"\x80\x2a\x5f\xd7|\xd7\x5f\x2a\x80",
            # other RIFF; sound: TAK, Shorten, ATRAC, AC-3, and modules (XM, IT, S3M, MOD)
            rb"(?:RIFF|RF64|BW64).{4}(?!WAVE|AVI |WEBP)|tBaK|ajkg|ea3\x03|EA3[\x01-\x03]",
            rb"\x0b\x77(?:..[\x00-\x25\x40-\x65\x80-\xa5][\x00-\x47]|.{3}[\x80-\x87])",
            rb"Extended Module: |IMPM|.{28}\x1a\x10.{14}SCRM|.{1080}(?:M[.!]K[.!]|FLT[48]|[468]CHN)",
            # film: WTV, Shockwave Flash, H.264, H.265 and MPEG without a container
            rb"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e|[FCZ]WS[\x01-\x40].{3}\0|\0\0\x01[\xb0\xb2\xb5\xb8]",
            rb"\0\0\0?\x01(?:[\x27\x47\x67][\x42\x4d\x58\x64\x6e\x7a\xf4]|\x09[\x10-\xf0]\0\0|[\x40\x42\x46]\x01)",
        )
    ),
    re.DOTALL,
)
"""Pictures, sound and films with room for metadata that no parser here removes."""
_UNCLEANABLE_TEXT: Final = re.compile(rb"%!PS-Adobe-[0-9.]{1,5} EPSF-|SIMPLE  = {1,24}T[ /]")
"""The same, written as text: EPS and FITS."""
_QUICKTIME: Final = re.compile(rb"\0.{3}(?:moov|mdat|free|skip|wide|pnot)", re.DOTALL)
"""A film without `ftyp`, as QuickTime wrote it before MP4."""
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
    Raises MediaError (unsupported_type) for pictures, sound and films whose metadata cannot be removed.
    """
    picture = _picture(head, max_pixels)
    if picture is not None:
        return picture
    is_text = _is_text(head)
    if _UNCLEANABLE_TEXT.match(head) or (
        not is_text and (not _STILLS.isdisjoint(_brands(head)) or _UNCLEANABLE.match(head))
    ):
        raise MediaError(Code.UNSUPPORTED_TYPE, _TOO_MUCH_KNOWN)
    return (None if is_text else _film(head, claimed) or _sound(head, claimed)) or _document(
        head, claimed, is_text=is_text
    )


def of_stream(kind: Kind, stream: Stream) -> Kind:
    """Return the final type when the file is read: a video track makes it a video, whatever the sender claims."""
    if stream.subtype is not None:
        return replace(kind, mime_type=f"{kind.category}/{stream.subtype}")
    if not kind.by_tracks or not stream.tracks:
        return kind
    category: Literal["audio", "video"] = "video" if "video" in stream.tracks else "audio"
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
            return Kind(mime_type, "image", inline=True, parse=parser(max_pixels))
    return None


def _brands(head: bytes) -> set[bytes]:
    """Return the brands of a file of boxes: its major and its compatible ones."""
    if head[4:8] != b"ftyp":
        return set()
    return {head[8:12]} | {head[place : place + 4] for place in range(16, min(int.from_bytes(head[:4]), len(head)), 4)}


def _film(head: bytes, claimed: str) -> Kind | None:
    """Return the type of a container of sound or film."""
    by_claim: Literal["audio", "video"] = "audio" if claimed.startswith("audio/") else "video"
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in (b"M4A ", b"M4B "):
        return _played("audio", "mp4", mp4.mp4)  # audio books contain pictures as a video track
    if brand == b"qt  " or _QUICKTIME.match(head):
        return _played("video", "quicktime", mp4.mp4)
    if brand:
        return _played(by_claim, "mp4", mp4.mp4, by_tracks=True)
    return _other_film(head, by_claim)


def _other_film(head: bytes, by_claim: Literal["audio", "video"]) -> Kind | None:
    if head.startswith(b"\x1aE\xdf\xa3"):
        if b"webm" in head[:64]:
            return _played(by_claim, "webm", webm.webm, by_tracks=True)
        return Kind("video/x-matroska", "video", parse=webm.webm)
    if head[:4] in _RIFF and head[8:12] == b"AVI ":
        return Kind("video/x-msvideo", "video", parse=riff.avi)
    return None


def _sound(head: bytes, claimed: str) -> Kind | None:
    if head.startswith(b"OggS"):
        kind = _played("video" if claimed.startswith("video/") else "audio", "ogg", ogg.ogg, by_tracks=True)
    elif head[:4] in _RIFF and head[8:12] == b"WAVE":
        kind = _played("audio", "wav", riff.wav)
    elif head.startswith(b"fLaC"):
        kind = _played("audio", "flac", frames.flac)
    elif head.startswith(b"ID3"):
        kind = _played("audio", "mpeg", frames.tagged)
    elif frames.is_frames(head, frames.adts_frame):
        kind = _played("audio", "aac", frames.adts)
    elif frames.is_frames(head, frames.mp3_frame):
        kind = _played("audio", "mpeg", frames.mp3)
    else:
        return None
    return kind


def _played(
    category: Literal["audio", "video"],
    subtype: str,
    parse: Callable[[Stream], Any],
    *,
    by_tracks: bool = False,
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


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be incomplete
    except UnicodeDecodeError:
        return False
    return not any(character < " " and character not in "\t\n\r\f" for character in text)


def _document(head: bytes, claimed: str, *, is_text: bool) -> Kind:
    for magic, mime_type in _DOCUMENTS:
        if head.startswith(magic):
            office = mime_type == "application/zip" and _OFFICE.fullmatch(claimed)
            return Kind(claimed if office else mime_type)
    return Kind("text/plain" if is_text and not is_active(head) else ATTACHMENT)
