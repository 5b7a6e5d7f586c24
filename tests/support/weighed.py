"""Measures the memory that Python allocates."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Self


class Weighed:
    """Current and peak memory allocated by Python since the start, with the garbage collector disabled."""

    def __enter__(self) -> Self:
        gc.collect()
        gc.disable()
        tracemalloc.start()
        self._before = tracemalloc.get_traced_memory()[0]
        return self

    def __exit__(self, *_: object) -> None:
        now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        gc.enable()
        self.kept = now - self._before
        self.most = peak - self._before
