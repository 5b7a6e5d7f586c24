"""Valkey for a measurement: on the servers' core, on a Unix socket, with nothing on disk."""

import contextlib
import os
from collections.abc import AsyncIterator

from benchmarks.machine import cores
from tests.support.valkey import Valkey, valkey


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Valkey]:
    """Run a Valkey; its URL is the setting REDIS_URL."""
    async with valkey() as store:
        pin(store)
        yield store


def pin(store: Valkey) -> None:
    """Let a Valkey that has just started use the servers' core. Its main thread does all the work."""
    os.sched_setaffinity(store.pid, {cores()[0]})
