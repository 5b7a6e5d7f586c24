"""The event loops that transport tests run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

try:
    import uvloop
except ImportError:  # not available on Windows
    PRODUCT: Mapping[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
else:
    PRODUCT = {"uvloop": uvloop.new_event_loop}

ALL: Mapping[str, LoopFactory] = {**PRODUCT, "asyncio": asyncio.new_event_loop}
