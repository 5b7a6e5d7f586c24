"""A rolling upgrade: nodes of an earlier commit and of this one share guests, from a clone of the repository itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from passerby.errors import Code
from passerby.nodes.bus import VERSION
from tests.support import history
from tests.support.client import PATIENCE, RefusedError
from tests.support.server import SECRET, RunningServer, ServerProcess, http_client
from tests.support.valkey import until, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.client import Client
    from tests.support.server import Account


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the packages of each earlier commit that must be understood."""
    try:
        return [
            history.check_out(tmp_path_factory.mktemp("clone") / "passerby", commit)
            for commit in history.commits_beside()
        ]
    except history.NoHistoryError as error:
        pytest.fail(str(error), pytrace=False)


def start(url: str, packages: Path | None) -> ServerProcess:
    """Start a node, with the packages of an earlier commit or with the present ones."""
    environment = {} if packages is None else {"PYTHONPATH": str(packages)}
    return ServerProcess("--limits-scale", "1000", REDIS_URL=url, JWT_SECRET=SECRET, **environment)


@asynccontextmanager
async def two_nodes(packages: Path) -> AsyncIterator[tuple[RunningServer, RunningServer, list[ServerProcess]]]:
    """Run a node of an earlier commit and one of this."""
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(valkey())
        processes = [start(shared.url, packages), start(shared.url, None)]
        servers = []
        for process in processes:
            stack.callback(process.stop)
            await asyncio.to_thread(process.wait_until_ready)
            server = RunningServer(process.url, await stack.enter_async_context(http_client(process.url)))
            stack.push_async_callback(server.close)
            servers.append(server)

        async def both_alive() -> bool:
            return int(await shared.command("ZCARD", "alive")) == len(processes)

        await until(both_alive)
        yield servers[0], servers[1], processes


async def say(one: Client, other: Client, text: str) -> None:
    await one.ask("chat:message", {"type": "text", "content": text})
    assert (await other.until("chat:message"))["content"] == text


async def back(server: RunningServer, account: Account, resume: dict[str, object]) -> Client:
    """Return to a conversation: as long as the server says so, try again, as clients do."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                client = await server.connect(account, resume)
            except RefusedError as refused:
                if refused.data["code"] != Code.UNAVAILABLE:
                    raise
                await asyncio.sleep(refused.data["retryAfter"])
            else:
                await client.until("room:resumed")
                return client


def test_the_earlier_commit_is_what_runs(earlier: list[Path]) -> None:
    for packages in earlier:
        program = "import passerby; print(passerby.__file__)"
        environment = os.environ | {"PYTHONPATH": str(packages)}
        done = subprocess.run(
            (sys.executable, "-c", program), env=environment, capture_output=True, text=True, check=True
        )
        assert Path(done.stdout.strip()).is_relative_to(packages)


@pytest.mark.parametrize("is_old_first", [True, False])
async def test_guests_of_both_are_matched_and_talk(earlier: list[Path], is_old_first: bool) -> None:
    for packages in earlier:
        async with two_nodes(packages) as (old, new, _):
            first, second = (old, new) if is_old_first else (new, old)
            _, anna = await first.visitor(username="Anna")
            _, berta = await second.visitor(username="Berta")
            await anna.emit("user:match")
            await anna.until("user:match:no_users")
            await berta.emit("user:match")
            assert (await anna.until("user:matched"))["roomId"] == (await berta.until("user:matched"))["roomId"]
            for number in range(3):
                await say(anna, berta, f"Anna {number}")
                await say(berta, anna, f"Berta {number}")


@pytest.mark.parametrize("is_old_ended", [True, False])
async def test_an_upgrade_is_a_reconnect_and_so_is_the_way_back(earlier: list[Path], is_old_ended: bool) -> None:
    for packages in earlier:
        async with two_nodes(packages) as (old, new, processes):
            leaving, staying = (old, new) if is_old_ended else (new, old)
            accounts = [await leaving.visitor(username="Anna"), await staying.visitor(username="Berta")]
            for _, client in accounts:
                await client.emit("user:match")
            (account, anna), (other, berta) = accounts
            matched = await anna.until("user:matched")
            await berta.until("user:matched")
            await say(anna, berta, "before")

            assert await asyncio.to_thread(processes[0 if is_old_ended else 1].terminate) == 0

            resume = {"roomId": matched["roomId"], "epoch": matched["epoch"], "seq": 1}
            await anna.ended.wait()
            anna = await back(staying, account, resume)
            if berta.ended.is_set():  # their room was on the node that has ended
                berta = await back(staying, other, resume)
            await say(anna, berta, "after")
            await say(berta, anna, "and again")


# ── without a history ─────────────────────────────────────────────────────────────────────────────


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(("git", *identity, *arguments), cwd=folder, capture_output=True, check=True)


def test_an_archive_of_the_files_is_refused_with_a_line_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(history.NoHistoryError, match="use a clone of the repository"):
        history.commits_beside(tmp_path)


def test_which_commits_are_chosen(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    bus = tmp_path / "src/passerby/nodes/bus.py"
    bus.parent.mkdir(parents=True)

    def commit(version: int, text: str) -> None:
        bus.write_text(f"VERSION: Final = {version}\n# {text}\n")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--message", text)

    commit(VERSION - 1, "the first one")
    with pytest.raises(history.NoHistoryError):
        history.commits_beside(tmp_path)
    commit(VERSION - 1, "the last one of the version before")
    commit(VERSION, "a new version")
    (before,) = history.commits_beside(tmp_path)
    assert history.version_at(tmp_path, before) == VERSION - 1
    commit(VERSION, "a fix")
    commit(VERSION, "another fix")
    newest, last = history.commits_beside(tmp_path)
    assert (history.version_at(tmp_path, newest), last) == (VERSION, before)
    git(tmp_path, "tag", "v1", "HEAD~2")
    assert len(history.commits_beside(tmp_path)) == 3
    commit(VERSION + 2, "one that understands none of them")
    with pytest.raises(history.NoHistoryError):
        history.commits_beside(tmp_path, VERSION + 2)
