"""What a Redis or Valkey tells of itself, and what that means: one small function for each thing that is judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from passerby.doctor.findings import Finding, ok, problem, warning
from passerby.doctor.process import size
from passerby.settings import Settings

OLDEST: Final = {"Redis": 7, "Valkey": 8}
"""The oldest major version of each server that has what Passerby uses."""
_SKEW: Final = 1.0
"""Seconds that the clocks may differ: leases and times of messages are shared by all machines."""
_SLOW: Final = 0.01
"""Seconds for a question. Each message waits for one before it is acknowledged."""
_FULL: Final = 0.8
"""Part of `maxmemory` from which on it counts as nearly full."""


class Facts(NamedTuple):
    """The answers of one server; `name` is how texts call it."""

    name: str
    info: Mapping[str, str]
    """INFO, all sections."""
    saves: str | None
    """CONFIG GET save; None if this user may not ask."""
    skew: float
    """Seconds that its clock is ahead of ours."""
    latency: float
    """Seconds for a PING, the best of some."""
    refusal: str
    """The first word of the error when writing a key, such as OOM; empty if it was written."""

    def number(self, field: str) -> int:
        """Return a number of INFO; 0 if it is not there."""
        text = self.info.get(field, "")
        return int(text) if text.isascii() and text.isdecimal() else 0


def version(facts: Facts) -> Finding:
    """Redis 7 and Valkey 8 have the commands that the adapters use."""
    product, number = product_of(facts)
    major = re.match(r"\d+", number)
    wanted = " or ".join(f"{name} {oldest}" for name, oldest in OLDEST.items())
    if product not in OLDEST or major is None:
        return warning(f"{facts.name} is {product} {number}, which is not tested. Use {wanted} or newer")
    if int(major[0]) < OLDEST[product]:
        return problem(f"{facts.name} is {product} {number}, which is too old. Use {wanted} or newer")
    return ok(f"{facts.name} can be reached and is {product} {number}")


def product_of(facts: Facts) -> tuple[str, str]:
    """Return name and version of the server."""
    info = facts.info
    if "valkey_version" in info:
        return "Valkey", info["valkey_version"]
    for field, number in info.items():
        product = field.removesuffix("_version")
        if product in ("dragonfly", "keydb", "garnet"):
            return product.capitalize(), number
    return "Redis", info.get("redis_version", "of an unknown version")


def role(facts: Facts) -> Finding:
    """A replica takes no writes."""
    if facts.info.get("role") == "slave":
        primary = f"{facts.info.get('master_host', '?')}:{facts.info.get('master_port', '?')}"
        return problem(f"{facts.name} is a replica of {primary}, which takes no writes. Name the primary in REDIS_URL")
    replicas = facts.number("connected_slaves")
    return ok(f"{facts.name} is a primary with {replicas} {'replica' if replicas == 1 else 'replicas'}")


def mode(name: str, info: Mapping[str, str], expected: str) -> Finding | None:
    """Return a problem if a server is of another kind than the URL says: `standalone`, `cluster`, `sentinel`."""
    found = info.get("server_mode") or info.get("redis_mode", expected)  # Valkey, Redis
    if found == expected:
        return None
    scheme = {"cluster": "redis+cluster", "sentinel": "redis+sentinel"}.get(found, "redis")
    return problem(f"{name} is of the mode {found}. Begin REDIS_URL with {scheme}://")


_REFUSALS: Final = {
    "OOM": "its memory is full. Raise its `maxmemory`, or lower the limits of files and sessions",
    "READONLY": "it is a replica. Name the primary in REDIS_URL",
    "MISCONF": "it cannot save to its disk. See its log, and make room on the disk",
    "LOADING": "it is loading its data. Wait until it has started",
    "NOPERM": "this user may not. Let its ACL have all keys of Passerby, and the commands for them",
    "NOREPLICAS": "it has fewer replicas than `min-replicas-to-write`. Start them",
}


def writing(facts: Facts) -> Finding:
    """A key that expires after seconds could be written."""
    if not facts.refusal:
        return ok(f"{facts.name} can be written")
    why = _REFUSALS.get(facts.refusal, f"it answers {facts.refusal}. See its log")
    return problem(f"{facts.name} cannot be written: {why}")


def policy(facts: Facts) -> Finding:
    """All keys of Passerby expire, so every policy but noeviction may remove them early."""
    chosen = facts.info.get("maxmemory_policy", "")
    if chosen == "noeviction":
        return ok(f"{facts.name} has maxmemory-policy noeviction: nothing is removed when its memory is full")
    if not chosen:
        return warning(f"{facts.name} does not tell its maxmemory-policy. It should be noeviction")
    return warning(
        f"{facts.name} has maxmemory-policy {chosen}: when its memory is full, it removes sessions and messages of "
        "guests who are here. Set maxmemory-policy to noeviction"
    )


def memory(facts: Facts, settings: Settings) -> Finding:
    """What is used, against its limit, and against the files that may come."""
    used, limit = facts.number("used_memory"), facts.number("maxmemory")
    total = facts.number("total_system_memory")
    files = settings.redis_files_limit if settings.files_in == "redis" else 0
    what = f"{facts.name} uses {size(used)} of memory"
    if not limit:
        if total and files > total // 2:
            return warning(f"{what}, its machine has {size(total)}, and REDIS_FILES_LIMIT is {size(files)}. Lower that")
        return ok(f"{what}, without a limit (`maxmemory`)")
    if used > limit * _FULL:
        return warning(f"{what}, and its limit is {size(limit)}. Raise its `maxmemory`")
    if files > limit - used:
        text = (
            f"{what}, its limit is {size(limit)}, and REDIS_FILES_LIMIT is {size(files)}. Raise `maxmemory` or lower it"
        )
        return warning(text)
    return ok(f"{what}, and its limit is {size(limit)}")


def persistence(facts: Facts) -> Finding:
    """Whether a restart of Redis finds its data again."""
    kinds = []
    if facts.info.get("aof_enabled") == "1":
        kinds.append("the append-only file (AOF)")
    if facts.saves:
        kinds.append("snapshots (RDB)")
    bad = [field for field in ("rdb_last_bgsave_status", "aof_last_write_status") if facts.info.get(field) == "err"]
    if bad and kinds:
        return warning(f"{facts.name} failed to save its data ({bad[0]}). See its log, and make room on its disk")
    if kinds:
        return ok(f"{facts.name} keeps its data over its own restart by {' and '.join(kinds)}")
    if facts.saves is None:
        text = f"{facts.name} does not tell whether it saves its data. If not, its restart ends all conversations"
        return warning(text)
    return warning(
        f"{facts.name} saves nothing: when it restarts while Passerby is not running, all sessions and conversations "
        "are lost. Set `appendonly yes`"
    )


def clocks(facts: Facts) -> Finding:
    """Both clocks should tell the same time."""
    if abs(facts.skew) > _SKEW:
        ahead = "ahead of" if facts.skew > 0 else "behind"
        text = f"the clock of {facts.name} is {abs(facts.skew):.1f} seconds {ahead} this machine's. Use NTP on both"
        return warning(text)
    return ok(f"the clock of {facts.name} agrees with this machine's")


def latency(facts: Facts) -> Finding:
    """Each message waits for an answer of Redis."""
    milliseconds = facts.latency * 1000
    if facts.latency > _SLOW:
        text = f"{facts.name} answers in {milliseconds:.0f} ms, and each message waits for it. Bring it nearer"
        return warning(text)
    return ok(f"{facts.name} answers in {milliseconds:.1f} ms")


def judge(facts: Facts, settings: Settings) -> list[Finding]:
    """Return all findings about a server."""
    return [
        version(facts),
        role(facts),
        writing(facts),
        policy(facts),
        memory(facts, settings),
        persistence(facts),
        clocks(facts),
        latency(facts),
    ]
