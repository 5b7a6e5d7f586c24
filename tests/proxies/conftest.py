from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.support import sio_loops


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, sio_loops.LoopFactory]:
    """Run on the event loop that the product uses."""
    return sio_loops.PRODUCT
