"""What a check is, and what it finds: one line of plain words, with a level."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")

DEADLINE: Final = 8.0
"""Seconds for one check: a lookup of a name, a connection and a few questions, also over a slow network."""


class Level(Enum):
    """How bad it is. Only a problem makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One line of the report."""

    level: Level
    text: str

    def __str__(self) -> str:
        """Return the line: without a line break, and without what could control a terminal."""
        text = " ".join(self.text.split())
        return f"{self.level.value:<8} {''.join(letter if letter.isprintable() else '?' for letter in text)}"


def ok(text: str) -> Finding:
    """Return what is as it should be."""
    return Finding(Level.OK, text)


def warning(text: str) -> Finding:
    """Return what works but may surprise, with what to do."""
    return Finding(Level.WARNING, text)


def problem(text: str) -> Finding:
    """Return what does not work, with what to do."""
    return Finding(Level.PROBLEM, text)


class Found(Exception):  # noqa: N818 - it is how a check ends early, and no error
    """A check cannot go on; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


class Check(NamedTuple):
    """`look` examines one thing, named `subject`. It may raise Found, and has DEADLINE seconds."""

    subject: str
    look: Callable[[], Coroutine[Any, Any, Sequence[Finding]]]


async def findings_of(check: Check, deadline: float) -> Sequence[Finding]:
    """Run one check for at most `deadline` seconds. Nothing is raised: a check that fails is a problem, too."""
    try:
        async with asyncio.timeout(deadline):
            return await check.look()
    except Found as found:
        return [found.finding]
    except TimeoutError:
        text = f"{check.subject} gave no answer within {deadline:g} seconds. Check host, port and firewall"
        return [problem(text)]
    except Exception as error:  # noqa: BLE001 - the other checks must be shown; the text could contain a secret
        return [problem(f"{check.subject} could not be checked ({type(error).__name__}). Please report this error")]


async def examine(checks: Sequence[Check], deadline: float) -> AsyncIterator[Finding]:
    """Run all checks at once; yield what they find in the order of the checks."""
    running = [asyncio.ensure_future(findings_of(check, deadline)) for check in checks]
    try:
        for findings in running:
            for finding in await findings:
                yield finding
    finally:
        for findings in running:
            findings.cancel()


async def in_thread(work: Callable[[], T]) -> T:
    """Call `work` in a thread of its own.

    The thread does not keep the process from ending: what asks a dead name server or a dead file server may hang for
    minutes.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # a T if there is no error

    def run() -> None:
        result = failure = None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(finish, result, failure)

    threading.Thread(target=run, daemon=True).start()
    return await future
