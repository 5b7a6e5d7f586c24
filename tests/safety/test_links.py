from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.safety.links import has_link

LINKS = [
    "http://example.com",
    "see HTTPS://EXAMPLE.COM/x",
    "https://[2001:db8::1]/",
    "evil.com",
    "(evil.com)",
    "look at evil.com, it is fun",
    "EVIL.XYZ",
    "t.me/somebody",
    "evil.madeup/path",
    "evil.madeup:8080",
    "192.0.2.7",
    "пример.рф",
    "example.xn--p1ai",
    "".join(chr(ord(letter) + 0xFEE0) for letter in "evil.com"),
    "evil。com",
    "e\u200bvil.c\u200bom",
    "ev\u00adil.com",
    "me@example.com",
    "tg://resolve?domain=x",
    "mailto:me@example",
    "magnet:?xt=urn:btih:0",
    "javascript:alert(1)",
]
NO_LINKS = [
    "hello there, how are you?",
    "3.5 or 4.25 Euro",
    "e.g. this",
    "wait...what",
    "at 10:30, or so:no",
    "und/oder",
    "ok.thanks",
    "A. B. Clarke",
    "你好。我很好",
    "a:b",
    "@anna",
]


@pytest.mark.parametrize("text", LINKS)
def test_a_link_is_found(text: str) -> None:
    assert has_link(text)


@pytest.mark.parametrize("text", NO_LINKS)
def test_a_sentence_is_no_link(text: str) -> None:
    assert not has_link(text)


WORDS = st.text(st.characters(categories=["L", "Zs"]), max_size=30)


@given(WORDS, st.sampled_from(LINKS), WORDS)
def test_it_is_found_wherever_it_stands(before: str, link: str, after: str) -> None:
    assert has_link(f"{before} {link} {after}")
