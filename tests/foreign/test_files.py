"""A complete conversation with a picture and a voice note, with third-party clients: python-socketio, httpx."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import socketio  # type: ignore[import-untyped]  # has no types

from tests.support.client import PATIENCE
from tests.support.conversation import png, wav

if TYPE_CHECKING:
    from tests.support.server import RunningServer


class Visitor:
    """A guest with python-socketio and httpx."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.socket = socketio.AsyncClient(reconnection=False)
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.socket.on("*", lambda event, *arguments: self.events.put_nowait((event, *arguments[:1])))
        self.token = ""

    async def arrive(self, url: str, transport: str) -> None:
        answer = await self.http.post("/api/guest")
        self.token = answer.raise_for_status().json()["data"]["token"]
        await self.socket.connect(url, auth={"token": self.token}, transports=[transport])

    async def hear(self, wanted: str) -> Any:  # noqa: ANN401 - any JSON
        async with asyncio.timeout(PATIENCE):
            while True:
                event, payload = await self.events.get()
                assert not event.endswith("error"), payload
                if event == wanted:
                    return payload

    async def upload(
        self, room: str, kind: str, name: str, body: bytes, mime_type: str, **fields: str
    ) -> dict[str, Any]:
        answer = await self.http.post(
            f"/api/files/{kind}",
            headers={"Authorization": f"Bearer {self.token}"},
            files={"file": (name, body, mime_type)},
            data={"roomId": room, **fields},
        )
        assert answer.status_code == 201, answer.text
        info: dict[str, Any] = answer.json()["data"]
        return info

    async def fetch(self, url: str, **headers: str) -> httpx.Response:
        """Download as a page would: with the link only."""
        return await self.http.get(url, headers=headers)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_two_talk_in_texts_pictures_and_voice_notes(shared_server: RunningServer, transport: str) -> None:
    picture, note = png(), wav(1.5)
    async with httpx.AsyncClient(base_url=shared_server.url, trust_env=False) as http:
        anna, berta = Visitor(http), Visitor(http)
        try:
            for visitor in (anna, berta):
                await visitor.arrive(shared_server.url, transport)
                await visitor.socket.emit("user:match", {})
            room = (await anna.hear("user:matched"))["roomId"]
            assert (await berta.hear("user:matched"))["roomId"] == room

            receipt = await anna.socket.call("chat:message", {"type": "text", "content": "look!"}, timeout=PATIENCE)
            assert receipt["seq"] == 1
            info = await anna.upload(room, "upload", "Blick vom Späti.png", picture, "image/png")
            receipt = await anna.socket.call(
                "chat:message", {"type": "file", "content": info, "clientId": "a-1"}, timeout=PATIENCE
            )
            assert (receipt["seq"], receipt["clientId"]) == (2, "a-1")
            assert (await berta.hear("chat:message"))["content"] == "look!"
            shown = await berta.hear("chat:message")
            assert (shown["type"], shown["content"]) == ("file", info)
            await berta.socket.emit("chat:message:delivered", {"messageId": shown["id"]})
            spoken = await berta.upload(room, "voice", "voice-1.wav", note, "audio/wav", duration="1.4")
            await berta.socket.emit("chat:message", {"type": "voice", "content": spoken})
            assert (await berta.hear("chat:message:sent"))["seq"] == 3
            heard = await anna.hear("chat:message")
            assert (heard["type"], heard["content"]["duration"]) == ("voice", 1.5)

            answer = await berta.fetch(shown["content"]["fileUrl"])
            assert (answer.content, answer.headers["content-type"]) == (picture, "image/png")
            answer = await berta.fetch(shown["content"]["downloadUrl"])
            assert "Blick%20vom%20Sp%C3%A4ti.png" in answer.headers["content-disposition"]
            answer = await anna.fetch(
                heard["content"]["fileUrl"], Range="bytes=0-1"
            )  # the first request of media players
            assert (answer.status_code, answer.headers["content-range"]) == (206, f"bytes 0-1/{len(note)}")
            answer = await anna.fetch(heard["content"]["fileUrl"], Range=f"bytes=2-{len(note) - 1}")
            assert answer.content == note[2:]

            await berta.socket.emit("leave-room")
            await berta.hear("chat:clear:confirmed")
            await anna.hear("chat:cleared")
            for url in (info["fileUrl"], info["downloadUrl"], spoken["fileUrl"]):
                assert (await anna.fetch(url)).status_code == 404
        finally:
            for visitor in (anna, berta):
                await visitor.socket.disconnect()
