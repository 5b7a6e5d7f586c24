"""Programs that the tests run, from packages of the system; a missing one is installed if that needs no password."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Final

_APT_SECONDS: Final = 420


def ensure(program: str, package: str) -> str | None:
    """Return the path of `program`. If it is missing, install `package`, which may take minutes; None if that fails."""
    found = _find(program)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(package)
        found = _find(program)
    return found


def _find(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/bin", "/usr/sbin")))


def _install(package: str) -> None:
    print(f"installing the package {package}", file=sys.stderr, flush=True)
    # RUNLEVEL=1: do not start the package's own service.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=60", "-o", "Acquire::http::Timeout=15")
    for command in (("update",), ("install", "--yes", "--no-install-recommends", package)):
        subprocess.run(
            (*apt, *command),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_APT_SECONDS,
            check=False,  # the caller checks whether it is installed
        )
