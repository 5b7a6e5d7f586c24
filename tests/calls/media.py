"""Sound and moving pictures that two in a call send each other, and what counts those that come."""

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
"""Seconds for frames that must come: two peers encode and decode on one busy core."""

WIDTH, HEIGHT = 160, 120
_RATE = 48_000
_SAMPLES = _RATE // 50
_BRIGHTNESSES = 20
_MIDDLE = 128


class Picture(VideoStreamTrack):
    """Plain, brighter with every frame, then dark again; in a hue (Cb) that tells whose it is."""

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
    """A sine of 440 Hz."""

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
    """Watches and hears what comes, and counts it."""

    def __init__(self) -> None:
        self.video = 0
        self.audio = 0
        """Frames that are not silent."""
        self.brightnesses: Counter[int] = Counter()
        self.hue = 0.0
        """Of the picture that came last."""
        self._news = asyncio.Event()
        self._watching: list[asyncio.Task[None]] = []

    def show(self, track: MediaStreamTrack) -> None:
        """Take a track's frames until it ends."""
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
        """Wait for so many more frames."""
        video, audio = self.video + video, self.audio + audio
        await self._until(lambda: self.video >= video and self.audio >= audio)

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(MEDIA_PATIENCE):
            while not reached():
                self._news.clear()
                await self._news.wait()

    async def close(self) -> None:
        """Stop watching."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)


def _mean(frame: VideoFrame, number: int) -> float:
    plane = frame.planes[number]
    picture = bytes(plane)
    rows = (picture[row * plane.line_size : row * plane.line_size + plane.width] for row in range(plane.height))
    return sum(map(sum, rows)) / (plane.width * plane.height)
