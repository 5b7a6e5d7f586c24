from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import settings

from tests.calls import turnserver
from tests.support import postgres as postgres_server
from tests.support.backends import BACKENDS, BLOBS
from tests.support.server import SECRET, InsideServer, RunningServer, ServerProcess, http_client, inside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.support.backends import Backend, Blobs
    from tests.support.postgres import Postgres


# The database of a server that is told of none: never the one of whoever runs the tests. This one is of servers that
# many tests share; see `own_database`.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="passerby-state-")
os.environ.pop("STATE_DIRECTORY", None)
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)
_states = itertools.count()


@pytest.fixture(autouse=True)
def own_database(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a state directory of its own: a server that is told of no database finds none of another test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / f"state-{next(_states)}"))


# No deadline: the duration of an example depends on the machine, not on the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


class StartServer(Protocol):
    """Starts a server in this process with settings changed from their defaults."""

    async def __call__(self, **changes: object) -> InsideServer: ...


@pytest.fixture
async def start_server() -> AsyncIterator[StartServer]:
    """Return a function that starts servers with the given settings; they stop at the end of the test."""
    async with AsyncExitStack() as stack:

        async def start(**changes: object) -> InsideServer:
            return await stack.enter_async_context(inside(**changes))

        yield start


@pytest.fixture
async def server(start_server: StartServer) -> InsideServer:
    """Run a server with the default settings on a free port, in this process; `server.url` is its address."""
    return await start_server()


@pytest.fixture(scope="session")
def shared_process() -> Iterator[ServerProcess]:
    """Run one `passerby serve` for all tests that leave no state behind; its limits are very high."""
    process = ServerProcess("--limits-scale", "1000", JWT_SECRET=SECRET)
    yield process.wait_until_ready()
    process.stop()


@pytest.fixture
async def shared_server(shared_process: ServerProcess) -> AsyncIterator[RunningServer]:
    """Use the shared process. Other tests use it too: its counts and queue may contain their guests."""
    async with http_client(shared_process.url) as http:
        server = RunningServer(shared_process.url, http)
        yield server
        await server.close()


@pytest.fixture
def start_process() -> Iterator[Callable[..., ServerProcess]]:
    """Start real `passerby serve` processes: `start_process("--grace", "1", JWT_SECRET="…").wait_until_ready()`."""
    processes: list[ServerProcess] = []

    def start(*arguments: str, **environment: str) -> ServerProcess:
        processes.append(ServerProcess(*arguments, **environment))
        return processes[-1]

    yield start
    for process in processes:
        process.stop()


@pytest.fixture
def server_process(start_process: Callable[..., ServerProcess]) -> ServerProcess:
    """Run `passerby serve` with the default settings; `server_process.url` is its address."""
    return start_process().wait_until_ready()


@pytest.fixture(scope="session")
def coturn() -> str:
    """Return the path of coturn."""
    try:
        return turnserver.ensure()
    except turnserver.NoTurnServerError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def turn(coturn: str, tmp_path: Path) -> Iterator[turnserver.TurnServer]:
    """Run coturn on 127.0.0.1. It may relay to 127.0.0.1, where the tests' peers are."""
    with turnserver.running(coturn, tmp_path, "-n", "--allow-loopback-peers") as server:
        yield server


@pytest.fixture(params=sorted(BACKENDS))
def open_backend(request: pytest.FixtureRequest) -> Callable[[], AbstractAsyncContextManager[Backend]]:
    """Return a function that creates a backend, for tests that need more than one."""
    return BACKENDS[request.param]


@pytest.fixture
async def backend(open_backend: Callable[[], AbstractAsyncContextManager[Backend]]) -> AsyncIterator[Backend]:
    async with open_backend() as backend:
        yield backend


@pytest.fixture(params=sorted(BLOBS))
def open_blobs(request: pytest.FixtureRequest) -> Callable[[], AbstractAsyncContextManager[Blobs]]:
    """Return a function that creates a store of files, for tests that need more than one."""
    return BLOBS[request.param]


@pytest.fixture
async def blobs(open_blobs: Callable[[], AbstractAsyncContextManager[Blobs]]) -> AsyncIterator[Blobs]:
    async with open_blobs() as blobs:
        yield blobs


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL; each test takes a database of its own."""
    with postgres_server.running() as server:
        yield server
