"""The machine: description, and which core runs what. Linux only."""

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
"""5,000 + 550 guests of the crowds + 1,000 joining ones, with a reserve."""


@functools.cache  # the allowed cores change when the load is pinned
def cores() -> tuple[int, int]:
    """Return the core for servers and the core for the load (the same if there is only one).

    The load gets the first core, where the system's own work usually runs.
    """
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-1], allowed[0]


def pin_load() -> None:
    """Pin this process to the load's core."""
    os.sched_setaffinity(0, {cores()[1]})


@contextlib.contextmanager
def all_cores() -> Iterator[None]:
    """Let processes that start in this context use both cores: a browser needs more than one."""
    os.sched_setaffinity(0, set(cores()))
    try:
        yield
    finally:
        pin_load()


def raise_file_limit() -> None:
    """Raise the limit of open sockets to what we need, if the hard limit allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def dropped_packets() -> int:
    """Return how many packets the kernel has dropped since it started, because a core's backlog was full."""
    lines = Path("/proc/net/softnet_stat").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1], 16) for line in lines)


def describe() -> str:
    """Describe the machine by cores and versions, without its host name."""
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
