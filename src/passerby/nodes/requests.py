"""Requests over the bus: one node asks another by a name, with bytes, and awaits bytes.

| frame | |
|---|---|
| `(10, number, name, argument)` | a question |
| `(11, number, answer)` | its answer |
| `(12, number, class, code, message, field, retry_after)` | the error of whoever answered |

What is lost is not asked again: the question may have been answered, or not.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from passerby import errors
from passerby.background import FAILURES, is_failure
from passerby.clock import time_limit
from passerby.errors import Code, InternalError, NotFoundError, PasserbyError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from passerby.background import Background
    from passerby.clock import Clock
    from passerby.nodes.bus import Bus, Frame
    from passerby.nodes.membership import Membership

ASK: Final = 10
ANSWER: Final = 11
FAIL: Final = 12

PATIENCE: Final = 2.0
"""Seconds that another node has to answer while a guest waits."""
RETRY: Final = 1.0
"""Seconds until a guest whose node does not answer may try again."""
MOST: Final = 256
"""Questions of one node that are worked on at the same time; more are refused."""
_CODES: Final = frozenset(code.value for code in Code)


class NodeLostError(UnavailableError):
    """The other node is gone, or frames between it and us were lost: nobody knows whether it was done."""

    def __init__(self) -> None:
        """No id is told to clients."""
        super().__init__(["another node"])


class Requests:
    """Asks other nodes, and answers them."""

    def __init__(self, bus: Bus, clock: Clock, background: Background, most: int = MOST) -> None:
        """Take the frames of requests from `bus`; work on at most `most` questions of each node at once."""
        self._bus = bus
        self._clock = clock
        self._background = background
        self._most = most
        self._numbers = itertools.count(1)
        self._asked: dict[str, dict[int, asyncio.Future[bytes]]] = {}
        """Questions without an answer, for each node."""
        self._handlers: dict[str, Callable[[bytes], Awaitable[bytes]]] = {}
        self.running: Counter[str] = Counter()
        """Questions that are worked on, by the node that asks."""
        bus.take(ASK, self._take_question)
        bus.take(ANSWER, self._take_answer)
        bus.take(FAIL, self._take_error)
        bus.on_lost(self._lost)

    # ── asking ────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, node: str, name: str, argument: bytes, timeout: float) -> bytes:  # noqa: ASYNC109 - of `clock`
        """Return the answer of `node` to the question `name`.

        Raises NodeLostError; TimeoutError after `timeout` seconds; or the PasserbyError that the handler raised there.
        """
        number = next(self._numbers)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        asked = self._asked.setdefault(node, {})
        asked[number] = answer
        self._bus.send(node, (ASK, number, name, argument))
        try:
            async with time_limit(self._clock, timeout):
                return await answer
        finally:
            asked.pop(number, None)
            if not asked and self._asked.get(node) is asked:
                del self._asked[node]

    def _take_answer(self, node: str, frame: Frame) -> None:
        _, number, answer = frame
        waiting = self._waiting(node, number)
        if waiting is not None:
            waiting.set_result(answer)

    def _take_error(self, node: str, frame: Frame) -> None:
        _, number, *told = frame
        waiting = self._waiting(node, number)
        if waiting is not None:
            waiting.set_exception(raised_again(*told))

    def _waiting(self, node: str, number: int) -> asyncio.Future[bytes] | None:
        """Return what waits for an answer; None if it does no longer."""
        waiting = self._asked.get(node, {}).get(number)
        return None if waiting is None or waiting.done() else waiting

    def _lost(self, node: str) -> None:
        for answer in self._asked.pop(node, {}).values():
            if not answer.done():
                answer.set_exception(NodeLostError())

    # ── answering ─────────────────────────────────────────────────────────────────────────────────

    def serve(self, name: str, handler: Callable[[bytes], Awaitable[bytes]]) -> None:
        """Answer the question `name` with what `await handler(argument)` returns, or with the error it raises.

        An error that is no PasserbyError is logged, and InternalError there. A handler whose asker is lost goes on.
        """
        self._handlers[name] = handler

    def _take_question(self, node: str, frame: Frame) -> None:
        _, number, name, argument = frame
        handler = self._handlers.get(name)
        if handler is None:
            self._refuse(node, number, NotFoundError(Code.NOT_FOUND, "This node cannot answer that"))
        elif self.running[node] >= self._most:
            self._refuse(node, number, UnavailableError(["another node"]))
        else:
            self.running[node] += 1
            task = self._background.start(f"request {name}", self._answer(node, number, handler, argument))
            task.add_done_callback(partial(self._ended, node))

    def _ended(self, node: str, _: object) -> None:
        self.running[node] -= 1
        if not self.running[node]:
            del self.running[node]

    async def _answer(
        self, node: str, number: int, handler: Callable[[bytes], Awaitable[bytes]], argument: bytes
    ) -> None:
        try:
            answer = await handler(argument)
        except PasserbyError as error:
            self._refuse(node, number, error)
        except FAILURES as error:
            if is_failure(error):
                self._refuse(node, number, InternalError())
            raise
        else:
            self._bus.send(node, (ANSWER, number, answer))

    def _refuse(self, node: str, number: int, error: PasserbyError) -> None:
        self._bus.send(node, (FAIL, number, *told(error)))


async def ask_living(
    requests: Requests, membership: Membership, node: str, name: str, argument: bytes, *, of: str
) -> bytes:
    """Return the answer of `node` to the question `name`; nothing if the node is gone.

    Raises UnavailableError with `of`, what the question is about, if the node is alive and does not answer in time; and
    the PasserbyError that the handler raised there.
    """
    if not await membership.is_alive(node):
        return b""
    try:
        return await requests.ask(node, name, argument, PATIENCE)
    except (NodeLostError, TimeoutError):
        if await membership.is_alive(node):
            raise UnavailableError([of], retry_after=RETRY) from None
        return b""


def told(error: PasserbyError) -> tuple[str, str, str, str | None, float | None]:
    """Return what another node needs to raise an error again."""
    known = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return known, error.code.value, error.message, error.field, error.retry_after


def raised_again(kind: str, code: str, message: str, field: str | None, retry_after: float | None) -> PasserbyError:
    """Return an error that another node has told; InternalError if this version does not know it."""
    known: Any = getattr(errors, kind, None)
    if not (isinstance(known, type) and issubclass(known, PasserbyError)) or code not in _CODES:
        return InternalError()
    error = known.__new__(known)
    PasserbyError.__init__(error, Code(code), message, field=field, retry_after=retry_after)
    return error
