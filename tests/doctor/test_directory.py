from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.doctor.diagnosis import Report, diagnose
from tests.support.folders import entries

if TYPE_CHECKING:
    from pathlib import Path


async def look(folder: Path) -> Report:
    return await diagnose(file_store="disk", file_directory=str(folder))


async def test_a_directory_that_can_be_used(tmp_path: Path) -> None:
    report = await look(tmp_path)

    assert report.level(str(tmp_path)) == "ok"
    assert entries(tmp_path) == []


async def test_one_that_the_server_will_make(tmp_path: Path) -> None:
    report = await look(tmp_path / "a" / "b")

    assert report.level(f"can be made in {tmp_path}") == "ok"
    assert entries(tmp_path) == []


@pytest.mark.parametrize("below", ["", "below"])
async def test_a_file_in_its_place(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()

    assert (await look(tmp_path / "file" / below)).level("is no directory") == "problem"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
async def test_one_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_where: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)

    assert (await look(tmp_path)).level("cannot be written") == "problem"


@pytest.mark.parametrize(("mode", "level"), [(0o777, "warning"), (0o1777, "ok"), (0o700, "ok"), (0o775, "ok")])
async def test_one_that_is_open_to_every_user(tmp_path: Path, mode: int, level: str) -> None:
    os.chmod(tmp_path, mode)  # noqa: PTH101 - Path's own is forbidden in async functions
    report = await look(tmp_path)

    assert report.code == 0
    assert len(report.about("chmod o-w")) == (level == "warning")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a directory away")
async def test_one_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)

    assert (await look(tmp_path)).level("belongs to another user") == "warning"


class _Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(("free", "level"), [(100, "problem"), (1 << 17, "warning"), (1 << 30, "ok")])
async def test_one_with_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: _Usage(free))

    assert (await look(tmp_path)).level("FILE_DIRECTORY=") == level
