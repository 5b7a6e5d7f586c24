"""Pictures for docs/screenshots: taken of a page in both colour schemes, and made small."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.async_api import Page

TARGET = Path(__file__).parents[2] / "docs" / "screenshots"
MOST_BYTES = 180_000
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

DATE = "1 May 2027 23:45"
TIMES = ("23:41", "23:42", "23:42", "23:43", "23:44", "23:45", "23:45", "23:58", "23:58", "23:59")
CALL_TIME = "4:07"

STILL = """
([times, callTime, date]) => {
  const clocks = Array.from(document.querySelectorAll('time'))
    .filter((time) => /^\\d\\d:\\d\\d$/.test(time.textContent));
  clocks.forEach((time, index) => { time.textContent = times[index] ?? ''; });
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const dated = [];
  while (texts.nextNode()) {
    const [, day, clock] = /(\\d+ \\p{L}+ \\d{4}) at (\\d+:\\d+)/u.exec(texts.currentNode.data) ?? [];
    if (day) dated.push([texts.currentNode, Date.parse(`${day} ${clock}`)]);
  }
  // As long after each other as they are.
  const first = Math.min(...dated.map(([, at]) => at));
  const { format } = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short' });
  for (const [text, at] of dated)
    text.data = text.data.replace(/\\d+ \\p{L}+ \\d{4} at \\d+:\\d+/u, format(Date.parse(date) + at - first));
  document.querySelectorAll('[role="timer"]').forEach((timer) => { timer.textContent = callTime; });
  const words = {
    '[data-testid="elapsed"]': 'Searching for 8 seconds',
    '[data-testid="undo"] .seconds': '4',
    '[data-testid="topic"] .question': 'What do you see when you look out of your window?',
  };
  // What goes on changing changes something else from now on.
  const stop = (element) => {
    const still = element.cloneNode(true);
    element.replaceWith(still);
    return still;
  };
  for (const [place, text] of Object.entries(words)) {
    document.querySelectorAll(place).forEach((element) => { stop(element).textContent = text; });
  }
  document.querySelectorAll('.time').forEach((time) => stop(time).style.setProperty('--share', '0.8'));
  document.querySelectorAll('.face').forEach((face) => face.style.setProperty('--hue', '205'));
  document.activeElement?.blur();
}
"""

# Where the other's picture is, or nothing.
VIDEO = """
() => {
  const box = document.querySelector('[data-testid="remote-video"]')?.getBoundingClientRect();
  return box && [box.left, box.top, box.right, box.bottom].map((edge) => Math.round(edge * devicePixelRatio));
}
"""

# Neither dither nor what a video codec leaves behind compresses. Browsers dither gradients: that is rounded away, by
# less than an eye can see. In a video, rare colours become the common ones that are close to them.
PIXELS = """
async ([picture, step, video, close]) => {
  const bytes = Uint8Array.from(atob(picture), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const colours = [];
  for (let at = 0; at < data.length; at += 4) {
    const parts = Array.from(data.subarray(at, at + 3), (part) => Math.min(255, Math.round(part / step) * step));
    colours.push(String.fromCharCode(...parts));
  }
  if (video) {
    const [left, top, right, bottom] = video;
    const inside = (at) => {
      const [x, y] = [at % bitmap.width, Math.floor(at / bitmap.width)];
      return x >= left && x < right && y >= top && y < bottom;
    };
    const counts = new Map();
    colours.forEach((colour, at) => { if (inside(at)) counts.set(colour, (counts.get(colour) ?? 0) + 1); });
    const common = [];
    const similar = new Map();
    const near = (one, other) => [0, 1, 2].every(
      (part) => Math.abs(one.charCodeAt(part) - other.charCodeAt(part)) <= close);
    for (const [colour] of [...counts].sort(([, one], [, other]) => other - one)) {
      const found = common.find((other) => near(colour, other)) ?? colour;
      if (found === colour) common.push(colour);
      similar.set(colour, found);
    }
    colours.forEach((colour, at) => { if (inside(at)) colours[at] = similar.get(colour); });
  }
  return [bitmap.width, btoa(colours.join(''))];
}
"""
STEP, CLOSE = 2, 4


class Size(NamedTuple):
    """Of a window, in CSS pixels; each is `scale` by `scale` in the picture."""

    width: int
    height: int
    scale: int


class Photographer:
    """Takes pictures of pages of one size. The `darkroom` is a page that nobody sees."""

    def __init__(self, darkroom: Page, size: Size) -> None:
        self._darkroom = darkroom
        self.size = size

    async def take(self, page: Page, name: str) -> None:
        """Take one picture in each colour scheme; the mouse is out of the way."""
        await page.mouse.move(0, 0)
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await page.evaluate(STILL, [TIMES, CALL_TIME, DATE])
            path = TARGET / f"{name}-{self.size.width}-{scheme}.png"
            picture = await page.screenshot(animations="disabled", caret="hide")
            size = path.write_bytes(await self._smoothed(picture, await page.evaluate(VIDEO)))
            print(f"{path.name}: {size / 1000:.0f} KB")
            if size > MOST_BYTES:
                raise SystemExit(f"{path.name} is larger than {MOST_BYTES / 1000:.0f} KB")

    async def _smoothed(self, picture: bytes, video: Sequence[int] | None) -> bytes:
        """The picture without dither and noise, and so at half of its size. Noise is in the `video` box."""
        arguments = [base64.b64encode(picture).decode(), STEP, video, CLOSE]
        width, pixels = await self._darkroom.evaluate(PIXELS, arguments)
        return png(width, base64.b64decode(pixels))


def png(width: int, rgb: bytes) -> bytes:
    """A PNG file of 8-bit RGB pixels, unfiltered: even areas compress best so."""
    line = 3 * width
    rows = [b"\0" + rgb[start : start + line] for start in range(0, len(rgb), line)]
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, len(rows), 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(rows), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
