"""What is packed: an sdist and a wheel always have the built client, and say what is missing if it cannot be built."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from passerby import __version__
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[1]
STATIC: Final = ROOT / "src" / "passerby" / "static"
NAME: Final = f"passerby-{__version__}"
WHEEL: Final = f"{NAME}-py3-none-any.whl"
PATIENCE: Final = 60
MEBI: Final = 1 << 20
RECORDS: Final = {".sources", ".built"}
"""What the build leaves about itself."""


def client_files(static: Path) -> set[str]:
    return {path.relative_to(static).as_posix() for path in static.rglob("*") if path.is_file()} - RECORDS


def copy(to: Path) -> Path:
    """Copy what is packed, and the built client, without the packages of the client's build."""
    left_out = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in ("src", "web", "tools", "deploy", "requirements"):
        shutil.copytree(ROOT / name, to / name, ignore=left_out)
    for name in ("pyproject.toml", ".gitignore", "Makefile", "Containerfile", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy2(ROOT / name, to / name)
    return to


def build(source: Path, target: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Build into dist/. `path` is where programs are looked for: nowhere, so there is neither Node nor npm."""
    return subprocess.run(
        (sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", "dist"),
        cwd=source,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def built(source: Path, target: str, path: str = "") -> Path:
    """Build, and return the only file of dist/ that is of the target."""
    result = build(source, target, path)
    assert result.returncode == 0, result.stderr
    (made,) = (source / "dist").glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the repository's files; not to be changed."""
    return copy(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def sdist(tree: Path) -> Path:
    return built(tree, "sdist")


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    return built(tree, "wheel")


def test_the_wheel_has_the_client_and_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    prefix = "passerby/static/"
    assert {name.removeprefix(prefix) for name in names if name.startswith(prefix)} == client_files(STATIC)
    assert {"index.html", "moderate.html"} < client_files(STATIC)
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB")
    assert wheel.stat().st_size < 10 * MEBI


def test_a_wheel_from_the_sdist_is_the_same_and_needs_no_node(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = set(archive.getnames())
        archive.extractall(tmp_path, filter="data")
    assert {f"{NAME}/src/passerby/static/{name}" for name in client_files(STATIC)} < names
    assert {f"{NAME}/web/src/main.ts", f"{NAME}/web/package-lock.json", f"{NAME}/Containerfile"} < names
    assert not [name for name in names if "/node_modules" in name or "/secrets" in name]
    second = built(tmp_path / NAME, "wheel")
    assert hashlib.sha256(second.read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()


# ── installed ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of a new environment with the wheel; what it depends on is that of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    programs = folder / "bin"
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*command, "--python", programs / "python", wheel], check=True, timeout=PATIENCE)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    return programs


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which nothing leads to the repository."""
    return {"PATH": os.environ["PATH"], "STATE_DIRECTORY": str(tmp_path), "HOME": str(tmp_path)}


@pytest.mark.parametrize("command", [("passerby",), ("python", "-m", "passerby")])
def test_it_says_its_version(environment: Path, alone: dict[str, str], command: tuple[str, ...]) -> None:
    line = (str(environment / command[0]), *command[1:], "--version")
    said = subprocess.run(line, env=alone, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert said.stdout.strip() == __version__


def test_it_serves_the_page_and_the_console(environment: Path, alone: dict[str, str], tmp_path: Path) -> None:
    add = (environment / "passerby", "moderator", "add", "eva")
    subprocess.run(add, env=alone, capture_output=True, timeout=PATIENCE, check=True)
    port = free_port("127.0.0.1")
    command = (environment / "python", "-m", "passerby", "serve", "--port", str(port))
    with subprocess.Popen(command, env=alone, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            lines: list[str] = []
            while not any("serving on" in line for line in lines):
                lines.append(server.stderr.readline())
                assert lines[-1], lines
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                page, console = http.get("/"), http.get("/moderate")
                assert page.content == (STATIC / "index.html").read_bytes()
                assert console.content == (STATIC / "moderate.html").read_bytes()
                for link in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text + console.text):
                    assert http.get(link).status_code == 200, link
        finally:
            server.kill()


# ── the build of the client ───────────────────────────────────────────────────────────────────────


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def remove_client(source: Path) -> None:
    shutil.rmtree(source / "src" / "passerby" / "static")


def change_client(source: Path) -> None:
    with (source / "web" / "src" / "main.ts").open("a") as file:
        file.write("// changed\n")


def remove_console(source: Path) -> None:
    (source / "src" / "passerby" / "static" / "moderate.html").unlink()


def remove_script(source: Path) -> None:
    max((source / "src" / "passerby" / "static" / "assets").glob("*.js")).unlink()


def spoil_script(source: Path) -> None:
    max((source / "src" / "passerby" / "static" / "assets").glob("*.js")).write_text("half of")


@pytest.mark.parametrize("spoil", [remove_client, change_client, remove_console, remove_script, spoil_script])
@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_what_is_missing_is_said_in_a_sentence(tmp_path: Path, spoil: Callable[[Path], None], target: str) -> None:
    source = copy(tmp_path / "source")
    spoil(source)
    programs = tmp_path / "programs"
    failed = build(source, target, str(programs))
    assert failed.returncode == 1
    assert failed.stderr.startswith("passerby: building the web client needs Node.js 20.19 or newer, and there is none")
    program(programs, "node", "echo v18.20.4")
    assert "needs Node.js 20.19 or newer, and this is v18.20.4: " in build(source, target, str(programs)).stderr
    program(programs, "node", "echo v22.12.0")
    assert "needs npm, " in build(source, target, str(programs)).stderr
    program(programs, "npm", "echo the registry is away; exit 1")
    failed = build(source, target, str(programs))
    assert failed.stderr.splitlines()[-2] == "the registry is away"
    assert "the web client was not built: `npm ci " in failed.stderr.splitlines()[-1]
    assert not list((source / "dist").glob("*"))


def test_without_sources_what_is_built_is_taken(wheel: Path, tmp_path: Path) -> None:
    source = copy(tmp_path)
    shutil.rmtree(source / "web")
    assert built(source, "wheel").read_bytes() == wheel.read_bytes()
    remove_script(source)
    assert "there are neither its sources (" in build(source, "wheel").stderr
    remove_client(source)
    assert "there are neither its sources (" in build(source, "wheel").stderr


def test_what_the_build_has_not_made_is_not_packed(wheel: Path, tmp_path: Path) -> None:
    source = copy(tmp_path)
    static = source / "src" / "passerby" / "static"
    for name in ("notes.html", "assets/older-12345678.js", "secrets/key.pem"):
        (static / name).parent.mkdir(exist_ok=True)
        (static / name).write_text("a stranger")
    assert built(source, "wheel").read_bytes() == wheel.read_bytes()
    with tarfile.open(built(source, "sdist")) as archive:
        names = archive.getnames()
    prefix = f"{NAME}/src/passerby/static/"
    assert {name.removeprefix(prefix) for name in names if name.startswith(prefix)} == client_files(STATIC) | RECORDS


def test_an_editable_install_builds_nothing(tmp_path: Path) -> None:
    source = copy(tmp_path)
    remove_client(source)
    assert build(source, "wheel:editable").returncode == 0
    assert not (source / "src" / "passerby" / "static").exists()


def test_the_client_is_built_again_when_its_sources_change(tmp_path: Path) -> None:
    source = copy(tmp_path)
    change_client(source)
    (source / "web" / "node_modules").symlink_to(ROOT / "web" / "node_modules")
    with zipfile.ZipFile(built(source, "wheel", os.environ["PATH"])) as archive:
        names = archive.namelist()
    assert {f"passerby/static/{page}" for page in ("index.html", "moderate.html", "icon.svg")} < set(names)
    built(source, "wheel")  # not once more: there is no npm
