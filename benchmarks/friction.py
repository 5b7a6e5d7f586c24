"""What protects strangers from each other costs: relays with all of it, against relays without."""

from collections import defaultdict

from benchmarks import relays
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Passerby
from benchmarks.talk import Load
from benchmarks.turns import Builds

OFF = "nothing of it"
BAR = Bar(at_least=0.95)
WITH_IT = {"PROOF_OF_WORK": "auto", "NEW_DEVICE_SECONDS": "60", "REPEAT_PARTNERS": "5", "SKIP_PARTNERS": "12"}
WITHOUT = {
    "PROOF_OF_WORK": "off",
    "NEW_DEVICE_SECONDS": "0",
    "REPEAT_PARTNERS": "0",
    "SKIP_PARTNERS": "0",
    "CONSENT": "none",
    "CONSENT_CLOSED": "none",
    "NEW_DEVICE_CLOSED": "none",
    "DATABASE_URL": "none",
    "REPORT_WINDOW": "0",
}


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Let the same build take turns with and without it."""
    if passerby is None:
        return []
    # Many guests of this one machine are a flood: what is calm has no end here.
    calm = {"CALM_SESSIONS": "1000000/1000000", "CALM_ADDRESS_SESSIONS": "1000000/1000000"}
    builds = Builds(passerby.with_settings(**WITH_IT, **calm), passerby.with_settings(**WITHOUT), OFF)
    loads: dict[str, list[Load]] = defaultdict(list)
    for number in range(plan.stored_starts):
        with builds.up(number) as servers:
            houses = {name: await relays.fill(plan, server) for name, server in servers.items()}
            for name, more in (await relays.talk_in_turns(plan, houses)).items():
                loads[name] += more
    return [relays.row(OFF, BAR, loads)]
