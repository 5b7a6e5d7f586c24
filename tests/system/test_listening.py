"""Where `passerby serve` listens: several addresses, IPv4 and IPv6, Unix sockets, alone and with workers."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from passerby.listening import ListenError, listen
from tests.support.client import PATIENCE
from tests.support.ports import free_port
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a short path: that of a Unix socket has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="p") as name:
        yield Path(name)


def started(process: ServerProcess) -> str:
    """Return the line that says where it listens."""
    found = process.wait_for("serving on")
    assert len(found) == 1, process.lines
    return found[0]


def health(url: str, path: str | None = None) -> int:
    with httpx.Client(transport=httpx.HTTPTransport(uds=path), timeout=PATIENCE) as client:
        return client.get(f"{url}/health").status_code


@WORKERS
def test_several_addresses_and_a_unix_socket_at_once(folder: Path, workers: str) -> None:
    path, port = str(folder / "s"), free_port()
    process = ServerProcess(
        *("--host", f"127.0.0.1,127.0.0.2,::1,unix:{path}"), "--port", str(port), "--workers", workers
    )
    try:
        assert started(process) == (f"serving on http://localhost:{port}, http://127.0.0.2:{port}, unix:{path}")
        for host in ("127.0.0.1", "127.0.0.2", "[::1]"):
            assert health(f"http://{host}:{port}") == 200
        assert health("http://chat.example", path) == 200
        with httpx.Client(transport=httpx.HTTPTransport(uds=path), timeout=PATIENCE) as client:
            documents = [client.get("http://x/schema/asyncapi.json", headers={"Host": name}) for name in ("x:y", "x:1")]
        assert [document.json()["servers"]["this"]["host"] for document in documents] == ["localhost", "x:1"]
        mode = Path(path).stat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o660)
        assert process.terminate() == 0
        assert list(folder.iterdir()) == []
    finally:
        process.stop()


@WORKERS
def test_two_colons_are_ipv4_and_ipv6(workers: str) -> None:
    port = free_port()
    process = ServerProcess("--host", "::", "--port", str(port), "--workers", workers)
    try:
        assert started(process) == f"serving on http://localhost:{port}"
        for host in ("127.0.0.1", "[::1]"):
            assert health(f"http://{host}:{port}") == 200
    finally:
        process.terminate()


def test_both_can_be_named(folder: Path) -> None:
    listeners = listen(f"0.0.0.0,::,unix:{folder}/s", 0)
    try:
        assert {one.getsockname()[1] for one in listeners.sockets[:2]} == {listeners.port}
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as client:
                client.connect((host, listeners.port))
    finally:
        listeners.close()


@WORKERS
def test_what_a_killed_server_has_left_is_replaced(folder: Path, workers: str) -> None:
    path = str(folder / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    process = ServerProcess("--host", f"unix:{path}", "--workers", workers)
    try:
        started(process)
        assert health("http://chat.example", path) == 200
    finally:
        process.terminate()


@WORKERS
def test_a_server_that_lives_is_not_replaced(folder: Path, workers: str) -> None:
    path = str(folder / "s")
    first = ServerProcess("--host", f"unix:{path}")
    try:
        started(first)
        second = ServerProcess("--host", f"unix:{path}", "--workers", workers)
        assert second.wait() == 1
        assert any(f"cannot listen at unix:{path}: another server listens there" in line for line in second.lines)
        assert health("http://chat.example", path) == 200
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        third = ServerProcess("--host", f"unix:{path}")
        started(third)
        assert third.terminate() == 0
    finally:
        first.stop()


def test_a_file_that_is_no_socket_stays(folder: Path) -> None:
    file = folder / "s"
    file.write_text("mine")

    with pytest.raises(ListenError, match="there is something that is no socket"):
        listen(f"unix:{file}", 0)

    assert file.read_text() == "mine"
    assert list(folder.iterdir()) == [file]


def test_nothing_listens_if_one_address_cannot_be_had(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"cannot listen at 127.0.0.1:{port}: address already in use"):
            listen(f"unix:{folder}/s,::1,127.0.0.1", port)
    assert list(folder.iterdir()) == []
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        pass


@pytest.mark.parametrize(
    "host", ["127.0.0.1,127.0.0.1", "localhost,127.0.0.1", "0.0.0.0,127.0.0.1", "::,::1", "::,localhost", "[::1]"]
)
def test_an_address_that_is_named_twice_is_taken_once(host: str) -> None:
    listeners = listen(host, 0)
    try:
        assert listeners.places == [f"http://localhost:{listeners.port}"]
    finally:
        listeners.close()


def test_a_folder_that_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(ListenError, match=f"cannot listen at unix:{folder}/x/s: there is no folder {folder}/x"):
        listen(f"127.0.0.1,unix:{folder}/x/s", 0)


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_whatever_is_no_socket_stays(folder: Path, kind: str) -> None:
    (folder / "mine").write_text("mine")
    if kind == "link":
        (folder / "s").symlink_to(folder / "mine")
    else:
        (folder / "s").mkdir()

    with pytest.raises(ListenError, match="there is something that is no socket, and stays"):
        listen(f"unix:{folder}/s", 0)

    assert (folder / "mine").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["mine", "s"]


def test_a_port_that_needs_rights_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(socket.socket):
        """A socket of somebody without rights."""

        def bind(self, address: object, /) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("passerby.listening.socket.socket", Refusing)
    with pytest.raises(ListenError, match=r"127\.0\.0\.1:80: permission denied\. Below 1024 that needs more rights"):
        listen("127.0.0.1", 80)


@pytest.mark.parametrize("host", ["203.0.113.1", "nowhere.invalid", "x" * 70, "fe80::1%nowhere"])
def test_an_address_of_another_machine_is_named(host: str) -> None:
    with pytest.raises(ListenError, match=host):
        listen(host, 0)


async def test_guests_behind_a_unix_socket_have_the_addresses_that_the_proxy_says(folder: Path) -> None:
    path = str(folder / "s")
    process = ServerProcess(
        *("--host", f"unix:{path}"), *("--limit-address-sessions", "1/0.001"), "--limits-scale", "1"
    )
    try:
        started(process)
        async with httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=path), base_url="http://chat.example", timeout=PATIENCE
        ) as client:
            body = {"username": "Ada_1"}
            codes = [
                (await client.post("/api/guest", json=body, headers={"X-Forwarded-For": address})).status_code
                for address in ("203.0.113.1", "203.0.113.2", "203.0.113.1")
            ]
        assert codes == [codes[0], codes[0], 429]
        assert codes[0] != 429
    finally:
        process.terminate()
