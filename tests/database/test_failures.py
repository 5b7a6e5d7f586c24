"""When the database cannot be used: everything says so, nothing is half done, and it comes back."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from passerby.assembly import kept
from passerby.database import opening
from passerby.database.engine import Database, DatabaseError, default_path
from passerby.database.schema import metadata
from passerby.database.sealing import Sealer, sealer
from passerby.safety.cases import Piece
from passerby.settings import Settings, SettingsError
from tests.database.conftest import KEY, opened
from tests.database.test_kept import case, decision
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from tests.support.postgres import Postgres


async def test_a_file_that_is_locked_is_an_error_and_then_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.database.engine._BUSY", 50)
    path = tmp_path / "a.db"
    async with opened(f"sqlite:///{path}") as store:
        await store.cases.add(case(1))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError):
            await store.cases.add(case(2))
        assert await store.cases.load(f"{1:032x}") is not None  # reading goes on
        other.execute("COMMIT")
        other.close()
        assert await store.cases.add(case(2))


async def test_a_full_disk_is_an_error_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/a.db") as store:
        await store.cases.add(case(1))
        async with store.database.write() as session:
            pages = await session.scalar(session.sql.text("PRAGMA page_count"))
        big = replace(case(2), evidence=(Piece(kind="file", content=b"x" * 1_000_000),))
        async with store.database.read() as session:
            await session.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(DatabaseError):
            await store.cases.add(big)
        assert await store.cases.load(big.id) is None
        assert (await store.cases.page("open")).total == 1


async def test_a_server_that_is_gone_is_an_error_until_it_is_back(postgres: Postgres) -> None:
    async with opened(postgres.database()) as store:
        await store.cases.add(case(1))
        postgres.stop()
        try:
            with pytest.raises(DatabaseError):
                await store.cases.decide(decision(1, "note"))
            with pytest.raises(DatabaseError):
                await store.sanctions.changed(0)
        finally:
            postgres.start()
        assert await store.cases.decide(decision(1, "note"))
        assert await store.cases.load(f"{1:032x}") is not None


async def test_a_database_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.write_text("no folder")
    async with opened(f"sqlite:///{folder}/a.db") as store:
        with pytest.raises(DatabaseError):
            await store.cases.add(case(1))
        folder.unlink()
        assert await store.cases.add(case(1))


async def test_a_newer_database_is_left_alone(url: str) -> None:
    if url == "sqlite:///":
        return  # it ends with the process
    async with opened(url) as store:
        await store.cases.add(case(1))
        async with store.database.write() as session:
            await session.execute(session.sql.text("UPDATE alembic_version SET version_num = '9999'"))
    async with opened(url) as store:
        with pytest.raises(DatabaseError, match="newer version"):
            await store.cases.load("x")


async def test_the_migrations_make_what_the_code_expects(url: str) -> None:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - beside its use
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - beside its use

    async with opened(url) as store:
        await store.cases.add(case(1))
        async with store.database.read() as session:
            found = await session.connection.run_sync(
                lambda connection: compare_metadata(MigrationContext.configure(connection), metadata)
            )
    assert found == []


def test_several_processes_begin_at_once(url: str) -> None:
    if url == "sqlite:///":
        return  # each has its own
    program = (
        "import asyncio, sys\n"
        "from tests.database.conftest import KEY, opened\n"
        "from tests.database.test_kept import case\n"
        "async def main():\n"
        "    async with opened(sys.argv[1]) as store:\n"
        "        assert await store.cases.add(case(int(sys.argv[2])))\n"
        "asyncio.run(main())\n"
    )
    processes = [subprocess.Popen((sys.executable, "-c", program, url, str(number))) for number in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4

    async def count() -> int:
        async with opened(url) as store:
            return (await store.cases.page("open")).total

    assert asyncio.run(count()) == 4


def test_reading_makes_no_file_and_loads_nothing(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from tests.database.conftest import KEY, opened\n"
        "async def main():\n"
        "    async with opened(sys.argv[1]) as store:\n"
        "        await store.sanctions.changed(0)\n"
        "        assert not await store.staff.is_any()\n"
        "        await store.database.check()\n"
        "    assert 'sqlalchemy' not in sys.modules\n"
        "asyncio.run(main())\n"
    )
    subprocess.run((sys.executable, "-c", program, f"sqlite:///{tmp_path}/a/b.db"), check=True)
    assert list(tmp_path.iterdir()) == []


async def test_no_database_is_no_database() -> None:
    async with opened("none") as store:
        assert store.database.is_off
        assert await store.sanctions.changed(0) == []
        with pytest.raises(DatabaseError):
            await store.cases.add(case(1))


def test_the_file_is_where_the_system_keeps_state() -> None:
    assert default_path({"STATE_DIRECTORY": "/var/lib/passerby:/x"}) == Path("/var/lib/passerby/passerby.db")
    assert default_path({"XDG_STATE_HOME": "/home/a/.state"}) == Path("/home/a/.state/passerby/passerby.db")
    assert default_path({}) == Path.home() / ".local" / "state" / "passerby" / "passerby.db"


async def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/new/a.db") as store:
        await store.cases.add(case(1))
    assert stat.S_IMODE((tmp_path / "new" / "a.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_nothing_of_what_was_said_is_readable_in_the_file(tmp_path: Path) -> None:
    async def fill() -> None:
        async with opened(f"sqlite:///{tmp_path}/a.db") as store:
            await store.cases.add(case(1))

    asyncio.run(fill())
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (b"said", b"messages", b"picture", b"a.png"):
        assert secret not in content


# ── the key ───────────────────────────────────────────────────────────────────────────────────────


async def test_another_key_opens_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    async with opened(url) as store:
        await store.cases.add(case(1))
    for key in ("A" * 43 + "=", None):
        async with opened(url, key=key) as store:
            found = await store.cases.load(f"{1:032x}")
            assert found is not None
            assert (found.log, found.words) == (None, "")
            assert await store.cases.file(f"{1:032x}", 1) is None


def test_what_is_sealed_opens_only_where_it_belongs() -> None:
    one = Sealer(b"k" * 32)
    sealed = one.seal(b"words", "case 1")
    assert one.open(sealed, "case 1") == b"words"
    assert one.open(sealed, "case 2") is None
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert one.open(bytes(changed), "case 1") != b"words"
    assert one.seal(b"words", "case 1") != sealed


def test_a_key_file_is_made_once_and_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "key"
    first = sealer(None, str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = sealer(None, str(path))
    assert again.open(first.seal(b"x", "y"), "y") == b"x"
    path.chmod(0o644)
    sealer(None, str(path))
    assert "others can read the file" in caplog.text
    assert [each.name for each in tmp_path.iterdir()] == ["key"]


def test_a_credential_of_systemd_may_have_an_acl(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "evidence_key"
    path.write_text(KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    for mode, is_told in ((0o440, False), (0o444, True)):
        path.chmod(mode)
        sealer(None, str(path))
        assert ("others can read the file" in caplog.text) is is_told


@pytest.mark.parametrize("content", [b"short", b"\xff\xfe", b"", b"A" * 44])
def test_a_key_file_with_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="EVIDENCE_KEY_FILE="):
        sealer(None, str(path))
    with pytest.raises(SettingsError, match="EVIDENCE_KEY_FILE="):
        kept(Settings(evidence_key_file=str(tmp_path / "no" / "key")), ManualClock())


def test_postgres_without_its_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(SettingsError, match=r"passerby\[postgres\]"):
        Database("postgresql://host/name", ManualClock())


def test_migrations_are_in_the_package() -> None:
    assert (opening.MIGRATIONS / "env.py").exists()
    assert [path.stem for path in (opening.MIGRATIONS / "versions").glob("*.py")] == ["0001_first_tables"]
