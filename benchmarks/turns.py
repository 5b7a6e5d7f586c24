"""Servers take turns: what a shared machine does to one of them, it does to all."""

import contextlib
import statistics
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.servers import Server, Start

OURS = "passerby"
OTHER = "the other build"

Side = TypeVar("Side")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Builds:
    """Two builds of Passerby that are held against each other, or one build with other settings."""

    passerby: Start
    other: Start
    other_name: str = OTHER

    @contextlib.contextmanager
    def up(self, number: int) -> Iterator[dict[str, Server]]:
        """Start both for the `number`-th time; who comes first alternates."""
        starts = {OURS: self.passerby, self.other_name: self.other}
        with contextlib.ExitStack() as running:
            yield {name: running.enter_context(starts[name]()) for name in _in_order(starts, number)}


async def take_turns(
    sides: Mapping[str, Side], turns: int, turn: Callable[[Side], Awaitable[Result]]
) -> dict[str, list[Result]]:
    """Return what each side's turns came to; who comes first alternates."""
    results: dict[str, list[Result]] = {name: [] for name in sides}
    for number in range(turns):
        for name in _in_order(sides, number):
            results[name].append(await turn(sides[name]))
    return results


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the median of the turns' ratios."""
    return statistics.median(one / other for one, other in zip(over, under, strict=True))


def _in_order(names: Mapping[str, object], number: int) -> list[str]:
    """Return there and back alternately: no place is better than another then."""
    return list(names)[:: -1 if number % 2 else 1]
