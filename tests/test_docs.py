"""Checks the documents against the code: settings, events, codes, and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from passerby import settings
from passerby.errors import Code
from passerby.realtime.closings import CLOSINGS
from passerby.realtime.contract import INBOUND, OUTBOUND
from tools import settings_table

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    document
    for pattern in ("*.md", ".github/*.md", "benchmarks/*.md", "deploy/*.md", "docs/**/*.md")
    for document in ROOT.glob(pattern)
)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def prose(document: Path) -> str:
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """Return the anchors that code hosts generate for the headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in HEADING.findall(prose(document))
    }


def links(document: Path) -> list[str]:
    found = [markdown or html for markdown, html in LINK.findall(prose(document))]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_relative_links_and_images_lead_somewhere(document: Path) -> None:
    broken = []
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_readme_has_every_setting_as_it_is() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == settings_table.written(readme), "`make settings` writes the tables"
    rows = re.findall(r"^\| `([A-Z_]+)` \|", "\n".join(settings_table.tables()), re.MULTILINE)
    assert sorted(rows) == sorted(row.variable for row in settings.describe())
    assert all(table in readme for table in settings_table.tables())


def test_advice_is_about_settings_that_exist() -> None:
    assert {*settings_table.SET, *settings_table.TUNED} <= {row.variable for row in settings.describe()}
    assert set(settings_table.SET).isdisjoint(settings_table.TUNED)


def test_readme_names_every_secret_that_can_be_in_a_file() -> None:
    (said,) = re.findall(r"The secrets are (.+?)\.\n", prose(ROOT / "README.md"), re.DOTALL)
    assert set(re.findall(r"`(\w+)`", said)) == {name.upper() for name in settings.SECRETS}


def test_protocol_has_every_event_and_no_other() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8").split("\n## Events\n")[1]
    received, sent = text.split("\n## ")[0].split("\n### From the server\n")
    for part, events in ((received, INBOUND), (sent, OUTBOUND)):
        headings = re.findall(r"^#### (.+)$", part, re.MULTILINE)
        assert {name for heading in headings for name in re.findall(r"`([^`]+)`", heading)} == {
            event.event for event in events
        }


def test_protocol_has_every_code_and_no_other() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    errors = text.split("\n## Errors\n")[1].split("\n## ")[0]
    closings = text.split("\n## Why a connection closes\n")[1].split("\n## ")[0]
    codes = re.findall(r"^\| `(\w+)`", errors, re.MULTILINE)
    assert sorted(codes) == sorted(set(codes))
    assert {*codes, *(row[0] for row in closing_rows(closings))} == set(Code)


def closing_rows(section: str) -> list[tuple[str, int, str, bool]]:
    """Return code, close code, meaning and whether to reconnect, from each row."""
    rows = re.findall(r"^\| `(\w+)` \| (\d{4}) \| (.+?) \| (yes|no) \|$", section, re.MULTILINE)
    return [(code, int(number), meaning, come_back == "yes") for code, number, meaning, come_back in rows]


def test_protocol_has_every_closing_as_it_is() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    section = text.split("\n## Why a connection closes\n")[1].split("\n## ")[0]
    assert closing_rows(section) == [
        (closing.code, closing.websocket.value, closing.meaning, closing.come_back) for closing in CLOSINGS.values()
    ]
