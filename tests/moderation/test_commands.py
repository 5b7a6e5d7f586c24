"""`passerby moderator`, `passerby audit`, `passerby transparency`, as an operator calls them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from passerby.cli import main
from passerby.clock import SystemClock
from passerby.errors import NotFoundError
from passerby.moderation.logins import Logins
from tests.database.conftest import KEY, opened
from tests.database.test_kept import case, decision

if TYPE_CHECKING:
    from pathlib import Path

JANUARY = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""
DAY = 86_400.0


class Shell:
    """Runs commands in this process, with the database of a file."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code, and what was printed."""
        code = main(arguments)
        out, error = self._capsys.readouterr()
        return code, out + error

    def ok(self, *arguments: str) -> str:
        code, out = self.run(*arguments)
        assert code == 0, out
        return out


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    url = f"sqlite:///{tmp_path}/kept.db"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("EVIDENCE_KEY", KEY)
    return Shell(url, capsys)


# ── moderators ────────────────────────────────────────────────────────────────────────────────────


async def _named(url: str, token: str) -> str:
    async with opened(url, clock=SystemClock()) as kept:
        return (await Logins(kept.staff, kept.journal, SystemClock()).invited(token)).name


async def _in_thread(shell: Shell, *arguments: str) -> str:
    """Run a command beside the loop of the test: commands have a loop of their own."""
    return await asyncio.to_thread(shell.ok, *arguments)


async def test_a_moderator_is_added_listed_reset_and_disabled(shell: Shell) -> None:
    printed = await _in_thread(
        shell, "moderator", "add", "eva", "--role", "admin", "--address", "https://chat.example/"
    )
    first = re.match(r"https://chat\.example/moderate#/setup/([\w-]{43})\n", printed)
    assert first is not None
    assert await _named(shell.url, first[1]) == "eva"
    assert await _in_thread(shell, "moderator", "list") == "eva\tadmin\tnot set up yet\n"
    second = re.search(r"/setup/([\w-]{43})\n", await _in_thread(shell, "moderator", "reset", "eva"))
    assert second is not None
    assert await _named(shell.url, second[1]) == "eva"
    with pytest.raises(NotFoundError):
        await _named(shell.url, first[1])
    await _in_thread(shell, "moderator", "disable", "eva")
    assert await _in_thread(shell, "moderator", "list") == "eva\tadmin\tdisabled\n"
    async with opened(shell.url) as kept:
        entries = [(entry.actor, entry.action, entry.object) async for entry in kept.journal.entries()]
    assert entries == [("command line", f"moderator.{what}", "eva") for what in ("add", "reset", "disable")]


def test_the_link_leads_to_this_machine_if_nothing_else_is_said(shell: Shell) -> None:
    printed = shell.ok("moderator", "add", "eva", "--port", "8080", "--root-path", "/chat")

    assert printed.startswith("http://localhost:8080/chat/moderate#/setup/")


def test_a_name_is_given_once_and_is_a_name(shell: Shell) -> None:
    shell.ok("moderator", "add", "eva")
    for name in ("eva", "", "x" * 65, "a\nb", "a\x1b[31m"):
        code, out = shell.run("moderator", "add", name)
        assert (code, "passerby:" in out) == (2, True)
    assert shell.ok("moderator", "list").count("\n") == 1


@pytest.mark.parametrize("action", ["reset", "disable"])
def test_who_is_not_there_cannot_be_changed(shell: Shell, action: str) -> None:
    code, out = shell.run("moderator", action, "nobody")
    assert (code, out) == (1, "There is no moderator 'nobody'\n")


def test_the_key_is_the_one_of_exports(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = shell.ok("moderator", "key")
    assert printed.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert shell.ok("moderator", "key") == printed
    monkeypatch.delenv("EVIDENCE_KEY")
    code, out = shell.run("moderator", "key")
    assert (code, "EVIDENCE_KEY" in out) == (2, True)


@pytest.mark.parametrize("command", [["moderator", "list"], ["audit", "verify"]])
def test_without_a_database_there_is_nothing_to_look_after(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "none")
    assert shell.run(*command) == (2, "passerby: DATABASE_URL='none': there is nothing to look after\n")


def test_a_database_that_cannot_be_opened_is_said(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "kept.db").write_bytes(b"this is no database" * 100)
    code, out = shell.run("moderator", "list")
    assert code == 1
    assert "Traceback" not in out
    assert out.strip()


# ── the audit ─────────────────────────────────────────────────────────────────────────────────────


async def _change(url: str, *, after: int, number: int = 0) -> None:
    """Remove entries after `after`, or name another actor in the entry `number`."""
    async with opened(url) as kept, kept.database.write() as session:
        table = session.tables.audit
        await session.execute(table.delete().where(table.c.number > after))
        await session.execute(table.update().where(table.c.number == number).values(actor="somebody else"))


async def test_a_changed_audit_is_found_and_the_entry_named(shell: Shell) -> None:
    for name in ("eva", "max", "ada"):
        await _in_thread(shell, "moderator", "add", name)
    assert re.fullmatch(
        r"3 entries, none changed; the last is 3:[0-9a-f]{64}\n", await _in_thread(shell, "audit", "verify")
    )
    await _change(shell.url, after=99, number=2)
    code, out = await asyncio.to_thread(shell.run, "audit", "verify")
    assert (code, out) == (1, "entry 2 was changed, or the one before\n")


async def test_removed_and_rewritten_ends_are_found_by_who_has_kept_the_line(shell: Shell) -> None:
    for name in ("eva", "max", "ada"):
        await _in_thread(shell, "moderator", "add", name)
    known = (await _in_thread(shell, "audit", "verify")).rpartition(" ")[2].strip()
    await _in_thread(shell, "moderator", "add", "tom")
    await _in_thread(shell, "audit", "verify", "--known", known)
    await _change(shell.url, after=2)
    code, out = await asyncio.to_thread(shell.run, "audit", "verify", "--known", known)
    assert (code, out) == (1, "entry 3 is missing\n")
    await _in_thread(shell, "moderator", "disable", "eva")  # a whole chain again, with another third entry
    assert (await _in_thread(shell, "audit", "verify")).startswith("3 entries, none changed")
    code, out = await asyncio.to_thread(shell.run, "audit", "verify", "--known", known)
    assert (code, out) == (1, "entry 3 is not the one that is known\n")


@pytest.mark.parametrize("known", ["", "3", "x:y", "3:zz", "-1:" + "0" * 64, "0:" + "0" * 64, "1:" + "0" * 63])
def test_what_is_known_has_a_form(shell: Shell, known: str) -> None:
    code, out = shell.run("audit", "verify", f"--known={known}")
    assert (code, "--known" in out) == (2, True)


def test_an_audit_without_entries_is_whole(shell: Shell) -> None:
    assert shell.ok("audit", "verify") == "0 entries, none changed\n"


# ── transparency ──────────────────────────────────────────────────────────────────────────────────


async def _fill(url: str) -> None:
    async with opened(url) as kept:
        for number in range(3):
            await kept.cases.add(replace(case(number, at=JANUARY + number * DAY), words="<script>"))
        await kept.cases.add(case(9, at=JANUARY + 400 * DAY))
        await kept.cases.decide(decision(0, "ban", at=JANUARY + 600))
        await kept.cases.decide(decision(1, "dismiss", at=JANUARY + DAY + 1200))


async def test_figures_are_printed_in_three_forms(shell: Shell) -> None:
    await _fill(shell.url)
    dates = ("--from", "2026-01-01", "--to", "2026-04-01")
    figures = json.loads(await _in_thread(shell, "transparency", *dates, "--format", "json"))
    assert (figures["decided"], figures["withinTarget"], figures["medianDecisionSeconds"]) == (2, 2, 900)
    assert figures["sources"] == {"report": 3}
    rows = list(csv.reader(io.StringIO(await _in_thread(shell, "transparency", *dates, "--format", "csv"))))
    for row in (
        ["cases", "report", "3"],
        ["hate", "ban", "1"],
        ["hate", "dismiss", "1"],
        ["decisions", "in time", "2"],
    ):
        assert row in rows
    page = await _in_thread(shell, "transparency", *dates)
    assert page.startswith("<!doctype html>")
    assert "<h1>Transparency report, from 2026-01-01 to 2026-03-31</h1>" in page
    assert page.endswith("</html>\n")
    assert "<td>hate</td><td>ban</td><td>1</td>" in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("begins", "ends"),
    [("2026-01-01", "nonsense"), ("", "2026-01-01"), ("2026-13-01", "2026-14-01"), ("2026-02-01", "2026-01-01")],
)
def test_dates_that_are_none_are_named(shell: Shell, begins: str, ends: str) -> None:
    code, out = shell.run("transparency", "--from", begins, "--to", ends)
    assert (code, out.startswith("passerby: --")) == (2, True)


# ── what it takes ─────────────────────────────────────────────────────────────────────────────────


def test_to_serve_needs_nothing_of_the_console() -> None:
    # PyJWT brings `cryptography`, with or without the console.
    code = (
        "import sys, passerby.app, passerby.settings as s; passerby.app.Application(s.Settings(database_url='none'));"
        "print([m for m in ('argon2', 'pyotp', 'segno', 'sqlalchemy', 'passerby.commands')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
