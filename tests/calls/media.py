"""Test media for calls: sound and moving pictures, and a receiver that counts frames."""

from __future__ import annotations

import asyncio
import math
import struct
import time
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack, VideoStreamTrack
from av import AudioFrame, VideoFrame

from tests.support.client import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

MEDIA_PATIENCE: Final = 2 * PATIENCE
"""Timeout in seconds for frames: two peers encode and decode on one busy core."""

WIDTH, HEIGHT = 160, 120
_RATE = 48_000
_SAMPLES = _RATE // 50
_BRIGHTNESSES = 20
_MIDDLE = 128


class Picture(VideoStreamTrack):
    """A plain picture whose brightness rises with every frame, then falls; its hue (Cb) identifies the sender."""

    def __init__(self, hue: int) -> None:
        super().__init__()
        self._hue = hue
        self._number = 0

    async def recv(self) -> VideoFrame:
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        frame.pts, frame.time_base = await self.next_timestamp()
        brightness = 40 + 8 * (self._number % _BRIGHTNESSES)
        self._number += 1
        for plane, value in zip(frame.planes, (brightness, self._hue, _MIDDLE), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        return frame


class Tone(MediaStreamTrack):
    """A sine wave of 440 Hz."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._started: float | None = None
        self._sent = 0

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._started is None:
            self._started = now
        await asyncio.sleep(self._started + self._sent / _RATE - now)
        sine = (int(12_000 * math.sin(2 * math.pi * 440 * (self._sent + n) / _RATE)) for n in range(_SAMPLES))
        frame = AudioFrame(format="s16", layout="mono", samples=_SAMPLES)
        frame.planes[0].update(struct.pack(f"={_SAMPLES}h", *sine))
        frame.pts, frame.sample_rate, frame.time_base = self._sent, _RATE, Fraction(1, _RATE)
        self._sent += _SAMPLES
        return frame


class Screen:
    """Receives media and counts frames."""

    def __init__(self) -> None:
        self.video = 0
        self.audio = 0
        """Number of frames that are not silent."""
        self.brightnesses: Counter[int] = Counter()
        self.hue = 0.0
        """Hue of the latest picture."""
        self._news = asyncio.Event()
        self._watching: list[asyncio.Task[None]] = []

    def show(self, track: MediaStreamTrack) -> None:
        """Receive a track's frames until it ends."""
        self._watching.append(asyncio.ensure_future(self._watch(track)))

    async def _watch(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, VideoFrame):
                self.video += 1
                self.brightnesses[round(_mean(frame, 0) / 8)] += 1
                self.hue = _mean(frame, 1)
            elif isinstance(frame, AudioFrame):
                self.audio += any(bytes(frame.planes[0]))
            self._news.set()

    async def shows(self, *, video: int = 30, audio: int = 10) -> None:
        """Wait until so many more frames have arrived."""
        video, audio = self.video + video, self.audio + audio
        await self._until(lambda: self.video >= video and self.audio >= audio)

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(MEDIA_PATIENCE):
            while not reached():
                self._news.clear()
                await self._news.wait()

    async def close(self) -> None:
        """Stop receiving."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)


def _mean(frame: VideoFrame, number: int) -> float:
    plane = frame.planes[number]
    picture = bytes(plane)
    rows = (picture[row * plane.line_size : row * plane.line_size + plane.width] for row in range(plane.height))
    return sum(map(sum, rows)) / (plane.width * plane.height)
