"""A device's clock is set while the page is open: by an hour for the summer, by a day because it was wrong."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.e2e.calling import call, devices, is_over
from tests.e2e.conftest import Street
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

HOUR_MS = 3_600_000
SECONDS_ONLY = re.compile(r"^0:\d\d$")
SET_CLOCK = """
(ms) => {
  const now = Date.now;
  Date.now = () => now.call(Date) + ms;
}
"""


async def set_clock(visitor: Visitor, ms: int) -> None:
    """The device's clock goes by so much more or less; what is measured otherwise goes on."""
    await visitor.page.evaluate(SET_CLOCK, ms)


async def test_typing_is_shown_after_the_clock_was_put_back(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.composer.press_sequentially("H")
    await berta.saw("is typing…")
    await set_clock(anna, -HOUR_MS)
    await anna.composer.fill("")
    await expect(berta.part("typing")).to_have_count(0)
    await anna.composer.press_sequentially("H")
    await berta.saw("is typing…")


async def test_a_call_lasts_as_long_as_it_does_also_after_a_reload(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "audio")
        await expect(anna.part("call-time")).to_have_text(SECONDS_ONLY)
        await set_clock(anna, 24 * HOUR_MS)
        await set_clock(berta, -HOUR_MS)
        await expect(anna.part("call-time")).to_have_text(re.compile(r"^0:(0[2-9]|[1-5]\d)$"))
        await expect(berta.part("call-time")).to_have_text(re.compile(r"^0:(0[2-9]|[1-5]\d)$"))
        await anna.page.reload()
        await anna.part("rejoin-audio").click()
        await expect(anna.part("call-time")).to_have_text(re.compile(r"^0:(0[2-9]|[1-5]\d)$"))
        await berta.part("hang-up").click()
        await is_over(anna, "Audio call", "0:")
        await is_over(berta, "Audio call", "0:")
