"""The screenshots in docs/screenshots, taken of the product as it runs.

    python -m tests.e2e.screenshots

takes them all anew: the start, the search, a conversation and one with files, on a phone and on a desk, light
and dark.
Names, times and colours are set to be the same every time; what is shown is otherwise as it comes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import struct
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal, NamedTuple

import httpx
import socketio  # type: ignore[import-untyped]  # has no types
from playwright.async_api import Browser, FilePayload, Page, async_playwright, expect

from tests.e2e import browser as chromium
from tests.e2e.serving import serving
from tests.e2e.visitor import Visitor

TARGET = Path(__file__).parents[2] / "docs" / "screenshots"
MOST_BYTES = 150_000


class Size(NamedTuple):
    """Of a window, in CSS pixels; each is `scale` by `scale` in the picture."""

    width: int
    height: int
    scale: int


SIZES = (Size(390, 844, 2), Size(1280, 840, 1))
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

PAIRS_AROUND = 6
"""Conversations that others have meanwhile."""

NAME, PARTNER = "AmberOtter2734", "QuietHeron1148"
TALK = (
    (PARTNER, "Hello! I am waiting for a night train. What brings you here?"),
    (NAME, "Hi! I can't sleep, and the kettle is on."),
    (NAME, "Where is the train going?"),
    (PARTNER, "Lisbon, if it ever comes. I have never seen the ocean."),
    (NAME, "Never? Then go straight to the water, before breakfast. The light is best then."),
    (PARTNER, "I will. And what tea goes with a sleepless night?"),
    (NAME, "Mint. It forgives you for being awake."),
)
TIMES = ("23:41", "23:42", "23:42", "23:43", "23:44", "23:45", "23:45", "23:58", "23:58", "23:59")

AFTER = ("received", "received", "delivered")

STILL = """
(times) => {
  document.querySelectorAll('time').forEach((time, index) => { time.textContent = times[index] ?? ''; });
  document.querySelectorAll('.face').forEach((face) => face.style.setProperty('--hue', '205'));
  document.activeElement?.blur();
}
"""


# Browsers dither gradients, and dither does not compress: round it away, by less than an eye can see.
PIXELS = """
async ([picture, step]) => {
  const bytes = Uint8Array.from(atob(picture), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  let pixels = '';
  data.forEach((value, index) => {
    if (index % 4 < 3) pixels += String.fromCharCode(Math.min(255, Math.round(value / step) * step));
  });
  return [bitmap.width, btoa(pixels)];
}
"""
STEP = 2


async def smoothed(picture: bytes, darkroom: Page) -> bytes:
    """The picture without dither, and so at half of its size."""
    width, pixels = await darkroom.evaluate(PIXELS, [base64.b64encode(picture).decode(), STEP])
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


def seaside() -> bytes:
    """A picture to send: the ocean before breakfast."""
    width, height, horizon, sun = 480, 300, 180, (330, 165, 34)
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            shine = abs(x - sun[0]) < 40 + (y - horizon) // 2 and (x // 24 + y // 5) % 3 == 0
            if y < horizon and (x - sun[0]) ** 2 + (y - sun[1]) ** 2 < sun[2] ** 2:
                pixels += bytes((255, 226, 150))
            elif y < horizon:
                pixels += bytes((120 + 130 * y // horizon, 150 + 40 * y // horizon, 210 - 50 * y // horizon))
            elif shine:
                pixels += bytes((250, 205, 150))
            else:
                depth = y - horizon
                pixels += bytes((70 - depth // 3, 110 - depth // 3, 150 - depth // 3))
    return png(width, bytes(pixels))


FILES: tuple[FilePayload, ...] = (
    {"name": "before breakfast.png", "mimeType": "image/png", "buffer": seaside()},
    {"name": "timetable.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4\n" + bytes(245_000)},
)


@contextlib.asynccontextmanager
async def others(url: str) -> AsyncIterator[None]:
    """People who are there and talk with each other, for the counts."""
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url))
        for _ in range(2 * PAIRS_AROUND):
            token = (await http.post("/api/guest", json={})).json()["data"]["token"]
            client = await stack.enter_async_context(socketio.AsyncSimpleClient())
            await client.connect(url, transports=["websocket"], auth={"token": token})
            await client.emit("user:match", {})
        yield


async def take(page: Page, darkroom: Page, name: str, width: int) -> None:
    """Take one picture in each colour scheme."""
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await page.evaluate(STILL, TIMES)
        path = TARGET / f"{name}-{width}-{scheme}.png"
        picture = await page.screenshot(animations="disabled", caret="hide")
        size = path.write_bytes(await smoothed(picture, darkroom))
        print(f"{path.name}: {size / 1000:.0f} KB")
        if size > MOST_BYTES:
            raise SystemExit(f"{path.name} is larger than {MOST_BYTES / 1000:.0f} KB")


async def visit(browser: Browser, url: str, size: Size) -> Visitor:
    """Open the page in a browser of its own."""
    context = await browser.new_context(
        viewport={"width": size.width, "height": size.height},
        device_scale_factor=size.scale,
        reduced_motion="reduce",
        locale="en-GB",
    )
    visitor = Visitor(await context.new_page(), url)
    await visitor.page.goto(url)
    await expect(visitor.part("start")).to_be_enabled()
    return visitor


async def show(browser: Browser, darkroom: Page, url: str, size: Size) -> None:
    """Go from the start to a conversation, and take every picture on the way."""
    visitor = await visit(browser, url, size)
    await visitor.part("name-input").fill(NAME)
    await expect(visitor.part("online-count")).to_have_text(str(2 * PAIRS_AROUND + 1))
    await expect(visitor.words(f"{PAIRS_AROUND} conversations")).to_be_visible()
    await take(visitor.page, darkroom, "start", size.width)
    await visitor.start()
    await visitor.sees_connection("Connected")
    await expect(visitor.words("Nobody else is looking just now")).to_be_visible()
    await expect(visitor.part("online-count")).to_have_text(str(2 * PAIRS_AROUND + 1))
    await take(visitor.page, darkroom, "search", size.width)
    partner = await visit(browser, url, size)
    await partner.start(PARTNER)
    await visitor.sees_conversation()
    for number, (name, text) in enumerate(TALK, 1):
        await (visitor if name == NAME else partner).say(text)
        await expect(visitor.messages).to_have_count(number)
    await visitor.sees_states(*("delivered" if name == NAME else "received" for name, _ in TALK))
    await partner.composer.press_sequentially("Ha")
    await expect(visitor.part("typing")).to_be_visible()
    await take(visitor.page, darkroom, "conversation", size.width)
    await partner.composer.fill("")
    await partner.part("file-input").set_input_files(FILES)
    await partner.part("send-attachments").click()
    await expect(visitor.part("picture")).to_have_js_property("naturalWidth", 480)
    await expect(visitor.messages).to_have_count(len(TALK) + len(FILES))
    await visitor.page.context.grant_permissions(["microphone"])
    await visitor.part("record").focus()
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.part("recorder-time")).to_have_text("0:02")
    await visitor.page.keyboard.press("Enter")
    await visitor.page.get_by_role("button", name="Send voice note").press("Enter")
    await visitor.sees_states(*("delivered" if name == NAME else "received" for name, _ in TALK), *AFTER)
    await take(visitor.page, darkroom, "files", size.width)
    for done in (visitor, partner):
        await done.end_session()
        await done.page.context.close()


async def main() -> int:
    """Take them all; return the exit code."""
    try:
        path = chromium.executable()
    except chromium.NoBrowserError as error:
        print(error, file=sys.stderr)
        return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=10_000)
    async with serving(grace="0.2") as server, others(server.url), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(chromium.ARGS))
        darkroom = await browser.new_page()
        for size in SIZES:
            await show(browser, darkroom, server.url, size)
        await browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
