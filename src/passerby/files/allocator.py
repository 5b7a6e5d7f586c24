"""Freed memory, given back to the system: glibc keeps it for itself when something small lies behind it."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return all free pages to the system, in a few milliseconds; nothing happens where there is no glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
