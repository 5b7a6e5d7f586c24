"""The folder of a parent, and what a killed one has left."""

from __future__ import annotations

import os
import stat
import tempfile
from typing import TYPE_CHECKING

from passerby.workers.folder import private_folder

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_only_this_user_can_enter_it_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with private_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "inbox").touch()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_parent_has_left_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, new, other = (tmp_path / name for name in ("passerby-workers-left", "passerby-workers-new", "passerby-other"))
    for folder in (left, new, other):
        folder.mkdir()
        (folder / "inbox").touch()
    with private_folder() as used:
        for folder in (left, other, used):
            os.utime(folder, (0, 0))
        with private_folder():
            assert not left.exists()
            assert new.exists()
            assert other.exists()
            assert used.exists()
