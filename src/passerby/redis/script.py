"""Lua scripts, which are files beside the modules that use them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Script:
    """A Lua script. Redis runs it as a whole, with nothing between its commands."""

    __slots__ = ("name", "sha", "source")

    def __init__(self, path: Path, shared: Path | None = None) -> None:
        """Read the file: `Script(Path(__file__).with_name("log_append.lua"))`. Raises OSError.

        `shared` has functions that the script uses. They stand behind its first line.
        """
        self.name = path.name
        """The name of the file."""
        source = path.read_text(encoding="utf-8")
        if shared is not None:
            first, _, rest = source.partition("\n")
            source = f"{first}\n{shared.read_text(encoding='utf-8')}{rest}"
        self.source = source
        """The text, in UTF-8."""
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        """The SHA-1 by which EVALSHA finds it, in hexadecimal."""
