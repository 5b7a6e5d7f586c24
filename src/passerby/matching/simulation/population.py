"""Who comes to a house, and how they behave: read from a file, `populations/*.toml` or one of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from passerby.models import MOST_INTERESTS, Mode

FOLDER: Final = Path(__file__).with_name("populations")
"""The populations that come with Passerby."""
HOURS: Final = 24

Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(ge=0, le=1e9)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Spread = Annotated[float, Meta(ge=0, le=5)]
"""The standard deviation of a duration's logarithm: with 0.7, two of three are between half and twice the median."""


class PopulationError(ValueError):
    """The file cannot be used. One line says why."""


class Arrivals(Struct, frozen=True, forbid_unknown_fields=True):
    """How many guests come. `by_hour` weighs the hours of the day, from midnight on; `per_hour` is their mean."""

    per_hour: Annotated[float, Meta(gt=0, le=100_000)]
    by_hour: Annotated[tuple[Weight, ...], Meta(min_length=HOURS, max_length=HOURS)] = (1.0,) * HOURS


class Languages(Struct, frozen=True, forbid_unknown_fields=True):
    """Which languages guests speak, by weight. `second`: the share who speak another one too, by the same weights."""

    weights: Annotated[dict[str, Weight], Meta(min_length=1)]
    second: Share = 0.0


class Interests(Struct, frozen=True, forbid_unknown_fields=True):
    """Which interests they name: of `words`, the one of rank r with the weight 1 / r^`exponent` (Zipf).

    `counts` weighs how many each names: none, one, two ...
    """

    words: Annotated[int, Meta(ge=MOST_INTERESTS, le=100_000)]
    exponent: Annotated[float, Meta(ge=0, le=5)]
    counts: Annotated[tuple[Weight, ...], Meta(min_length=1, max_length=MOST_INTERESTS + 1)]


class Patience(Struct, frozen=True, forbid_unknown_fields=True):
    """How long a guest searches before they go: log-normal."""

    median: Seconds
    spread: Spread


class Stay(Struct, frozen=True, forbid_unknown_fields=True):
    """How long one of two stays with the other. The one who stays shorter ends the conversation.

    The share `skips` leaves after `within` seconds on average (exponential), the others after `length` (log-normal).
    """

    skips: Share
    within: Seconds
    length: Seconds
    spread: Spread


class Stays(Struct, frozen=True, forbid_unknown_fields=True):
    """How long guests stay, by what they have in common: no language, a language, an interest and a language."""

    nothing: Stay
    language: Stay
    interest: Stay


class Visits(Struct, frozen=True, forbid_unknown_fields=True):
    """`conversations`: how many a guest has on average until they go (geometric, at least one).

    Who ends a conversation searches again at once, the other one `pause` seconds later on average (exponential).
    """

    conversations: Annotated[float, Meta(ge=1, le=1000)]
    pause: Seconds


class Population(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a population. It is simulated for `hours` from the hour `begins` of the day on."""

    about: str
    arrivals: Arrivals
    languages: Languages
    interests: Interests
    patience: Patience
    stays: Stays
    visits: Visits
    modes: Annotated[dict[Mode, Weight], Meta(min_length=1)] = msgspec.field(default_factory=lambda: {"text": 1.0})
    begins: Annotated[int, Meta(ge=0, lt=HOURS)] = 0
    hours: Annotated[float, Meta(gt=0, le=1000)] = 24.0


def names() -> list[str]:
    """Return the names of the populations that come with Passerby."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Population:
    """Return a population that comes with Passerby, by its name, or one from a file, by its path.

    Raises PopulationError.
    """
    path = FOLDER / f"{name}.toml" if name in names() else Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PopulationError(f"{name}: {error.strerror} (known by name: {', '.join(names())})") from None
    except UnicodeDecodeError:
        raise PopulationError(f"{name}: is not text in UTF-8") from None
    try:
        population = msgspec.toml.decode(text, type=Population)
    except msgspec.DecodeError as error:
        raise PopulationError(f"{name}: {error}") from None
    _check(name, population)
    return population


def _check(name: str, population: Population) -> None:
    """Check what the types cannot express: a sum of weights must not be zero."""
    weights = {
        "$.arrivals.by_hour": population.arrivals.by_hour,
        "$.languages.weights": population.languages.weights.values(),
        "$.interests.counts": population.interests.counts,
        "$.modes": population.modes.values(),
    }
    for place, values in weights.items():
        if not sum(values):
            raise PopulationError(f"{name}: Expected a weight above 0 - at `{place}`")
