from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import sio_loops
from tests.support.buses import NETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.buses import Net


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, sio_loops.LoopFactory]:
    return sio_loops.PRODUCT


@pytest.fixture(params=sorted(NETS))
async def net(request: pytest.FixtureRequest) -> AsyncIterator[Net]:
    async with NETS[request.param]() as net:
        yield net
