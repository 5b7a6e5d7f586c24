"""Requests made from the OpenAPI document, right and wrong ones, are answered as the document says.

`make fuzz` sends far more of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.server import RunningServer

EXAMPLES = os.environ.get("EXAMPLES", "5")
"""Random requests of each operation; besides them there are those at the bounds of each field."""
CONFIG = Path(__file__).with_name("schemathesis.toml")


async def test_schemathesis_finds_nothing(shared_server: RunningServer, tmp_path: Path) -> None:
    paths = (await shared_server.http.get("/schema/openapi.json")).json()["paths"]
    operations = [operation for item in paths.values() for operation in item.values()]
    guest = await shared_server.newcomer()
    judge = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "run"),
        *(f"{shared_server.url}/schema/openapi.json", "--header", f"Authorization: Bearer {guest.token}"),
        *("--checks", "all", "--max-examples", EXAMPLES, "--generation-deterministic", "--no-color"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await judge.communicate()
    finally:
        if judge.returncode is None:
            judge.kill()
            await judge.wait()

    assert judge.returncode == 0, output.decode(errors="replace")
    assert f"Tested: {len(operations) - 1}".encode() in output, "all but endSession"
