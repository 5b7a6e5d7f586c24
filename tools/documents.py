"""Writes the documents that the server serves, or has them checked by the judges of their specifications.

`python -m tools.documents DIRECTORY` writes `openapi.json` and `asyncapi.json`. `--check` checks them instead.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator

from passerby.http import app
from passerby.http.openapi import document
from passerby.realtime.asyncapi import asyncapi, servers
from passerby.socketio.engine import Options

WEB = Path(__file__).parents[1] / "web"


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document."""
    application = app.create(None, cors_origin=())  # type: ignore[arg-type]  # no request comes
    return document(application.openapi_schema.to_schema())


def write(directory: Path) -> None:
    """Write both documents."""
    here = servers("localhost:3001", Options().path, is_secure=False)
    made = {"openapi": openapi(), "asyncapi": {**asyncapi(), "servers": here}}
    for name, content in made.items():
        encoded = msgspec.json.format(msgspec.json.encode(content), indent=2)
        (directory / f"{name}.json").write_bytes(encoded)


def check() -> int:
    """Return 0 if nobody finds anything."""
    failed = 0
    for error in OpenAPIV31SpecValidator(openapi()).iter_errors():
        print(f"openapi.json: {error}", file=sys.stderr)
        failed = 1
    with tempfile.TemporaryDirectory(prefix="passerby-documents-") as directory:
        write(Path(directory))
        judged = subprocess.run(["node", "scripts/documents.js", directory], cwd=WEB, check=False)  # noqa: S607 - from PATH
    return failed or judged.returncode


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.documents", description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", help="where to write them")
    parser.add_argument("--check", action="store_true", help="write nothing; check them")
    arguments = parser.parse_args()
    if arguments.check == (arguments.directory is not None):
        parser.error("either --check or a directory")
    if arguments.check:
        return check()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    write(arguments.directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
