"""Puts the built web client into every wheel and sdist; hatchling calls it (pyproject.toml).

The client is built with npm if src/passerby/static is not that of the sources in web/. Its build leaves there a list of
the sources with their hashes, `.sources`, and one of the built files, `.built` (web/scripts/sources.ts). So whoever has
all of them needs no Node: that is so in an sdist, and after `make`. Only built files are packed, whatever else is in
static. An editable install takes nothing and builds
nothing: `make` builds its client.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES: Final = ("index.html", "moderate.html")
"""The guests' page and the console."""
_FOLDERS: Final = ("public", "scripts", "src")
_SUFFIXES: Final = {".html", ".js", ".json", ".ts"}
_SOURCES: Final = ".sources"
_BUILT: Final = ".built"
_INSTALLED: Final = Path("node_modules", ".installed")
"""What the Makefile leaves when the packages are those of package-lock.json."""
_HELP: Final = "install it, or take a wheel or an sdist of a release, which have the client in them"


class ClientHook(BuildHookInterface[BuilderConfig]):
    """Runs before each wheel and sdist."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make sure that the client is there. Raises SystemExit with one line that says what is missing."""
        if version != "editable":
            root = Path(self.root)
            static = root / "src" / "passerby" / "static"
            ensure(root / "web", static)
            records = [_SOURCES, _BUILT] if self.target_name == "sdist" else []
            names = [*(path for _, path in _listed(static / _BUILT)), *records]
            build_data["artifacts"] += [f"/{(static / name).relative_to(root).as_posix()}" for name in names]


def ensure(web: Path, static: Path) -> None:
    """Build the client of `web` into `static`, unless it is there. Raises SystemExit."""
    if not web.is_dir():
        if not _is_whole(static):
            _fail(f"the web client is missing: there are neither its sources ({web}) nor built files ({static})")
    elif not (_is_whole(static) and set(_listed(static / _SOURCES)) == set(_lines(web))):
        _build(web)
        if not _is_whole(static):
            _fail(f"`npm run build` has not made {' and '.join(PAGES)} in {static}")


def _is_whole(static: Path) -> bool:
    """Return whether all built files are there, as they were built."""
    built = _listed(static / _BUILT)
    return {path for _, path in built}.issuperset(PAGES) and all(
        (static / path).is_file() and _hash(static / path) == digest for digest, path in built
    )


def _listed(record: Path) -> list[tuple[str, str]]:
    """Return the hashes and paths of a record; none if there is no record."""
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    return [(digest, path) for digest, _, path in (line.partition("  ") for line in lines)]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lines(web: Path) -> Iterator[tuple[str, str]]:
    """Yield what the record says of these sources."""
    top = (path for path in web.iterdir() if path.suffix in _SUFFIXES)
    for path in (*top, *(path for folder in _FOLDERS for path in (web / folder).rglob("*"))):
        if path.is_file() and not path.name.startswith("."):
            yield _hash(path), path.relative_to(web).as_posix()


def _build(web: Path) -> None:
    needed = json.loads((web / "package.json").read_text(encoding="utf-8"))["engines"]["node"].removeprefix(">=")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None:
        _fail(f"building the web client needs Node.js {needed} or newer, and there is none: {_HELP}")
    said = subprocess.run((node, "--version"), check=False, capture_output=True, text=True).stdout.strip()
    if _version(said) < _version(needed):
        _fail(f"building the web client needs Node.js {needed} or newer, and this is {said or 'none'}: {_HELP}")
    if npm is None:
        _fail(f"building the web client needs npm, which is part of Node.js or a package of its own: {_HELP}")
    if not _is_installed(web):
        _run(web, npm, "ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error")
        (web / _INSTALLED).touch()
    _run(web, npm, "run", "--silent", "build")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _is_installed(web: Path) -> bool:
    stamp = web / _INSTALLED
    return stamp.is_file() and stamp.stat().st_mtime >= (web / "package-lock.json").stat().st_mtime


def _run(web: Path, npm: str, *arguments: str) -> None:
    # stdout may be what a caller of hatchling reads.
    if subprocess.run((npm, *arguments), cwd=web, check=False, stdout=sys.stderr).returncode:
        _fail(f"the web client was not built: `npm {' '.join(arguments)}` in {web} has failed; see above")


def _fail(reason: str) -> NoReturn:
    raise SystemExit(f"passerby: {reason}")
