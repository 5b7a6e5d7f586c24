"""The machine: what it is, and which core does what. Linux only."""

import contextlib
import functools
import os
import platform
import resource
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

FILES_WANTED = 16_384
"""5,000 crowd + 550 small crowds + 1,000 joiners, with room to spare."""


@functools.cache  # what is allowed changes once the load is pinned
def cores() -> tuple[int, int]:
    """Return the core for servers and the core for the load (the same if there is one).

    The first core is the load's: the system's own work tends to be done there.
    """
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-1], allowed[0]


def pin_load() -> None:
    """Keep this process on the core for the load."""
    os.sched_setaffinity(0, {cores()[1]})


@contextlib.contextmanager
def all_cores() -> Iterator[None]:
    """Give what is started meanwhile both cores: browsers, who do not fit on one."""
    os.sched_setaffinity(0, set(cores()))
    try:
        yield
    finally:
        pin_load()


def raise_file_limit() -> None:
    """Allow as many open sockets as the hard limit lets us have, up to what we need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def describe() -> str:
    """Name the machine by its cores and versions, never by its host."""
    node = shutil.which("node")
    node_version = "none"
    if node is not None:
        answer = subprocess.run([node, "--version"], capture_output=True, check=True, text=True)
        node_version = answer.stdout.strip().removeprefix("v")
    return (
        f"{os.cpu_count()} cores, {_cpu_model()}, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, picows {version('picows')}, "
        f"uvloop {version('uvloop')}, Node {node_version}"
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
