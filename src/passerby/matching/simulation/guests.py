"""Draws the guests of a population. They are the same for all ways to match them: who comes, when, and how they are."""

from __future__ import annotations

import math
import random
from enum import IntEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from passerby.matching.simulation.population import HOURS
from passerby.models import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from passerby.matching.simulation.population import Interests, Population, Stay

HOUR: Final = 3600.0
_MOST_TURNS: Final = 500
"""Conversations of one guest at most: far more than any visit has."""


class Common(IntEnum):
    """What two guests have in common. An interest alone is nothing: they cannot talk about it."""

    NOTHING = 0
    LANGUAGE = 1
    INTEREST = 2


class Turn(Struct, frozen=True):
    """How a guest behaves in one search and in the conversation that follows, whoever it is with."""

    patience: float
    """Seconds until they give the search up, and go."""
    pause: float
    """Seconds until they search again after the other one has ended the conversation."""
    mood: float
    """From 0 to 1: they skip the partner if it is below the share who do."""
    haste: float
    """How soon they skip, as a part of the mean."""
    warmth: float
    """How long they stay otherwise, in standard deviations from the median of the logarithm."""

    def stays(self, stay: Stay) -> float:
        """Return for how many seconds they stay with somebody, given how long guests stay with such people."""
        if self.mood < stay.skips:
            return self.haste * stay.within
        return stay.length * math.exp(stay.spread * self.warmth)


class Character(Struct, frozen=True):
    """A guest."""

    id: str
    arrives: float
    """Seconds after midnight."""
    mode: Mode
    languages: tuple[str, ...]
    interests: tuple[str, ...]
    ranks: tuple[int, ...]
    """How popular the interests are: 1 is the most popular one."""
    turns: tuple[Turn, ...]
    """Their searches and conversations. They go after the last one, or when they give one up."""

    def common(self, other: Character) -> Common:
        """Return what this guest and another one have in common."""
        if not any(language in other.languages for language in self.languages):
            return Common.NOTHING
        return Common.INTEREST if any(word in other.interests for word in self.interests) else Common.LANGUAGE


def draw(population: Population, seed: int, hours: float) -> list[Character]:
    """Return the guests who come within `hours`, in the order of their arrival."""
    choose = random.Random(f"{seed} guests")  # noqa: S311 - nothing of it is secret
    ranks = _Ranks(population.interests)
    return [
        _character(population, choose, ranks, number, arrives)
        for number, arrives in enumerate(_arrivals(population, choose, hours))
    ]


def _arrivals(population: Population, choose: random.Random, hours: float) -> Iterator[float]:
    """Yield the times of a Poisson process whose rate changes with the hour."""
    weights = population.arrivals.by_hour
    scale = population.arrivals.per_hour * HOURS / sum(weights)
    begin = population.begins * HOUR
    end = begin + hours * HOUR
    start = begin
    while start < end:
        rate = scale * weights[int(start / HOUR) % HOURS] / HOUR
        stop = min(start + HOUR, end)
        now = start
        while rate and (now := now + choose.expovariate(rate)) < stop:
            yield now
        start += HOUR


def _character(population: Population, choose: random.Random, ranks: _Ranks, number: int, arrives: float) -> Character:
    (mode,) = choose.choices(list(population.modes), list(population.modes.values()))
    weights = population.languages.weights
    (language,) = choose.choices(list(weights), list(weights.values()))
    languages = [language]
    others = {tag: weight for tag, weight in weights.items() if tag != language and weight}
    if choose.random() < population.languages.second and others:
        languages += choose.choices(list(others), list(others.values()))
    named = ranks.draw(choose)
    turns = []
    goes = 1 / population.visits.conversations
    while True:
        turns.append(
            Turn(
                patience=choose.lognormvariate(0, population.patience.spread) * population.patience.median,
                pause=choose.expovariate(1) * population.visits.pause,
                mood=choose.random(),
                haste=choose.expovariate(1),
                warmth=choose.gauss(0, 1),
            )
        )
        if choose.random() < goes or len(turns) == _MOST_TURNS:
            break
    return Character(
        id=f"guest_{number}",
        arrives=arrives,
        mode=mode,
        languages=tuple(languages),
        interests=tuple(f"word {rank}" for rank in named),
        ranks=named,
        turns=tuple(turns),
    )


class _Ranks:
    """Draws ranks of interests by Zipf's law."""

    def __init__(self, interests: Interests) -> None:
        self._ranks = range(1, interests.words + 1)
        self._sums = list(accumulate(rank**-interests.exponent for rank in self._ranks))
        self._counts = interests.counts

    def draw(self, choose: random.Random) -> tuple[int, ...]:
        """Return the interests of one guest, each once."""
        (count,) = choose.choices(range(len(self._counts)), self._counts)
        found: dict[int, None] = {}
        while len(found) < count:
            found.update(dict.fromkeys(choose.choices(self._ranks, cum_weights=self._sums)))
        return tuple(found)
