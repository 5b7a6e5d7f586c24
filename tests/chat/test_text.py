from __future__ import annotations

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from passerby.chat.text import clean_text
from passerby.errors import InvalidInputError

LIMIT = 1000
FAMILY = "👨‍👩‍👧‍👦"  # one character, 7 code points
FLAG = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
"""Scotland: one character, 7 code points."""
ACCENTED = "e\u0301\u0323"


def code(text: str) -> str:
    with pytest.raises(InvalidInputError) as caught:
        clean_text(text, LIMIT)
    assert caught.value.status == 400
    assert caught.value.field == "content"
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "  hello  ",
        "two\nlines",
        "a\tb",
        "\n\nx",
        "Grüße, 你好, שלום, 🙂",
        FAMILY,
        FLAG,
        ACCENTED,
        "क्षि",
        "<script>alert(1)</script>",
        "'; DROP TABLE guests; --",
        "0",
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "no\u00a0break",
        "\uf8ff",
        "\U000f0000\U0010fffd",
    ],
)
def test_what_a_person_can_write_passes_unchanged(text: str) -> None:
    assert clean_text(text, LIMIT) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n",
        "\t \n",
        "\r\n",
        "\u00a0",
        "\u2003\u3000",
        "\u200b",
        "\u200b\u200c\u200d\u2060\ufeff",
        "\u00ad",
        "\u2028\u2029",
        "\u202e",
        "\u115f\u1160\u3164\uffa0",
        "\u2800",
        "\u034f",
        "\ufe0f",
        "\ufe0f\ufe0e \u200d",
        "\u180b\u180c\u180d\u180e",
        "\u17b4\u17b5",
        "\U000e0100\U000e01ef",
        "\U000e0067\U000e007f",
    ],
    ids=ascii,
)
def test_what_nobody_can_see_is_empty(text: str) -> None:
    assert code(text) == "text_empty"
    assert code(text * 20) == "text_empty"


@pytest.mark.parametrize(
    "character",
    ["x", "é", "🙂", FAMILY, FLAG, ACCENTED, "🇨🇭", "👍🏽", "ก็", "한"],
    ids=ascii,
)
def test_a_thousand_characters_as_a_person_counts_them_pass_and_one_more_does_not(character: str) -> None:
    assert clean_text(character * LIMIT, LIMIT) == character * LIMIT
    assert code(character * LIMIT + "x") == "text_too_long"
    assert code(character * (LIMIT + 1)) == "text_too_long"


def test_decomposed_hangul_counts_as_it_is_read() -> None:
    syllable = unicodedata.normalize("NFD", "한")
    assert len(syllable) == 3

    assert clean_text(syllable * LIMIT, LIMIT)
    assert code(syllable * (LIMIT + 1)) == "text_too_long"


def test_an_avalanche_of_combining_marks_is_too_long() -> None:
    assert code("x" + "\u0301" * (LIMIT * 16)) == "text_too_long"


def test_a_line_end_of_windows_is_one_character() -> None:
    assert clean_text("a\r\nb", LIMIT) == "a\nb"
    assert clean_text("\r\n".join("x" * 500) + "\r\n", LIMIT) == "\n".join("x" * 500) + "\n"


@pytest.mark.parametrize(
    "character",
    [chr(number) for number in (*range(0x20), *range(0x7F, 0xA0)) if chr(number) not in "\n\t"],
    ids=ascii,
)
def test_control_characters_are_refused(character: str) -> None:
    assert code(f"before{character}after") == "text_control_characters"


def test_newline_and_tab_are_no_control_characters_here() -> None:
    assert clean_text("a\nb\tc", LIMIT) == "a\nb\tc"


@pytest.mark.parametrize("text", ["\ud800", "x\udfff", "\udc00\ud800", "a\ud83d b"], ids=ascii)
def test_half_a_character_is_refused(text: str) -> None:
    assert code(text) == "text_control_characters"


@given(st.text(st.characters(), max_size=60))
def test_whatever_passes_is_bounded_visible_and_encodable(text: str) -> None:
    try:
        cleaned = clean_text(text, 20)
    except InvalidInputError as error:
        assert error.code in {"text_empty", "text_too_long", "text_control_characters"}  # noqa: PT017 - the text may also be valid
    else:
        assert cleaned.encode()
        assert len(regex.findall(r"\X", cleaned)) <= 20
        assert cleaned.strip()
        assert clean_text(cleaned, 20) == cleaned, "cleaning twice changes nothing"
        assert cleaned == text.replace("\r\n", "\n")


@given(
    st.text(
        st.sampled_from("x\u0301\u200d\U0001f1e6\U0001f1ff\u0600\u0903\u1100\u1161\uac00\U0001f600\u0915\u094d\n\ufe0f")
    )
)
def test_characters_are_counted_as_the_standard_does(text: str) -> None:
    count = len(regex.findall(r"\X", "a" + text))
    assert clean_text("a" + text, count)
    with pytest.raises(InvalidInputError):
        clean_text("a" + text, count - 1)
