"""Reports, bans and warnings where the two are connected to different nodes that share a database."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

import msgspec
import pytest

from passerby.safety.cases import Sanction
from passerby.safety.marks import session_mark
from passerby.safety.reports import Evidence
from tests.database.conftest import KEY
from tests.nodes.test_moving import Nodes, match, running, say, until
from tests.system.test_block import never_meet, visitor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.server import InsideServer


async def opened(nodes: Nodes) -> None:
    """Open the database, so that no report has to wait for that."""
    for node in nodes.all:
        await node.application.services.adapters.kept.database.open()


@pytest.mark.parametrize("which", ["first", "second"])
async def test_a_conversation_is_reported_after_its_end_wherever_the_guest_is_then(tmp_path: Path, which: str) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    async with running(2, database_url=url, evidence_key=KEY, match_patience=0.05) as nodes:
        await opened(nodes)
        first, second = nodes.all
        (_, anna), (berta_account, berta) = await visitor(first), await visitor(second)
        await match(anna, berta)
        await say(berta, anna, "something bad")
        reporter, leaver = (anna, berta) if which == "first" else (berta, anna)
        await leaver.emit("leave-room")
        await leaver.until("chat:clear:confirmed")
        await reporter.until("chat:cleared")
        await until(lambda: [len(node.lives()) for node in nodes.all] == [1, 1])  # each has gone home
        answer = await reporter.ask("safety:report", {"reason": "hate"})
        assert answer["hasMessages"], answer
        assert (await reporter.ask("safety:report", {"reason": "hate"}))["code"] == "already_reported"
        store = first.application.services.adapters.kept.cases
        (overview,) = (await store.page("open")).cases
        case = await store.load(overview.id)
        assert case is not None
        assert case.log is not None
        messages = msgspec.json.decode(case.log, type=Evidence).messages
        assert [(one.sender_id, one.content) for one in messages] == [(berta_account.id, "something bad")]


async def test_the_earlier_conversation_is_reported_from_a_new_one_on_another_node(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    async with running(2, database_url=url, evidence_key=KEY, match_patience=0.05) as nodes:
        await opened(nodes)
        first, second = nodes.all
        (_, anna), (_, berta) = await visitor(first), await visitor(second)
        matched = await match(anna, berta)  # both live on the second
        await say(berta, anna, "something bad")
        await berta.emit("leave-room")
        await anna.until("chat:cleared")
        await until(lambda: [len(node.lives()) for node in nodes.all] == [1, 1])
        _, clara = await visitor(first)
        await match(anna, clara)
        answer = await anna.ask("safety:report", {"reason": "hate", "epoch": matched["epoch"]})
        assert answer["hasMessages"], answer
        assert not answer["queued"]
        await say(clara, anna, "we talk on")
        await anna.emit("leave-room")
        await clara.until("chat:cleared")
        await never_meet(first, anna, berta)


async def test_a_ban_reaches_a_guest_on_another_node(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    async with running(2, database_url=url, evidence_key=KEY) as nodes:
        await opened(nodes)
        first, second = nodes.all
        account, client = await visitor(second)
        await first.application.services.adapters.kept.sanctions.add(_ban(first, account.session_id))
        assert (await client.until("safety:told"))["kind"] == "banned"
        assert (await client.until("connection:closing"))["code"] == "banned"
        await until(lambda: not second.lives())


async def test_a_ban_reaches_a_guest_who_moves_past_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    async with running(2, database_url=url, evidence_key=KEY, match_patience=0.05) as nodes:
        await opened(nodes)
        first, second = nodes.all
        (account, anna), (_, berta) = await visitor(first), await visitor(second)
        late = first.application.services.bans

        async def nothing(_after: int) -> list[Sanction]:
            return []

        with mock.patch.object(late, "_store", SimpleNamespace(changed=nothing)):  # it is about to look
            await anna.emit("user:match")
            await anna.until("user:match:no_users")
            store = first.application.services.adapters.kept.sanctions
            await store.add(_ban(first, account.session_id))
            await until(lambda: second.application.services.bans.is_active)
            await berta.emit("user:match")
            assert (await anna.until("safety:told"))["kind"] == "banned"
            assert (await anna.until("connection:closing"))["code"] == "banned"
            await until(lambda: len(second.lives()) == 1)


def _ban(node: InsideServer, session_id: str) -> Sanction:
    return Sanction(
        id=0,
        kind="banned",
        case_id=None,
        marks=(session_mark(session_id),),
        rule="hate",
        words="why",
        begins_at=node.application.services.clock.time(),
        ends_at=None,
        moderator="max",
        appeal_code="CODE",
    )
