"""A guest with third-party clients: python-socketio for signalling, aiortc for media."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import socketio  # type: ignore[import-untyped]  # has no types
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcconfiguration import RTCBundlePolicy, RTCIceTransportPolicy
from aiortc.sdp import candidate_from_sdp

from tests.calls.media import MEDIA_PATIENCE, Picture, Screen, Tone
from tests.support.client import PATIENCE, STATISTICS

if TYPE_CHECKING:
    import httpx
    from aioice.ice import CandidatePair

    from tests.support.server import Account

_CANDIDATE: Final = "a=candidate:"
_LAST_CANDIDATE: Final = "a=end-of-candidates"


class Peer:
    """One side of a call. Candidates are handled separately, as in a browser; `hear` returns all other events."""

    def __init__(self, account: Account, url: str, *, hue: int) -> None:
        self.account = account
        self.hue = hue
        self.screen = Screen()
        self.connection: RTCPeerConnection
        self.call_id = ""
        self.received: list[tuple[str, Any]] = []
        """All events ever received."""
        self.servers: dict[str, Any] = {"iceServers": [], "iceTransportPolicy": "all"}
        self._url = url
        self._socket = socketio.AsyncClient(reconnection=False)
        self._socket.on("*", self._receive)
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._candidates: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._connections: list[RTCPeerConnection] = []
        self._adding: asyncio.Task[None] | None = None

    # ── signals ───────────────────────────────────────────────────────────────────────────────────

    async def arrive(self, **resume: object) -> None:
        """Connect, or reconnect after a loss."""
        auth = {"token": self.account.token, **({"resume": resume} if resume else {})}
        await self._socket.connect(self._url, auth=auth, transports=["websocket"])

    def _receive(self, event: str, payload: Any = None) -> None:  # noqa: ANN401 - any JSON
        if event == STATISTICS:
            return
        self.received.append((event, payload))
        if event == "webrtc:ice-candidate":
            self._candidates.put_nowait(payload["candidate"])
        else:
            self._events.put_nowait((event, payload))

    async def say(self, event: str, **payload: object) -> None:
        """Send an event."""
        await self._socket.emit(event, payload)

    async def hear(self, wanted: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the payload of the next `wanted`; fail on an error event before it."""
        return (await self.hear_one_of(wanted))[1]

    async def hear_one_of(self, *wanted: str) -> tuple[str, Any]:
        """Return the next event whose name is in `wanted`."""
        async with asyncio.timeout(PATIENCE):
            while True:
                event, payload = await self._events.get()
                assert not event.endswith("error"), payload
                if event in wanted:
                    return event, payload

    def heard(self, prefix: str) -> list[str]:
        """Return the names of all received events that start with `prefix`, in order."""
        return [event for event, _ in self.received if event.startswith(prefix)]

    async def lose_socket(self) -> None:
        """Abort the connection to the server."""
        self._socket.eio.ws._response.connection.transport.abort()
        await self._socket.wait()

    # ── the call ──────────────────────────────────────────────────────────────────────────────────

    async def ask_for_servers(self, http: httpx.AsyncClient) -> None:
        """Request the ICE servers and the policy from the server, and use them from now on."""
        answer = await http.get("/api/ice-servers", headers=self.account.headers)
        self.servers = answer.raise_for_status().json()["data"]

    def connect_anew(self, *, video: bool = True) -> None:
        """Create a new connection with a tone and a picture, replacing the old one."""
        configuration = RTCConfiguration(
            iceServers=[RTCIceServer(**server) for server in self.servers["iceServers"]],
            iceTransportPolicy=RTCIceTransportPolicy(self.servers["iceTransportPolicy"]),
            bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
        )
        self.connection = RTCPeerConnection(configuration)
        self._connections.append(self.connection)
        self.connection.on("track", self.screen.show)
        self.connection.addTrack(Tone())
        if video:
            self.add_picture()
        if self._adding is not None:
            self._adding.cancel()
        self._adding = None

    def add_picture(self) -> None:
        """Also send a picture, from the next negotiation on."""
        self.connection.addTrack(Picture(self.hue))

    async def call(self, kind: str = "video", **fields: object) -> None:
        """Start a call, and wait until it rings."""
        self.connect_anew(video=kind == "video")
        await self.offer(kind, **fields)
        self.call_id = (await self.hear("webrtc:ringing"))["callId"]

    async def negotiate(self) -> None:
        """Send a new offer within the call."""
        await self.offer("video", callId=self.call_id)

    async def offer(self, kind: str, **fields: object) -> None:
        """Send an offer and all candidates, before there is any response."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        description, candidates = self._without_candidates()
        await self.say("webrtc:offer", offer=description, type=kind, **fields)
        await self._tell(candidates)

    async def take(
        self, offer: dict[str, Any] | None = None, *, anew: bool = True, video: bool = True, **fields: object
    ) -> dict[str, Any]:
        """Answer `offer`, or the next received one, with a new connection (`anew`) or the existing one.

        Return the offer.
        """
        if offer is None:
            offer = dict(await self.hear("webrtc:offer"))
        if anew:
            self.connect_anew(video=video)
        self.call_id = offer["callId"]
        await self.connection.setRemoteDescription(RTCSessionDescription(**offer["offer"]))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        description, candidates = self._without_candidates()
        await self.say("webrtc:answer", answer=description, callId=self.call_id, **fields)
        await self._tell(candidates)
        self._add_candidates()
        return offer

    async def is_taken(self) -> None:
        """Wait for the answer and apply it."""
        answer = await self.hear("webrtc:answer")
        assert answer["callId"] == self.call_id
        await self.connection.setRemoteDescription(RTCSessionDescription(**answer["answer"]))
        self._add_candidates()

    async def is_connected(self) -> None:
        """Wait until media can flow, then report it."""
        connected = asyncio.Event()
        connection = self.connection

        def check() -> None:
            assert connection.connectionState != "failed"
            if connection.connectionState == "connected":
                connected.set()

        connection.on("connectionstatechange", check)
        check()
        async with asyncio.timeout(MEDIA_PATIENCE):
            await connected.wait()
        await self.say("webrtc:connected", callId=self.call_id)

    async def hang_up(self) -> None:
        """End the call and close the connection."""
        await self.say("webrtc:call-end", callId=self.call_id)
        await self.connection.close()

    def pair(self) -> CandidatePair:
        """Return the selected pair of candidates."""
        transport = self.connection.getReceivers()[0].transport.transport
        return transport._connection._nominated[1]

    def _without_candidates(self) -> tuple[dict[str, str], list[str]]:
        """Return the local description without candidates, and the candidates."""
        description = self.connection.localDescription
        lines = description.sdp.splitlines()
        kept = [line for line in lines if not line.startswith((_CANDIDATE, _LAST_CANDIDATE))]
        candidates = [line.removeprefix("a=") for line in lines if line.startswith(_CANDIDATE)]
        assert candidates
        sdp = "".join(f"{line}\r\n" for line in kept)
        # aiortc repeats the candidates for every bundled medium.
        return {"type": description.type, "sdp": sdp}, list(dict.fromkeys(candidates))

    async def _tell(self, candidates: list[str]) -> None:
        call = {"callId": self.call_id} if self.call_id else {}
        for candidate in candidates:
            entry = {"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0}
            await self.say("webrtc:ice-candidate", candidate=entry, **call)
        await self.say("webrtc:ice-candidate", candidate=None, **call)

    def _add_candidates(self) -> None:
        if self._adding is None:
            self._adding = asyncio.ensure_future(self._add_as_they_come(self.connection, self._candidates))

    @staticmethod
    async def _add_as_they_come(
        connection: RTCPeerConnection, candidates: asyncio.Queue[dict[str, Any] | None]
    ) -> None:
        while True:
            told = await candidates.get()
            if told is None:
                await connection.addIceCandidate(None)
                continue
            candidate = candidate_from_sdp(told["candidate"].removeprefix("candidate:"))
            candidate.sdpMid, candidate.sdpMLineIndex = told["sdpMid"], told["sdpMLineIndex"]
            await connection.addIceCandidate(candidate)

    def told(self) -> str:
        """Return all received call events as text."""
        return json.dumps([payload for event, payload in self.received if event.startswith("webrtc:")])

    async def close(self) -> None:
        """Disconnect, in any state."""
        if self._adding is not None:
            self._adding.cancel()
            await asyncio.gather(self._adding, return_exceptions=True)
        await asyncio.gather(*(connection.close() for connection in self._connections))
        await self.screen.close()
        await self._socket.disconnect()


async def talk(caller: Peer, callee: Peer, kind: str = "video", **fields: object) -> None:
    """Call, answer, and wait until both receive sound and, in a video call, pictures."""
    await caller.call(kind, **fields)
    await callee.take(video=kind == "video")
    await caller.is_taken()
    await asyncio.gather(caller.is_connected(), callee.is_connected())
    await see(caller, callee, video=30 if kind == "video" else 0)


async def see(*peers: Peer, video: int = 30, audio: int = 10) -> None:
    """Wait until each side has received so many more frames."""
    await asyncio.gather(*(peer.screen.shows(video=video, audio=audio) for peer in peers))
