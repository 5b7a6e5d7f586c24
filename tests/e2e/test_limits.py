"""A server with limits of its own: the page keeps to them, and has none itself."""

from __future__ import annotations

import pytest
from playwright.async_api import FilePayload, expect

from tests.e2e.conftest import Street

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

MOST_BYTES = 12_582_912


def of_size(name: str, size: int) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": bytes(size)}


@pytest.mark.parametrize("settings", [{"file_limit": str(MOST_BYTES)}])
async def test_a_larger_file_goes_where_the_server_takes_it(street: Street) -> None:
    anna, berta = await street.pair()
    rows = anna.part("attachment")
    # One after the other: Playwright carries no more at once.
    for name, size in (("eleven.bin", 11_000_000), ("most.bin", MOST_BYTES), ("more.bin", MOST_BYTES + 1)):
        await anna.part("file-input").set_input_files(of_size(name, size))
    await expect(rows.nth(2)).to_contain_text("This file is too large. At most 12 MB is allowed.")
    await anna.part("send").click()
    await expect(rows).to_have_count(1)
    await anna.sees_states("delivered", "delivered")
    await expect(berta.part("file-card")).to_have_text(["eleven.bin BIN · 10 MB", "most.bin BIN · 12 MB"])


@pytest.mark.parametrize("settings", [{"text_limit": "50"}])
async def test_the_composer_counts_up_to_what_the_server_takes(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.composer.fill("x" * 44)
    await expect(anna.words("44 of 50")).to_have_count(0)
    await anna.composer.fill("x" * 51)
    await expect(anna.words("51 of 50")).to_be_visible()
    await expect(anna.part("send")).to_be_disabled()
    await anna.say("x" * 50)
    await berta.sees("x" * 50)


@pytest.mark.parametrize("settings", [{"voice_limit": "2"}])
async def test_a_recording_ends_where_the_server_would(street: Street) -> None:
    anna, _ = await street.pair()
    await anna.page.context.grant_permissions(["microphone"])
    try:
        await anna.part("record").focus()
        await anna.page.keyboard.press("Enter")
        await expect(anna.part("recorder-time")).to_contain_text("/ 0:02")
        await expect(anna.part("recorder")).to_have_attribute("data-state", "preview")
        await anna.part("recorder-send").click()
        await anna.sees_states("delivered")
    finally:
        await anna.page.context.clear_permissions()
