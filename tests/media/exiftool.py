"""Asks ExifTool, which knows most metadata; installs it if it is missing.

    python -m tests.media.exiftool

prints the path of `exiftool`, after installing it if necessary (as root, with apt-get), or one line that says what to
install.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.support import packages

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGE = "libimage-exiftool-perl"


class NoExifToolError(Exception):
    """ExifTool is missing; the message is one line that says what to do."""

    def __init__(self) -> None:
        super().__init__(f"no ExifTool for the tests of metadata: install it (apt-get install {_PACKAGE})")


def ensure() -> str:
    """Return the path of `exiftool`; install it if necessary, which may take minutes. Raises NoExifToolError."""
    found = packages.ensure("exiftool", _PACKAGE)
    if found is None:
        raise NoExifToolError
    return found


def read(path: Path) -> dict[str, Any]:
    """Return all that ExifTool finds in a file, by group and name, but what it says of the file itself."""
    options = ("-json", "-a", "-u", "-ee3", "-G1", "-api", "LargeFileSupport=1")
    done = subprocess.run((ensure(), *options, str(path)), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    (found,) = json.loads(done.stdout)
    outside = ("System:", "ExifTool:", "SourceFile", "File:")
    return {name: value for name, value in found.items() if not name.startswith(outside)}


def write(path: Path, *tags: str) -> None:
    """Write tags into a file."""
    command = (ensure(), "-quiet", "-overwrite_original", "-m", *tags, str(path))
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def main() -> int:
    """Print the path of ExifTool and return 0, or print what to install and return 1."""
    try:
        print(ensure())
    except NoExifToolError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
