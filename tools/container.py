"""Carries out the Containerfile where there is no container engine: each stage is a folder, and a root.

    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv trixie /tmp/python
    python -m tools.container /tmp/stages --base python:3.13-slim=/tmp/python --base node:24-slim=/tmp/node

leaves the last stage in /tmp/stages and prints the size of its files. A base image is a copy of a folder, such as one
made by debootstrap. It needs root and Linux. It knows the instructions of our Containerfile, and no layers, no
cache and no isolation: it shows that the steps work, and what comes out. What pip and npm need on this machine, such as
a certificate of a proxy, belongs into the bases.

    python -m tools.container /tmp/stages --run passerby --version

runs a command in the last stage as its user, with its environment, a root that cannot be written, and an empty /tmp.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.rootfs import size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).parents[1]
_DESCRIPTION: Final = "image.json"
"""Beside the stages: how the last one is run."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Stage:
    """One `FROM` and what follows it."""

    def __init__(self, folder: Path) -> None:
        """Begin in `folder`, which exists."""
        self.folder = folder
        self.directory = "/"
        self.environment = {"PATH": _PATH}
        self.user = "0:0"

    def place(self, path: str) -> Path:
        """Return the folder or file of a path, relative to WORKDIR."""
        return self.folder / os.path.join(self.directory, path).lstrip("/")  # noqa: PTH118 - of the stage, not ours


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction and the rest of it, in one line."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def ignored(text: str, path: str) -> bool:
    """Return whether a path of the context is left out by the patterns of a .containerignore; the last one decides."""
    out = False
    for line in text.splitlines():
        pattern = line.removeprefix("!")
        if not line.startswith("#") and pattern and _matches(pattern, path):
            out = not line.startswith("!")
    return out


def _matches(pattern: str, path: str) -> bool:
    parts = path.split("/")
    heads = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    expression = re.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
    return any(re.fullmatch(expression, head) for head in heads)


def build(work: Path, bases: dict[str, Path]) -> Stage:
    """Carry out the Containerfile; return its last stage."""
    work.mkdir(parents=True)
    stages: dict[str, Stage] = {}
    stage = Stage(work)
    for name, rest in instructions((ROOT / "Containerfile").read_text(encoding="utf-8")):
        print(f"{name} {rest}", flush=True)
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            stage = stages[alias] = Stage(work / (alias or "last"))
            if base == "scratch":
                stage.folder.mkdir()
            else:
                shutil.copytree(bases[base], stage.folder, symlinks=True, ignore=_special)
        elif name == "COPY":
            _copy(stage, stages, rest.split())
        elif name == "RUN":
            _in(stage, ("/bin/sh", "-c", f"cd {stage.directory} && {rest}"))
        elif name == "WORKDIR":
            stage.directory = rest
            stage.place(".").mkdir(parents=True, exist_ok=True)
        elif name == "ENV":
            stage.environment |= dict(re.findall(r"(\w+)=(\S+)", rest))
        elif name == "USER":
            stage.user = rest
        elif name not in ("CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "VOLUME"):
            raise ValueError(name)
    return stage


def _special(folder: str, names: list[str]) -> list[str]:
    """Name the devices, which need not be copied."""
    return [name for name in names if not (path := Path(folder, name)).is_symlink() and not _is_plain(path)]


def _is_plain(path: Path) -> bool:
    return path.is_file() or path.is_dir()


def _copy(stage: Stage, stages: dict[str, Stage], words: list[str]) -> None:
    options = dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--"))
    *sources, to = (word for word in words if not word.startswith("--"))
    patterns = "" if "from" in options else (ROOT / ".containerignore").read_text(encoding="utf-8")
    owner = tuple(int(part) for part in options.get("chown", "0:0").split(":"))
    for source in sources:
        origin = stages[options["from"]].place(source) if "from" in options else ROOT / source
        place = stage.place(to)
        if origin.is_file():
            place = place / origin.name if to.endswith("/") else place
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin, place)
            continue

        def left_out(folder: str, names: list[str]) -> list[str]:
            return [name for name in names if ignored(patterns, str(Path(folder, name).relative_to(ROOT)))]

        shutil.copytree(
            origin, place, symlinks=True, dirs_exist_ok=True, ignore=left_out if "from" not in options else None
        )
        os.chown(place, *owner)


def _in(stage: Stage, command: Sequence[str]) -> None:
    """Run a command in a stage that is being built, with the network of this machine. Raises SystemExit if it fails."""
    resolver = stage.place("/etc/resolv.conf")
    resolver.unlink(missing_ok=True)
    shutil.copyfile("/etc/resolv.conf", resolver)
    mounts = "/bin/mount -t proc proc $0/proc; /bin/mount --rbind /dev $0/dev"
    if code := _enter(stage, mounts, command):
        raise SystemExit(f"{command[-1]}: exit code {code}")


def run(stage: Stage, command: Sequence[str]) -> int:
    """Run a command as in a container whose root cannot be written, with an empty /tmp and one volume."""
    for name in ("proc", "dev"):
        stage.place(f"/{name}").mkdir(exist_ok=True)
    mounts = (
        "/bin/mount --bind $0 $0; /bin/mount --bind $0/var/lib/passerby $0/var/lib/passerby; "
        "/bin/mount -o remount,bind,ro $0; /bin/mount -t tmpfs -o mode=1777 tmp $0/tmp; "
        "/bin/mount -t proc proc $0/proc; /bin/mount --rbind /dev $0/dev"
    )
    return _enter(stage, mounts, command)


def _enter(stage: Stage, mounts: str, command: Sequence[str]) -> int:
    script = f'{mounts}; root=$0; exec /usr/sbin/chroot --userspec={stage.user} $root "$@"'
    namespace = ("/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-ec", script)
    return subprocess.run((*namespace, stage.folder, *command), env=stage.environment, check=False).returncode


def main(arguments: Sequence[str]) -> int:
    """Build, or run."""
    parser = argparse.ArgumentParser(prog="python -m tools.container")
    parser.add_argument("work", type=Path)
    parser.add_argument("--base", action="append", default=[], metavar="IMAGE=FOLDER")
    parser.add_argument("--run", nargs=argparse.REMAINDER, metavar="COMMAND")
    given = parser.parse_args(arguments)
    description = given.work / _DESCRIPTION
    if given.run is None:
        bases = {image: Path(folder) for image, folder in (base.split("=", 1) for base in given.base)}
        stage = build(given.work, bases)
        description.write_text(json.dumps([stage.folder.name, stage.environment, stage.user]), encoding="utf-8")
        print(f"{stage.folder}: {size(stage.folder) / 1e6:.1f} MB")
    else:
        name, environment, user = json.loads(description.read_text(encoding="utf-8"))
        stage = Stage(given.work / name)
        stage.environment, stage.user = environment, user
        return run(stage, given.run)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
