from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from passerby.files.names import clean_name
from passerby.models import INVISIBLE

LONGEST = 120

some_name = st.text(st.characters(), max_size=300) | st.text(
    st.sampled_from('a.é /\\\0\r\n\t<>:"|?*\u200b\u202e\ud800\u0301\u3000\u00a0\u2028\u0338😀'), max_size=300
)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("photo.png", "photo.png"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\Anna\\Desktop\\me.jpg", "me.jpg"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a/b\\c.txt", "c.txt"),
        ("C:me.jpg", "C_me.jpg"),
        ("file.txt:stream", "file.txt_stream"),
        ("a.png\r\nX: y", "a.pngX_ y"),
        ('a"b.png', "a_b.png"),
        ("<img src=x>.png", "_img src=x_.png"),
        ("what?*|.png", "what___.png"),
        ("a\0.png\0", "a.png"),
        ("a\x7f\x85b.png", "ab.png"),
        ("exe\u202egpj.exe", "exegpj.exe"),
        ("\u2066a\u2069\u200b\ufeff.png", "a.png"),
        ("a\ud800\udfffb.png", "ab.png"),
        (".bashrc", "bashrc"),
        (" . report.pdf . ", "report.pdf"),
        ("report .pdf", "report.pdf"),
        ("\u3000.png", "png"),
        ("archive.tar.gz", "archive.tar.gz"),
        ("no extension", "no extension"),
    ],
)
def test_a_name_is_cleaned(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "...", " ", ". . .", "\u3000\u00a0", "a/", "a\\", "/", "\0", "\u202e", "\ud800", "../..", "a/.."],
)
def test_nothing_that_is_left_is_a_file(name: str) -> None:
    assert clean_name(name) == "file"


@pytest.mark.parametrize(
    "name",
    [
        "Zürich, Größe.jpg",
        "фото из отпуска.jpg",
        "写真 2024.png",
        "사진.webp",
        "صورة.gif",
        "תמונה.pdf",
        "फ़ोटो.jpg",
        "ภาพถ่าย.png",
        "φωτογραφία.txt",
        "🏔️👩‍👩‍👧.png",
        "می‌خواهم.txt",  # contains a required zero-width non-joiner
    ],
)
def test_names_in_any_script_are_kept(name: str) -> None:
    assert clean_name(name) == unicodedata.normalize("NFC", name)


def test_accents_are_composed_so_that_one_name_is_one_name() -> None:
    assert clean_name("u\u0308ber.txt") == clean_name("\u00fcber.txt") == "\u00fcber.txt"
    assert clean_name("e\u200b\u0301.txt") == "\u00e9.txt"


@pytest.mark.parametrize("extension", [".png", ".tar.gz", ".opendocument"])
def test_a_name_of_thousands_of_characters_keeps_its_extension(extension: str) -> None:
    clean = clean_name("n" * 5000 + extension)

    assert len(clean) == LONGEST
    assert clean.startswith("nnn")
    assert clean.endswith(extension.rpartition(".")[2])
    assert clean[-len(extension.rpartition(".")[2]) - 1] == "."


def test_what_is_too_long_for_an_extension_is_none() -> None:
    assert clean_name("n." + "x" * 5000) == "n." + "x" * (LONGEST - 2)


@settings(max_examples=500)
@given(name=some_name)
@example("e\u200b\u0301.png")
@example("x" * 118 + ". " + "y" * 40)
@example("x" * 119 + "." + "y" * 40)
@example("\u3000.png")
@example("a \u3000.png")
@example("\u212b.\u0344png")
def test_any_name_comes_out_harmless(name: str) -> None:
    clean = clean_name(name)

    assert 1 <= len(clean) <= LONGEST
    assert not re.search(r'[/\\<>:"|?*]', clean)
    assert not re.search(f"[{INVISIBLE}]", clean)
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in clean)
    assert clean[0] != "."
    assert clean[-1] not in ". "
    assert clean.encode().decode() == clean
    assert unicodedata.is_normalized("NFC", clean)
    assert clean_name(clean) == clean


@given(
    folders=st.lists(some_name, max_size=4),
    name=st.from_regex(r"[a-z0-9]{1,20}\.[a-z]{1,4}", fullmatch=True),
    slash=st.sampled_from("/\\"),
)
def test_of_a_path_only_the_last_part_stays(folders: list[str], name: str, slash: str) -> None:
    assert clean_name(slash.join([*folders, name])) == name
