"""A real Prometheus that scrapes servers of the tests, and its `promtool`; installs both if they are missing.

    python -m tests.metrics.prometheus

prints their paths, after installing them if necessary (as root, with apt-get), or one line that says what to install.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.support import packages
from tests.support.ports import free_port
from tests.support.server import http_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PROGRAMS: Final = ("prometheus", "promtool")
_CONFIGURATION: Final = """
global:
  scrape_interval: 200ms
  scrape_timeout: 200ms
scrape_configs:
  - job_name: passerby
    static_configs:
      - targets: [{targets}]
"""
_ASK_EVERY: Final = 0.05
_PATIENCE: Final = 60.0
"""Seconds for Prometheus to start, and for two scrapes, on a busy machine."""


class NoPrometheusError(Exception):
    """Prometheus is missing; the message is one line that says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "no Prometheus for the tests of metrics: install the package `prometheus` (apt-get install prometheus)"
        )


def ensure(program: str) -> str:
    """Return the path of `prometheus` or `promtool`; install it if necessary. Raises NoPrometheusError."""
    found = packages.ensure(program, "prometheus")
    if found is None:
        raise NoPrometheusError
    return found


def promtool(*arguments: str) -> str:
    """Run `promtool`; return what it prints. It must succeed."""
    done = subprocess.run([ensure("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Prometheus:
    """A running Prometheus."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an expression now. It must be a valid one."""
        answer = await self._http.post("/api/v1/query", data={"query": expression})
        if answer.is_server_error:
            answer.raise_for_status()
        body = answer.json()
        assert body["status"] == "success", (expression, body)
        found: list[dict[str, Any]] = body["data"]["result"]
        return found

    async def until(self, expression: str, is_enough: Callable[[list[dict[str, Any]]], object]) -> None:
        """Ask until the answer is enough: Prometheus tells nobody of a scrape."""
        deadline = time.monotonic() + _PATIENCE
        found: object = "nothing"
        while time.monotonic() < deadline:
            try:
                found = await self.query(expression)
            except httpx.HTTPError as error:  # it has not started yet
                found = error
            else:
                if is_enough(found):
                    return
            await asyncio.sleep(_ASK_EVERY)
        raise AssertionError(f"{expression}: {found}")


@contextmanager
def running(folder: Path, targets: Sequence[str]) -> Iterator[str]:
    """Run Prometheus, which scrapes `targets` (host and port) as the job `passerby`; yield its URL."""
    port = free_port()
    configuration = folder / "prometheus.yml"
    configuration.write_text(_CONFIGURATION.format(targets=", ".join(f"'{target}'" for target in targets)))
    with (folder / "prometheus.log").open("wb") as output:
        process = subprocess.Popen(
            [
                ensure("prometheus"),
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(_PATIENCE)


def client(url: str) -> httpx.AsyncClient:
    """Return a client of the Prometheus at `url`."""
    return http_client(url)


def main() -> int:
    """Print the paths and return 0, or print what to install and return 1."""
    try:
        for program in _PROGRAMS:
            print(ensure(program))
    except NoPrometheusError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
