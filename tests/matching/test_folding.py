from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.matching.folding import fold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Música", "música "),
        ("Música", "MÚSICA"),
        ("Mu\u0301sica", "música"),
        ("  rock   'n'\troll ", "Rock 'n' Roll"),
        ("Straße", "STRASSE"),
        ("ΟΔΟΣ", "οδος"),
        ("\uff23\uff48\uff45\uff53\uff53", "chess"),
        ("İstanbul", "istanbul"),
        ("ISPARTA", "\u0131sparta"),
        ("❤️", "❤"),
        ("ﬁlm", "film"),
        ("che\u00adss", "chess"),
        ("rock\u2800music\u3164", "rock music"),
    ],
)
def test_the_same_word(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("año", "ano"), ("музыка", "музика"), ("game", "games"), ("حب", "جب"), ("schön", "schon"), ("🎸", "🎹")],
)
def test_words_that_are_not_the_same(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text(max_size=30))
def test_folding_once_is_enough(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=30))
def test_the_form_makes_no_difference(text: str) -> None:
    assert {fold(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")} == {fold(text)}


@given(st.text(max_size=30))
def test_spaces_around_make_no_difference(text: str) -> None:
    assert fold(f" \u00a0{text}\t ") == fold(text)
