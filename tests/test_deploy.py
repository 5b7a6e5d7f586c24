"""deploy/ and the Containerfile: what can be judged without a container engine and without a running systemd."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec.yaml
import pytest

from passerby import __version__
from passerby.settings import SECRETS, Settings, load
from tests.proxies import proxy
from tests.support import packages
from tests.support.ports import free_port
from tests.support.server import ServerProcess
from tools import container

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def test_the_units_secrets_are_credentials_and_not_in_its_environment(tmp_path: Path) -> None:
    lines = re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    given = dict(text.split("=", 1) for key, text in lines if key == "Environment")
    loaded = dict(text.split(":", 1) for key, text in lines if key == "LoadCredential")

    chosen = load(with_secrets(given, "%d/", loaded, tmp_path))

    assert (chosen.jwt_secret, chosen.evidence_key_file) == ("jwt_secret" * 4, str(tmp_path / "evidence_key"))
    assert set(loaded.values()) == {f"/etc/passerby/{name}" for name in loaded}
    assert loaded.keys() == {"jwt_secret", "evidence_key"}
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for place in loaded.values():
        assert f"> {place}\n" in guide, "the guide makes each file that the unit needs"


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


def with_secrets(given: dict[str, str], folder: str, names: Iterable[str], here: Path) -> dict[str, str]:
    """Return an environment whose secrets are in files here, for those in `folder`; each has its name as its text."""
    for name in names:
        (here / name).write_text(f"{name * 4}\n")
    assert {text.removeprefix(folder) for text in given.values() if text.startswith(folder)} == set(names)
    return {name: text.replace(folder, f"{here}/") for name, text in given.items()}


def test_the_composed_server_has_settings_that_hold(compose: Compose, tmp_path: Path) -> None:
    service = compose["services"]["passerby"]
    assert service["image"] == f"passerby:{__version__}"
    given = {name: text.replace("${TURN_HOST:?}", "turn.example") for name, text in service["environment"].items()}
    chosen = load(with_secrets(given, "/run/secrets/", service["secrets"], tmp_path))
    assert (chosen.jwt_secret, chosen.turn_secret) == ("jwt_secret" * 4, "turn_secret" * 4)
    assert not {name.upper() for name in SECRETS - {"redis_url"}} & given.keys()
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


async def test_the_health_check_asks_the_server(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server()
    port = server.url.rpartition(":")[2]
    config = tmp_path / "passerby.toml"
    config.write_text(f"port = {port}")
    asked: list[tuple[dict[str, str], str]] = [
        ({"PORT": port}, ""),
        ({"PASSERBY_PORT": port, "PORT": "1"}, ""),
        ({"PASSERBY_CONFIG": str(config)}, ""),
        ({"PORT": port, "HOST": "0.0.0.0"}, ""),  # noqa: S104 - as in the image
        ({"PORT": port, "HOST": "127.0.0.1,::1"}, ""),
        ({"PORT": (free := str(free_port()))}, f"nothing answers at port {free} of 127.0.0.1"),
        ({"PORT": "0"}, "PORT is 0"),
        ({"PORT": "http"}, "PORT='http': must be a whole number"),
        ({"PORT": port, "HOST": "unix:/nowhere/socket"}, "nothing answers at unix:/nowhere/socket"),
    ]
    for environment, problem in asked:
        code, said = await asked_health(environment)
        assert (code, said[: len(problem)], bool(said)) == (int(bool(problem)), problem, bool(problem)), said


async def asked_health(environment: dict[str, str]) -> tuple[int | None, str]:
    """Run the health check of the image; return its exit code and what it says."""
    ((_, text),) = [step for step in container.instructions(CONTAINERFILE) if step[0] == "HEALTHCHECK"]
    _, *check = json.loads(text.partition("CMD ")[2])
    asking = await asyncio.create_subprocess_exec(
        *(sys.executable, *check), env={"PYTHONPATH": str(ROOT / "src"), **environment}, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(asking.communicate(), SECONDS)
    return asking.returncode, said.decode()


async def test_the_health_check_asks_at_a_unix_socket_and_under_a_path() -> None:
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        environment = {"PASSERBY_HOST": f"unix:{folder}/s", "HOST": "0.0.0.0", "ROOT_PATH": "/chat"}  # noqa: S104 - as in the image
        process = ServerProcess(**environment)
        try:
            await asyncio.to_thread(process.wait_for, "serving on")
            assert await asked_health(environment) == (0, "")
            other = {**environment, "ROOT_PATH": "/other"}
            assert await asked_health(other) == (
                1,
                f"unix:{folder}/s answers, but not as a Passerby that is well\n",
            )
        finally:
            await asyncio.to_thread(process.terminate)


def test_the_health_check_loads_little() -> None:
    source = "import sys, passerby.health; print(*(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=SECONDS)

    assert "msgspec" in done.stdout
    assert not set(done.stdout.split()) & {"asyncio", "argparse", "http", "litestar", "logging", "uvicorn"}


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
        ("deploy/secrets/jwt_secret", True),
        ("deploy/passerby.env", True),
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
