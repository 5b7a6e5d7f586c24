"""What a page has shown, if only for a moment: noted as it happens, so that no test must look at the right time."""

from __future__ import annotations

from playwright.async_api import Page
from playwright.async_api import TimeoutError as TooLate

# Notes each text of a place where the page speaks of what happens, and each title. An observer runs before the page
# is painted: whatever was there to be seen is noted, and nothing else.
NOTE = """
(() => {
  const PLACES = '[role="status"], [role="alert"], [aria-live]:not([role="log"]), [data-testid="typing"],' +
    ' [data-testid="partner-state"], [data-testid="stage"], .away';
  const shown = [];
  const last = new WeakMap();
  let read = 0;
  const note = (place, text) => {
    if (last.get(place) === text) return;
    last.set(place, text);
    if (text) shown.push(text);
  };
  const isSeen = (place) => !place.closest('.visually-hidden') && place.checkVisibility();
  const look = () => {
    for (const place of document.querySelectorAll(PLACES)) note(place, isSeen(place) ? place.textContent.trim() : '');
    note(document, document.title);
  };
  new MutationObserver(look).observe(document, {
    subtree: true, childList: true, characterData: true, attributeFilter: ['class', 'hidden', 'style'],
  });
  window.sightings = {
    shown,
    find: (words) => {
      const found = shown.findIndex((text, index) => index >= read && text.includes(words));
      if (found >= 0) read = found + 1;
      return found >= 0;
    },
  };
})();
"""


async def saw(page: Page, words: str) -> None:
    """Wait until the page has shown these words since it was loaded, later than what was asked for before."""
    try:
        await page.wait_for_function("words => sightings.find(words)", arg=words)
    except TooLate:
        shown: list[str] = await page.evaluate("sightings.shown")
        raise AssertionError(f"{words!r} was not shown, but {shown}") from None
