"""Parts that fail when a test says so, and then work again."""

from __future__ import annotations

import inspect
from typing import Any


class BrokenError(Exception):
    """The exception of a broken part; the server does not know its type."""


class Failing:
    """Replaces a method of `owner`: the next `times` calls raise (`error`). `calls` counts all calls."""

    def __init__(
        self,
        owner: Any,  # noqa: ANN401 - any object with methods
        name: str,
        times: int = 1,
        error: BaseException | None = None,
    ) -> None:
        self.error = error
        self.left = times
        self.calls = 0
        original = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the original
            self._count(name)
            return original(*arguments, **named)

        async def call_and_wait(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the original
            self._count(name)
            return await original(*arguments, **named)

        setattr(owner, name, call_and_wait if inspect.iscoroutinefunction(original) else call)

    def _count(self, name: str) -> None:
        self.calls += 1
        if self.left > 0:
            self.left -= 1
            raise self.error or BrokenError(f"{name} is broken")
