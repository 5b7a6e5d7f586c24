"""Checks of what the process itself needs: secrets, limits, file descriptors, memory for files."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from passerby.doctor.findings import Check, Finding, in_thread, ok, problem, warning
from passerby.settings import Settings
from passerby.watch import RESERVED
from passerby.workers import valkey

if sys.platform != "win32":
    import resource

_CGROUP: Final = Path("/sys/fs/cgroup/memory.max")
"""The limit of a container's memory in bytes, or `max` (cgroup v2)."""


def checks(settings: Settings) -> Iterator[Check]:
    """Yield the checks."""
    functions: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
        ("JWT_SECRET", secret),
        ("the key of evidence", evidence),
        ("LIMITS_SCALE", scale),
        ("TRUSTED_PROXIES", proxies),
        ("the limit of file descriptors", descriptors),
    )
    for subject, function in functions:
        yield Check(subject, lambda function=function: _one(function, settings))  # type: ignore[misc]  # bound now
    if settings.worker_count > 1:
        yield Check(f"WORKERS={settings.workers}", lambda: _one(workers, settings))
    if settings.files_in == "memory":
        yield Check("the memory for files", lambda: _one(memory, settings))


async def _one(function: Callable[[Settings], Finding], settings: Settings) -> Sequence[Finding]:
    return [await in_thread(lambda: function(settings))]


def secret(settings: Settings) -> Finding:
    """Without a secret, and without Redis, every restart ends all sessions."""
    if settings.jwt_secret is None and settings.redis_url is not None:
        return ok("JWT_SECRET is not set: a secret is made, and kept in Redis")
    if settings.jwt_secret is None:
        return warning(
            "JWT_SECRET is not set: after a restart all guests must begin anew. "
            "Set it to 32 random characters or more, such as from `openssl rand -hex 32`"
        )
    return ok("JWT_SECRET is set")


def evidence(settings: Settings) -> Finding:
    """Without a key, moderators see who was reported, and why, but not what was said."""
    if settings.database_url == "none":
        return ok("DATABASE_URL is none: reports are not taken")
    if settings.evidence_key is None and settings.evidence_key_file is None:
        return warning(
            "neither EVIDENCE_KEY nor EVIDENCE_KEY_FILE is set: reports hold no messages. Set EVIDENCE_KEY_FILE to a "
            "file beside the database's folder, not in it: it is made at the next start"
        )
    return ok("the key of evidence is set")


def scale(settings: Settings) -> Finding:
    """Another scale than 1 is for load tests."""
    if settings.limits_scale != 1:
        return warning(
            f"LIMITS_SCALE is {settings.limits_scale:g}: all limits of guests and addresses are multiplied. "
            "Unset it outside load tests"
        )
    return ok("LIMITS_SCALE is 1: the limits are as they are set")


def proxies(settings: Settings) -> Finding:
    """A network of all addresses lets everybody choose an address."""
    for text in settings.trusted_proxies:
        if ipaddress.ip_network(text, strict=False).prefixlen == 0:
            return problem(
                f"TRUSTED_PROXIES has {text}, which is every address: guests can choose the address that the server "
                "sees. List only your proxies"
            )
    if settings.trusted_proxies:
        return ok(f"TRUSTED_PROXIES is {', '.join(settings.trusted_proxies)}; `--url` checks it through the proxy")
    return ok("TRUSTED_PROXIES is not set, which is right without a proxy; `--url` checks it through the proxy")


def descriptors(settings: Settings) -> Finding:
    """Each connection takes a file descriptor; the server raises the limit itself, up to the hard limit."""
    if sys.platform == "win32":
        return ok("this system has no limit of file descriptors")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections + RESERVED
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        limit = "unlimited" if hard == resource.RLIM_INFINITY else f"{hard}"
        return ok(f"the limit of file descriptors is {limit}, enough for MAX_CONNECTIONS={settings.max_connections}")
    return warning(
        f"the limit of file descriptors is {hard}, and MAX_CONNECTIONS={settings.max_connections} needs {wanted}. "
        "Raise it (`ulimit -Hn`, or LimitNOFILE= of a systemd service), or lower MAX_CONNECTIONS"
    )


def workers(settings: Settings) -> Finding:
    """Several workers need something in which they keep what they share."""
    number = f"{settings.worker_count} workers share"
    if not settings.embeds_redis:
        return ok(f"{number} the Redis of REDIS_URL")
    program = valkey.find()
    if program is None:
        return problem(f"{valkey.MISSING[0].upper()}{valkey.MISSING[1:]}")
    return ok(f"{number} a Valkey that starts with them ({program})")


def memory(settings: Settings) -> Finding:
    """Files in memory must fit beside everything else."""
    total = _total_memory()
    needed = f"up to {size(settings.files_limit)} of files (FILES_LIMIT)"
    if total is not None and settings.files_limit > total // 2:
        return warning(
            f"{needed} are kept in memory, and this machine has {size(total)}. Lower it, or set FILE_STORE=disk"
        )
    return ok(f"{needed} are kept in memory")


def _total_memory() -> int | None:
    """Return the bytes of memory of the machine, or of the container if it may have fewer; None if unknown."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
    try:
        text = _CGROUP.read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(text)) if text.isdecimal() else total


def size(number: float) -> str:
    """Return bytes for people: `512 MiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":  # noqa: PLR2004 - the next unit
            break
        number /= 1024
    return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"  # noqa: PLR2004 - else 1.02e+03
