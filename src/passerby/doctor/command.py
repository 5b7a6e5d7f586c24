"""`passerby doctor`: runs all checks at once, prints a line for each finding, and returns the exit code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TextIO
from urllib.parse import parse_qs, unquote

from passerby import redis_url
from passerby.doctor import directory, port, process, redis_server, site, turn
from passerby.doctor.findings import DEADLINE, Level, examine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.doctor.findings import Check
    from passerby.settings import Settings

_HIDDEN: Final = "(secret)"
_SHORT: Final = 6
"""Characters of a secret that may stand in any text by chance."""


def run(settings: Settings, url: str | None, output: TextIO, deadline: float = DEADLINE) -> int:
    """Check an installation, each thing for at most `deadline` seconds. Return 0 if there is no problem, else 1.

    Raises SettingsError if `url` is wrong.
    """
    chosen = None if url is None else site.parse(url)
    with asyncio.Runner() as runner:
        return runner.run(_examine(all_checks(settings, chosen), settings, output, deadline))


def all_checks(settings: Settings, chosen: site.Site | None) -> Sequence[Check]:
    """Return every check, in the order of the report. A new one is added here, or in the module of its subject."""
    return [
        *process.checks(settings),
        *port.checks(settings),
        *directory.checks(settings),
        *redis_server.checks(settings),
        *turn.checks(settings),
        *site.checks(settings, chosen),
    ]


async def _examine(checks: Sequence[Check], settings: Settings, output: TextIO, deadline: float) -> int:
    code = 0
    secrets = secrets_of(settings)
    async for finding in examine(checks, deadline):
        if finding.level is Level.PROBLEM:
            code = 1
        encoding = output.encoding or "utf-8"
        line = conceal(str(finding), secrets).encode(encoding, "backslashreplace").decode(encoding)
        output.write(f"{line}\n")
        output.flush()
    return code


def secrets_of(settings: Settings) -> list[str]:
    """Return what must not be printed."""
    password = None if settings.redis_url is None else redis_url.parse(settings.redis_url).password
    secrets = [settings.jwt_secret, settings.jwt_secret_previous, settings.turn_secret, password]
    secrets += _passwords(settings.database_url or "")
    secrets += [settings.evidence_key, settings.hook_secret, settings.age_secret]
    return [secret for secret in secrets if secret is not None and len(secret) >= _SHORT]


def _passwords(url: str) -> list[str]:
    """Return the passwords of a URL, which may have any characters, as they are written and as they are meant."""
    _, _, rest = url.partition("://")
    written = rest.rpartition("@")[0].partition(":")[2]
    return [written, unquote(written), *parse_qs(rest.partition("?")[2]).get("password", [])]


def conceal(line: str, secrets: Sequence[str]) -> str:
    """Return a line without secrets. No check writes one; this is for texts that come from elsewhere."""
    for secret in secrets:
        line = line.replace(secret, _HIDDEN)
    return line
