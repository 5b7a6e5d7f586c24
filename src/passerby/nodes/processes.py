"""Which process a node is, so that another on the same machine knows at once that it has died (Linux)."""

from __future__ import annotations

import os
from pathlib import Path


def identity() -> str:
    """Return what identifies this process, among all processes of all machines; empty if the system cannot tell."""
    try:
        return f"{_place()}:{os.getpid()}:{_began(os.getpid())}"
    except (OSError, ValueError, IndexError):
        return ""


def is_dead(process: str) -> bool:
    """Return whether the process with an identity is known to have ended; False if it is elsewhere."""
    place, _, rest = process.rpartition(":")
    place, _, pid = place.rpartition(":")
    try:
        if not pid.isdecimal() or place != _place():
            return False
        return _began(int(pid)) != rest
    except FileNotFoundError:
        return True
    except (OSError, ValueError, IndexError):
        return False


def _place() -> str:
    """Return the machine, as long as it runs, and the namespace of its processes: containers have their own."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"


def _began(pid: int) -> str:
    """Return when a process began, in ticks since the machine did; empty if it has ended and waits for its parent."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]
