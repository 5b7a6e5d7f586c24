"""axe-core on a page as it is: on a phone and on a desk, light and dark.

The Content-Security-Policy of the pages lets no inline script in, so axe-core is not added to them: the debugger runs
it (`page.evaluate`), and no policy applies to that.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

from playwright.async_api import Page, ViewportSize

SCRIPT = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SIZES: tuple[ViewportSize, ...] = ({"width": 390, "height": 844}, {"width": 1280, "height": 800})
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")
OF_COLOURS = ("color-contrast", "link-in-text-block")
"""The rules whose findings may be others in the dark. What is named, labelled or in order is so in every colour."""

# What fades to the other colours is there at once, or its contrast would be that of a moment.
_RUN = """
async (only) => {
  for (const animation of document.getAnimations()) if (animation instanceof CSSTransition) animation.finish();
  const { violations } = await axe.run(document, { runOnly: only, resultTypes: ['violations'] });
  return violations.flatMap(({ id, impact, help, nodes }) => nodes.map(({ target, any, all, none }) =>
    [`${id} (${impact}): ${target.flat().join(' ')}: ${help}`, ...[...any, ...all, ...none].map((one) => one.message)]
      .join('\\n    ')));
}
"""
_IS_THERE = "typeof axe !== 'undefined'"
# The page has followed the size of its window.
_DRAWN = "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"


@functools.cache
def _script() -> str:
    return SCRIPT.read_text()


async def violations(page: Page, *, colours_only: bool = False) -> list[str]:
    """What axe-core has against the page as it is: rule, impact, element and why; all rules, or those of colours."""
    if not await page.evaluate(_IS_THERE):
        await page.evaluate(_script())
    only = {"type": "rule", "values": OF_COLOURS} if colours_only else {"type": "tag", "values": TAGS}
    found: list[str] = await page.evaluate(_RUN, only)
    return found


async def violations_everywhere(page: Page) -> list[str]:
    """The same in both sizes and both colour schemes; afterwards the window is as large as before."""
    before = page.viewport_size
    found = []
    for size in SIZES:
        await page.set_viewport_size(size)
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await page.evaluate(_DRAWN)
            found += [
                f"{size['width']} {scheme}: {violation}"
                for violation in await violations(page, colours_only=scheme != SCHEMES[0])
            ]
    if before is not None:
        await page.set_viewport_size(before)
    return found
