"""Complete calls with sound and moving pictures, with third-party clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.calls.peer import see, talk

if TYPE_CHECKING:
    from tests.calls.conftest import Introduce
    from tests.calls.peer import Peer
    from tests.conftest import StartServer

MOVING = 8
"""Minimum number of different brightness values of a moving picture: it has 20, and a few are lost."""


def sees(watcher: Peer, other: Peer) -> bool:
    """Return whether the received picture is the other's, and moves."""
    return abs(watcher.screen.hue - other.hue) < 20 and len(watcher.screen.brightnesses) >= MOVING


async def test_two_see_and_hear_each_other_until_one_hangs_up(peers: tuple[Peer, Peer]) -> None:
    anna, berta = peers
    await talk(anna, berta)
    assert sees(anna, berta)
    assert sees(berta, anna)

    await anna.hang_up()
    ended = await berta.hear("webrtc:call-end")

    assert (ended["from"], ended["fromUsername"]) == (anna.account.id, "Anna")
    assert ended["callId"] == anna.call_id == berta.call_id
    assert anna.heard("webrtc:")[:2] == ["webrtc:ringing", "webrtc:answer"]
    assert berta.heard("webrtc:")[0] == "webrtc:offer"


async def test_after_a_call_there_can_be_another(peers: tuple[Peer, Peer]) -> None:
    anna, berta = peers
    await talk(anna, berta, "audio")
    assert anna.screen.video == berta.screen.video == 0
    await berta.hang_up()
    await anna.hear("webrtc:call-end")

    await talk(berta, anna)

    assert sees(anna, berta)
    assert sees(berta, anna)


async def test_a_call_is_declined(peers: tuple[Peer, Peer]) -> None:
    anna, berta = peers
    await anna.call()
    offer = await berta.hear("webrtc:offer")
    await berta.say("webrtc:call-reject", callId=offer["callId"])
    rejected = await anna.hear("webrtc:call-reject")

    assert (rejected["from"], rejected["callId"]) == (berta.account.id, anna.call_id)
    assert berta.heard("webrtc:") == ["webrtc:offer"]  # the caller's candidates wait for the answer


async def test_a_call_is_given_up_before_it_is_taken(peers: tuple[Peer, Peer]) -> None:
    anna, berta = peers
    await anna.call()
    await berta.hear("webrtc:offer")
    await anna.hang_up()

    assert (await berta.hear("webrtc:call-end"))["callId"] == anna.call_id


async def test_nobody_rings_for_ever(start_server: StartServer, introduce: Introduce) -> None:
    anna, berta = await introduce(await start_server(ring_timeout=0.3))
    await anna.call()
    told, heard = await asyncio.gather(anna.hear("webrtc:call-timeout"), berta.hear("webrtc:call-timeout"))

    assert (told["from"], told["fromUsername"]) == (berta.account.id, "Berta")
    assert (heard["from"], heard["fromUsername"]) == (anna.account.id, "Anna")
    assert told["callId"] == heard["callId"] == anna.call_id


async def test_who_call_each_other_at_once_are_in_one_call(peers: tuple[Peer, Peer]) -> None:
    anna, berta = peers
    for peer in peers:
        peer.connect_anew()
    await asyncio.gather(*(peer.offer("video") for peer in peers))
    heard = await asyncio.gather(*(peer.hear_one_of("webrtc:ringing", "webrtc:offer") for peer in peers))
    caller, callee = peers if heard[0][0] == "webrtc:ringing" else (berta, anna)
    (_, ringing), (_, offer) = sorted(heard, key=lambda event: event[0], reverse=True)
    caller.call_id = ringing["callId"]

    await callee.take(offer)  # with a new connection: aiortc cannot roll back its own offer
    await caller.is_taken()
    await asyncio.gather(*(peer.is_connected() for peer in peers))
    await see(*peers)

    assert sees(anna, berta)
    assert sees(berta, anna)
    assert caller.heard("webrtc:offer") == []
    assert callee.heard("webrtc:ringing") == []
    for peer in peers:
        assert peer.heard("webrtc:error") == []


async def test_a_voice_call_becomes_a_video_call(peers: tuple[Peer, Peer]) -> None:
    anna, berta = peers
    await talk(anna, berta, "audio")
    call_id = anna.call_id

    berta.add_picture()
    await berta.negotiate()
    anna.add_picture()
    offer = await anna.take(anew=False)
    await berta.is_taken()
    await see(anna, berta)

    assert (offer["callId"], offer["type"]) == (call_id, "video")
    assert sees(anna, berta)
    assert sees(berta, anna)


async def test_within_a_call_the_way_to_each_other_is_found_anew(peers: tuple[Peer, Peer]) -> None:
    """As with an ICE restart. aiortc has none, so new connections with new credentials replace the old ones."""
    anna, berta = peers
    await talk(anna, berta)
    before = anna.pair().local_addr, berta.pair().local_addr

    berta.connect_anew()
    await berta.negotiate()
    await anna.take()
    await berta.is_taken()
    await asyncio.gather(*(peer.is_connected() for peer in peers))
    for connection in (anna._connections[0], berta._connections[0]):
        await connection.close()
    await see(anna, berta)

    assert anna.call_id == berta.call_id
    assert {*before} & {anna.pair().local_addr, berta.pair().local_addr} == set()
    assert len(anna.heard("webrtc:ringing") + berta.heard("webrtc:ringing")) == 1


async def test_of_two_who_negotiate_at_once_the_polite_one_stands_back(peers: tuple[Peer, Peer]) -> None:
    anna, berta = peers
    await talk(anna, berta, "audio")
    await berta.say("webrtc:offer", offer={"type": "offer", "sdp": "v=0\r\n"}, type="video", callId=berta.call_id)
    anna.add_picture()
    await anna.hear("webrtc:offer")  # ignored: her own offer takes precedence
    await anna.negotiate()
    await berta.take(anew=False)
    await anna.is_taken()
    await berta.screen.shows()

    assert sees(berta, anna)
    assert berta.heard("webrtc:error") == anna.heard("webrtc:error") == []


@pytest.mark.parametrize("loser", ["caller", "callee"])
async def test_media_go_on_while_a_socket_is_lost_and_signals_wait_for_it(peers: tuple[Peer, Peer], loser: str) -> None:
    anna, berta = peers
    await talk(anna, berta, "audio")
    lost, there = peers if loser == "caller" else (berta, anna)

    await lost.lose_socket()
    await there.hear("room:partner_away")
    await see(anna, berta, video=0)
    there.add_picture()
    await there.negotiate()
    await see(anna, berta, video=0)
    await lost.arrive()
    await there.hear("room:partner_back")
    await lost.take(anew=False)
    await there.is_taken()
    await lost.screen.shows()

    assert sees(lost, there)
    await lost.hang_up()
    await there.hear("webrtc:call-end")
