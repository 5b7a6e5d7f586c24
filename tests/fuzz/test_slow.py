"""The short form of `python -m tests.fuzz --slow`."""

from __future__ import annotations

from tests.fuzz.slow import Search
from tests.support.worst import world

INPUTS = 1000


async def test_a_short_search_finds_no_slow_input() -> None:
    async with world() as server:
        search = Search(server, seed=7)
        for _ in range(INPUTS):
            await search.step()

    assert not search.found
