"""Clients that are generated from the OpenAPI document compile, and have the HTTP part of a conversation."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.client import PATIENCE
from tests.support.server import Account

if TYPE_CHECKING:
    from tests.support.server import InsideServer

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "web"
PROGRAMS = WEB / "node_modules" / ".bin"


async def run(*command: str | Path, cwd: Path) -> None:
    """Run a command that must succeed."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, "PATH": tools},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def converse(server: InsideServer, *command: str | Path, cwd: Path) -> None:
    """Run a client, and be its partner."""
    client = await asyncio.create_subprocess_exec(
        *command,
        server.url,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert client.stdin is not None
        assert client.stdout is not None
        async with asyncio.timeout(PATIENCE):
            session = json.loads(await client.stdout.readline())
            own = await server.connect(Account(session["token"], session["user"]))
            await own.next("connection:established")
            _, partner = await server.visitor()
            room = (await server.match(own, partner))["roomId"]
            client.stdin.write(f"{room}\n".encode())
            told = json.loads(await client.stdout.readline())
            assert await client.wait() == 0
        assert told == {"text": "Hello!", "size": 6, "ended": True}
        assert (await partner.until("chat:cleared"))["reason"] == "session_ended"
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()


async def test_a_client_in_python(server: InsideServer, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes((await server.http.get("/schema/openapi.json")).content)
    shutil.copy(HERE / "generated_conversation.py", tmp_path / "conversation.py")
    generator = ("-m", "openapi_python_client", "generate", "--path", "openapi.json", "--meta", "none")
    await run(sys.executable, *generator, "--output-path", "passerby_client", cwd=tmp_path)
    await run(sys.executable, "-m", "compileall", "-q", "passerby_client", cwd=tmp_path)
    # What the generator always writes the same way is not ours; what we use of it is looked at.
    checking = ("-m", "mypy", "--config-file=", "--follow-imports=silent")
    await run(sys.executable, *checking, "conversation.py", cwd=tmp_path)

    await converse(server, sys.executable, "conversation.py", cwd=tmp_path)


async def test_a_client_in_typescript(server: InsideServer, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes((await server.http.get("/schema/openapi.json")).content)
    shutil.copy(HERE / "conversation.ts", tmp_path / "conversation.ts")
    (tmp_path / "node_modules").symlink_to(WEB / "node_modules")
    await run(PROGRAMS / "openapi-typescript", "openapi.json", "-o", "api.ts", cwd=tmp_path)
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "--skipLibCheck")
    await run(PROGRAMS / "tsc", *options, "conversation.ts", cwd=tmp_path)

    await converse(server, "node", "conversation.js", cwd=tmp_path)
