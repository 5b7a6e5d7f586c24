"""The operator's pages: Markdown files as HTML that can do no harm."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from passerby.background import Background
    from passerby.clock import Clock

log = logging.getLogger(__name__)

PageName = Literal["rules", "privacy", "contact"]
NAMES: Final[tuple[PageName, ...]] = ("rules", "privacy", "contact")
_LOOK: Final = 10.0
"""Seconds between two looks whether a file has changed."""
_LARGEST: Final = 262_144
"""Maximum bytes of a file: some 40,000 words."""
_TAGS: Final = frozenset(
    (
        *("a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5"),
        *("h6", "hr", "i", "li", "ol", "p", "pre", "s", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead"),
        *("tr", "ul"),
    )
)


class PageError(ValueError):
    """A file cannot be read; the message names it and says why."""


class Page(Struct, frozen=True):
    """One page."""

    html: str
    version: str
    """SHA-256 of the Markdown, the first 16 hexadecimal digits."""


class _File:
    """A file, and what was made of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed = 0
        self.page = Page("", "")
        self.trouble = ""
        """Why it could not be read the last time."""

    def read(self) -> None:
        """Read it if it has changed. Raises OSError, UnicodeDecodeError."""
        changed = self.path.stat().st_mtime_ns
        if changed == self.changed:
            return
        with self.path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise OSError(f"has more than {_LARGEST} bytes")
        if not content.strip():
            raise OSError("is empty")
        self.page = Page(html_of(content.decode("utf-8-sig")), hashlib.sha256(content).hexdigest()[:16])
        self.changed = changed


class Pages:
    """The pages that there are."""

    def __init__(self, clock: Clock, background: Background, files: dict[PageName, str | None]) -> None:
        """Read the files. Raises PageError."""
        self._clock = clock
        self._background = background
        self._looked = clock.monotonic()
        self._is_looking = False
        self._files: dict[PageName, _File] = {}
        for name in NAMES:
            path = files.get(name)
            if path is not None:
                self._files[name] = file = _File(Path(path))
                try:
                    file.read()
                except (OSError, UnicodeDecodeError) as error:
                    raise PageError(f"{name.upper()}_FILE={path!r}: {_reason(error)}") from None

    @property
    def names(self) -> list[PageName]:
        """Return which pages there are."""
        return list(self._files)

    def find(self, name: PageName) -> Page | None:
        """Return a page; whether it has changed is looked at meanwhile, so that nobody waits for it."""
        now = self._clock.monotonic()
        if self._files and not self._is_looking and now - self._looked >= _LOOK:
            self._looked = now
            self._is_looking = True
            self._background.start("look at the pages", self._look())
        found = self._files.get(name)
        return None if found is None else found.page

    async def _look(self) -> None:
        """Read what has changed. If a file cannot be read any more, its last page stays."""
        try:
            for name, file in self._files.items():
                try:
                    # A long one takes a second: not of those who chat.
                    await asyncio.to_thread(file.read)
                except (OSError, UnicodeDecodeError) as error:
                    self._tell(name, file, _reason(error))
                else:
                    file.trouble = ""
        finally:
            self._is_looking = False

    @staticmethod
    def _tell(name: PageName, file: _File, reason: str) -> None:
        """Log why a page stays as it was, once."""
        if reason != file.trouble:
            file.trouble = reason
            log.warning("a page cannot be read; the last one stays", extra={"page": name, "reason": reason})


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    return getattr(error, "strerror", None) or str(error)


def html_of(markdown: str) -> str:
    """Return Markdown (CommonMark, with tables) as HTML without scripts, styles, pictures, ids and frames."""
    import nh3  # noqa: PLC0415 - only if there is a page
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only if there is a page

    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    return nh3.clean(
        rendered,
        tags=set(_TAGS),
        attributes={"a": {"href"}},
        url_schemes={"https", "http", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
