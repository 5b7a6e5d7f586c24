from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tests.support.server import ServerProcess
from tests.support.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator


class StartWorkers(Protocol):
    """Starts `passerby serve --workers N`, and waits until it serves."""

    def __call__(self, number: int, *arguments: str, **environment: str) -> Workers: ...


@pytest.fixture
def start_workers() -> Iterator[StartWorkers]:
    """Return a function that starts parents with workers. They drain in a second; limits per address are high."""
    started: list[Workers] = []

    def start(number: int, *arguments: str, **environment: str) -> Workers:
        given = ("--workers", str(number), "--drain-seconds", "1", "--limits-scale", "1000", *arguments)
        started.append(Workers(ServerProcess(*given, **environment)))
        started[-1].process.wait_until_ready()
        return started[-1]

    yield start
    for workers in started:
        workers.kill()
