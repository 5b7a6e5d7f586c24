from __future__ import annotations

import json
from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from passerby.safety.links import has_link, hosts

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
    "1tg://resolve?domain=x",
    "example.c\ufe0fom",
    "example.co\U000e0020m",
    "example.c\u061com",
    "open /api/temp-files/download/file_a?expires=1&signature=b here",
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
    "://( what a day",
]
ROOT = Path(__file__).parents[2]
SHARED = json.loads((ROOT / "tests/safety/links.json").read_text(encoding="utf-8"))
"""What the page makes links of, and where they lead: the tests of the page read the same."""


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


# ── the page ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shared", SHARED, ids=lambda one: one["text"])
def test_a_link_of_the_page_is_one_here_and_its_host_is_known(shared: dict[str, str]) -> None:
    text = shared["text"]
    for place in shared["leadsTo"]:
        assert has_link(text)
        assert place.partition(":")[0] in hosts(text)


def run_of_the_page() -> regex.Pattern[str]:
    """Return what the page looks for in a text; it makes no link of anything else."""
    source = (ROOT / "web/src/text/links.ts").read_text(encoding="utf-8")
    found = regex.search(r"const RUN = /(.*)/giu;", source)
    assert found is not None
    return regex.compile(found[1].replace(r"\/", "/"), regex.IGNORECASE)


RUN = run_of_the_page()
PIECES = st.one_of(
    st.text(max_size=4),
    st.sampled_from(["http", "HTTPS", "https:", "://", "s", "1", "a" * 40, ".", "@", "。", "x.academy", "e.com", "/"]),
    st.characters(categories=["Cc", "Cf", "Cn", "Co", "Z", "Mn", "Lm", "Sk"]),
)


@given(
    st.lists(PIECES, max_size=8),
    st.sampled_from(["http://", "HTTPS://", "http\u017f://", ""]),
    st.lists(PIECES, max_size=8),
)
def test_whatever_the_page_makes_a_link_is_one(before: list[str], scheme: str, after: list[str]) -> None:
    text = "".join([*before, scheme, *after])
    if RUN.search(text):
        assert has_link(text)


UNSEEN = [0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x180B, 0x180E, 0x200B, 0x200D, 0x202E, 0x2060, 0x2065, 0x206A]
UNSEEN += [0x3164, 0xFE00, 0xFE0F, 0xFEFF, 0xFFA0, 0xFFF0, 0x1BCA0, 0x1D173, 0xE0000, 0xE0020, 0xE0100, 0xE0FFF]
"""Of each range of Default_Ignorable_Code_Point (DerivedCoreProperties.txt of Unicode)."""


@pytest.mark.parametrize("unseen", [*map(chr, UNSEEN)], ids=ascii)
def test_what_cannot_be_seen_hides_no_link(unseen: str) -> None:
    text = f"spam.exam{unseen}ple.co{unseen}m"
    assert has_link(text)
    assert "spam.example.com" in hosts(text)
