"""A guest who blocks another never meets them again, where the two are connected to different nodes."""

from __future__ import annotations

import pytest

from tests.nodes.test_moving import match, running, until
from tests.system.test_block import block, never_meet, visitor


@pytest.mark.parametrize("new", ["nobody", "the one who blocks", "the one who is blocked", "both"])
async def test_the_two_do_not_meet_again_wherever_they_come(new: str) -> None:
    async with running(2, match_patience=0.05) as nodes:
        first, second = nodes.all
        (one, anna), (other, berta) = await visitor(first), await visitor(second)
        await match(anna, berta)
        await block(anna, berta)
        await until(lambda: [len(node.lives()) for node in nodes.all] == [1, 1])
        if new in ("the one who blocks", "both"):
            _, anna = await visitor(second, one)
        if new in ("the one who is blocked", "both"):
            _, berta = await visitor(first, other)

        await never_meet(first, anna, berta)
