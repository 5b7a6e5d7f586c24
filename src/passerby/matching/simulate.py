"""What ways to match guests are worth in a house like yours: `python -m passerby.matching.simulate`.

It lets guests of a population come, search, meet, talk and go, once with each policy: random, first come, interests
only, and Passerby's own queue with the steps of the settings. The guests are the same each time. docs/matching.md
explains what is printed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from passerby import settings
from passerby.matching.queue_memory import MemoryMatchQueue
from passerby.matching.simulation import population
from passerby.matching.simulation.clock import SimulatedClock
from passerby.matching.simulation.guests import draw
from passerby.matching.simulation.house import House
from passerby.matching.simulation.measures import measure
from passerby.matching.simulation.plot import plot
from passerby.matching.simulation.policies import FirstCome, InterestsOnly, Ours, Random
from passerby.matching.simulation.table import table
from passerby.matching.stages import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from passerby.matching.simulation.measures import Measures
    from passerby.matching.simulation.policies import Policy
    from passerby.matching.simulation.population import Population
    from passerby.settings import Settings

USAGE_ERROR: Final = 2


class Times(NamedTuple):
    """Seconds, as the settings `match_...` have them."""

    interests: float
    language: float
    again: float
    fair: float


def policies(chosen: Settings, times: Sequence[Times], seed: int) -> list[Callable[[SimulatedClock], Policy]]:
    """Return what makes each policy: three others, and ours with the times of the settings, or with each of `times`."""

    def ours(name: str, times: Times) -> Callable[[SimulatedClock], Policy]:
        def make(clock: SimulatedClock) -> Policy:
            queue = MemoryMatchQueue(clock, times.fair)
            steps = Steps(times.interests, times.language, times.again)
            return Ours(name, queue, steps, met_limit=chosen.met_limit, met_seconds=chosen.met_seconds)

        return make

    default = Times(chosen.match_interests, chosen.match_language, chosen.match_again, chosen.match_fair)
    return [
        lambda _clock: Random(random.Random(f"{seed} policy")),  # noqa: S311 - nothing of it is secret
        lambda _clock: FirstCome(),
        lambda _clock: InterestsOnly(),
        *([ours("ours " + "/".join(f"{time:g}" for time in each), each) for each in times] or [ours("ours", default)]),
    ]


def simulate(
    people: Population, makers: Sequence[Callable[[SimulatedClock], Policy]], *, seed: int, hours: float | None = None
) -> list[Measures]:
    """Return what each policy was worth for the same guests, who come within `hours`, or those of the population."""
    guests = draw(people, seed, people.hours if hours is None else hours)
    found = []
    for make in makers:
        clock = SimulatedClock()
        policy = make(clock)
        found.append(measure(policy.name, House(people.stays, policy, clock).run(guests)))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code: 2 if the population or a setting cannot be used, 1 without a picture."""
    flags = _parser().parse_args(arguments)
    try:
        chosen = settings.load(os.environ)
        people = population.load(flags.population)
    except (settings.SettingsError, population.PopulationError) as error:
        sys.stderr.write(f"simulate: {error}\n")
        return USAGE_ERROR
    found = simulate(people, policies(chosen, flags.ours, flags.seed), seed=flags.seed, hours=flags.hours)
    title = people.about[:1].upper() + people.about[1:]
    sys.stdout.write(f"{title}\n\n{table(found)}\n")
    if flags.plot is not None:
        try:
            flags.plot.write_text(plot(title, found), encoding="utf-8")
        except OSError as error:
            sys.stderr.write(f"simulate: {flags.plot}: {error.strerror}\n")
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m passerby.matching.simulate",
        description="Compare ways to match guests, with guests who are not real.",
    )
    parser.add_argument(
        "population",
        nargs="?",
        default="small",
        help=f"file (TOML), or one of {', '.join(population.names())} (default small)",
    )
    parser.add_argument("--seed", type=int, default=1, help="another number: other guests (default 1)")
    parser.add_argument("--hours", type=_hours, help="instead of those of the population")
    parser.add_argument(
        "--ours",
        type=_times,
        action="append",
        default=[],
        metavar="INTERESTS/LANGUAGE/AGAIN/FAIR",
        help="our policy with these seconds instead of MATCH_INTERESTS, MATCH_LANGUAGE, MATCH_AGAIN, MATCH_FAIR; "
        "may be given several times",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also write a picture (SVG)")
    return parser


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours <= 1000:  # noqa: PLR2004 - as of a population
        raise argparse.ArgumentTypeError("must be above 0, and at most 1000")
    return hours


def _times(text: str) -> Times:
    try:
        times = Times._make(float(part) for part in text.split("/"))
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError("must be four numbers, such as 4/6/15/30") from None
    if not all(0 <= time <= 3600 for time in times):  # noqa: PLR2004 - more than any guest waits
        raise argparse.ArgumentTypeError("each must be from 0 to 3600")
    return times


if __name__ == "__main__":
    sys.exit(main())
