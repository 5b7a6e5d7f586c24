"""The commands of those who run the console: `passerby moderator`, `passerby audit`, `passerby transparency`."""

from __future__ import annotations

import asyncio
import csv
import html
import io
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

import msgspec

from passerby.assembly import kept
from passerby.chain import verify
from passerby.clock import SystemClock
from passerby.errors import PasserbyError
from passerby.moderation.export import public_pem, signing_key
from passerby.moderation.logins import Logins
from passerby.moderation.staff import Role
from passerby.settings import SettingsError

if TYPE_CHECKING:
    from passerby.assembly import Kept
    from passerby.moderation.figures import Figures
    from passerby.settings import Settings

_ACTOR = "command line"


def run(command: str, chosen: Settings, arguments: dict[str, str | None], out: TextIO) -> int:
    """Run a command; return the exit code. Raises SettingsError."""
    try:
        return asyncio.run(_run(command, chosen, arguments, out))
    except PasserbyError as error:
        out.write(f"{error.message}\n")
    except OSError as error:
        out.write(f"{error}\n")
    return 1


async def _run(command: str, chosen: Settings, arguments: dict[str, str | None], out: TextIO) -> int:
    clock = SystemClock()
    stores = kept(chosen, clock)
    if stores.database.is_off:
        raise SettingsError("DATABASE_URL='none': there is nothing to look after")
    try:
        if command == "audit":
            return await _verify(stores, arguments.get("known"), out)
        if command == "transparency":
            return await _transparency(stores, chosen, arguments, out)
        return await _moderator(stores, Logins(stores.staff, stores.journal, clock), chosen, arguments, out)
    finally:
        await stores.database.close()


async def _moderator(
    stores: Kept, logins: Logins, chosen: Settings, arguments: dict[str, str | None], out: TextIO
) -> int:
    action, name = arguments["action"], arguments.get("name") or ""
    if action == "list":
        for one in await stores.staff.all():
            state = "disabled" if one.disabled_at is not None else "" if one.password_hash else "not set up yet"
            out.write(f"{one.name}\t{one.role}\t{state}".rstrip() + "\n")
    elif action == "key":
        derived = stores.sealer.derive("export")
        if derived is None:
            raise SettingsError("EVIDENCE_KEY: not set, so exports are signed with a new key at each start")
        out.write(public_pem(signing_key(derived)).decode())
    elif action == "disable":
        await logins.disable(name, _ACTOR)
        out.write(f"{name} can log in no more\n")
    else:
        if not 1 <= len(name) <= 64 or not name.isprintable():  # noqa: PLR2004 - as in the table
            raise SettingsError("NAME: must have 1 to 64 characters")
        role = arguments.get("role") or "moderator"
        try:
            token = (
                await logins.reset(name, _ACTOR)
                if action == "reset"
                else await logins.invite(name, msgspec.convert(role, type=Role), _ACTOR)
            )
        except ValueError as error:
            raise SettingsError(str(error)) from None
        house = (arguments.get("address") or f"http://localhost:{chosen.port}{chosen.root_path}").rstrip("/")
        out.write(f"{house}/moderate#/setup/{token}\nThe link works once, within 24 hours.\n")
    return 0


async def _verify(stores: Kept, known: str | None, out: TextIO) -> int:
    number, digest = _known(known)
    entries = [entry async for entry in stores.journal.entries()]
    problem = verify(entries)
    if problem is None and number > len(entries):
        problem = f"entry {number} is missing"
    elif problem is None and number and entries[number - 1].hash != digest:
        problem = f"entry {number} is not the one that is known"
    last = f"; the last is {entries[-1].number}:{entries[-1].hash.hex()}" if entries else ""
    out.write(f"{problem}\n" if problem else f"{len(entries)} entries, none changed{last}\n")
    return 1 if problem else 0


def _known(text: str | None) -> tuple[int, bytes]:
    """Return number and hash of the entry that the operator knows; 0: of none. Raises SettingsError."""
    if text is None:
        return 0, b""
    if (match := re.fullmatch(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", text)) is None:
        raise SettingsError(f"--known={text!r}: is not what `audit verify` has printed, such as 17:3f…")
    return int(match[1]), bytes.fromhex(match[2])


async def _transparency(stores: Kept, chosen: Settings, arguments: dict[str, str | None], out: TextIO) -> int:
    high, middle, low = chosen.case_hours
    begins, ends = _date("--from", arguments.get("begins")), _date("--to", arguments.get("ends"))
    if begins >= ends:
        raise SettingsError("--to: is the day after the last one, so it comes after --from")
    figures = await stores.figures.figures(begins, ends, (high, middle, low))
    kind = arguments.get("format")
    if kind == "json":
        out.write(msgspec.json.format(msgspec.json.encode(figures)).decode() + "\n")
    elif kind == "csv":
        csv.writer(out).writerows(_rows(figures))
    else:
        out.write(_page(figures))
    return 0


def _date(flag: str, text: str | None) -> float:
    try:
        return datetime.strptime(text or "", "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise SettingsError(f"{flag}={text!r}: is not a date such as 2026-01-01") from None


def _rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return what is counted: a group, a name, a value."""
    rows: list[tuple[str, str, str]] = [
        ("cases", source, str(count)) for source, count in sorted(figures.sources.items())
    ]
    for rule in figures.rules:
        rows.append((rule.rule, "cases", str(rule.cases)))
        rows += [(rule.rule, action, str(count)) for action, count in sorted(rule.decisions.items())]
    median = figures.median_decision_seconds
    return [
        *rows,
        ("decisions", "median seconds", "" if median is None else f"{median:.0f}"),
        ("decisions", "decided", str(figures.decided)),
        ("decisions", "in time", str(figures.within_target)),
        ("appeals", "made", str(figures.appeals)),
        ("appeals", "upheld", str(figures.appeals_upheld)),
        ("appeals", "rejected", str(figures.appeals_rejected)),
        ("appeals", "waiting", str(figures.appeals_open)),
    ]


def _page(figures: Figures) -> str:
    # `--to` is the day after the last one.
    first, last = (datetime.fromtimestamp(at, UTC).date() for at in (figures.begins_at, figures.ends_at - 1))
    page = io.StringIO()
    page.write('<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Transparency report</title>\n')
    page.write("<style>body{font:1rem/1.5 sans-serif;margin:2rem}td,th{padding:.2rem 1rem;text-align:left}</style>\n")
    page.write(f"<h1>Transparency report, from {first} to {last}</h1>\n<table>\n")
    page.write("<tr><th>Of</th><th>What</th><th>How many</th></tr>\n")
    for row in _rows(figures):
        page.write("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n")
    page.write("</table>\n</html>\n")
    return page.getvalue()
