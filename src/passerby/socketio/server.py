"""The Socket.IO server: namespaces, sockets, events, acks.

A handler is registered with the type of its event's argument and gets the argument decoded. A handler that returns None
runs in the event loop iteration that has read the packet, without a task. A handler that returns an awaitable gets a
task; later events of the same socket wait for it, so events of one socket are handled in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from passerby.socketio import closing
from passerby.socketio.client import Client
from passerby.socketio.engine import Engine, Options
from passerby.socketio.namespace import Namespace
from passerby.socketio.timers import DelayQueue

if TYPE_CHECKING:
    from passerby.socketio.handshake import Refusal, Request
    from passerby.socketio.origins import Origins
    from passerby.socketio.session import ClientSession
    from passerby.socketio.timers import Scheduler

_FEW_TASKS: Final = 64
"""Tasks that may have ended, and are kept nevertheless."""

Spawn = Callable[[str, Coroutine[Any, Any, None]], "asyncio.Future[Any]"]
"""Runs work in a supervised task and keeps a reference to it until it ends."""


class Server:
    """A Socket.IO server. The transports use its `engine`."""

    def __init__(
        self,
        options: Options,
        *,
        spawn: Spawn,
        origins: Origins | None = None,
        allow: Callable[[Request], Refusal | None] | None = None,
        address: Callable[[Request], str] | None = None,
        sid_prefix: str = "",
    ) -> None:
        """See Engine for `origins`, `allow`, `address` and `sid_prefix`. Nothing runs until `start`.

        `spawn(name, work)` runs `work` in a task that no caller awaits, and must log its exceptions.
        """
        extra: dict[str, Any] = {"allow": allow, "address": address}
        self.engine = Engine(
            options,
            self.client,
            origins=origins,
            sid_prefix=sid_prefix,
            **{key: value for key, value in extra.items() if value is not None},
        )
        self.namespaces: dict[str, Namespace] = {}
        self._spawn = spawn
        self._tasks: list[asyncio.Future[Any]] = []
        """All running tasks, and some that have ended: a callback at the end of each would cost more than that."""
        self._most_tasks = _FEW_TASKS
        """Number of tasks at which those that have ended are removed."""

    def namespace(self, name: str = "/") -> Namespace:
        """Return the namespace `name`; create it if it does not exist."""
        return self.namespaces.setdefault(name, Namespace(name))

    def start(self, scheduler: Scheduler | None = None) -> None:
        """Create the timers with `scheduler`, or in the running event loop."""
        self.engine.start(scheduler)
        self.unconnected: DelayQueue[Client] = DelayQueue(
            self.engine.scheduler,
            self.engine.options.connect_timeout,
            lambda client: client.session.close(closing.CONNECT_TIMEOUT),
        )

    def extend(self, seconds: float) -> None:
        """See `Engine.extend`."""
        self.engine.extend(seconds)
        self.unconnected.extend(seconds)

    async def stop(self) -> None:
        """Close every connection. Running handlers get the close timeout to end, then they are cancelled."""
        self.engine.stop()
        if running := self.running():
            _, late = await asyncio.wait(running, timeout=self.engine.options.close_timeout)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=self.engine.options.close_timeout)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in a task; `stop` waits for it."""
        if len(self._tasks) >= self._most_tasks:
            self._tasks = self.running()
            self._most_tasks = max(_FEW_TASKS, 2 * len(self._tasks))
        self._tasks.append(self._spawn(name, work))

    def running(self) -> list[asyncio.Future[Any]]:
        """Return the tasks that have not ended."""
        return [task for task in self._tasks if not task.done()]

    def client(self, session: ClientSession) -> Client:
        """Return the Socket.IO side of a new session."""
        client = Client(self, session)
        self.unconnected.add(client)
        return client
