"""`make dev` as a process, on a free port."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.client import PATIENCE
from tests.support.server import START_PATIENCE, settings_names

ROOT = Path(__file__).parents[2]


class Development:
    """`python -m tools.dev` in its own session, as in a terminal; `lines` contains its output."""

    def __init__(self, *arguments: str, terminal: int = subprocess.DEVNULL, **environment: str) -> None:
        """Start it; `terminal` is the file descriptor of a terminal for standard input."""
        clean = {name: text for name, text in os.environ.items() if name not in settings_names()}
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.dev", "--port", str(self.port), *arguments],
            cwd=ROOT,
            env={**clean, "PYTHONUNBUFFERED": "1", **environment},
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, pattern: str, count: int = 1) -> None:
        """Wait until `count` lines match."""

        def seen() -> int:
            return sum(bool(re.search(pattern, line)) for line in self.lines)

        with self._news:
            self._news.wait_for(lambda: seen() >= count or not self._reader.is_alive(), START_PATIENCE)
            assert seen() >= count, f"{pattern!r} was not printed: {self.lines}"

    def wait_until_ready(self) -> Development:
        """Wait for the line with the URL."""
        self.wait_for(rf"open {self.url} ")
        return self

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process only."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait until it and all its child processes have ended (each holds the output open); return the exit code."""
        self._reader.join(START_PATIENCE)
        assert not self._reader.is_alive(), f"a process is still running: {self.lines}"
        return self._process.wait(PATIENCE)

    def stop(self) -> None:
        """Kill it in any state. Its child processes then end by themselves."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(START_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self.wait()


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
