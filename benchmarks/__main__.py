"""``python -m benchmarks``: run the measurements, print one table, exit 1 if a bar is missed."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvloop

from benchmarks import (
    bans,
    botnet,
    calls,
    chunks,
    console,
    crowds,
    files,
    friction,
    idle,
    latency,
    matches,
    memory,
    newcomers,
    nodes,
    outages,
    proofs,
    relays,
    rooms,
    sizes,
    stored,
    watching,
    wishes,
    workers,
    worst,
)
from benchmarks.machine import describe, pin_load, raise_file_limit
from benchmarks.plan import BUILDS, FULL, QUICK, QUICK_BUILDS, Plan
from benchmarks.report import Row, table, write_json
from benchmarks.servers import LIMITS_SCALE, MeasurementError, Passerby
from benchmarks.turns import Builds

Measure = Callable[[Plan, Passerby | None], Awaitable[list[Row]]]
Compare = Callable[[Plan, Builds], Awaitable[list[Row]]]
Step = Callable[[], Awaitable[list[Row]]]

MEASUREMENTS: dict[str, Measure] = {
    "relays": relays.measure,
    "latency": latency.measure,
    "friction": friction.measure,
    "newcomers": newcomers.measure,
    "bans": bans.measure,
    "console": console.measure,
    "botnet": botnet.measure,
    "proofs": proofs.measure,
    "files": files.measure,
    "chunks": chunks.measure,
    "calls": calls.measure,
    "worst": worst.measure,
    "rooms": rooms.measure,
    "crowds": crowds.measure,
    "matches": matches.measure,
    "wishes": wishes.measure,
    "stored": stored.measure,
    "idle": idle.measure,
    "watching": watching.measure,
    "memory": memory.measure,
    "sizes": sizes.measure,
    "kills": outages.kills,
    "restart": outages.restart,
    "faults": outages.faults,
    "nodes": nodes.measure,
    "workers": workers.measure,
}

COMPARISONS: dict[str, Compare] = {
    "relays": relays.compare,
    "crowds": crowds.compare,
}
"""Of two builds, each after the measurement of its name."""

NOTES = f"""\
Servers on one core, the load on another, all on loopback. CPU is user + system time of
the server process with all its threads. Passerby runs with LIMITS_SCALE={LIMITS_SCALE}, so that
its limits do not end the test, and logs warnings only; all else is as it comes.
What each row measures and how: benchmarks/README.md."""


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=MEASUREMENTS, action="append", help="run only this measurement (repeatable)")
    parser.add_argument("--quick", action="store_true", help="small and short: only shows that everything works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all values to this file")
    parser.add_argument("--no-client-ids", action="store_true", help="send messages without a clientId")
    parser.add_argument("--passerby", default="passerby", metavar="COMMAND", help="the server's command")
    parser.add_argument("--against", metavar="COMMAND", help="compare with another build: its server's command")
    parser.add_argument("--peers-only", action="store_true", help="measure the peers without Passerby")
    arguments = parser.parse_args()
    if arguments.against is not None:
        if arguments.peers_only:
            parser.error("--against compares two builds of Passerby, --peers-only measures none")
        if not COMPARISONS.keys() & (arguments.only or MEASUREMENTS):
            parser.error(f"--against compares {' and '.join(COMPARISONS)}, and --only asks for neither")
    return arguments


def read_steps(arguments: argparse.Namespace) -> Iterator[tuple[str, Step]]:
    """Yield what is to be measured by name, each with the comparison of two builds that goes with it."""
    plan, plan_of_builds = [
        replace(chosen, client_ids=not arguments.no_client_ids)
        for chosen in ((QUICK, QUICK_BUILDS) if arguments.quick else (FULL, BUILDS))
    ]
    start = None if arguments.peers_only else Passerby(arguments.passerby)
    builds = None if start is None or arguments.against is None else Builds(start, Passerby(arguments.against))
    for name in arguments.only or MEASUREMENTS:
        yield name, partial(MEASUREMENTS[name], plan, start)
        if builds is not None and name in COMPARISONS:
            yield f"{name} of two builds", partial(COMPARISONS[name], plan_of_builds, builds)


async def measure_all(steps: Iterator[tuple[str, Step]]) -> list[Row]:
    """Take one step after another."""
    rows: list[Row] = []
    for name, step in steps:
        began = time.monotonic()
        print(f"measuring {name} ...", end=" ", file=sys.stderr, flush=True)
        try:
            rows += await step()
        except (MeasurementError, OSError) as error:
            print(str(error) or type(error).__name__, file=sys.stderr)
            rows.append(Row(f"{name}: could not be measured", "", "", broken=True))
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return rows


def main() -> int:
    """Return the exit code: 1 if any bar is missed."""
    arguments = read_arguments()
    # Exit through an exception, so that context managers stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    raise_file_limit()
    machine = describe()
    pin_load()
    began = time.monotonic()
    uvloop.install()
    rows = asyncio.run(measure_all(read_steps(arguments)))
    seconds = time.monotonic() - began
    print(f"{machine}\n\n{table(rows)}\n\n{NOTES}")
    if arguments.quick:
        print("--quick: the figures are not meaningful.")
    if arguments.json is not None:
        write_json(arguments.json, machine, seconds, rows)
    missed = sum(row.passed is False for row in rows)
    print(f"{missed} bars missed, {seconds:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
