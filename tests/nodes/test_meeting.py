"""Guests of several nodes who say whom they want to meet, and whom they have met."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.nodes.test_moving import match, running

if TYPE_CHECKING:
    from tests.support.client import Client

LONG = 600.0
"""Seconds: nothing is given up, or met again, during a test."""
CHESS = {"interests": ["chess"], "languages": ["en"]}
GO = {"interests": ["go"], "languages": ["en"]}


async def search(client: Client, wish: dict[str, Any]) -> None:
    await client.emit("user:match", wish)
    await client.until("user:match:no_users")


async def test_a_wish_finds_somebody_on_another_node() -> None:
    async with running(3, match_interests=LONG, match_patience=0.05) as nodes:
        (_, one), (_, another), (account, third) = [await node.visitor() for node in nodes.all]
        await search(one, CHESS)
        await search(another, GO)
        await third.emit("user:match", GO)

        assert (await another.until("user:matched"))["matchedUser"]["id"] == account.id
        assert (await third.until("user:matched"))["shared"] == {"interests": ["go"], "language": "en"}


async def test_what_is_given_up_is_given_up_on_all_nodes() -> None:
    async with running(2, match_interests=0.3, match_language=LONG, match_patience=0.05) as nodes:
        (_, one), (_, other) = [await node.visitor() for node in nodes.all]
        await one.emit("user:match", CHESS)
        await other.emit("user:match", GO)

        for client in (one, other):
            assert (await client.until("user:matched"))["shared"] == {"interests": [], "language": "en"}
            stages = [payload["stage"] for name, payload in client.heard if name == "user:match:searching"]
            assert list(dict.fromkeys(stages)) == ["interests", "language"]


async def test_whom_one_has_met_is_known_on_every_node() -> None:
    async with running(2, match_again=LONG, match_patience=0.05) as nodes:
        (anna, one), (berta, other), (_, third) = [await nodes.all[number].visitor() for number in (0, 1, 1)]
        await match(one, other)
        await one.emit("chat:clear")
        await other.until("chat:cleared")
        await search(one, {})
        await search(other, {})
        await third.emit("user:match")

        matched = await third.until("user:matched")
        assert matched["matchedUser"]["id"] in (anna.id, berta.id)
        assert "metBefore" not in matched
