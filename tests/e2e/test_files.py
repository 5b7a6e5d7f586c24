"""Files and voice notes: they reach the other, and go with the conversation."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Locator, Route, expect

from tests.e2e.conftest import Street
from tests.e2e.pictures import png
from tests.e2e.test_accessibility import CUT_OFF, LOW_CONTRAST, PHONE, everything_is_named
from tests.e2e.visitor import REST_MS, Visitor
from tests.media import heif
from tests.media.containers import segments

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

WIDTH, HEIGHT = 48, 32
PICTURE: FilePayload = {
    "name": "garden.png",
    "mimeType": "image/png",
    "buffer": png(WIDTH, bytes(range(256)) * (WIDTH * HEIGHT * 3 // 256)),
}
PDF: FilePayload = {
    "name": "timetable.pdf",
    "mimeType": "application/pdf",
    "buffer": b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
}
UPLOADS = "**/api/files/*"
MOST_BYTES = 10 * 1024 * 1024

# What must be let go of: microphones and addresses of bytes.
WATCH = """
() => {
  const held = { tracks: [], urls: new Set() };
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await ask(wanted);
    held.tracks.push(...stream.getTracks());
    return stream;
  };
  const [create, revoke] = [URL.createObjectURL.bind(URL), URL.revokeObjectURL.bind(URL)];
  URL.createObjectURL = (bytes) => {
    const url = create(bytes);
    held.urls.add(url);
    return url;
  };
  URL.revokeObjectURL = (url) => {
    held.urls.delete(url);
    revoke(url);
  };
  window.held = held;
}
"""
HOLDS = "() => [held.tracks.filter((track) => track.readyState === 'live').length, held.urls.size]"

TAP = """
(button) => {
  const pointer = { pointerId: 1, isPrimary: true, button: 0, detail: 1, bubbles: true, cancelable: true };
  for (const type of ['pointerdown', 'pointerup', 'click']) button.dispatchEvent(new PointerEvent(type, pointer));
}
"""

TRANSFER = """
([name, type, bytes]) => {
  const data = new DataTransfer();
  const content = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
  data.items.add(new File([content], name, { type }));
  return data;
}
"""


# A browser that records everything that it is asked for: what that is.
KNOWS_OGG = """
() => {
  window.asked = [];
  window.MediaRecorder = class extends MediaRecorder {
    static isTypeSupported = () => true;
    constructor(stream, options) {
      asked.push(options.mimeType);
      super(stream, { ...options, mimeType: 'audio/webm;codecs=opus' });
    }
  };
}
"""


def is_loaded(count: int) -> str:
    """Return the condition that so many pictures are on the page, and none is broken."""
    return f"""() => {{
      const pictures = Array.from(document.querySelectorAll('[data-testid="picture"]'));
      return pictures.length === {count} && pictures.every((picture) => picture.naturalWidth === {WIDTH});
    }}"""


async def choose(visitor: Visitor, *files: FilePayload) -> None:
    await visitor.part("file-input").set_input_files(files)


async def share(visitor: Visitor, *files: FilePayload) -> None:
    await choose(visitor, *files)
    await visitor.part("send").click()


@contextlib.asynccontextmanager
async def microphone(visitor: Visitor) -> AsyncIterator[None]:
    """Give the page leave to use the microphone, as long as this lasts; the tab is used again."""
    await visitor.page.context.grant_permissions(["microphone"])
    try:
        yield
    finally:
        await visitor.page.context.clear_permissions()


async def record(visitor: Visitor) -> None:
    """Tap the button, so quickly that it is never taken for held down."""
    await visitor.part("record").evaluate(TAP)


async def is_recording(visitor: Visitor) -> None:
    """There is a second of sound, or more."""
    await expect(visitor.part("recorder")).to_have_attribute("data-state", "recording")
    await expect(visitor.part("recorder-time")).to_have_text(re.compile(r"^0:(0[1-9]|[1-5]\d)$"))


async def has_sound(player: Locator) -> None:
    """It knows how long it is, and plays to its end."""
    audio = player.locator("audio")
    assert await audio.evaluate(
        """(audio) => new Promise((resolve, reject) => {
          audio.addEventListener('ended', () => resolve(audio.duration > 0.5));
          audio.addEventListener('error', () => reject(audio.error));
          audio.closest('[data-testid="player"]').querySelector('[data-testid="play"]').click();
        })"""
    )


async def links(visitor: Visitor) -> list[str]:
    """The address of everything in the conversation that has one."""
    found: list[str] = await visitor.page.evaluate(
        """() => Array.from(document.querySelectorAll('[role="log"] :is([src], [href])'),
             (element) => element.src || element.href)"""
    )
    return found


# ── the way of a file ─────────────────────────────────────────────────────────────────────────────


async def test_a_picture_a_document_and_a_voice_note_reach_the_other_and_go_with_the_conversation(
    street: Street,
) -> None:
    anna, berta = await street.pair()
    await share(anna, PICTURE, PDF)
    await anna.sees_states("delivered", "delivered")
    async with microphone(anna):
        await record(anna)
        await is_recording(anna)
        await anna.part("recorder-send").click()
        await anna.sees_states("delivered", "delivered", "delivered")

    for visitor in (anna, berta):
        await visitor.page.wait_for_function(is_loaded(1))
        card = visitor.part("file-card")
        await expect(card).to_contain_text("timetable.pdf")
        await expect(card).to_contain_text("PDF")
        download = visitor.page.get_by_role("link", name="Download timetable.pdf")
        answer = await visitor.page.request.get(f"{visitor.url}{await download.get_attribute('href')}")
        assert answer.status == 200
        assert await answer.body() == PDF["buffer"]
        assert answer.headers["content-disposition"].startswith("attachment")
        await has_sound(visitor.part("voice"))
        assert await visitor.part("voice").locator("rect").count() > 5  # its waveform came along
        await everything_is_named(visitor)

    addresses = [*await links(anna), *await links(berta)]
    assert len(addresses) == 6
    for address in addresses:
        assert (await anna.page.request.get(address)).status == 200
    await anna.part("leave").click()
    await berta.sees_ended("has moved on")
    for address in addresses:
        assert (await berta.page.request.get(address)).status == 404
    await expect(berta.words("Gone with the conversation")).to_have_count(3)
    assert await links(berta) == []


async def test_a_picture_can_be_pasted_dropped_and_taken_back(street: Street) -> None:
    anna, berta = await street.pair()
    content = base64.b64encode(PICTURE["buffer"]).decode()
    data = await anna.page.evaluate_handle(TRANSFER, ["pasted.png", "image/png", content])
    await anna.composer.evaluate(
        """(composer, clipboardData) => composer.dispatchEvent(
             new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))""",
        data,
    )
    await expect(anna.part("attachment")).to_have_count(1)
    preview = anna.part("attachment").locator("img")
    await expect(preview).to_have_js_property("naturalWidth", WIDTH)

    dropped = await anna.page.evaluate_handle(TRANSFER, ["dropped.png", "image/png", content])
    await anna.part("conversation").dispatch_event("dragenter", {"dataTransfer": dropped})
    await expect(anna.part("drop-zone")).to_be_visible()
    await anna.part("conversation").dispatch_event("drop", {"dataTransfer": dropped})
    await expect(anna.part("drop-zone")).to_have_count(0)
    await expect(anna.part("attachment")).to_contain_text(["pasted.png", "dropped.png"])
    await choose(anna, PDF)
    await anna.page.get_by_role("button", name="Remove timetable.pdf").click()
    await expect(anna.part("attachment")).to_have_count(2)
    await expect(anna.part("send")).to_have_accessible_name("Send 2 files")

    # Words and Enter take them along.
    await anna.composer.fill("Two pictures")
    await anna.composer.press("Enter")
    await expect(anna.part("attachments")).to_have_count(0)
    await expect(berta.messages).to_have_count(3)
    for visitor in (anna, berta):
        await visitor.page.wait_for_function(is_loaded(2))


async def test_text_that_brings_its_own_picture_is_pasted_as_text(street: Street) -> None:
    anna, _ = await street.pair()
    pasted = await anna.composer.evaluate(
        """(composer) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData('text/plain', 'words');
          clipboardData.setData('text/html', '<b>words</b>');
          clipboardData.items.add(new File(['x'], 'words.png', { type: 'image/png' }));
          return composer.dispatchEvent(
            new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
        }"""
    )
    assert pasted  # nobody prevented it
    await expect(anna.part("attachment")).to_have_count(0)


async def test_files_are_there_again_after_a_reload(street: Street) -> None:
    anna, berta = await street.pair()
    await share(anna, PICTURE, PDF)
    await expect(berta.messages).to_have_count(2)
    for visitor in (anna, berta):
        await visitor.page.reload()
        await expect(visitor.messages).to_have_count(2)
        await visitor.page.wait_for_function(is_loaded(1))
        await expect(visitor.part("file-card")).to_contain_text("timetable.pdf")


async def test_a_picture_is_looked_at_in_full(street: Street) -> None:
    # No time passes between two presses of a key: two that count would be a pair.
    anna, berta = await street.pair(None, await street.visitor(still=True))
    await berta.page.clock.run_for(REST_MS)
    await share(anna, PICTURE)
    await berta.unveils()
    thumbnail = berta.page.get_by_role("button", name="Open picture garden.png")
    await thumbnail.focus()
    await berta.page.keyboard.press("Enter")
    view = berta.page.get_by_role("dialog", name="Picture: garden.png")
    await expect(view).to_be_visible()
    await expect(berta.part("full-view-close")).to_be_focused()
    await expect(view.get_by_role("link", name="Download garden.png")).to_be_visible()
    await berta.page.keyboard.press("Escape")
    await expect(view).to_have_count(0)
    await expect(thumbnail).to_be_focused()
    # That Escape was the dialog's: one more is only the first of two.
    await berta.page.keyboard.press("Escape")
    await expect(berta.words("Press Escape once more")).to_be_visible()
    # It closes with the conversation, too.
    await thumbnail.click()
    await expect(view).to_be_visible()
    await anna.part("leave").click()
    await berta.sees_ended("has moved on")
    await expect(view).to_have_count(0)


# ── what may go wrong ─────────────────────────────────────────────────────────────────────────────


async def test_a_cancelled_upload_leaves_nothing(street: Street) -> None:
    anna, berta = await street.pair()

    async def never(_: Route) -> None:
        """Let the upload hang."""

    await anna.page.route(UPLOADS, never)
    await anna.page.evaluate(WATCH)
    await share(anna, PICTURE)
    row = anna.part("attachment")
    await expect(row).to_have_attribute("data-stage", "uploading")
    await expect(row.get_by_role("progressbar")).to_be_visible()
    anna.expect_complaint()
    async with anna.page.expect_event("requestfailed", lambda request: "/api/files/" in request.url):
        await anna.page.get_by_role("button", name="Cancel sending garden.png").click()
    await expect(row).to_have_count(0)
    assert await anna.page.evaluate(HOLDS) == [0, 0]
    await anna.page.unroute(UPLOADS)
    await anna.say("Never mind")
    await berta.sees("Never mind")
    await expect(anna.messages).to_have_count(1)
    await expect(berta.messages).to_have_count(1)


async def test_a_failed_upload_is_tried_again(street: Street) -> None:
    anna, berta = await street.pair()
    anna.expect_complaint()
    await anna.page.route(UPLOADS, lambda route: route.abort())
    await share(anna, PICTURE)
    row = anna.part("attachment")
    await expect(row).to_have_attribute("data-stage", "failed")
    await expect(row).to_contain_text("The connection broke off.")
    await expect(
        anna.page.get_by_role("status").filter(has_text="garden.png: The connection broke off.")
    ).to_have_count(1)
    await anna.page.unroute(UPLOADS)
    await anna.page.get_by_role("button", name="Try again to send garden.png").press("Enter")
    await expect(anna.composer).to_be_focused()
    await expect(row).to_have_count(0)
    for visitor in (anna, berta):
        await visitor.page.wait_for_function(is_loaded(1))


async def test_what_cannot_be_sent_says_why_and_offers_no_second_try(street: Street) -> None:
    anna, berta = await street.pair()
    anna.expect_complaint("415")
    await choose(
        anna,
        {"name": "nothing.txt", "mimeType": "text/plain", "buffer": b""},
        {"name": "huge.bin", "mimeType": "application/octet-stream", "buffer": bytes(MOST_BYTES + 1)},
        {"name": "photo.heic", "mimeType": "image/heic", "buffer": heif.heif("heic", turns=1)},
    )
    rows = anna.part("attachment")
    await expect(rows.nth(0)).to_contain_text("This file is empty.")
    await expect(rows.nth(1)).to_contain_text("At most 10 MB is allowed.")
    await anna.part("send").click()
    await expect(rows.nth(2)).to_contain_text("Pictures can be JPEG, PNG, WebP or GIF.")
    await expect(anna.part("attachment-retry")).to_have_count(0)
    await anna.part("leave").click()
    await berta.sees_ended("has moved on")
    await expect(berta.messages).to_have_count(0)


async def test_what_this_browser_cannot_play_stays_a_card_that_can_be_saved(street: Street) -> None:
    anna, berta = await street.pair()
    berta.expect_complaint()
    await berta.page.route("**/api/temp-files/**", lambda route: route.fulfill(status=200, body="no picture"))
    await share(anna, PICTURE)
    card = berta.part("file-unavailable")
    await expect(card).to_contain_text("garden.png")
    await expect(card).to_contain_text("This browser cannot show or play it, but you can save it.")
    await expect(card.get_by_test_id("download")).to_be_visible()
    await expect(card.get_by_role("button")).to_have_count(0)
    await expect(anna.part("picture")).to_have_css("object-fit", "contain")
    await berta.page.unroute("**/api/temp-files/**")


async def test_what_cannot_be_had_now_is_asked_for_again(street: Street) -> None:
    anna, berta = await street.pair()
    berta.expect_complaint()
    await berta.page.route("**/api/temp-files/**", lambda route: route.abort())
    await share(anna, PICTURE)
    card = berta.part("file-unavailable")
    await expect(card).to_contain_text("This could not be loaded.")
    await expect(card.get_by_test_id("file-card")).to_be_visible()
    await berta.page.unroute("**/api/temp-files/**")
    await card.get_by_role("button", name="Try again").click()
    await berta.page.wait_for_function(is_loaded(1))


async def test_a_file_that_was_deleted_after_choosing_says_so(street: Street, tmp_path: Path) -> None:
    anna, _ = await street.pair()
    anna.expect_complaint()
    gone = tmp_path / "gone.txt"
    gone.write_text("here today")
    await anna.part("file-input").set_input_files(gone)
    await expect(anna.part("attachment")).to_have_count(1)
    gone.unlink()
    await anna.part("send").click()
    await expect(anna.part("attachment")).to_contain_text("This file can no longer be read")
    await expect(anna.part("attachment-retry")).to_have_count(0)


async def test_where_only_get_and_post_pass_files_still_go(street: Street) -> None:
    anna, berta = await street.pair()
    anna.expect_complaint()
    methods: list[str] = []

    async def firewall(route: Route) -> None:
        methods.append(route.request.method)
        if route.request.method == "PUT":
            await route.fulfill(status=405, content_type="text/html", body="<h1>Blocked</h1>")
        else:
            await route.continue_()

    await anna.page.route(UPLOADS, firewall)
    await share(anna, PICTURE)
    await berta.page.wait_for_function(is_loaded(1))
    await share(anna, PDF)
    await expect(berta.part("file-card")).to_contain_text("timetable.pdf")
    assert methods == ["PUT", "POST", "POST"]
    await anna.page.unroute(UPLOADS)


# The colours in the middle of the four quarters, row by row.
QUARTERS = """
async (picture) => {
  await picture.decode();
  const { naturalWidth: width, naturalHeight: height } = picture;
  const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d');
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const colours = [1, 3].flatMap((y) => [1, 3].flatMap((x) => {
    const at = 4 * ((y * height / 4) * width + x * width / 4);
    return Array.from(data.subarray(at, at + 3));
  }));
  return [width, height, colours];
}
"""
RED, GREEN, BLUE, WHITE = heif.COLOURS


@pytest.mark.parametrize(
    ("turns", "mirror", "size", "quarters"),
    [
        (0, None, (heif.WIDTH, heif.HEIGHT), (RED, GREEN, BLUE, WHITE)),
        (1, None, (heif.HEIGHT, heif.WIDTH), (GREEN, WHITE, RED, BLUE)),
        (3, 1, (heif.HEIGHT, heif.WIDTH), (RED, BLUE, GREEN, WHITE)),
    ],
    ids=["upright", "turned", "turned and mirrored"],
)
async def test_avif_reaches_the_other_as_a_jpeg_that_looks_the_same(
    street: Street, turns: int, mirror: int | None, size: tuple[int, int], quarters: tuple[tuple[int, ...], ...]
) -> None:
    anna, berta = await street.pair()
    # Its Exif has another orientation, which does not count, and a place.
    avif = heif.heif("avif", turns=turns, mirror=mirror, orientation=6)
    await choose(anna, {"name": "garden.avif", "mimeType": "image/avif", "buffer": avif})
    chosen = await anna.part("attachment").locator("img").evaluate(QUARTERS)
    await anna.part("send").click()
    picture = berta.part("picture")
    got = await picture.evaluate(QUARTERS)
    answer = await berta.page.request.get(str(await picture.evaluate("picture => picture.src")))
    content = await answer.body()

    for width, height, colours in (chosen, got):
        assert (width, height) == size
        assert colours == pytest.approx([part for colour in quarters for part in colour], abs=12)
    assert answer.headers["content-type"] == "image/jpeg"
    told = [segment for segment in segments(content) if segment[1] in {*range(0xE1, 0xF0), 0xFE}]
    assert all(segment[4:].startswith(b"ICC_PROFILE\0") for segment in told), "the canvas's colours, nothing else"
    await berta.unveils()
    await picture.click()
    await expect(berta.part("full-view")).to_contain_text("garden.jpg")
    await berta.part("full-view-close").click()


# ── voice notes ───────────────────────────────────────────────────────────────────────────────────


async def test_a_voice_note_is_recorded_heard_and_sent_by_keyboard_alone(street: Street) -> None:
    anna, berta = await street.pair()
    async with microphone(anna):
        await anna.page.evaluate(WATCH)
        for key in ("Enter", "Space"):
            await anna.part("record").focus()
            await anna.page.keyboard.press(key)
            await is_recording(anna)
            await expect(anna.part("recorder-stop")).to_be_focused()
            await anna.page.keyboard.press("Escape")
            await expect(anna.part("recorder")).to_have_count(0)
            await expect(anna.part("record")).to_be_focused()
            assert await anna.page.evaluate(HOLDS) == [0, 0]
        await anna.page.keyboard.press("Enter")
        await is_recording(anna)
        await anna.page.keyboard.press("Enter")
        await expect(anna.part("recorder")).to_have_attribute("data-state", "preview")
        await expect(anna.part("play")).to_be_focused()
        assert await anna.page.evaluate(HOLDS) == [0, 1]
        await has_sound(anna.part("player"))
        await anna.page.get_by_role("button", name="Send voice note").press("Enter")
        await expect(berta.part("voice")).to_have_count(1)
        assert await anna.page.evaluate(HOLDS) == [0, 0]
    await expect(anna.messages).to_have_count(1)

    position = berta.part("position")
    audio = berta.part("voice").locator("audio")
    await expect(audio).not_to_have_js_property("readyState", 0)
    await position.focus()
    for _ in range(3):
        await berta.page.keyboard.press("ArrowRight")
    assert await audio.evaluate("audio => audio.currentTime") == pytest.approx(0.3, abs=0.02)
    await expect(position).to_have_attribute("aria-valuetext", re.compile(r"0:00 of 0:\d\d"))
    for speed in (1.5, 2, 1):
        await berta.part("speed").press("Enter")
        await expect(audio).to_have_js_property("playbackRate", speed)


async def test_ogg_is_recorded_where_the_browser_can(street: Street) -> None:
    anna, _ = await street.pair()
    async with microphone(anna):
        await anna.page.evaluate(KNOWS_OGG)
        await record(anna)
        await is_recording(anna)
        assert await anna.page.evaluate("asked") == ["audio/ogg;codecs=opus"]
        await anna.part("recorder-cancel").click()


async def test_the_button_held_down_records_until_it_is_let_go(street: Street) -> None:
    anna, berta = await street.pair()
    async with microphone(anna):
        await anna.page.evaluate(WATCH)
        box = await anna.part("record").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse = anna.page.mouse
        await mouse.move(x, y)
        await mouse.down()
        await is_recording(anna)
        held = await anna.part("record").bounding_box()
        assert held is not None
        assert held["x"] + held["width"] / 2 == pytest.approx(x, abs=1)  # it stays under the finger
        await expect(anna.words("slide away to cancel")).to_be_visible()
        await mouse.move(x - 200, y)
        await expect(anna.part("recorder")).to_have_count(0)
        await mouse.up()
        assert await anna.page.evaluate(HOLDS) == [0, 0]
        await mouse.move(x, y)
        await mouse.down()
        await is_recording(anna)
        await mouse.up()
        await expect(berta.part("voice")).to_have_count(1)
        await expect(anna.messages).to_have_count(1)
        assert await anna.page.evaluate(HOLDS) == [0, 0]


@pytest.mark.parametrize("at", ["recording", "preview"])
async def test_the_end_of_the_conversation_lets_go_of_everything(street: Street, at: str) -> None:
    anna, berta = await street.pair()
    async with microphone(anna):
        await anna.page.evaluate(WATCH)
        await choose(anna, PICTURE)
        await record(anna)
        await is_recording(anna)
        if at == "preview":
            await anna.part("recorder-stop").click()
            await expect(anna.part("play")).to_be_visible()
        await berta.part("leave").click()
        await anna.sees_ended("has moved on")
        await anna.page.wait_for_function("() => held.urls.size === 0")
        assert await anna.page.evaluate(HOLDS) == [0, 0]
        assert await anna.page.evaluate("held.tracks.length") == 1


async def test_every_trouble_with_the_microphone_has_its_words(street: Street) -> None:
    anna, berta = await street.pair()
    trouble = anna.part("recorder-trouble")
    await anna.part("record").click()
    await expect(trouble).to_have_text(re.compile("The microphone is blocked for this page"))
    await anna.page.get_by_role("button", name="Close").click()
    await expect(trouble).to_have_text("")
    for name, words in (
        ("NotFoundError", "No microphone was found"),
        ("NotReadableError", "in use by another program"),
        ("TypeError", "The recording did not work"),
    ):
        await anna.page.evaluate(
            "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', name)) }", name
        )
        await anna.part("record").click()
        await expect(trouble).to_have_text(re.compile(words))
    await anna.page.evaluate("MediaRecorder.isTypeSupported = () => false")
    await anna.part("record").click()
    await expect(trouble).to_have_text(re.compile("This browser cannot record"))
    await anna.page.evaluate("Object.defineProperty(window, 'isSecureContext', { value: false })")
    await anna.part("record").click()
    await expect(trouble).to_have_text(re.compile("without https"))
    # Nothing of it stands in the way of the conversation.
    await anna.say("I cannot speak")
    await berta.sees("I cannot speak")


# ── for everyone ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_large_text_on_a_phone_and_contrast(street: Street, dark: bool) -> None:
    anna, berta = await street.pair(await street.visitor(viewport=PHONE, dark=dark))

    async def fine() -> None:
        # Each list of files that scrolls may be scrolled; what scrolls is not cut off.
        assert await anna.page.evaluate(CUT_OFF) == []
        assert await anna.page.evaluate(LOW_CONTRAST) == []

    for size in ("100%", "200%"):
        await anna.page.add_style_tag(content=f"html {{ font-size: {size} !important }}")
        await choose(anna, PICTURE, {"name": "nothing.txt", "mimeType": "text/plain", "buffer": b""})
        await expect(anna.words("This file is empty.")).to_be_visible()
        await fine()
        await anna.page.get_by_role("button", name="Remove nothing.txt").click()
        await anna.part("send").click()
        await share(berta, PDF)
        await expect(anna.part("file-card").last).to_be_visible()
        async with microphone(anna):
            await record(anna)
            await is_recording(anna)
            await fine()
            await anna.part("recorder-stop").click()
            await expect(anna.part("play").last).to_be_focused()
            await fine()
            await anna.part("recorder-send").click()
            await expect(anna.part("attachments")).to_have_count(0)
        await anna.part("record").click()
        await expect(anna.words("The microphone is blocked")).to_be_visible()
        await fine()
        await anna.page.get_by_role("button", name="Close").click()
    await berta.part("leave").click()
    await anna.sees_ended("has moved on")
    await fine()


async def test_targets_are_large_enough_for_a_finger(street: Street) -> None:
    anna = await street.visitor(viewport=PHONE, touch=True)
    await street.pair(anna)

    async def large_enough() -> None:
        for control in await anna.page.get_by_role("button").or_(anna.page.get_by_role("link")).all():
            box = await control.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 44, await control.get_attribute("aria-label")

    await choose(anna, PICTURE, PDF)
    await large_enough()
    await anna.part("send").tap()
    await expect(anna.messages).to_have_count(2)
    async with microphone(anna):
        await record(anna)
        await is_recording(anna)
        await large_enough()
        await anna.part("recorder-stop").tap()
        await expect(anna.part("play")).to_be_visible()
        await large_enough()
        await anna.part("recorder-send").tap()
        await expect(anna.messages).to_have_count(3)
        await large_enough()
    await anna.page.get_by_role("button", name="Open picture").tap()
    await expect(anna.part("full-view")).to_be_visible()
    await large_enough()
