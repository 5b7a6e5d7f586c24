from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.errors import UnsupportedTypeError
from passerby.files.blobs_memory import MemoryBlobStore
from passerby.files.space import Quotas, RoomFiles, Space
from passerby.files.turns import Turns
from passerby.files.upload import Upload
from passerby.live import LiveGuest, Room
from passerby.media.sniff import ATTACHMENT, HEAD, is_active, kind_of
from passerby.media.stream import MediaError
from passerby.models import Guest
from tests.media import recordings
from tests.media.containers import (
    PNG_MAGIC,
    SOUND,
    WEBM,
    adts_frame,
    box,
    chunk,
    element,
    flac,
    ftyp,
    id3,
    mp3_frame,
    mp3_frames,
    ogg_page,
    opus_head,
    riff,
    segment,
    wav,
    webm,
)
from tests.media.feeding import splits
from tests.media.pictures import MAX_PIXELS, PICTURES, ihdr
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from passerby.models import StoredFile

MATROSKA = element(0x1A45DFA3, element(0x4282, b"matroska"))
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"


# Name: first bytes, claimed type; then the expected MIME type, category, and whether it may be displayed.
KINDS: dict[str, tuple[bytes, str, str, str, bool]] = {
    "jpeg": (b"\xff\xd8\xff\xe0", "", "image/jpeg", "image", True),
    "png": (PNG_MAGIC, "", "image/png", "image", True),
    "gif87": (b"GIF87a", "", "image/gif", "image", True),
    "gif89": (b"GIF89a", "", "image/gif", "image", True),
    "webp": (riff(b"WEBP"), "", "image/webp", "image", True),
    "m4a": (ftyp(b"M4A "), "video/mp4", "audio/mp4", "audio", True),
    "m4b": (ftyp(b"M4B "), "", "audio/mp4", "audio", True),
    "quicktime": (ftyp(b"qt  "), "", "video/quicktime", "video", True),
    "mp4": (ftyp(b"isom", b"mp42"), "", "video/mp4", "video", True),
    "mp4_voice": (ftyp(b"iso5"), "audio/mp4", "audio/mp4", "audio", True),
    "webm": (WEBM, "", "video/webm", "video", True),
    "webm_voice": (WEBM, "audio/webm", "audio/webm", "audio", True),
    "matroska": (MATROSKA, "video/webm", "video/x-matroska", "video", False),
    "film_without_ftyp": (box(b"moov", bytes(8)), "", "video/quicktime", "video", True),
    "film_of_data_first": (box(b"wide") + box(b"mdat", bytes(8)), "video/mp4", "video/quicktime", "video", True),
    "avi": (riff(b"AVI "), "video/mp4", "video/x-msvideo", "video", False),
    "ogg": (ogg_page(0, opus_head(0)), "", "audio/ogg", "audio", True),
    "ogg_film": (ogg_page(0, b"\x80theora"), "video/ogg", "video/ogg", "video", True),
    "wav": (riff(b"WAVE"), "", "audio/wav", "audio", True),
    "flac": (b"fLaC\0\0\0\x22", "", "audio/flac", "audio", True),
    "wav_large": (b"RF64\xff\xff\xff\xffWAVEds64", "", "audio/wav", "audio", True),
    "aac": (adts_frame() * 2, "", "audio/aac", "audio", True),
    "aac_begins": ((adts_frame() * 2)[:120], "", "audio/aac", "audio", True),
    "aac_of_one_frame": (adts_frame(), "", "audio/aac", "audio", True),
    "aac_once": (adts_frame() + bytes(200), "", ATTACHMENT, "document", False),
    "mp3": (mp3_frame() * 2, "", "audio/mpeg", "audio", True),
    "mp3_of_one_frame": (mp3_frame(), "", "audio/mpeg", "audio", True),
    "mp3_once": (mp3_frame() + bytes(500), "", ATTACHMENT, "document", False),
    "mp3_header": (mp3_frame()[:4] + bytes(20), "", ATTACHMENT, "document", False),
    "mp3_mpeg2": ((b"\xff\xf3\x40\xc0" + bytes(100)) * 2, "", "audio/mpeg", "audio", True),
    "mp2": ((b"\xff\xfd\x10\xc0" + bytes(100)) * 2, "", "audio/mpeg", "audio", True),
    "mac_address": (b"MAC address list", "", "text/plain", "document", False),
    "caffeine": (b"caffeine, TAG, MThd", "audio/x-caf", "text/plain", "document", False),
    "ogg_in_words": (b"OggS is a word in a text", "audio/ogg", "text/plain", "document", False),
    "mp3_id3": (id3(b""), "", "audio/mpeg", "audio", True),
    "pdf": (b"%PDF-1.7\n", "image/png", "application/pdf", "document", False),
    "zip": (b"PK\x03\x04", "application/java-archive", "application/zip", "document", False),
    "docx": (b"PK\x03\x04", DOCX, DOCX, "document", False),
    "odt": (b"PK\x03\x04", ODT, ODT, "document", False),
    "epub": (b"PK\x03\x04", "application/epub+zip", "application/epub+zip", "document", False),
    "docx_that_is_none": (b"no zip", DOCX, "text/plain", "document", False),
    "docx_and_more": (b"PK\x03\x04", DOCX + "\r\nx: y", "application/zip", "document", False),
    "gzip": (b"\x1f\x8b\x08", "", "application/gzip", "document", False),
    "7z": (b"7z\xbc\xaf\x27\x1c", "", "application/x-7z-compressed", "document", False),
    "rar": (b"Rar!\x1a\x07\x01", "", "application/vnd.rar", "document", False),
    "rtf": (b"{\\rtf1", "", "application/rtf", "document", False),
    "text": ("Grüße, Welt\r\n\t家".encode(), "text/html", "text/plain", "document", False),
    "text_of_javascript": (b"alert(document.cookie)", "text/javascript", "text/plain", "document", False),
    "shell": (b"#!/bin/sh\nrm -rf ~\n", "image/png", "text/plain", "document", False),
    "latin1": ("Grüße".encode("latin-1"), "text/plain", ATTACHMENT, "document", False),
    "utf16": ("Hello".encode("utf-16"), "text/plain", ATTACHMENT, "document", False),
    "zeros": (bytes(20), "image/png", ATTACHMENT, "document", False),
    "html": (b"<!DOCTYPE html><p>", "image/png", ATTACHMENT, "document", False),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg">', "image/svg+xml", ATTACHMENT, "document", False),
    "xml": (b"<?xml version='1.0'?>", "image/svg+xml", ATTACHMENT, "document", False),
    "php": (b"GO <?php system($_GET[0]);", "image/gif", ATTACHMENT, "document", False),
    "elf": (b"\x7fELF\x02\x01\x01\0", "image/png", ATTACHMENT, "document", False),
    "exe": (b"MZ\x90\0\x03\0", "image/png", ATTACHMENT, "document", False),
    "bmp": (b"BM\x36\0\0\0\0\0", "image/bmp", ATTACHMENT, "document", False),
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_file_is_what_its_first_bytes_say(name: str) -> None:
    head, claimed, *expected = KINDS[name]

    kind = kind_of(head, claimed, max_pixels=MAX_PIXELS)

    assert [kind.mime_type, kind.category, kind.inline] == expected


@pytest.mark.parametrize(
    ("recording", "mime_type"),
    [
        (recordings.BASELINE, "image/jpeg"),
        (recordings.GIF, "image/gif"),
        (recordings.LOSSY, "image/webp"),
        (recordings.ANIMATED, "image/webp"),
        (recordings.MP4_MOOV_FIRST, "audio/mp4"),
        (recordings.MP4_FRAGMENTED, "audio/mp4"),
        (recordings.WEBM_FILE, "audio/webm"),
        (recordings.WEBM_RECORDED, "audio/webm"),
        (recordings.OGG_OPUS, "audio/ogg"),
        (recordings.OGG_VORBIS, "audio/ogg"),
        (recordings.MP3_ID3, "audio/mpeg"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_other_programs_made_are_known(recording: bytes, mime_type: str) -> None:
    assert kind_of(recording[:HEAD], "audio/anything", max_pixels=MAX_PIXELS).mime_type == mime_type


claims = (
    st.text(max_size=60)
    | st.sampled_from(["image/png", "image/svg+xml", "audio/ogg", "video/mp4", "text/html", DOCX, "application/pdf"])
    | st.from_regex(r"(image|audio|video|text|application)/[a-z0-9.+-]{1,30}", fullmatch=True)
)


@settings(max_examples=300)
@given(name=st.sampled_from(sorted(KINDS)), claimed=claims)
def test_what_the_sender_says_makes_nothing_visible(name: str, claimed: str) -> None:
    head, _, mime_type, _, inline = KINDS[name]

    kind = kind_of(head, claimed, max_pixels=MAX_PIXELS)

    assert kind.inline is inline
    if inline:
        assert kind.mime_type.partition("/")[2] == mime_type.partition("/")[2]
        assert kind.mime_type.partition("/")[0] in {"image", "audio", "video"}
    elif kind.mime_type == claimed:
        assert claimed.startswith(("application/", "text/plain", "video/x-matroska"))
    if mime_type.startswith("image/"):
        assert kind.mime_type == mime_type
    if not inline:
        assert kind.category == KINDS[name][3]


@settings(max_examples=300)
@given(head=st.binary(max_size=64) | st.text(max_size=64).map(lambda text: text.encode("utf-8", "replace")))
def test_what_is_not_in_the_table_is_not_shown(head: bytes) -> None:
    begins = [row[0][:4] for row in KINDS.values() if row[4]]
    known = any(head.startswith(start[:2]) for start in begins) or b"ftyp" in head
    try:
        kind = kind_of(head, "image/png", max_pixels=MAX_PIXELS)
    except MediaError as error:
        assert str(error).startswith("Send pictures as")  # noqa: PT017 - most heads raise nothing
    else:
        assert known or not kind.inline


# ── text ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("character", ["é", "家", "🏔"])
def test_text_may_be_cut_within_a_character(character: str) -> None:
    encoded = character.encode()
    for missing in range(1, len(encoded)):
        head = (b"x" * (HEAD - len(encoded) + missing) + encoded)[:HEAD]
        with pytest.raises(UnicodeDecodeError):
            head.decode()
        assert kind_of(head, "", max_pixels=MAX_PIXELS).mime_type == "text/plain"


@pytest.mark.parametrize("junk", [b"\0", b"\x1b[31m", b"\x08", b"\xff", b"\xc3x", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_text_with_what_no_text_has_is_none(junk: bytes) -> None:
    assert kind_of(b"some text" + junk + b"and more", "text/plain", max_pixels=MAX_PIXELS).mime_type == ATTACHMENT


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\r\n\t\f"), min_size=9))
def test_any_text_is_text_unless_it_is_active(text: str) -> None:
    head = ("Letter:  " + text).encode()[:HEAD]

    kind = kind_of(head, "", max_pixels=MAX_PIXELS)

    assert kind.mime_type == (ATTACHMENT if is_active(head) else "text/plain")
    assert not kind.inline


# ── what cannot be cleaned ───────────────────────────────────────────────────────────────

REFUSED = {
    "heic": ftyp(b"heic", b"mif1", b"heic"),
    "heix": ftyp(b"heix"),
    "heif": ftyp(b"mif1", b"heic"),
    "heif_sequence": ftyp(b"msf1"),
    "heic_sequence": ftyp(b"hevc"),
    "avif": ftyp(b"avif"),
    "avif_sequence": ftyp(b"avis"),
    "heic_by_another_name": ftyp(b"XYZ ", b"mif1"),
    "avif_second": ftyp(b"isom", b"mp42", b"avif"),
    "canon_raw": ftyp(b"crx ", b"crx ", b"isom"),
    "tiff": b"II*\0\x08\0\0\0",
    "tiff_big_endian": b"MM\0*\0\0\0\x08",
    "big_tiff": b"II+\0\x08\0\0\0",
    "big_tiff_big_endian": b"MM\0+\0\x08\0\0",
    "psd": b"8BPS\0\x01",
    "jxl": b"\xff\x0a\xfa\x1f",
    "jxl_box": b"\0\0\0\x0cJXL \r\n\x87\n",
    "jpeg2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "jpeg2000_stream": b"\xff\x4f\xff\x51\0",
    "jpeg_xr": b"II\xbc\x01",
    "olympus": b"IIRO\x08\0\0\0",
    "panasonic": b"IIU\0\x18\0\0\0",
    "fujifilm": b"FUJIFILMCCD-RAW 0201",
    "canon_old": b"II\x1a\0\0\0HEAPCCDR",
    "sigma": b"FOVb\0",
    "minolta": b"\0MRM\0",
    "gimp": b"gimp xcf v011\0",
    "openexr": b"v/1\x01\2\0",
    "dicom": bytes(128) + b"DICM",
    "asf": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9",
    "aiff": b"FORM\0\0\0\0AIFF",
    "caf": b"caff\0\1",
    "au": b".snd\0\0\0\x18",
    "wave64": b"riff\x2e\x91\xcf\x11",
    "monkeys_audio": b"MAC \x96\x0f\0",
    "wavpack": b"wvpk\0\0",
    "musepack": b"MPCK\0",
    "dsd": b"DSD \x1c\0",
    "realmedia": b".RMF\0\0",
    "midi": b"MThd\0\0\0\x06",
    "ape_tag": b"APETAGEX\xd0\x07\0\0",
    "id3_old": b"TAG" + bytes(125),
    "flash": b"FLV\x01\x05\0",
    "mpeg_program": b"\0\0\x01\xba\x44",
    "mpeg_transport": (b"G" + bytes(187)) * 3,
    "mpeg_transport_of_cameras": (bytes(4) + b"G" + bytes(187)) * 3,
    "mxf": b"\x06\x0e\x2b\x34\2\5\1\1",
    "digital_video": b"\x1f\x07\0\xbf",
    "ilbm": b"FORM\0\0\0\x40ILBM",
    "djvu": b"AT&TFORM\0\0\0\x40DJVU",
    "paint_shop_pro": b"Paint Shop Pro Image File\n\x1a\0\0\0",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%Title: a\n",
    "eps_with_preview": b"\xc5\xd0\xd3\xc6\x1e\0\0\0",
    "wmf": b"\xd7\xcd\xc6\x9a\0\0",
    "emf": b"\1\0\0\0\x6c\0\0\0" + bytes(32) + b" EMF",
    "cineon": b"\x80\x2a\x5f\xd7",
    "cineon_little_endian": b"\xd7\x5f\x2a\x80",
    "fits": b"SIMPLE  =                    T / FITS".ljust(80) + b"OBSERVER= 'A'".ljust(80),
    "fits_without_a_comment": b"SIMPLE  =                    T".ljust(2880),
    "riff_midi": b"RIFF\x40\0\0\0RMID",
    "riff_video_cd": b"RIFF\x40\0\0\0CDXA",
    "riff_qualcomm": b"RIFF\x40\0\0\0QLCM",
    "riff_corel": b"RIFF\x40\0\0\0CDR9",
    "tak": b"tBaK\1\0",
    "shorten": b"ajkg\2\xfb",
    "atrac_tag": b"ea3\3\0\0\0\0\0\x20",
    "atrac": b"EA3\1\0\x60",
    "ac3": b"\x0b\x77\x12\x34\x14\x40\x43\xe1",
    "eac3": b"\x0b\x77\1\x7f\x3f\x86\xff\xe1",
    "xm": b"Extended Module: A tune             \x1a",
    "it": b"IMPMA tune\0",
    "s3m": b"A tune".ljust(28, b"\0") + b"\x1a\x10" + bytes(14) + b"SCRM",
    "mod": b"A tune".ljust(1080, b"\0") + b"M.K.",
    "wtv": bytes.fromhex("b7d800203749da11a64e0007e95ead8d"),
    "shockwave": b"FWS\x0a\0\1\0\0",
    "shockwave_compressed": b"CWS\x0a\0\1\0\0",
    "h264": b"\0\0\0\1\x67\x64\0\x1e",
    "h264_delimited": b"\0\0\0\1\x09\xf0\0\0\0\1\x67",
    "h264_short": b"\0\0\1\x67\x42\0\x1e",
    "h265": b"\0\0\0\1\x40\1\x0c\1",
    "mpeg_user_data": b"\0\0\1\xb2GA94",
    "mpeg_4_visual": b"\0\0\1\xb0\1\0\0\1\xb5",
}
NOT_REFUSED = {
    "postscript": b"%!PS-Adobe-3.0\n%%Title: a document\n",
    "text_of_eps": b"An EPS begins with %!PS-Adobe-3.0 EPSF-3.0\n",
    "text_of_fits": b"SIMPLE  = True\n",
    **{
        f"text_{word.decode()}": word + b" is how this text begins, and it goes on"
        for word in (
            b"FORM",
            b"FWS",
            b"CWS",
            b"RIFF",
            b"IMPM",
            b"ajkg",
            b"tBaK",
            b"ea3",
            b"EA3",
            b"AT&TFORM 1",
            b"RF64",
        )
    },
    "text_of_xm": b"Extended Module: what is it?\n",
    "text_with_a_mark": b"x" * 1080 + b"M.K." + b"x" * 99,
    "icon": b"\0\0\1\0\1\0\x20\x20" + bytes(90),
    "font": b"\0\1\0\0\0\x0e\0\x80\0\3\0\x60" + bytes(90),
    "old_word": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(90),
    "sqlite": b"SQLite format 3\0\x10\0\1\1" + bytes(90),
    "zip": b"PK\3\4\x14\0" + bytes(90),
    "windows_library": b"MZ\x90\0\3\0" + bytes(90),
    "zeros": bytes(2000),
    "counts": b"\0\0\0\1\0\0\0\2" * 20,
}


@pytest.mark.parametrize("name", sorted(NOT_REFUSED))
def test_a_document_is_no_picture_by_chance(name: str) -> None:
    kind = kind_of(NOT_REFUSED[name], "", max_pixels=MAX_PIXELS)

    assert (kind.category, kind.inline) == ("document", False)


@pytest.mark.parametrize("claimed", ["", "image/heic", "video/mp4", "application/octet-stream"])
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_cleaned_is_refused(name: str, claimed: str) -> None:
    with pytest.raises(MediaError, match="JPEG, PNG, WebP or GIF") as refusal:
        kind_of(REFUSED[name] + bytes(100), claimed, max_pixels=MAX_PIXELS)

    assert refusal.value.code == "unsupported_type"


# ── uploads: types and active content ─────────────────────────────────────────────────────────────


QUOTAS = Quotas(
    file=1 << 20, room=1 << 20, guest=1 << 20, address=1 << 20, process=1 << 20, pixels=MAX_PIXELS, seconds=60
)


def person(guest_id: str) -> LiveGuest:
    now = "2023-12-07T10:30:00.000Z"
    return LiveGuest(Guest(id=guest_id, session_id=guest_id, username=guest_id, last_seen=now, created_at=now))


async def uploaded(*pieces: bytes, claimed: str = "", name: str = "file") -> tuple[StoredFile, bytes]:
    """Upload pieces; return the file's metadata and the stored bytes."""
    clock = ManualClock()
    store = MemoryBlobStore(clock)
    room_files = RoomFiles(Room("guest_a_guest_b", 1, person("guest_a"), person("guest_b")))
    upload = Upload(
        store,
        Space(QUOTAS).reserve(room_files, "guest_a", "192.0.2.1", 1 << 20),
        clock,
        owner="guest_a",
        quotas=QUOTAS,
        turns=Turns(),
        ttl=10,
        discard=store.remove,
        name=name,
        claimed=claimed,
        voice=False,
        ended=lambda _: None,
    )
    for piece in pieces:
        await upload.write(piece)
    file = await upload.finish(room_files.room.id)
    return file, b"".join([part async for part in store.read(file.id, 0, 1 << 20)])


HTML = b"<html><script>alert(1)</script>"
SOI = recordings.BASELINE[:2]
ACTIVE = {
    "html": b"<!doctype html><p>Hello",
    "html_behind_spaces": b" " * 3000 + HTML,
    "html_behind_text": b"x" * 4000 + b"<SCRIPT>",
    "svg": b'<svg onload="alert(1)"/>',
    "svg_behind_comment": b"<!-- " + b"x" * 500 + b" --><svg onload='alert(1)'/>",
    "xml": b"<?xml version='1.0'?><x/>",
    "xhtml_stylesheet": b"\xef\xbb\xbf<?xml-stylesheet href='x'?>",
    "php": b"text <?php phpinfo();",
    "asp": b"<% Response.Write %>",
    "pdf": b"%PDF-1.4\n1 0 obj",
    "script": b"#!/bin/sh\necho\n",
    "javascript": b"alert(1)",
    "exe": b"MZ\x90\0\x03\0\0\0" + bytes(100),
    "gif_that_is_a_script_too": b"GIF89a/*\x01\0\0\0\0" + b",\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;*/=1;alert(1)",
    "gif_that_is_assigned_to": b"GIF89a= '\1\0\0\0" + b",\0\0\0\0\1\0\1\0\0\2\x0c\x44\1';alert(1)\0;",
    "png_with_html": PNG_MAGIC + ihdr(1, 1) + chunk(b"PLTE", HTML) + chunk(b"IDAT", b"x") + chunk(b"IEND"),
    "png_with_html_in_its_data": PNG_MAGIC + ihdr(1, 1) + chunk(b"IDAT", bytes(4000) + HTML) + chunk(b"IEND"),
    "jpeg_with_html": SOI + segment(0xDB, HTML) + recordings.BASELINE[2:],
    "jpeg_with_php": SOI + segment(0xDB, b"<?php x") + recordings.BASELINE[2:],
    "wav_with_html": wav(HTML),
    "mp3_with_html": mp3_frames(HTML),
    "mp3_of_nothing_but_html": b"ID3<html>",
    "ogg_with_html": ogg_page(0, opus_head(0)) + ogg_page(0, b"OpusTags" + bytes(8)) + ogg_page(960, HTML),
    "ogg_of_nothing_but_html": b"OggS<script>alert(1)",
    "webm_with_html": webm(SOUND, data=HTML),
    "mp4_with_html": ftyp(b"isom") + box(b"moov") + box(b"mdat", HTML),
    "flac_with_html": flac(HTML),
    "flac_of_nothing_but_html": b"fLaC" + HTML,
    "aac_with_html": adts_frame(HTML) * 2,
}
CLEANED = {
    "wav_with_html": wav(b"12") + HTML,
    "mp3_with_html": id3(HTML) + mp3_frame() * 2 + HTML,
    "ogg_with_html": ogg_page(0, opus_head(0)) + ogg_page(0, b"OpusTags" + HTML) + ogg_page(960, b"1") + HTML,
    "webm_with_html": webm(SOUND, element(0x86, HTML), data=b"12"),
    "mp4_with_html": ftyp(b"isom") + box(b"moov", box(b"udta", HTML)) + box(b"free", HTML),
    "flac_with_html": flac(bytes(200), (4, HTML)),
    "aac_with_html": adts_frame() * 2 + HTML,
}
DAMAGED = {
    "wav": riff(b"WAVE") + HTML,
    "wav_without_a_form": b"RIFF\0\0\0\0WAVE<html>",
    "mp3": id3(HTML) + mp3_frame() + HTML,
    "ogg": ogg_page(0, HTML),
    "ogg_page": b"OggS" + bytes(22) + b"\x05",
    "webm": WEBM + HTML,
    "mp4": ftyp(b"isom") + b"<html>",
    "mp4_type": ftyp(b"isom")[:15],
    "flac": b"fLaC\0\0\0\x22" + bytes(500),
    "avi": riff(b"AVI ", HTML),
}


@pytest.mark.parametrize("claimed", ["", "image/png", "audio/ogg"])
@pytest.mark.parametrize("name", sorted(ACTIVE))
async def test_what_a_browser_might_run_is_never_shown(name: str, claimed: str) -> None:
    file, stored = await uploaded(ACTIVE[name], claimed=claimed, name="holiday.png")

    assert not file.inline
    assert file.category == "document"
    assert file.mime_type in {ATTACHMENT, "text/plain", "application/pdf"}
    assert stored
    assert file.size == len(stored)


@pytest.mark.parametrize("name", sorted(ACTIVE))
@settings(max_examples=15)
@given(data=st.data())
async def test_nor_in_pieces(name: str, data: st.DataObject) -> None:
    file, _ = await uploaded(*data.draw(splits(ACTIVE[name])), claimed="image/png")

    assert not file.inline


@pytest.mark.parametrize("name", sorted(PICTURES))
async def test_a_picture_is_shown_and_its_size_told(name: str) -> None:
    picture = PICTURES[name]
    file, stored = await uploaded(picture.laden, b"<html>behind the end</html>", claimed="text/html")

    assert stored == picture.clean
    assert (file.inline, file.category, file.width, file.height) == (True, "image", *picture.size)
    assert file.size == len(picture.clean)


async def test_what_metadata_said_does_not_count_once_it_is_gone() -> None:
    comment = chunk(b"tEXt", b"Comment\0" + HTML)
    content = PNG_MAGIC + ihdr(1, 1) + comment + chunk(b"IDAT", b"x") + chunk(b"IEND")

    file, stored = await uploaded(content)

    assert file.inline
    assert HTML not in stored


@pytest.mark.parametrize("name", sorted(CLEANED))
async def test_what_is_removed_cannot_be_run(name: str) -> None:
    file, stored = await uploaded(CLEANED[name], claimed="audio/anything")

    assert file.inline
    assert HTML not in stored
    assert file.size == len(stored)


@pytest.mark.parametrize("name", sorted(DAMAGED))
async def test_what_holds_no_sound_and_no_film_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedTypeError, match="damaged") as refusal:
        await uploaded(DAMAGED[name])

    assert refusal.value.code == "file_damaged"


@pytest.mark.parametrize("name", sorted(PICTURES))
async def test_a_picture_that_is_cut_short_is_completed(name: str) -> None:
    picture = PICTURES[name]

    file, _ = await uploaded(picture.laden[:-1])

    assert (file.inline, file.category, file.width, file.height) == (True, "image", *picture.size)


@pytest.mark.parametrize("name", sorted(PICTURES))
async def test_a_picture_without_anything_to_show_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedTypeError, match="damaged") as refusal:
        await uploaded(PICTURES[name].laden[:25])

    assert refusal.value.code == "file_damaged"


async def test_only_the_name_is_the_senders() -> None:
    file, _ = await uploaded(b"just text", claimed="image/png; charset=x", name="../me.png")

    assert (file.filename, file.mime_type, file.inline) == ("me.png", "text/plain", False)
