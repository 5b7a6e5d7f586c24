"""The contract of the bus, over each adapter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.buses import KIND, LOST, End, Net
from tests.support.clock import turns

if TYPE_CHECKING:
    from passerby.nodes.bus import Frame


async def met(net: Net) -> tuple[End, End]:
    """Return two nodes that have exchanged frames."""
    anna, ben = await net.node("anna"), await net.node("ben")
    anna.send(ben, "hello")
    await ben.has(anna, "hello")
    ben.send(anna, "hello")
    await anna.has(ben, "hello")
    return anna, ben


async def test_frames_come_in_order_and_whole(net: Net) -> None:
    anna, ben = await met(net)
    values: list[Any] = [0, -1, 2**63, 1.5, "täxt", b"\0\xff", None, True, [1, [2]], {"a": {"b": b"c"}}, "x" * 100_000]
    for value in values:
        anna.send(ben, value)
        await asyncio.sleep(0)
    anna.send(ben, *range(1000))
    await ben.has(anna, *values, *range(1000))


async def test_frames_of_one_turn_are_one_message(net: Net) -> None:
    anna, ben = await met(net)
    before = anna.bus.pairs.messages_sent
    anna.send(ben, *range(100))
    await ben.has(anna, *range(100))
    assert anna.bus.pairs.messages_sent == before + 1
    assert (anna.bus.pairs.frames_sent, ben.bus.pairs.frames_received) == (101, 101)


async def test_nothing_comes_in_the_turn_of_sending(net: Net) -> None:
    anna, ben = await met(net)
    anna.send(ben, 1)
    assert not ben.came[anna.node]
    await ben.has(anna, 1)


async def test_many_nodes_and_oneself(net: Net) -> None:
    ends = [await net.node(f"node{number}") for number in range(5)]
    for end in ends:
        for other in ends:
            end.send(other, *range(20))
    for end in ends:
        for other in ends:
            await end.has(other, *range(20))


async def test_a_handler_that_fails_affects_nothing_else(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    anna, ben = await met(net)

    def fail(_: str, frame: Frame) -> None:
        raise RuntimeError("broken")

    ben.bus.take(2, fail)
    for kind in (2, KIND, 99, KIND):
        anna.bus.send(ben.node, (kind, kind))
    await ben.has(anna, KIND, KIND)
    assert "frame of the bus failed" in caplog.text
    assert anna.bus.pairs.losses == ben.bus.pairs.losses == 0


async def test_a_node_that_is_not_there_is_lost_once_for_each_frame_sent(net: Net) -> None:
    anna = await net.node("anna")
    anna.bus.send("nobody", (KIND, 1))
    assert not anna.came["nobody"]
    await anna.until(lambda: anna.came["nobody"] == [LOST])
    anna.bus.gone("nobody")
    assert anna.came["nobody"] == [LOST]
    anna.bus.send("nobody", (KIND, 2))
    await anna.until(lambda: anna.came["nobody"] == [LOST, LOST])


async def test_a_node_that_comes_later_is_reached(net: Net) -> None:
    anna = await net.node("anna")
    anna.bus.send("ben", (KIND, 1))
    await anna.until(lambda: anna.came["ben"] == [LOST])
    ben = await net.node("ben")
    anna.came.clear()
    anna.send(ben, 2)
    await ben.has(anna, LOST, 2)
    ben.send(anna, 3)
    await anna.has(ben, 3)


async def test_a_pair_that_is_given_up_is_lost_on_both_sides(net: Net) -> None:
    anna, ben = await met(net)
    carl = await net.node("carl")
    carl.send(anna, 1)
    await anna.has(carl, 1)
    ben.send(anna, "too late")
    anna.send(ben, "given up too")
    anna.bus.gone(ben.node)
    assert anna.came[ben.node] == [LOST], "before it returns"
    anna.send(ben, 2)
    await ben.has(anna, LOST, 2)
    ben.send(anna, 3)
    await anna.has(ben, LOST, 3)
    carl.send(anna, 2)
    await anna.has(carl, 2)
    assert LOST not in carl.came[anna.node]


async def test_what_the_callback_sends_comes_after_the_loss(net: Net) -> None:
    anna, ben = await met(net)
    anna.bus.on_lost(lambda node: anna.bus.send(node, (KIND, "again")))
    ben.bus.on_lost(lambda node: ben.bus.send(node, (KIND, "again too")))
    anna.bus.gone(ben.node)
    await ben.has(anna, LOST, "again")
    await anna.has(ben, LOST, "again too")


async def test_both_give_up_at_once(net: Net) -> None:
    anna, ben = await met(net)
    anna.send(ben, "lost")
    ben.send(anna, "lost")
    anna.bus.gone(ben.node)
    ben.bus.gone(anna.node)
    anna.send(ben, 1)
    ben.send(anna, 2)
    await ben.has(anna, LOST, 1)
    await anna.has(ben, LOST, 2)
    anna.send(ben, 3)
    ben.send(anna, 4)
    await ben.has(anna, 3)
    await anna.has(ben, 4)


async def test_a_lost_subscription_loses_the_pairs_that_were_used(net: Net) -> None:
    anna, ben = await met(net)
    carl = await net.node("carl")
    await net.cut(anna)
    await anna.has(ben, LOST)
    await ben.has(anna, LOST)
    anna.send(ben, 1)
    ben.send(anna, 2)
    carl.send(anna, 3)
    await ben.has(anna, 1)
    await anna.has(ben, 2)
    await anna.has(carl, 3)


async def test_a_full_outbox_loses_only_its_pair(net: Net) -> None:
    anna, ben, carl = await net.node("anna", 10_000), await net.node("ben"), await net.node("carl")
    anna.send(ben, "few")
    anna.send(carl, "few")
    await ben.has(anna, "few")
    await carl.has(anna, "few")
    anna.send(ben, *(b"x" * 100 for _ in range(200)))
    anna.send(carl, "more")
    assert not anna.came[ben.node]
    await ben.has(anna, LOST)
    await anna.has(ben, LOST)
    await carl.has(anna, "more")
    anna.send(ben, "again")
    await ben.has(anna, "again")


@pytest.mark.parametrize("frame", [(KIND, object()), (KIND, 1 << 70), (KIND, "\ud800")])
async def test_a_frame_that_cannot_be_sent_is_a_loss(net: Net, frame: Frame, caplog: pytest.LogCaptureFixture) -> None:
    anna, ben = await met(net)
    anna.bus.send(ben.node, frame)
    anna.send(ben, "also lost")
    await anna.has(ben, LOST)
    await ben.has(anna, LOST)
    anna.send(ben, 1)
    await ben.has(anna, 1)
    assert "frame of the bus failed" in caplog.text


async def test_a_handler_may_give_up_in_the_middle_of_a_batch(net: Net) -> None:
    anna, ben = await met(net)
    ben.bus.take(2, lambda node, _: ben.bus.gone(node))
    anna.send(ben, 1)
    anna.bus.send(ben.node, (2,))
    anna.send(ben, "too late")
    await ben.has(anna, 1, LOST)
    await anna.has(ben, LOST)
    anna.send(ben, 3)
    await ben.has(anna, 3)


async def test_an_id_that_cannot_be_sent_affects_nothing_else(net: Net) -> None:
    anna, ben = await met(net)
    anna.bus.send("\ud800", (KIND, 1))
    anna.send(ben, 1)
    await ben.has(anna, 1)
    await anna.until(lambda: anna.came["\ud800"] == [LOST])


async def test_what_waits_is_sent_at_the_end_and_nothing_comes_after_it(net: Net) -> None:
    anna, ben = await met(net)
    anna.send(ben, "last")
    await anna.bus.close()
    await ben.has(anna, "last")
    ben.send(anna, 1)
    await ben.has(anna, LOST)
    anna.send(ben, 2)
    anna.bus.gone(ben.node)
    await turns()
    assert not anna.came[ben.node]
    assert not ben.came[anna.node]
