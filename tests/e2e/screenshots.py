"""The screenshots in docs/screenshots, taken of the product as it runs.

    python -m tests.e2e.screenshots

takes them all anew: the start, the search, two who have met, a conversation, Next and how it is taken back, files,
calls, what keeps strangers safe, and the moderators' console, on a phone and on a desk, light and dark.
Names, times, colours and what cameras see are set to be the same every time; what is shown is otherwise as it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator

import httpx
import socketio  # type: ignore[import-untyped]  # has no types
from playwright.async_api import Browser, async_playwright, expect

from tests.e2e import browser as chromium
from tests.e2e import tours
from tests.e2e.conftest import Street, Tabs
from tests.e2e.pictures import TARGET, Photographer, Size
from tests.e2e.scenes import FILES, give_camera, sees
from tests.e2e.serving import serving
from tests.e2e.test_console import desks_of
from tests.e2e.visitor import Visitor

SIZES = (Size(390, 844, 2), Size(1280, 840, 1))

PAIRS_AROUND = 6
"""Conversations that others have meanwhile."""

NAME, PARTNER = "AmberOtter2734", "QuietHeron1148"
INTERESTS, SUGGESTED = ("night trains", "tea"), ("films", "gardens", "chess")
TALK = (
    (PARTNER, "Hello! I am waiting for a night train. What brings you here?"),
    (NAME, "Hi! I can't sleep, and the kettle is on."),
    (NAME, "Where is the train going?"),
    (PARTNER, "Lisbon, if it ever comes. I have never seen the ocean."),
    (NAME, "Never? Then go straight to the water, before breakfast. The light is best then."),
    (PARTNER, "I will. And what tea goes with a sleepless night?"),
    (NAME, "Mint. It forgives you for being awake."),
)
STATES = tuple("delivered" if name == NAME else "received" for name, _ in TALK)
AFTER = ("received", "received", "delivered")

PARTNERS_CAMERA = (960, 720)
CAMERAS = {390: (720, 960), 1280: (1280, 720)}
"""What the own one takes, by the window's width: a phone's is held upright."""

SAFETY = {"consent": "consent", "report": "report", "banned": "banned", "queue": "queue", "case": "case"}
"""The screens of safety that are shown, and the names of their pictures."""
REPORTED = ("Nobody wants you here. Go away.", "I told you to go.")

SETTLED = re.compile(r"^0:(0[6-9]|[1-5]\d)$")
"""So long after it began, the picture of a call is as good as it gets."""


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


@contextlib.asynccontextmanager
async def visit(browser: Browser, url: str, size: Size) -> AsyncIterator[Visitor]:
    """Open the page in a browser of its own; end the session in the end."""
    context = await browser.new_context(
        viewport={"width": size.width, "height": size.height},
        device_scale_factor=size.scale,
        reduced_motion="reduce",
        locale="en-GB",
    )
    visitor = Visitor(await context.new_page(), url)
    status = json.dumps(
        {"success": True, "data": {"waiting": {"text": 7, "audio": 0, "video": 0}, "suggestions": SUGGESTED}}
    )
    await context.route("**/api/matching", lambda route: route.fulfill(body=status, content_type="application/json"))
    await visitor.page.goto(url)
    await expect(visitor.part("start")).to_be_enabled()
    yield visitor
    await visitor.end_session()
    await context.close()


async def arrive(visitor: Visitor, photographer: Photographer) -> None:
    """The start, and the search while nobody else looks."""
    await visitor.part("name-input").fill(NAME)
    await expect(visitor.part("online-count")).to_have_text(str(2 * PAIRS_AROUND))
    await expect(visitor.words(f"{PAIRS_AROUND} conversations")).to_be_visible()
    await visitor.likes(*INTERESTS)
    await photographer.take(visitor.page, "start")
    await visitor.start()
    await visitor.sees_connection("Connected")
    await expect(visitor.words("Nobody else is looking just now")).to_be_visible()
    await expect(visitor.part("online-count")).to_have_text(str(2 * PAIRS_AROUND))
    await photographer.take(visitor.page, "search")


async def talk(visitor: Visitor, partner: Visitor, photographer: Photographer) -> None:
    """A conversation, and the partner about to write more."""
    await partner.likes(*INTERESTS)
    await partner.start(PARTNER)
    await visitor.sees_conversation()
    await expect(visitor.part("shared")).to_be_visible()
    await photographer.take(visitor.page, "met")
    for number, (name, text) in enumerate(TALK, 1):
        await (visitor if name == NAME else partner).say(text)
        await expect(visitor.messages).to_have_count(number)
    await visitor.sees_states(*STATES)
    await partner.composer.press_sequentially("Ha")
    await expect(visitor.part("typing")).to_be_visible()
    await photographer.take(visitor.page, "conversation")
    await partner.composer.fill("")


async def slip(visitor: Visitor, partner: Visitor, photographer: Photographer) -> None:
    """Next is pressed, and taken back."""
    await visitor.part("next").click()
    await expect(visitor.part("undo")).to_be_visible()
    await photographer.take(visitor.page, "undo")
    await partner.sees_ended("pressed Next.")
    await visitor.part("undo").click()
    await visitor.sees_conversation()
    await expect(visitor.messages).to_have_count(len(TALK))


async def share(visitor: Visitor, partner: Visitor, photographer: Photographer) -> None:
    """A picture and a document, and a voice note in return."""
    await partner.part("file-input").set_input_files(FILES)
    await partner.part("send").click()
    await expect(visitor.part("picture")).to_have_js_property("naturalWidth", 480)
    await expect(visitor.messages).to_have_count(len(TALK) + len(FILES))
    await visitor.unveils()
    await visitor.page.context.grant_permissions(["microphone"])
    await visitor.part("record").focus()
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.part("recorder-time")).to_have_text("0:02")
    await visitor.page.keyboard.press("Enter")
    await visitor.page.get_by_role("button", name="Send voice note").press("Enter")
    await visitor.sees_states(*STATES, *AFTER)
    await photographer.take(visitor.page, "files")


async def refuse(visitor: Visitor, photographer: Photographer) -> None:
    """A call for which the browser gives no camera and no microphone."""
    await visitor.page.context.clear_permissions()
    await visitor.part("call-video").click()
    await expect(visitor.part("call-state")).to_contain_text("is blocked for this page.")
    await photographer.take(visitor.page, "refused")
    await visitor.part("cancel-call").click()


async def call(visitor: Visitor, partner: Visitor, photographer: Photographer) -> None:
    """A video call rings, and goes on."""
    await give_camera(visitor.page, "kitchen.svg", *CAMERAS[photographer.size.width])
    await give_camera(partner.page, "platform.svg", *PARTNERS_CAMERA)
    await partner.part("call-video").click()
    await partner.part("join-call").click()
    await expect(visitor.part("call-incoming")).to_be_visible()
    await photographer.take(visitor.page, "ringing")
    await visitor.part("answer-video").click()
    await visitor.part("join-call").click()
    await expect(visitor.part("call")).to_have_attribute("data-state", "active")
    await sees(visitor.page, *PARTNERS_CAMERA)
    await visitor.part("reveal").click()
    await expect(visitor.part("call-time")).to_have_text(SETTLED)
    await photographer.take(visitor.page, "call")


async def show(browser: Browser, url: str, photographer: Photographer) -> None:
    """Go from the start to a call, and take every picture on the way."""
    async with visit(browser, url, photographer.size) as visitor:
        await arrive(visitor, photographer)
        async with visit(browser, url, photographer.size) as partner:
            await talk(visitor, partner, photographer)
            await slip(visitor, partner, photographer)
            await share(visitor, partner, photographer)
            await refuse(visitor, photographer)
            await call(visitor, partner, photographer)


async def show_safety(browser: Browser, photographer: Photographer) -> None:
    """Go past all screens of safety and of the console, and take pictures of some."""
    size = photographer.size
    tabs = Tabs(browser, size.scale)

    async def look(visitor: Visitor, screen: str) -> None:
        if screen in SAFETY:
            await visitor.page.set_viewport_size({"width": size.width, "height": size.height})
            await visitor.page.evaluate("scrollTo(0, 0)")
            await photographer.take(visitor.page, SAFETY[screen])

    for tour in (tours.among_strangers, tours.told_by_a_moderator):
        async with serving() as server, contextlib.AsyncExitStack() as stack:
            street = Street(tabs, server, stack)
            await tour(street, look)
            await street.tidy()
    async with desks_of(tabs) as desks:
        await tours.at_the_desks(desks, look, texts=REPORTED)


async def main() -> int:
    """Take them all; return the exit code."""
    try:
        path = chromium.executable()
    except chromium.NoBrowserError as error:
        print(error, file=sys.stderr)
        return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=10_000)
    async with serving(grace="0.2", undo_seconds="60") as server, others(server.url), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(chromium.ARGS))
        darkroom = await browser.new_page()
        for size in SIZES:
            photographer = Photographer(darkroom, size)
            await show(browser, server.url, photographer)
            await show_safety(browser, photographer)
        await browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
