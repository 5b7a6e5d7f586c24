from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.support import sio_loops

_ON_EVERY_LOOP = ("test_connection",)
"""Tests that must pass on every loop: loops differ in how they write and how they report what is lost."""


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, sio_loops.LoopFactory]:
    return sio_loops.ALL if item.path.stem in _ON_EVERY_LOOP else sio_loops.PRODUCT
