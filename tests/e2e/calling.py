"""Calls by two visitors: how they are made, and what is seen of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from playwright.async_api import expect

from tests.e2e.visitor import Visitor

# Every track of a device that was ever opened, to see that it is let go of.
WATCH = """
() => {
  window.tracks = [];
  for (const name of ['getUserMedia', 'getDisplayMedia']) {
    const ask = navigator.mediaDevices[name].bind(navigator.mediaDevices);
    navigator.mediaDevices[name] = async (wanted) => {
      const stream = await ask(wanted);
      window.tracks.push(...stream.getTracks());
      return stream;
    };
  }
}
"""
NOTHING_IS_OPEN = "() => window.tracks.length > 0 && window.tracks.every((track) => track.readyState === 'ended')"

# Every connection that the page makes to another one.
_KEEP_CONNECTIONS = """
() => {
  window.connections = [];
  const Original = RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(configuration) {
      super(configuration);
      window.connections.push(this);
    }
  };
}
"""

# What the other's path goes by, which changes with every restart (RFC 8445 §7.2.5.1).
PATH = "() => /ice-ufrag:(.*)/.exec(window.connections.at(-1).currentRemoteDescription.sdp)[1]"
ANOTHER_PATH = f"(before) => ({PATH})() !== before"

# Pictures that come and change: three frames that were not the same, as they are shown.
FRAMES_MOVE = """
() => new Promise((resolve) => {
  const video = document.querySelector('[data-testid="remote-video"]');
  const canvas = new OffscreenCanvas(64, 48);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const seen = new Set();
  const look = () => {
    context.drawImage(video, 0, 0, 64, 48);
    seen.add(context.getImageData(0, 0, 64, 48).data.join());
    if (seen.size >= 3) resolve(true);
    else video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
})
"""

SEEING = 20.0
"""Seconds. Where pictures stand still, none is ever shown."""


@contextlib.asynccontextmanager
async def devices(*visitors: Visitor, camera: bool = True) -> AsyncIterator[None]:
    """Give leave to use microphone and camera, as long as this lasts; the tabs are used again."""
    for visitor in visitors:
        await visitor.page.evaluate(WATCH)
        await visitor.page.context.grant_permissions(["microphone", "camera"] if camera else ["microphone"])
    try:
        yield
    finally:
        for visitor in visitors:
            await visitor.page.context.clear_permissions()


async def keep_connections(*visitors: Visitor) -> None:
    """Let `window.connections` hold those of the calls to come."""
    for visitor in visitors:
        await visitor.page.evaluate(_KEEP_CONNECTIONS)


async def is_active(*visitors: Visitor, within_ms: float | None = None) -> None:
    for visitor in visitors:
        await expect(visitor.part("call")).to_have_attribute("data-state", "active", timeout=within_ms)


async def call(caller: Visitor, callee: Visitor, kind: str, *, answer: str = "") -> None:
    """Call, be answered, and be connected."""
    await caller.part(f"call-{kind}").click()
    if kind == "video":
        await caller.part("join-call").click()
    await callee.part(f"answer-{answer or kind}").click()
    if (answer or kind) == "video":
        await callee.part("join-call").click()
    await is_active(caller, callee)


async def see_each_other(*visitors: Visitor) -> None:
    async with asyncio.timeout(SEEING):
        await asyncio.gather(*(visitor.page.evaluate(FRAMES_MOVE) for visitor in visitors))


async def is_over(visitor: Visitor, *words: str) -> None:
    """No call any more; its line says these words."""
    await expect(visitor.part("call")).to_have_count(0)
    line = visitor.part("call-line").last
    for word in words:
        await expect(line).to_contain_text(word)
