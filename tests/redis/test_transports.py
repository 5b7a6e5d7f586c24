"""All ways to reach a server, on all event loops; and what becomes of servers when the tests end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from passerby.redis.client import State
from tests.support import sio_loops
from tests.support.ports import free_port
from tests.support.valkey import HOST, Transport, change, connected, opened, proxy, reached, until, valkey

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


def run(loop: str, work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=sio_loops.ALL[loop]) as runner:
        runner.run(work)


@pytest.mark.parametrize("loop", sio_loops.ALL)
@pytest.mark.parametrize("transport", ["unix", "tcp"])
@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("login", [(None, None), (None, "s/e@c:r%e#t"), ("chat", "s/e@c:r%e#t")])
def test_reaching_a_server(
    *, loop: str, transport: Transport, is_encrypted: bool, login: tuple[str | None, str | None]
) -> None:
    async def use() -> None:
        user, password = login
        async with (
            valkey(transport=transport, user=user, password=password) as server,
            proxy(server, is_encrypted=is_encrypted) as between,
        ):
            url = f"{between.url}&db=3" if is_encrypted else f"{server.url}?db=3"
            async with connected(url, "p:") as redis:
                data = os.urandom(1_000_000)
                await redis.command("SET", redis.key("x"), data)
                assert await redis.command("GET", redis.key("x")) == data
                assert b"name=passerby" in await server.command("CLIENT", "LIST")
                assert "db3:keys=2" in str(await server.command("INFO", "keyspace"))
                async with change(redis, State.DEGRADED, 3):
                    server.kill()
                await server.start()
                await reached(redis, State.NORMAL, 5)

    run(loop, use())


@pytest.mark.parametrize("loop", sio_loops.ALL)
def test_nobody_there(loop: str) -> None:
    async def use() -> None:
        port = free_port(HOST)
        for url in (
            f"redis://{HOST}:{port}",
            "unix:///is/not/there",
            "redis://host.invalid",
            f"rediss://{HOST}:{port}",
        ):
            async with opened(url) as redis:
                assert not await redis.ready(0.3)
                assert redis.watch.reason

    run(loop, use())


@pytest.mark.parametrize("loop", sio_loops.ALL)
def test_a_certificate_of_nobody_we_trust(loop: str) -> None:
    async def use() -> None:
        async with valkey() as server, proxy(server, is_encrypted=True) as between:
            place = between.url.partition("?")[0]
            async with opened(place) as redis:
                assert not await redis.ready(0.5)
                assert "certificate verify failed" in redis.watch.reason
            async with connected(f"{place}?ssl_cert_reqs=none"):
                pass
            async with opened(place.replace("rediss", "redis")) as redis:
                assert not await redis.ready(0.5)
        async with valkey(transport="tcp") as server, opened(server.url.replace("redis", "rediss")) as redis:
            assert not await redis.ready(0.5)

    run(loop, use())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
async def test_a_server_ends_with_the_tests_that_are_killed() -> None:
    code = """
        import asyncio
        from tests.support.valkey import valkey

        async def main():
            async with valkey() as server:
                print(server.pid, flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """
    tests = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert tests.stdout is not None
    pid = int(await asyncio.to_thread(tests.stdout.readline))
    os.kill(pid, 0)
    tests.send_signal(signal.SIGKILL)

    async def is_gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await until(is_gone)
    tests.wait()
    tests.stdout.close()
