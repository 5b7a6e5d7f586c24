"""The servers under test: started on their own core, measured, and stopped."""

import contextlib
import ctypes
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from benchmarks.machine import cores
from benchmarks.peers import nginx as nginx_peer

ADDRESS = "127.0.0.1"
RELAY_FOLDER = Path(__file__).parent / "peers" / "socketio-relay"
PROJECT_FOLDER = Path(__file__).parent.parent
START_SECONDS = 20.0
STOP_SECONDS = 3.0
LIMITS_SCALE = "1000000"
STORAGE = {name: str(1 << 36) for name in ("FILES_LIMIT", "ROOM_FILES_LIMIT", "GUEST_FILES_LIMIT")}
"""Bytes, large enough that no measurement reaches a quota."""
NO_FRICTION = {"PROOF_OF_WORK": "off", "NEW_DEVICE_SECONDS": "0", "SKIP_PARTNERS": "0"}
"""One machine brings all guests, who may leave at once."""
PR_SET_PDEATHSIG = 1


class MeasurementError(RuntimeError):
    """A measurement cannot continue."""


class ServerFailedError(MeasurementError):
    """A server did not start or exited early; contains the end of its log."""


@dataclass(frozen=True)
class FrameSizes:
    """Payload bytes of the three frames of one relayed message."""

    message: int = 278
    delivered: int = 104
    sent: int = 134


@dataclass
class Server:
    """A running server process."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    launch: Callable[[], subprocess.Popen[bytes]]
    """Starts the same once more, on the same port, and does not wait until it serves."""

    def cpu_seconds(self) -> float:
        """Return CPU seconds used so far: user and system time of all threads and children."""
        return sum(cpu_clock(pid) for pid in _family(self.process.pid))

    def resident_bytes(self) -> int:
        """Return the resident set size, including children."""
        return sum(_resident(pid) for pid in _family(self.process.pid))

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        self.process.kill()
        self.process.wait()

    def revive(self) -> None:
        """Start it again after `kill`; return at once."""
        self.process = self.launch()


Start = Callable[[], contextlib.AbstractContextManager[Server]]


def cpu_clock(pid: int) -> float:
    """Return the CPU seconds that a process has used so far, without its children."""
    # The kernel's per-process CPU clock (see clock_getcpuclockid(3)): the same sum
    # as utime + stime in /proc/<pid>/stat, in nanoseconds instead of ticks of 10 ms.
    return time.clock_gettime((~pid << 3) | 2)


def _family(pid: int) -> list[int]:
    family = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text(encoding="ascii").split():
            family += _family(int(child))
    return family


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    return 0


@dataclass(frozen=True)
class Passerby:
    """Starts a build of Passerby. All servers of one object, and of those made from it, accept the same tokens."""

    command: str
    """Its executable and first arguments."""
    settings: Mapping[str, str] = field(
        default_factory=lambda: {
            "LIMITS_SCALE": LIMITS_SCALE,
            **STORAGE,
            **NO_FRICTION,
            "LOG_LEVEL": "warning",
            "JWT_SECRET": secrets.token_hex(32),
        }
    )

    def with_settings(self, **settings: str) -> Self:
        """Return the same build with more settings."""
        return replace(self, settings={**self.settings, **settings})

    def __call__(self) -> contextlib.AbstractContextManager[Server]:
        """Start it on a free port."""
        words = shlex.split(self.command)
        beside_python = str(Path(sys.executable).parent)
        found = shutil.which(words[0], path=f"{beside_python}{os.pathsep}{os.environ['PATH']}")
        if found is None:
            raise ServerFailedError(f"no command {words[0]!r}: install the project first")
        port = free_port()
        arguments = [found, *words[1:], "serve", "--host", ADDRESS, "--port", str(port)]
        return _run("passerby", port, arguments, {**self.settings, "HOST": ADDRESS, "PORT": str(port)})


def socketio_relay() -> contextlib.AbstractContextManager[Server]:
    """Start the bare Socket.IO relay on Node; its packages are installed if missing."""
    if not (RELAY_FOLDER / "node_modules" / "socket.io").is_dir():
        subprocess.run(["npm", "ci", "--silent"], cwd=RELAY_FOLDER, check=True)
    port = free_port()
    arguments = ["node", str(RELAY_FOLDER / "relay.js"), str(port)]
    return _run("socket.io", port, arguments, {"NODE_ENV": "production"})


def picows_relay(sizes: FrameSizes) -> contextlib.AbstractContextManager[Server]:
    """Start the raw picows relay, padding its frames to ``sizes``."""
    port = free_port()
    numbers = [str(number) for number in (port, sizes.message, sizes.delivered, sizes.sent)]
    arguments = [sys.executable, "-m", "benchmarks.peers.picows_relay", *numbers]
    return _run("picows", port, arguments, {})


@contextlib.contextmanager
def nginx() -> Iterator[Server]:
    """Start nginx, which stores and serves files in its own temporary directory."""
    path = nginx_peer.find()
    if path is None:
        raise ServerFailedError("nginx is missing: install the package nginx")
    port = free_port()
    with nginx_peer.command(path, port) as arguments, _run("nginx", port, arguments, {}) as server:
        yield server


@contextlib.contextmanager
def _run(name: str, port: int, arguments: Sequence[str], settings: Mapping[str, str]) -> Iterator[Server]:
    # Load the C library before the fork: nothing may be imported after it.
    prctl = ctypes.CDLL(None).prctl
    server_core = cores()[0]

    def settle_in() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, {server_core})

    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as state:

        def launch() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=PROJECT_FOLDER,
                env={**os.environ, "XDG_STATE_HOME": state, "STOP_NOTICE": "0", "STOP_PATIENCE": "0", **settings},
                start_new_session=True,
                preexec_fn=settle_in,  # noqa: PLW1509  (this process has no other thread)
            )

        server = Server(name, port, launch(), launch)
        try:
            if not _wait_for_port(server.process, port):
                log.seek(0)
                tail = log.read()[-2000:].decode(errors="replace")
                raise ServerFailedError(f"{name} did not start ({shlex.join(arguments)}):\n{tail}")
            yield server
        finally:
            _stop(server.process)


def _wait_for_port(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((ADDRESS, port), timeout=1):
            return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port
