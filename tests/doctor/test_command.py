"""The command itself: exit codes, what it prints, and what it must not print."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from passerby.doctor import command
from passerby.doctor.findings import Check, Finding, Level, examine, in_thread
from tests.doctor.diagnosis import chosen, diagnose
from tests.support.ports import free_port
from tests.support.server import SECRET, START_PATIENCE, settings_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.server import ServerProcess

DEADLINE = 0.2


def passerby(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as an operator does."""
    clean = {name: text for name, text in os.environ.items() if name not in settings_names()}
    return subprocess.run(
        [sys.executable, "-m", "passerby.cli", *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=START_PATIENCE,
        check=False,
    )


def test_a_sound_installation_is_exit_code_0() -> None:
    done = passerby("doctor", "--port", str(free_port()), "--max-connections", "100", JWT_SECRET=SECRET)

    assert (done.returncode, done.stderr) == (0, "")
    levels = [line.split()[0] for line in done.stdout.splitlines()]
    assert set(levels) == {"ok", "warning"}
    assert levels.count("warning") == 2, "calls without STUN and TURN, reports without a key"
    assert SECRET not in done.stdout


def test_a_problem_is_exit_code_1() -> None:
    done = passerby("doctor", "--stun-urls", f"stun:127.0.0.1:{free_port()}", PORT=str(free_port()))

    assert (done.returncode, done.stderr) == (1, "")
    assert [line.split()[0] for line in done.stdout.splitlines()].count("problem") == 1


@pytest.mark.parametrize(
    ("arguments", "environment", "name"),
    [
        (("--grace", "soon"), {}, "--grace"),
        ((), {"PORT": "http"}, "PORT"),
        ((), {"JWT_SECRET": "short"}, "JWT_SECRET"),
        (("--url", "chat.example"), {}, "--url"),
        (("--url", "ftp://chat.example"), {}, "--url"),
        (("--url", "https://chat.example:many"), {}, "--url"),
        (("--url", "https://chat.example/a/../b"), {}, "--url"),
        (("--url", "https://chat.example//chat"), {}, "--url"),
        (("--url", "https://chat.example/chat?a=1"), {}, "--url"),
        (("--url", "https://anna:hunter2@chat.example"), {}, "--url"),
        (("--url", "https://chat.example\r\nX: y"), {}, "--url"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], environment: dict[str, str], name: str
) -> None:
    done = passerby("doctor", *arguments, **environment)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"passerby: {name}")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr
    assert "short" not in done.stderr.removeprefix(f"passerby: {name}")


def test_help_names_the_command_and_every_setting() -> None:
    assert "doctor" in passerby("--help").stdout
    text = passerby("doctor", "--help").stdout

    assert all(f"--{name.lower().replace('_', '-')} " in text for name in (*settings_names(), "URL"))


def test_a_running_server_is_recognised(server_process: ServerProcess) -> None:
    done = passerby("doctor", PORT=server_process.url.rpartition(":")[2], JWT_SECRET=SECRET)

    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if "in use" in line]
    assert line.startswith("ok ")


async def test_workers_need_a_valkey(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await diagnose(workers="2")).level("workers share a Valkey that starts with them") == "ok"
    assert (await diagnose(workers="1")).about("workers share") == []
    monkeypatch.setattr("passerby.workers.valkey.find", lambda: None)
    assert (await diagnose(workers="2")).level(
        "install `passerby\\[workers\\]`, valkey-server or redis-server"
    ) == "problem"


async def test_settings_that_surprise_are_warnings() -> None:
    report = await diagnose(jwt_secret=None, limits_scale=50.0, max_connections=10**9, files_limit=1 << 50)

    assert report.code == 0
    for name in ("JWT_SECRET is not set", "LIMITS_SCALE is 50", "MAX_CONNECTIONS=", "FILES_LIMIT"):
        assert report.level(name) == "warning"


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
async def test_a_proxy_that_is_everybody_is_a_problem(network: str) -> None:
    report = await diagnose(trusted_proxies=("127.0.0.1", network))

    assert report.level("TRUSTED_PROXIES") == "problem"


# ── checks in general ─────────────────────────────────────────────────────────────────────────────


async def found(*checks: Check) -> list[Finding]:
    return [finding async for finding in examine(checks, DEADLINE)]


async def fine() -> Sequence[Finding]:
    return [Finding(Level.OK, "fine")]


async def broken() -> Sequence[Finding]:
    raise RuntimeError(f"with a secret: {SECRET}")


async def endless() -> Sequence[Finding]:
    await asyncio.Event().wait()
    raise AssertionError


async def stuck() -> Sequence[Finding]:
    await in_thread(lambda: time.sleep(20))
    raise AssertionError


async def test_a_check_that_fails_or_hangs_is_a_problem_and_the_others_are_shown_in_order() -> None:
    begun = time.monotonic()
    findings = await found(
        Check("A", endless), Check("B", fine), Check("C", broken), Check("D", stuck), Check("E", endless)
    )

    assert [finding.level.value for finding in findings] == ["problem", "ok", "problem", "problem", "problem"]
    assert [finding.text[0] for finding in findings] == ["A", "f", "C", "D", "E"]
    assert "RuntimeError" in findings[2].text
    assert SECRET not in str(findings)
    assert time.monotonic() - begun < 10 * DEADLINE, "all run at once"


def test_a_check_that_hangs_does_not_keep_the_process() -> None:
    program = (
        "import asyncio, time\n"
        "from passerby.doctor.findings import *\n"
        "async def main():\n"
        "    async def stuck(): await in_thread(lambda: time.sleep(3600))\n"
        "    async for finding in examine([Check('A', stuck)], 0.1): print(finding)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=START_PATIENCE, check=True
    )

    assert done.stdout.startswith("problem  A gave no answer")


async def test_a_thread_returns_and_raises() -> None:
    assert await in_thread(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0)


def test_a_reader_who_stops_is_no_error() -> None:
    shell = f"{sys.executable} -m passerby.cli doctor --stun-urls stun:127.0.0.1:1 | true"
    clean = {name: text for name, text in os.environ.items() if name not in settings_names()}
    done = subprocess.run(
        ["sh", "-c", shell], env=clean, capture_output=True, text=True, timeout=START_PATIENCE, check=True
    )

    assert done.stderr == ""


def test_a_terminal_is_not_controlled_and_any_name_can_be_printed() -> None:
    assert str(Finding(Level.OK, "a\x1b[31m\udc80é")) == "ok       a?[31m?é"
    done = passerby("doctor", FILE_STORE="disk", FILE_DIRECTORY="/é", PYTHONIOENCODING="ascii", JWT_SECRET=SECRET)
    assert done.stderr == ""
    assert "/\\xe9" in done.stdout


@pytest.mark.parametrize(
    "url", ["postgresql://a:hunter[2@h/db", "postgresql://a:hunter%5B2@h/db", "postgresql://h/db?password=hunter%5B2"]
)
def test_the_password_of_the_database_is_known_however_it_is_written(url: str) -> None:
    line = command.conceal("no hunter[2 here", command.secrets_of(chosen(database_url=url)))

    assert line == "no (secret) here"


def test_a_line_never_breaks_and_has_no_secret() -> None:
    line = command.conceal(str(Finding(Level.WARNING, f"a\r\nb {SECRET}\n")), [SECRET])

    assert line == "warning  a b (secret)"
