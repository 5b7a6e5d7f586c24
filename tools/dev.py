"""`make dev`: runs the server and Vite. The server restarts when its code changes; pages update automatically.

    python -m tools.dev --port 5173

Vite serves the page and forwards the server's paths to it (listed in `web/vite.config.ts`). All settings of the server
except its address come from the environment. SIGINT, SIGTERM, SIGHUP or the end of the terminal stops both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import select
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchfiles import PythonFilter, awatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
WEB: Final = ROOT / "web"
CODE: Final = ROOT / "src" / "passerby"

STOP_TIMEOUT: Final = 8.0
"""Seconds for a child to end; the server gives its connections 5 (`timeout_graceful_shutdown`)."""
POLL: Final = 0.05
"""Seconds between two checks whether a port is open."""
WRONG_SETTING: Final = 2
"""The exit code of `passerby serve` for invalid settings, which no change of the code can fix."""
ON_THIS_MACHINE: Final = ("127.0.0.1", "0.0.0.0", "localhost", "::", "::1")  # noqa: S104 - for comparison


class Child:
    """A process with its own process group: Ctrl-C reaches only the parent, which stops its children in order."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Use `Child.start` instead."""
        self._process = process

    @classmethod
    async def start(cls, *command: str, cwd: Path, env: Mapping[str, str]) -> Child:
        """Start `command`. Its standard input closes when this process ends, even if it is killed."""
        return cls(
            await asyncio.create_subprocess_exec(
                *command, cwd=cwd, env=env, stdin=asyncio.subprocess.PIPE, process_group=0
            )
        )

    async def wait(self) -> int:
        """Wait until it has ended; return the exit code."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Stop it and its child processes: with SIGTERM, after STOP_TIMEOUT with SIGKILL."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT)
        self._signal(signal.SIGKILL)
        await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: only zombies, on macOS
            os.killpg(self._process.pid, number)


class Development:
    """Runs both processes until they end."""

    def __init__(self, host: str, port: int, server_port: int) -> None:
        """Serve the page on `host` and `port`; the server gets `server_port`, or a free one for 0."""
        self._host = host
        self._port = port
        self._server_port = server_port or _free_port()
        self._was_ready = False
        self._ended = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Run until a signal arrives or Vite ends; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end, 0)
        if sys.stdin is not None and sys.stdin.isatty():
            threading.Thread(target=self._watch_terminal, args=(loop,), daemon=True).start()
        # One secret for all restarts, so that tokens stay valid; sessions are lost on restart.
        environment = {"JWT_SECRET": secrets.token_hex(32), **os.environ}
        tasks = [loop.create_task(work) for work in (self._client(environment), self._server(environment))]
        for task in tasks:
            task.add_done_callback(self._task_ended)
        await self._ended.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return self._code

    def _watch_terminal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop with the terminal: if make leads the session, SIGHUP goes to make, which waits for this process."""
        terminal = select.poll()
        terminal.register(sys.stdin.fileno(), 0)  # do not read: in the background, reading would stop this process
        with contextlib.suppress(RuntimeError):  # the loop has already ended
            if any(events & select.POLLHUP for _, events in terminal.poll()):
                loop.call_soon_threadsafe(self._end, 0)

    def _end(self, code: int) -> None:
        if not self._ended.is_set():
            self._code = code
            self._ended.set()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _say(f"{type(error).__name__}: {error}")
            self._end(1)

    async def _client(self, environment: Mapping[str, str]) -> None:
        # Where CI is set, Vite does not end with its standard input, so it would outlive this process.
        environment = {name: value for name, value in environment.items() if name != "CI"}
        vite = await Child.start(
            "node",
            str(WEB / "node_modules" / "vite" / "bin" / "vite.js"),
            *("--host", self._host, "--port", str(self._port), "--strictPort", "--clearScreen", "false"),
            cwd=WEB,
            env={**environment, "PASSERBY_SERVER": f"http://127.0.0.1:{self._server_port}"},
        )
        try:
            code = await vite.wait()
            _say(f"Vite has ended with exit code {code}")
            self._end(code or 1)
        finally:
            await vite.stop()

    async def _server(self, environment: Mapping[str, str]) -> None:
        """Run the server; restart it after every change of its code."""
        changes = awatch(CODE, watch_filter=PythonFilter(extra_extensions=(".lua",)))
        while True:
            server = await Child.start(
                sys.executable, "-m", "tools.dev_server", str(self._server_port), cwd=ROOT, env=environment
            )
            watching = asyncio.ensure_future(self._watch(server))
            watching.add_done_callback(self._task_ended)
            try:
                changed = await anext(changes)
            finally:
                watching.cancel()
                await server.stop()
            names = sorted({str(Path(path).relative_to(CODE)) for _, path in changed})
            _say(f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''} changed: the server restarts")  # noqa: PLR2004 - fits in a line

    async def _watch(self, server: Child) -> None:
        """Print when the server is ready, and when it exits by itself."""
        ready = asyncio.ensure_future(self._say_when_ready())
        ready.add_done_callback(self._task_ended)
        try:
            code = await server.wait()
        finally:
            ready.cancel()
        if code == WRONG_SETTING:
            self._end(code)
        else:
            _say(f"the server has ended with exit code {code}; it starts again when its code changes")

    async def _say_when_ready(self) -> None:
        for host, port in ((self._host, self._port), ("127.0.0.1", self._server_port)):
            while not _is_open(host, port):  # noqa: ASYNC110 - the open port is the only sign that the process is ready
                await asyncio.sleep(POLL)
        if self._was_ready:
            _say("the server is ready again")
        else:
            self._was_ready = True
            _say(f"open {_url(self._host, self._port)} (Ctrl-C ends it)")


def _url(host: str, port: int) -> str:
    return f"http://{'localhost' if host in ON_THIS_MACHINE else host}:{port}"


def _is_open(host: str, port: int) -> bool:
    """Return whether a process listens there; if `host` means all addresses, localhost is checked."""
    name = "localhost" if host in ON_THIS_MACHINE else host
    for family, kind, protocol, _, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM):
        with socket.socket(family, kind, protocol) as probe:
            probe.settimeout(1)
            if probe.connect_ex(address) == 0:
                return True
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the output is closed
        print(f"make dev: {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after a signal, 1 when a port is in use or Vite has ended, 2 for a wrong setting."""
    parser = argparse.ArgumentParser(prog="python -m tools.dev", description="Serve with reload, for development")
    parser.add_argument("--host", default="127.0.0.1", help="address of the page; 0.0.0.0 for every interface")
    parser.add_argument("--port", type=int, default=5173, help="port of the page")
    parser.add_argument("--server-port", type=int, default=0, help="port of the server behind it; 0 for a free one")
    options = parser.parse_args(arguments)
    for port, flag in ((options.port, "PORT=…"), (options.server_port, 'ARGS="--server-port …"')):
        if port and _is_open(options.host, port):
            _say(f"port {port} is in use; choose another with {flag}")
            return 1

    async def run() -> int:
        return await Development(options.host, options.port, options.server_port).run()

    return asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
