"""The code blocks of the documents, each of which one test takes, and the shell that commands run in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.support.friction import NO_FRICTION_IN_ENVIRONMENT
from tests.support.server import START_PATIENCE, settings_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "deploy" / "README.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
)
FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SERVING: Final = re.compile(r"serving on http://[^:]+:(\d+)")


class Example(NamedTuple):
    """A code block: where it begins, its language, its text, and the heading above it."""

    document: str
    line: int
    language: str
    text: str
    heading: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def _of(document: Path) -> Iterator[Example]:
    text = document.read_text(encoding="utf-8")
    for fence in FENCE.finditer(text):
        before = FENCE.sub("", text[: fence.start()])
        headings = re.findall(r"^#+ (.+)$", before, re.MULTILINE)
        yield Example(
            str(document.relative_to(ROOT)),
            text.count("\n", 0, fence.start()) + 1,
            fence[2],
            textwrap.dedent(fence[3]),
            headings[-1] if headings else "",
        )


EXAMPLES: Final = tuple(example for document in DOCUMENTS for example in _of(document))
claims: Final[list[tuple[str, tuple[Example, ...]]]] = []
"""What tests take: the words by which they find examples, and those that they have found."""


def with_text(*texts: str) -> pytest.MarkDecorator:
    """Give a test, as `example`, each block that has one of the `texts`. Each must be in one block and no other.

    A block is found by its text, so it may move to another document.
    """
    found: list[Example] = []
    for text in texts:
        those = tuple(example for example in EXAMPLES if text in example.text)
        claims.append((text, those))
        found.extend(those)
    return pytest.mark.parametrize("example", found, ids=str)


def that(name: str, is_meant: Callable[[Example], bool]) -> pytest.MarkDecorator:
    """Give a test, as `example`, every block that `is_meant`."""
    found = [example for example in EXAMPLES if is_meant(example)]
    claims.extend((name, (example,)) for example in found)
    if not found:
        claims.append((name, ()))
    return pytest.mark.parametrize("example", found, ids=str)


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """Return `text` with what is an operator's own, which must be in it, replaced."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the example"
        text = text.replace(old, new)
    return text


class Shell:
    """Runs commands of the documents in an empty folder: `passerby` is this one, all it writes is in that folder.

    `noted` has the calls of the programs that were replaced by `stand_in`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "here"
        self._home = folder / "home"
        self._bin = folder / "bin"
        for made in (self.folder / ".venv" / "bin", self._home, self._bin):
            made.mkdir(parents=True)
        self._calls = folder / "calls"
        self._pid = folder / "pid"
        serve = f'if [ "${{1-}}" = serve ]; then echo $$ > {self._pid}; fi'
        self.program("passerby", f'{serve}\nexec {sys.executable} -m passerby.cli "$@"')
        self.program("python", f'exec {sys.executable} "$@"')
        for name in ("passerby", "python"):
            (self.folder / ".venv" / "bin" / name).symlink_to(self._bin / name)
        clean = {name: text for name, text in os.environ.items() if name not in settings_names()}
        self.environment = clean | {
            "HOME": str(self._home),
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "XDG_STATE_HOME": str(folder / "state"),
            "PORT": "0",
            **NO_FRICTION_IN_ENVIRONMENT,
        }

    def program(self, name: str, script: str) -> None:
        program = self._bin / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)

    def stand_in(self, *names: str, says: str = "") -> None:
        """Replace programs that need root, an engine or the network by some that note their arguments."""
        for name in names:
            self.program(name, f'echo "{name} $*" >> {self._calls}\necho "{says}"')

    @property
    def noted(self) -> list[str]:
        return self._calls.read_text(encoding="utf-8").splitlines() if self._calls.exists() else []

    async def _start(self, text: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *("sh", "-eu", "-c", text),
            cwd=self.folder,
            env=self.environment | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, text: str, **environment: str) -> str:
        """Run commands, which must succeed; return what they print."""
        process = await self._start(text, environment)
        output, errors = await asyncio.wait_for(process.communicate(), 2 * START_PATIENCE)
        assert process.returncode == 0, errors.decode() + output.decode()
        return output.decode()

    async def serve(self, text: str, then: Callable[[str], Awaitable[object]], **environment: str) -> str:
        """Run commands that end with `passerby serve`; call `then` with its address while it serves.

        Return what was printed before. Its exit code must be 0.
        """
        process = await self._start(text, environment)
        assert process.stdout is not None
        assert process.stderr is not None
        said: list[str] = []
        try:
            async with asyncio.timeout(2 * START_PATIENCE):
                url = ""
                while not url:
                    line = (await process.stderr.readline()).decode()
                    said.append(line)
                    assert line, "".join(said)
                    found = _SERVING.search(line)
                    url = f"http://127.0.0.1:{found[1]}" if found else ""
                await then(url)
                os.kill(int(self._pid.read_text()), signal.SIGTERM)
                output, errors = await process.communicate()
            assert process.returncode == 0, "".join(said) + errors.decode()
            return output.decode()
        finally:
            if process.returncode is None:
                with contextlib.suppress(OSError, ValueError):
                    os.kill(int(self._pid.read_text()), signal.SIGKILL)
                process.kill()
                await process.wait()
