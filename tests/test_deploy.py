"""deploy/ and the Containerfile: what can be judged without a container engine and without a running systemd."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec.yaml
import pytest

from passerby import __version__
from passerby.settings import Settings, load
from tests.proxies import proxy
from tests.support import packages
from tests.support.ports import free_port
from tools import container

if TYPE_CHECKING:
    from tests.conftest import StartServer

ROOT: Final = Path(__file__).parents[1]
DEPLOY: Final = ROOT / "deploy"
UNIT: Final = DEPLOY / "passerby.service"
CONTAINERFILE: Final = (ROOT / "Containerfile").read_text(encoding="utf-8")
SECONDS: Final = 60
Compose = dict[str, Any]
"""What compose.yaml says."""


# ── systemd ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def analyze() -> str:
    """Return the path of `systemd-analyze`, which is installed if necessary."""
    found = packages.ensure("systemd-analyze", "systemd")
    assert found is not None, "install the package `systemd`, version 250 or newer (apt-get install systemd)"
    return found


def test_the_unit_is_hardened(analyze: str) -> None:
    command = (analyze, "security", "--offline=true", "--no-pager", "--threshold=20", UNIT)
    judged = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    found = re.search(r"Overall exposure level for passerby.service: ([\d.]+)", judged.stdout)
    assert found is not None, judged.stderr
    assert judged.returncode == 0, judged.stdout  # above the threshold, in tenths
    assert float(found[1]) <= 2.0


def test_systemd_understands_every_line_of_the_unit(analyze: str, tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    unit = tmp_path / UNIT.name
    unit.write_text(proxy.replaced(text, **{"ExecStart=/opt/passerby/bin/passerby": "ExecStart=/bin/true"}))
    command = (analyze, "verify", "--man=no", unit)
    verified = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert UNIT.name not in verified.stderr  # other units of the machine may be named
    unit.write_text(text.replace("UMask=", "Umask="))
    verified = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "Umask" in verified.stderr


def test_the_unit_stops_later_than_the_server_drains() -> None:
    unit = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE))
    assert float(unit["TimeoutStopSec"]) > 2 * Settings().drain_seconds
    assert int(unit["LimitNOFILE"]) > Settings().max_connections
    assert unit["StateDirectory"] == "passerby"


# ── containers ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def compose() -> Compose:
    return msgspec.yaml.decode((DEPLOY / "compose.yaml").read_bytes(), type=Compose)


SERVICES: Final = ("passerby", "valkey", "caddy", "coturn")


def test_the_services_are_these(compose: Compose) -> None:
    assert tuple(compose["services"]) == SERVICES


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_can_do_little(compose: Compose, name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[a-z]+(/[a-z]+)?:\d[\d.]*", service["image"])
    assert "healthcheck" in service or (name == "passerby" and "HEALTHCHECK" in CONTAINERFILE)


def test_what_the_services_refer_to_is_there(compose: Compose) -> None:
    for service in compose["services"].values():
        assert set(service.get("networks", ())) <= set(compose["networks"])
        assert set(service.get("secrets", ())) <= set(compose["secrets"])
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).is_file(), volume


def test_the_composed_server_has_settings_that_hold(compose: Compose) -> None:
    service = compose["services"]["passerby"]
    assert service["image"] == f"passerby:{__version__}"
    given = {name: text.replace("${TURN_HOST:?}", "turn.example") for name, text in service["environment"].items()}
    chosen = load({**given, "TURN_SECRET": "s" * 32})
    assert chosen.trusted_proxies == (compose["networks"]["front"]["ipam"]["config"][0]["subnet"],)
    assert chosen.redis_url == "redis://valkey:6379/0"
    assert compose["services"]["valkey"]["networks"] == ["store"]
    assert compose["networks"]["store"]["internal"] is True
    assert float(service["stop_grace_period"].rstrip("s")) > 2 * chosen.drain_seconds


def test_caddy_accepts_the_composed_proxy() -> None:
    command = (proxy.ensure("caddy"), "adapt", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile")
    adapted = subprocess.run(
        command, env={"CHAT_HOST": "chat.example"}, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert '"dial":"passerby:3001"' in adapted.stdout
    assert '"host":["chat.example"]' in adapted.stdout


def test_the_image_is_named_by_versions_and_runs_as_nobody_special() -> None:
    steps = list(container.instructions(CONTAINERFILE))
    assert [rest for name, rest in steps if name == "FROM"] == [
        "node:24-slim AS client",
        "python:3.13-slim AS server",
        "scratch",
    ]
    final = steps[max(index for index, step in enumerate(steps) if step[0] == "FROM") :]
    assert ("USER", "10001:10001") in final
    assert "RUN" not in [name for name, _ in final]  # there is no shell
    (installs,) = [rest for name, rest in steps if name == "RUN" and "image.txt" in rest]
    assert "--require-hashes" in installs


async def test_the_health_check_asks_the_server(start_server: StartServer) -> None:
    ((_, text),) = [step for step in container.instructions(CONTAINERFILE) if step[0] == "HEALTHCHECK"]
    _, *check = json.loads(text.partition("CMD ")[2])
    server = await start_server()
    for port, is_healthy in ((server.url.rpartition(":")[2], True), (str(free_port()), False)):
        asking = await asyncio.create_subprocess_exec(
            *(sys.executable, *check), env={"PORT": port}, stderr=asyncio.subprocess.DEVNULL
        )
        assert (await asyncio.wait_for(asking.wait(), SECONDS) == 0) is is_healthy


@pytest.mark.parametrize(
    ("path", "is_out"),
    [
        ("src/passerby/cli.py", False),
        ("web/src/main.ts", False),
        ("requirements/image.txt", False),
        ("README.md", False),
        ("src/passerby/static", True),
        ("src/passerby/__pycache__/cli.pyc", True),
        ("web/node_modules", True),
        ("web/node_modules/vite/index.js", True),
        ("deploy/secrets/passerby.env", True),
        (".git/config", True),
        ("web/.env", True),
    ],
)
def test_only_what_is_needed_gets_into_a_build(path: str, is_out: bool) -> None:
    patterns = (ROOT / ".containerignore").read_text(encoding="utf-8")
    assert container.ignored(patterns, path) is is_out


def versions_in(lock: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / lock).read_text(encoding="utf-8").splitlines()
    return dict(
        line.removesuffix("\\").split(";")[0].strip().split("==") for line in lines if "==" in line.split(" ")[0]
    )


@pytest.mark.parametrize("lock", ["image.txt", "dev.txt"])
def test_the_locks_agree(lock: str) -> None:
    one, other = versions_in("run.txt"), versions_in(lock)
    both = one.keys() & other.keys()
    assert "litestar" in both
    assert {name: one[name] for name in both} == {name: other[name] for name in both}


@pytest.mark.parametrize("lock", ["run.txt", "image.txt", "dev.txt"])
def test_the_locks_have_what_is_declared(lock: str) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[\[<>=~! ;]", one)[0].lower() for one in declared}
    assert names <= versions_in(lock).keys()
