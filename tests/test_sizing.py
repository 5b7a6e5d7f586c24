"""The table in docs/operations.md is what the script prints, and the script's costs are those that were measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import sizing
from tools.sizing import Load, need

DOCS = Path(__file__).parents[1] / "docs"
_NUMBER = r"([\d.,]+)"
MEASURED = [
    (sizing.RELAY, rf"^\| relays per CPU-second, against memory alone +\| {_NUMBER}", lambda rate: 1 / rate),
    (sizing.JOIN, rf"^\| CPU to join, 500 there, against memory alone +\| {_NUMBER} us", lambda us: us * 1e-6),
    (sizing.MATCH, rf"^\| CPU per match, 500 connected, against memory alone +\| {_NUMBER} us", lambda us: us * 1e-6),
    (sizing.GUEST, rf"^\| CPU to refresh the sessions of 10,000 idle guests +\| {_NUMBER} %", lambda part: part * 1e-6),
    (sizing.GUEST_MEMORY, rf"^\| memory per idle guest, 5,000 connected +\| {_NUMBER} KB", lambda size: size * 1000),
    (sizing.REDIS_RELAY, rf"^\| +Valkey's own CPU for a relay +\| {_NUMBER} us", lambda us: us * 1e-6),
    (sizing.REDIS_MATCH, rf"^\| matches in Redis.*Redis' CPU {_NUMBER} us", lambda us: us * 1e-6),
]


def test_the_document_has_what_the_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert sizing.main([]) == 0
    section = (
        (DOCS / "operations.md").read_text(encoding="utf-8").split("\n## How much is needed\n")[1].split("\n## ")[0]
    )
    assert f"\n\n{capsys.readouterr().out}\n" in section


@pytest.mark.parametrize(("cost", "pattern", "convert"), MEASURED)
def test_the_costs_are_those_that_were_measured(cost: float, pattern: str, convert: object) -> None:
    assert callable(convert)
    (text,) = re.findall(pattern, (DOCS / "performance.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert 0.8 <= cost / convert(float(text.replace(",", ""))) <= 1.4


@given(st.integers(1, 2_000_000), st.floats(0, 400_000), st.floats(10, 4000), st.floats(60, 10_000), st.floats(0, 1))
def test_more_never_needs_less(guests: int, messages: float, conversation: float, stay: float, local: float) -> None:
    less = need(Load(guests, messages, conversation, stay, local))
    more = need(Load(2 * guests, 2 * messages, conversation, stay, local))
    for field in ("workers", "machines", "redis_cores", "primaries", "redis_memory"):
        assert getattr(less, field) <= getattr(more, field)
    assert less.workers * sizing.CONNECTIONS >= guests
    assert less.limits[0].used == max(limit.used for limit in less.limits)
    if less.primaries == 1 and less.limits[0].used > 1:
        assert less.limits[0].what != "one Redis, for messages" or less.redis_cores > sizing.USED


def test_one_load_is_printed_with_all_its_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert sizing.main(["--guests", "50000", "--messages", "4000", "--cores", "4"]) == 0
    printed = capsys.readouterr().out
    assert "| 50,000 | 4,000 |" in printed
    assert printed.count(" of what is planned; beyond it ") == 3
