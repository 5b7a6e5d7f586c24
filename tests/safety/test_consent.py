"""The consent ladder, over the wire: what a stranger sends first waits until it is allowed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from passerby.calls.events import Offer, SendOffer, SessionDescription
from passerby.calls.sdp import sends_video
from passerby.chat.events import Resume
from passerby.errors import ConflictError
from passerby.safety.consent import MOST_HELD, Held
from passerby.safety.events import ConsentAsked
from tests.nodes.test_moving import match as match_on_nodes
from tests.nodes.test_moving import running
from tests.support.clock import ManualClock
from tests.support.conversation import Two, form, part, png, wav
from tests.support.durable import Disk, restart
from tests.support.house import House

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.support.client import Client
    from tests.support.house import Person
    from tests.support.server import InsideServer, RunningServer

LINK = "look: https://example.com/x"
SDP = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendrecv\r\n"
VIDEO = SDP + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendrecv\r\n"


async def meet(server: RunningServer, features: tuple[str, ...] = ("consent",)) -> Two:
    """Let Anna, and Berta, whose client has these features, meet."""
    anna, berta = await server.newcomer(username="Anna"), await server.newcomer(username="Berta")
    one, other = await server.connect(anna), await server.connect(berta, features=features)
    for client in (one, other):
        await client.next("connection:established")
    matched = await server.match(one, other)
    return Two(server, (anna, one), (berta, other), {"roomId": matched["roomId"], "epoch": matched["epoch"]})


async def send(client: Client, content: Any, kind: str = "text", client_id: str = "first") -> None:  # noqa: ANN401 - any JSON
    await client.emit("chat:message", {"type": kind, "content": content, "clientId": client_id})


async def call(client: Client, sdp: str = SDP, kind: str = "audio", **more: str) -> None:
    await client.emit("webrtc:offer", {"offer": {"type": "offer", "sdp": sdp}, "type": kind, **more})


async def answer(client: Client, step: str, *, allowed: bool) -> None:
    await client.emit("consent:answer", {"step": step, "allowed": allowed})


def names(client: Client) -> list[str]:
    return [name for name, _ in client.heard if name.startswith(("chat:message", "webrtc:", "consent:"))]


async def content_of(two: Two, step: str) -> tuple[Any, str]:
    """Return the content, and the type, of a message that wants this step."""
    if step == "links":
        return LINK, "text"
    if step == "voice":
        parts = [
            part("roomId", two.room_id.encode()),
            part("duration", b"1"),
            part("file", wav(1), "note.wav", "audio/wav"),
        ]
        uploaded = await two.post(form(*parts), voice=True)
        return uploaded.json()["data"], "voice"
    return await two.upload(png() if step == "pictures" else b"%PDF-1.4 hello"), "file"


@pytest.mark.parametrize("step", ["links", "pictures", "files", "voice"])
async def test_what_is_first_waits_until_it_is_allowed(server: InsideServer, step: str) -> None:
    two = await meet(server)
    content, kind = await content_of(two, step)
    await send(two.one, content, kind)
    assert await two.one.next("consent:waiting") == {"step": step, "clientId": "first"}
    asked = await two.other.next("consent:ask")
    assert asked == {"userId": two.anna.id, "username": "Anna", "step": step}
    await two.one.say("meanwhile")
    assert (await two.other.next("chat:message"))["content"] == "meanwhile"

    await answer(two.other, step, allowed=True)
    allowed = await two.one.until("consent:answered")
    assert (allowed["step"], allowed["allowed"]) == (step, True)
    sent = await two.one.until("chat:message:sent")
    message = await two.other.until("chat:message")
    assert (sent["clientId"], sent["seq"], message["seq"], message["type"]) == ("first", 2, 2, kind)

    await send(two.one, content, kind, "second")
    assert (await two.other.until("chat:message"))["seq"] == 3
    assert names(two.other).count("consent:ask") == 1


async def test_what_is_not_allowed_never_leaves_the_server(server: InsideServer) -> None:
    two = await meet(server)
    await send(two.one, LINK, client_id="first")
    await send(two.one, "and evil.com", client_id="second")
    await two.other.next("consent:ask")
    await answer(two.other, "links", allowed=False)
    refused = [await two.one.until("chat:error") for _ in range(2)]
    assert [(error["code"], error["clientId"]) for error in refused] == [
        ("consent_declined", "first"),
        ("consent_declined", "second"),
    ]
    assert (await two.one.say(LINK, "third"))["code"] == "consent_declined"
    await two.one.say("all right")
    assert (await two.other.until("chat:message"))["seq"] == 1
    assert names(two.other) == ["consent:ask", "chat:message", "chat:message:delivered"]

    await answer(two.other, "links", allowed=True)
    await two.one.until("consent:answered", allowed=True)
    assert (await two.one.say(LINK, "fourth"))["status"] == "sent"


async def test_each_side_is_asked_for_itself(server: InsideServer) -> None:
    two = await meet(server)
    await answer(two.other, "links", allowed=True)
    await two.one.until("consent:answered")
    assert (await two.one.say(LINK))["status"] == "sent"
    assert (await two.other.ask("chat:message", {"type": "text", "content": LINK}))["status"] == "sent", "cannot ask"


async def test_a_client_that_cannot_ask_gets_everything(server: InsideServer) -> None:
    two = await meet(server, ())
    assert (await two.one.say(LINK))["status"] == "sent"
    await call(two.one, VIDEO, "video")
    await two.other.until("webrtc:offer")
    assert not [name for name in names(two.other) if name.startswith("consent:")]


async def test_the_operator_can_close_a_step_for_clients_that_cannot_ask(start_server: StartServer) -> None:
    two = await meet(await start_server(consent_closed=("links", "video")), ())
    assert (await two.one.say(LINK))["code"] == "step_closed"
    await call(two.one, VIDEO, "video")
    assert (await two.one.until("webrtc:error"))["code"] == "step_closed"
    await call(two.one)
    await two.other.until("webrtc:offer")


async def test_only_steps_that_exist_are_asked_for(start_server: StartServer) -> None:
    server = await start_server(consent=("audio",))
    assert (await server.http.get("/api/limits")).json()["data"]["consent"] == ["audio"]
    two = await meet(server)
    assert (await two.one.say(LINK))["status"] == "sent"


async def test_who_has_opened_a_step_is_not_asked(server: InsideServer) -> None:
    two = await meet(server)
    await send(two.one, LINK)
    await two.other.next("consent:ask")
    await two.other.emit("consent:open", {"steps": ["links", "files"]})
    assert (await two.other.until("chat:message"))["content"] == LINK
    await call(two.one)
    assert (await two.other.until("consent:ask"))["step"] == "audio"


async def test_who_comes_back_is_asked_again(server: InsideServer) -> None:
    two = await meet(server)
    await send(two.one, LINK)
    await two.other.next("consent:ask")
    await two.other.cut()
    await two.one.until("room:partner_away")
    back = await server.connect(two.berta, {**two.room, "seq": 0}, ("consent",))
    await back.until("consent:ask", step="links")
    await answer(back, "links", allowed=True)
    assert (await back.until("chat:message"))["content"] == LINK


async def test_who_comes_back_with_a_client_that_cannot_ask_gets_what_waited(server: InsideServer) -> None:
    two = await meet(server)
    await send(two.one, LINK)
    await two.other.next("consent:ask")
    await two.other.cut()
    await two.one.until("room:partner_away")
    back = await server.connect(two.berta, {**two.room, "seq": 0})
    assert (await back.until("chat:message"))["content"] == LINK


async def test_a_message_that_is_sent_again_waits_once(server: InsideServer) -> None:
    two = await meet(server)
    for _ in range(3):
        await send(two.one, LINK)
        await two.one.next("consent:waiting")
    await answer(two.other, "links", allowed=True)
    await two.one.until("chat:message:sent")
    await two.one.say("end")
    await two.other.until("chat:message", content="end")
    assert names(two.other).count("chat:message") == 2
    assert names(two.other).count("consent:ask") == 1


async def test_only_so_much_waits(server: InsideServer) -> None:
    two = await meet(server)
    for number in range(MOST_HELD):
        await send(two.one, LINK, client_id=f"{number}")
    assert (await two.one.say(LINK, "more"))["code"] == "consent_pending"
    await answer(two.other, "links", allowed=True)
    await two.one.until("chat:message:sent", clientId=f"{MOST_HELD - 1}")
    assert names(two.one).count("chat:message:sent") == MOST_HELD


async def test_the_end_of_the_room_forgets_what_waits(server: InsideServer) -> None:
    two = await meet(server)
    await send(two.one, LINK)
    await two.other.next("consent:ask")
    await two.part_ways()
    await answer(two.other, "links", allowed=True)
    assert (await two.other.until("consent:error"))["code"] == "not_in_room"
    assert server.application.services.consent._sides == {}


@pytest.mark.parametrize(("allowed", "code"), [(True, None), (False, "consent_declined")])
async def test_a_message_that_was_sent_again_is_answered_as_often(
    server: InsideServer, *, allowed: bool, code: str | None
) -> None:
    two = await meet(server)
    message = {"type": "text", "content": LINK, "clientId": "first"}
    asked = [asyncio.ensure_future(two.one.ask("chat:message", message)) for _ in range(3)]
    for _ in asked:
        await two.one.until("consent:waiting")
    await answer(two.other, "links", allowed=allowed)

    answers = await asyncio.gather(*asked)

    assert answers == [answers[0]] * 3
    assert (answers[0].get("code"), answers[0]["clientId"]) == (code, "first")
    await two.one.say("later")
    await two.other.until("chat:message", content="later")
    assert names(two.one).count("chat:message:sent") == 1 + allowed
    assert names(two.other).count("chat:message") == 1 + allowed


@pytest.mark.parametrize(
    "leaves", ["the author", "the partner", "the partner, who blocks", "the session of the partner"]
)
async def test_the_author_of_what_waits_is_told_that_the_room_is_over(server: InsideServer, leaves: str) -> None:
    two = await meet(server)
    message = {"type": "text", "content": LINK, "clientId": "first"}
    asked = [asyncio.ensure_future(two.one.ask("chat:message", message)) for _ in range(2)]
    for _ in asked:
        await two.one.until("consent:waiting")
    if leaves == "the session of the partner":
        await server.http.delete("/api/guest/me", headers=two.berta.headers)
    else:
        who = two.one if leaves == "the author" else two.other
        await who.emit("chat:block" if "block" in leaves else "leave-room")

    error = await two.one.until("chat:error")

    assert (error["code"], error["clientId"]) == ("not_in_room", "first")
    assert await asyncio.gather(*asked) == [error, error]
    assert server.application.services.consent._sides == {}


async def test_of_a_call_that_waits_only_its_end_is_told(server: InsideServer) -> None:
    two = await meet(server)
    await call(two.one)
    await two.other.until("consent:ask")
    await two.other.emit("leave-room")
    await two.one.until("chat:cleared")
    await two.one.ask("get:stats")
    assert not [name for name, _ in two.one.heard if name in ("chat:error", "webrtc:error", "webrtc:call-reject")]


# ── calls ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_call_rings_when_it_is_allowed(server: InsideServer) -> None:
    two = await meet(server)
    await call(two.one, VIDEO, "video")
    assert await two.one.next("consent:waiting") == {"step": "video"}
    ringing = await two.one.next("webrtc:ringing")
    await two.one.emit("webrtc:ice-candidate", {"candidate": {"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host"}})
    await two.other.next("consent:ask")
    await answer(two.other, "video", allowed=True)
    offer = await two.other.next("webrtc:offer")
    assert offer["callId"] == ringing["callId"]
    await two.other.emit("webrtc:answer", {"answer": {"type": "answer", "sdp": VIDEO}, "callId": offer["callId"]})
    await two.one.until("webrtc:answer")
    await two.other.until("webrtc:ice-candidate")


async def test_a_call_that_is_not_allowed_is_turned_away(server: InsideServer) -> None:
    two = await meet(server)
    await call(two.one)
    ringing = await two.one.until("webrtc:ringing")
    await two.other.next("consent:ask")
    await two.other.emit("webrtc:answer", {"answer": {"type": "answer", "sdp": SDP}})
    assert (await two.other.until("webrtc:error"))["code"] == "no_offer"
    await answer(two.other, "audio", allowed=False)
    assert (await two.one.until("webrtc:call-reject"))["callId"] == ringing["callId"]
    await call(two.one)
    assert (await two.one.until("webrtc:error"))["code"] == "consent_declined"
    assert names(two.other) == ["consent:ask", "webrtc:error"]


async def test_who_is_asked_cannot_call_meanwhile_and_is_told_so(server: InsideServer) -> None:
    two = await meet(server)
    await call(two.one)
    await two.other.next("consent:ask")
    await call(two.other)
    assert (await two.other.next("webrtc:error"))["code"] == "call_active"
    await answer(two.other, "audio", allowed=True)
    await two.other.next("webrtc:offer")


async def test_a_call_that_is_given_up_is_not_asked_for_any_more(server: InsideServer) -> None:
    two = await meet(server)
    await call(two.one)
    await two.other.next("consent:ask")
    await two.one.emit("webrtc:call-end", {})
    assert (await two.other.next("consent:withdrawn"))["step"] == "audio"
    await answer(two.other, "audio", allowed=True)
    await two.one.until("consent:answered")
    await call(two.one)
    await two.other.next("webrtc:offer")


async def test_a_picture_in_a_call_with_sound_is_asked_for(server: InsideServer) -> None:
    two = await meet(server)
    await answer(two.other, "audio", allowed=True)
    await two.one.until("consent:answered")
    await call(two.one, VIDEO)
    assert (await two.other.next("consent:ask"))["step"] == "video", "whatever the offer calls itself"
    await two.one.emit("webrtc:call-end", {})
    await two.other.next("consent:withdrawn")

    await call(two.one)
    call_id = (await two.other.next("webrtc:offer"))["callId"]
    await two.other.emit("webrtc:answer", {"answer": {"type": "answer", "sdp": SDP}, "callId": call_id})
    await two.one.until("webrtc:answer")
    await call(two.one, VIDEO, callId=call_id)
    await two.other.until("consent:ask", step="video")
    await answer(two.other, "video", allowed=True)
    assert (await two.other.next("webrtc:offer"))["offer"]["sdp"] == VIDEO


# ── a later process, another node, a way back ─────────────────────────────────────────────────────


@pytest.fixture
def disk() -> Disk:
    return Disk(ManualClock())


async def recalled_pair(disk: Disk) -> tuple[House, Person, Person]:
    house = House(clock=disk.clock, stand_ins=disk.adapters())
    await house.recovery.run()
    anna, berta = await house.pair()
    for person in (anna, berta):
        person.features = ("consent", "undo")
        await person.connect()
    return house, anna, berta


async def test_answers_outlive_the_process(disk: Disk) -> None:
    house, anna, berta = await recalled_pair(disk)
    house.consent.answer(berta.live, "links", allowed=True)
    house.consent.answer(berta.live, "voice", allowed=False)
    house = await restart(house, disk, anna, berta)
    for person in (anna, berta):
        await person.connect()
    author = anna.live.membership()
    assert house.consent.allows(author, "links")
    assert not house.consent.allows(author, "files")
    with pytest.raises(ConflictError) as refused:
        house.consent.allows(author, "voice")
    assert refused.value.code == "consent_declined"


@pytest.mark.parametrize("can_ask", [True, False])
async def test_a_call_that_waits_outlives_the_process(disk: Disk, *, can_ask: bool) -> None:
    house, anna, berta = await recalled_pair(disk)
    description = SessionDescription("offer", SDP)
    house.calls.offer(anna.live, SendOffer(offer=description, type="audio"))
    await house.pass_time(1)
    assert [event.step for event in berta.link.of(ConsentAsked)] == ["audio"]
    house = await restart(house, disk, anna, berta)
    berta.features = ("consent",) if can_ask else ()
    for person in (anna, berta):
        await person.connect()
    if can_ask:
        assert berta.link.of(Offer) == []
        assert [event.step for event in berta.link.of(ConsentAsked)] == ["audio"]
        house.consent.answer(berta.live, "audio", allowed=True)
    assert [event.offer.sdp for event in berta.link.of(Offer)] == [SDP]


async def test_nothing_passes_before_it_is_known_whether_the_client_can_ask(disk: Disk) -> None:
    house, anna, berta = await recalled_pair(disk)
    house = await restart(house, disk, anna, berta)
    await anna.connect()
    assert not house.consent.allows(anna.live.membership(), "links")
    assert house.consent.checks_links(anna.live.membership())


async def test_who_has_left_and_come_back_is_still_asked() -> None:
    house = House()
    anna, berta = await house.pair()
    for person in (anna, berta):
        person.features = ("consent", "undo")
        await person.connect()
    room = anna.live.membership().room
    held = Held("links", delivered := mock.Mock(), mock.Mock(), "first", 1)
    house.consent.wait(anna.live.membership(), held)
    house.rooms.leave(anna.live, "user_left", undo=True)
    berta.link.clear()
    house.presence.undo(anna.live, Resume(room.id, room.epoch, 0))
    assert [event.step for event in berta.link.of(ConsentAsked)] == ["links"]
    house.consent.answer(berta.live, "links", allowed=True)
    delivered.assert_called_once_with()


async def test_what_a_guest_has_opened_and_can_ask_moves_with_them() -> None:
    async with running(2) as nodes:
        first, second = nodes.all
        anna, berta = await first.newcomer(username="Anna"), await second.newcomer(username="Berta")
        one = await first.connect(anna, features=["consent"])
        other = await second.connect(berta, features=["consent"])
        for client in (one, other):
            await client.until("connection:established")
            await client.emit("consent:open", {"steps": ["links"]})
            await client.emit("get:stats")
            await client.until("realtime:stats")
        await match_on_nodes(one, other)
        for author, reader in ((one, other), (other, one)):
            assert (await author.say(LINK))["status"] == "sent"
            assert (await reader.until("chat:message"))["content"] == LINK
            await call(author)
            assert (await reader.until("consent:ask"))["step"] == "audio"
            await author.emit("webrtc:call-end", {})
            await reader.until("consent:withdrawn")


async def outcome(client: Client) -> tuple[str, Any]:
    """Return what became of the author's next message."""
    while True:
        name, payload = await client._pop()
        if name in ("chat:error", "chat:message:sent", "consent:waiting"):
            return name, payload.get("code")


async def settled(author: Client, recipient: Client) -> list[Any]:
    """Return the contents that the recipient has got, when all before it has arrived."""
    await author.emit("chat:typing:start")
    await recipient.until("chat:typing:start")
    return [payload["content"] for name, payload in recipient.heard if name == "chat:message"]


async def new_browser(start_server: StartServer) -> tuple[Two, Client, Client]:
    server = await start_server(new_device_seconds=60, new_device_closed=("links", "files"))
    one, other = await server.newcomer(), await server.newcomer()
    clients = [await server.connect(each, features=("consent",)) for each in (one, other)]
    for client in clients:
        await client.next("connection:established")
    matched = await server.match(*clients)
    room = {"roomId": matched["roomId"], "epoch": matched["epoch"]}
    return Two(server, (one, clients[0]), (other, clients[1]), room), clients[0], clients[1]


async def test_a_new_browser_asks_before_its_first_picture(start_server: StartServer) -> None:
    two, one, _ = await new_browser(start_server)
    await send(one, await two.upload(png()), "file")
    assert (await outcome(one))[0] == "consent:waiting"


async def test_a_new_browser_asks_before_its_first_video_call(start_server: StartServer) -> None:
    _, one, other = await new_browser(start_server)
    await call(one, VIDEO, "video")
    await one.until("webrtc:ringing")
    await settled(one, other)
    assert "webrtc:offer" not in [name for name, _ in other.heard]


@pytest.mark.parametrize("line", ["a=sendrecv x", "a=sendrecv ", "a=sendrecv:1"])
def test_directions_are_read_as_browsers_read_them(line: str) -> None:
    # Chromium answers `recvonly` to each of these, and `inactive` without it.
    assert sends_video(f"{SDP}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\n{line}\r\n")


async def test_an_answer_with_a_picture_to_a_call_with_sound_is_asked_for(server: InsideServer) -> None:
    two = await meet(server)
    await call(two.other, SDP + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=recvonly\r\n")
    offer = await two.one.until("webrtc:offer")
    sending = {"type": "answer", "sdp": SDP + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\n"}
    await two.one.emit("webrtc:answer", {"answer": sending, "callId": offer["callId"]})
    await settled(two.one, two.other)
    assert "webrtc:answer" not in [name for name, _ in two.other.heard]


async def test_a_picture_that_was_asked_for_is_withdrawn_with_its_call(server: InsideServer) -> None:
    two = await meet(server)
    await answer(two.other, "audio", allowed=True)
    await call(two.one)
    offer = await two.other.until("webrtc:offer")
    await two.other.emit("webrtc:answer", {"answer": {"type": "answer", "sdp": SDP}, "callId": offer["callId"]})
    await two.one.until("webrtc:answer")
    await call(two.one, VIDEO, callId=offer["callId"])
    await two.other.until("consent:ask")
    await two.one.emit("webrtc:call-end", {"callId": offer["callId"]})
    await settled(two.one, two.other)
    assert "consent:withdrawn" in [name for name, _ in two.other.heard]


async def test_an_answer_is_for_whom_it_was_meant(server: InsideServer) -> None:
    two = await meet(server)
    await send(two.one, await two.upload(png()), "file")
    await two.other.until("consent:ask")
    await two.one.emit("chat:clear")
    await two.other.until("chat:cleared")
    account, third = await server.visitor()
    matched = await server.match(two.other, third)
    # It was on its way when the first one left.
    await two.other.emit("consent:answer", {"step": "pictures", "allowed": True, "userId": two.anna.id})
    await settled(two.other, third)
    later = Two(server, (account, third), (account, third), {"roomId": matched["roomId"], "epoch": matched["epoch"]})
    await send(third, await later.upload(png()), "file")
    assert (await outcome(third))[0] == "consent:waiting"
