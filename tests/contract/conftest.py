from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.backends import BACKENDS, BLOBS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from tests.contract.backends import Backend, Blobs


@pytest.fixture(params=sorted(BACKENDS))
def open_backend(request: pytest.FixtureRequest) -> Callable[[], AbstractAsyncContextManager[Backend]]:
    """Return a function that creates a backend, for tests that need more than one."""
    return BACKENDS[request.param]


@pytest.fixture
async def backend(open_backend: Callable[[], AbstractAsyncContextManager[Backend]]) -> AsyncIterator[Backend]:
    async with open_backend() as backend:
        yield backend


@pytest.fixture(params=sorted(BLOBS))
def open_blobs(request: pytest.FixtureRequest) -> Callable[[], AbstractAsyncContextManager[Blobs]]:
    """Return a function that creates a store of files, for tests that need more than one."""
    return BLOBS[request.param]


@pytest.fixture
async def blobs(open_blobs: Callable[[], AbstractAsyncContextManager[Blobs]]) -> AsyncIterator[Blobs]:
    async with open_blobs() as blobs:
        yield blobs
