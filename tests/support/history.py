"""Earlier states of this repository, from a clone of it. Nothing is fetched from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from passerby.nodes.bus import VERSION

ROOT: Final = Path(__file__).parents[2]
_BUS: Final = "src/passerby/nodes/bus.py"
_DECLARED: Final = re.compile(r"^VERSION: Final = (\d+)$", re.MULTILINE)


class NoHistoryError(Exception):
    """There is no commit before this one; the message is one line that says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "there is no earlier commit to run beside this one: use a clone of the repository with its history "
            "(git fetch --unshallow), not an archive of its files"
        )


def _git(root: Path, *arguments: str) -> str:
    """Return what git says. Raises NoHistoryError if it fails, or if there is none."""
    # A hook of git has variables that lead to the repository in which it runs.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    # Without it, git takes the repository above a folder that is none.
    environment["GIT_CEILING_DIRECTORIES"] = str(root.parent)
    try:
        done = subprocess.run(
            ("git", "-C", str(root), *arguments), env=environment, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        raise NoHistoryError from None
    return done.stdout.strip()


def version_at(root: Path, commit: str) -> int | None:
    """Return the version of the frames between nodes at a commit; None if there was none."""
    try:
        found = _DECLARED.search(_git(root, "show", f"{commit}:{_BUS}"))
    except NoHistoryError:
        return None
    return int(found[1]) if found else None


def commits_beside(root: Path = ROOT, version: int = VERSION) -> list[str]:
    """Return the commits whose nodes must share guests with those of this one, which have frames of `version`.

    They are the commit before, the last tagged one, and the last one of the version before, those of them that there
    are and that are understood. Raises NoHistoryError if there is none.
    """
    before = _git(root, "rev-list", "--first-parent", "--max-count=1", "--skip=1", "HEAD")
    tagged = _git(root, "rev-list", "--tags", "--max-count=1")
    changed = _git(root, "log", "--first-parent", "-1", "--format=%H", "-G", "^VERSION", "HEAD", "--", _BUS)
    found = [
        _git(root, "rev-parse", commit)
        for commit in (before, tagged, changed and f"{changed}^1")
        if commit and version_at(root, commit) in (version, version - 1)
    ]
    if not found:
        raise NoHistoryError
    return list(dict.fromkeys(found))


def check_out(folder: Path, commit: str, root: Path = ROOT) -> Path:
    """Clone the repository into `folder` as it was at `commit`; return the folder of its packages."""
    _git(root, "clone", "--quiet", "--no-checkout", "--shared", str(root), str(folder))
    _git(folder, "checkout", "--quiet", "--detach", commit)
    return folder / "src"
