"""Child processes that end with their parent, and of whose end the event loop is told."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ctypes import CDLL

_PR_SET_PDEATHSIG: Final = 1


def _system() -> CDLL | None:
    """Return the C library, on Linux."""
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 - a process that is alone, and `doctor`, do not need it

    return ctypes.CDLL(None)


def die_with(parent: int) -> None:
    """Let the system kill this process when its parent ends, also by SIGKILL (prctl(2)). Nothing where it cannot.

    The signal is SIGKILL: whoever starts Passerby again at once finds the port free. If `parent` has ended before, this
    process ends here.
    """
    _die(_system(), parent)


def _die(system: CDLL | None, parent: int) -> None:
    if system is not None:
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Child:
    """A process. `ended` is set when it has."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """It has just been started."""
        self._process = process
        self.pid = process.pid
        self.ended = asyncio.Event()
        self.begun = asyncio.get_running_loop().time()

    @property
    def lived(self) -> float:
        """Return the seconds since the start."""
        return asyncio.get_running_loop().time() - self.begun

    @property
    def code(self) -> int | None:
        """Return the exit code: negative for the signal that has ended it, None while it runs."""
        return self._process.returncode

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        self._process.send_signal(number)

    def look(self) -> bool:
        """Return whether it has ended; tell who waits for it."""
        if self._process.poll() is None:
            return False
        self.ended.set()
        return True

    def kill(self) -> None:
        """End it now, and wait for that."""
        self._process.kill()
        self._process.wait()
        self.ended.set()


class Children:
    """Starts processes, each in a session of its own: signals of a terminal are for the parent alone."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._running: set[Child] = set()

    def listen(self) -> None:
        """Notice from now on in the running event loop when processes end. It must be Python's own."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._look)

    def start(self, command: Sequence[str], **options: Any) -> Child:  # noqa: ANN401 - of `subprocess.Popen`
        """Start a program. Raises OSError."""
        child = Child(subprocess.Popen(command, start_new_session=True, **options))  # noqa: S603 - our own programs
        self._running.add(child)
        return child

    def _look(self) -> None:
        self._running = {child for child in self._running if not child.look()}

    def kill(self) -> None:
        """Kill all that run."""
        for child in self._running:
            child.kill()
        self._running.clear()


def dying() -> Callable[[], None]:
    """Return what to run in a new process before a program that cannot call `die_with` itself."""
    return partial(_die, _system(), os.getpid())
