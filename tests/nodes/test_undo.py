"""A guest who has left by mistake comes back, where the two are connected to different nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.nodes.test_moving import match, running, say, until

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.server import Account, InsideServer

LONG = 60.0
"""So long that no test is slower."""


async def visitor(node: InsideServer, name: str) -> tuple[Account, Client]:
    account = await node.newcomer(username=name)
    client = await node.connect(account, features=["undo"])
    await client.until("connection:established")
    return account, client


async def leave(one: Client, other: Client) -> None:
    await one.emit("chat:clear", {"undo": True})
    assert (await one.until("chat:clear:confirmed"))["undo"] == LONG
    assert (await other.until("room:user_left"))["undo"] == LONG


async def test_who_has_moved_for_a_partner_can_be_followed_and_come_back() -> None:
    async with running(2, undo_seconds=LONG) as nodes:
        first, second = nodes.all
        (_, anna), (_, berta) = await visitor(first, "Anna"), await visitor(second, "Berta")
        for leaves, stays in ((berta, anna), (anna, berta)):
            matched = await match(anna, berta)  # both live on the second
            await say(anna, berta, "before")
            await leave(leaves, stays)
            assert [len(node.lives()) for node in nodes.all] == [0, 2]
            await leaves.emit("user:match")
            await leaves.until("user:match:no_users")
            await leaves.emit(
                "chat:undo", {"resume": {"roomId": matched["roomId"], "epoch": matched["epoch"], "seq": 1}}
            )
            for client in (anna, berta):
                assert (await client.until("room:restored"))["epoch"] == matched["epoch"]
            await say(anna, berta, "after")
            await say(berta, anna, "after that")

            await leaves.emit("chat:clear", {"undo": True})
            assert "undo" not in await leaves.until("chat:clear:confirmed")
            await until(lambda: [len(node.lives()) for node in nodes.all] == [1, 1])


async def test_they_go_home_when_the_chance_is_over() -> None:
    async with running(2, undo_seconds=0.5) as nodes:
        (_, anna), (_, berta) = await visitor(nodes.all[0], "Anna"), await visitor(nodes.all[1], "Berta")
        await match(anna, berta)
        await anna.emit("chat:clear", {"undo": True})
        await berta.until("room:user_left")
        await until(lambda: [len(node.lives()) for node in nodes.all] == [1, 1])

        assert all(not node.application.services.rooms._parked for node in nodes.all)
        await match(berta, anna)
        await say(anna, berta, "again")


async def test_who_moves_to_another_node_does_not_come_back() -> None:
    async with running(2, undo_seconds=LONG) as nodes:
        first, second = nodes.all
        (_, anna), (other, berta) = await visitor(first, "Anna"), await visitor(first, "Berta")
        matched = await match(anna, berta)
        await leave(anna, berta)
        again = await second.connect(other, features=["undo"])
        await again.until("connection:established")
        await until(lambda: [len(node.lives()) for node in nodes.all] == [1, 1])

        await anna.emit("chat:undo", {"resume": {"roomId": matched["roomId"], "epoch": matched["epoch"], "seq": 0}})
        assert (await anna.until("chat:undo:error"))["code"] == "undo_impossible"
        assert all(not node.application.services.rooms._parked for node in nodes.all)
        await match(again, anna)
        await say(anna, again, "another conversation")
        await leave(again, anna)
