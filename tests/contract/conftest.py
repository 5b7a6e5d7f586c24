from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.backends import BACKENDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from tests.contract.backends import Backend


@pytest.fixture(params=sorted(BACKENDS))
def open_backend(request: pytest.FixtureRequest) -> Callable[[], AbstractAsyncContextManager[Backend]]:
    """Return what makes a fresh backend, for tests that need more than one."""
    return BACKENDS[request.param]


@pytest.fixture
async def backend(open_backend: Callable[[], AbstractAsyncContextManager[Backend]]) -> AsyncIterator[Backend]:
    async with open_backend() as backend:
        yield backend
