"""The parent of several workers: it holds the port, and starts, watches, replaces and ends them. It serves nothing.

A place is the number of a worker. A worker in it that has died is followed by another one, with pauses if that happens
again and again. One that drains is followed at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import secrets
import signal
import socket
import string
import sys
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from passerby import logs
from passerby.listening import Listeners, listen
from passerby.workers import valkey
from passerby.workers.backoff import Backoff
from passerby.workers.children import Child, Children
from passerby.workers.folder import private_folder
from passerby.workers.messages import (
    BEAT,
    Beat,
    Begin,
    Draining,
    Ending,
    Gone,
    Leave,
    Lines,
    Message,
    Parted,
    Ready,
    Refused,
    Roster,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from passerby.settings import Configuration, Settings

log = logging.getLogger(__name__)

USAGE_ERROR: Final = 2
FROZEN: Final = 5.0
"""Seconds without a beat after which a worker is killed."""
_START_LIMIT: Final = 60.0
"""Seconds without a beat that a worker has to start."""
_STOP_LIMIT: Final = 60.0
"""Seconds for a worker to end after it has drained: longer than all steps of its end together."""
FIXED: Final = ("host", "port", "workers", "redis_url", "redis_prefix", "embedded_memory")
"""Settings that are this process's own, or that all workers need alike while they are replaced."""
_PROGRAM: Final = "passerby.workers.worker"
_TAG_CHARACTERS: Final = string.ascii_letters + string.digits


class Worker:
    """A worker process, as the parent sees it."""

    def __init__(self, number: int, tag: str, child: Child, line: socket.socket) -> None:
        """It has just been started; `line` leads to it."""
        self.number = number
        self.tag = tag
        self.child = child
        self.node = ""
        """Empty until it is ready."""
        self.is_ready = asyncio.Event()
        self.is_draining = False
        self.has_parted = False
        """Whether it waits for none of its guests any more, at the end of all."""
        self.left = asyncio.Event()
        """It has ended, or drains, or is followed by another one."""
        self.silence = 0
        """How many looks there were since the last beat. Not seconds: a parent that was paused has read no beats."""
        self.has_beaten = False
        self.line = line
        self.tell: Callable[[Message], object]
        """Sends it a message; there once it is connected."""

    @property
    def takes_clients(self) -> bool:
        """Return whether it is ready, and not about to end."""
        return self.is_ready.is_set() and not self.is_draining and not self.child.ended.is_set()


class Place:
    """The worker with one number, and the next one."""

    def __init__(self, worker: Worker) -> None:
        """`worker` is in it."""
        self.worker = worker
        self.backoff = Backoff()


class Parent:
    """Runs the workers of `settings` until SIGTERM or SIGINT."""

    def __init__(
        self,
        settings: Settings,
        ready: Callable[[Listeners], None],
        program: Sequence[str] = ("-m", _PROGRAM),
        reread: Callable[[], Configuration] | None = None,
    ) -> None:
        """`ready` is called with where they listen once all workers serve. Python runs `program` as a worker.

        `reread` returns the settings of which those hold that were read at the start.
        """
        self._settings = settings
        self._given = settings
        """Without what this process adds for its Valkey."""
        self._reread = reread
        self._program = program
        self._ready = ready
        self._children = Children()
        self._places: list[Place] = []
        self._workers: set[Worker] = set()
        """All that run: also those that another one follows already."""
        self._listeners = Listeners()
        self._is_announced = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._end = asyncio.Event()
        self._restart = asyncio.Event()
        self._refusal: str | None = None
        self._signal = signal.SIGTERM
        """What ends the workers."""
        self._tags = random.randrange(len(_TAG_CHARACTERS) ** 2)  # noqa: S311 - another one after each start
        self._valkey: valkey.EmbeddedValkey | None = None

    async def run(self) -> int:
        """Return the exit code: 2 for settings with which no worker can start. Raises ListenError."""
        loop = asyncio.get_running_loop()
        program = valkey.find() if self._settings.embeds_redis else None
        if self._settings.embeds_redis and program is None:
            return _refuse(valkey.MISSING)
        self._listeners = listen(self._settings.host, self._settings.port)
        self._children.listen()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, self._restart.set)
        try:
            with private_folder() as self._folder:
                return await self._run(program)
        finally:
            self._listeners.close()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                loop.remove_signal_handler(number)

    async def _run(self, program: str | None) -> int:
        try:
            if program is not None:
                await self._embed(program)
            await self._serve()
        except valkey.StartError as error:
            return _refuse(f"the embedded Valkey does not start: {error}")
        finally:
            for task in self._tasks:
                task.cancel()
            self._children.kill()
        return 0 if self._refusal is None else _refuse(self._refusal)

    async def _embed(self, program: str) -> None:
        self._valkey = valkey.EmbeddedValkey(self._children, program, self._folder, self._settings.embedded_memory)
        await self._valkey.start()
        self._spawn(self._valkey.keep())
        self._settings = replace(
            self._settings,
            redis_url=self._valkey.url,
            # It knows no secret of before, so the workers need not ask it.
            jwt_secret=self._settings.jwt_secret or secrets.token_urlsafe(48),
        )

    async def _serve(self) -> None:
        for number in range(1, self._settings.worker_count + 1):
            place = Place(self._start(number))
            self._places.append(place)
            self._spawn(self._keep(place))
        self._spawn(self._watch())
        self._spawn(self._replace_all())
        await self._end.wait()
        await self._drain()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ── one worker ────────────────────────────────────────────────────────────────────────────────

    def _start(self, number: int) -> Worker:
        own, other = socket.socketpair()
        with other:
            child = self._children.start(
                [sys.executable, "-P", *self._program, str(other.fileno()), str(os.getpid())],
                pass_fds=(other.fileno(), *(listener.fileno() for listener in self._listeners.sockets)),
            )
        worker = Worker(number, self._next_tag(), child, own)
        self._workers.add(worker)
        self._spawn(self._follow(worker))
        return worker

    def _next_tag(self) -> str:
        used = {worker.tag for worker in self._workers}
        while True:
            self._tags += 1
            high, low = divmod(self._tags % len(_TAG_CHARACTERS) ** 2, len(_TAG_CHARACTERS))
            tag = _TAG_CHARACTERS[high] + _TAG_CHARACTERS[low]
            if tag not in used:
                return tag

    async def _follow(self, worker: Worker) -> None:
        """Read what a worker says until it has ended; then tell the others."""
        reader, writer = await asyncio.open_unix_connection(sock=worker.line)
        worker.tell = lambda message: writer.write(encode(message))
        worker.tell(
            Begin(
                number=worker.number,
                tag=worker.tag,
                folder=str(self._folder),
                listeners=[listener.fileno() for listener in self._listeners.sockets],
                settings=self._settings,
                log_level=self._settings.log_level,
                log_format=self._settings.log_format,
            )
        )
        ended = asyncio.ensure_future(worker.child.ended.wait())
        reading = asyncio.ensure_future(self._read(worker, reader))
        await ended  # the system says so at once; that nothing is left to be read may come later
        with contextlib.suppress(OSError):
            await reading
        writer.close()
        self._workers.discard(worker)
        (self._folder / worker.tag).unlink(missing_ok=True)
        worker.left.set()
        if worker.node:
            self._tell_all(Gone(tag=worker.tag, node=worker.node))
        self._tell_roster()
        self._let_leave()

    async def _read(self, worker: Worker, reader: asyncio.StreamReader) -> None:
        lines = Lines()
        while data := await reader.read(1 << 16):
            for message in lines.feed(data):
                self._take(worker, message)

    def _take(self, worker: Worker, message: Message) -> None:
        if isinstance(message, Beat):
            worker.silence = 0
            worker.has_beaten = True
        elif isinstance(message, Ready):
            worker.node = message.node
            worker.is_ready.set()
            self._tell_roster()
            self._announce()
        elif isinstance(message, Draining):
            worker.is_draining = True
            worker.left.set()
            self._tell_roster()
        elif isinstance(message, Parted):
            worker.has_parted = True
            self._let_leave()
        elif isinstance(message, Refused):
            if self._is_announced:
                log.error("a worker cannot start", extra={"worker": worker.number, "reason": message.reason})
            else:
                self._refusal = message.reason
                self._end.set()

    def _let_leave(self) -> None:
        """Let all workers end together, once none of them waits for guests: those of one are connected to another."""
        ending = (worker for worker in self._workers if worker.node and not worker.is_draining)
        if self._end.is_set() and all(worker.has_parted for worker in ending):
            self._tell_all(Leave())

    def _tell_all(self, message: Message) -> None:
        for worker in self._workers:
            if worker.is_ready.is_set() and not worker.child.ended.is_set():
                worker.tell(message)

    def _tell_roster(self) -> None:
        self._tell_all(Roster({worker.tag: worker.node for worker in self._workers if worker.takes_clients}))

    def _announce(self) -> None:
        if not self._is_announced and all(place.worker.takes_clients for place in self._places):
            self._is_announced = True
            self._ready(self._listeners)

    # ── all of them ───────────────────────────────────────────────────────────────────────────────

    async def _keep(self, place: Place) -> None:
        """Let the worker of a place be followed by the next one, until the end."""
        while not self._end.is_set():
            worker = place.worker
            await worker.left.wait()
            if self._end.is_set():
                return
            if worker is not place.worker:
                continue  # `_replace` has done it
            if worker.child.ended.is_set() and not worker.is_draining:
                lived = worker.child.lived
                pause = place.backoff.died(lived)
                log.error(
                    "a worker has died and is started again",
                    extra={
                        "worker": worker.number,
                        "code": worker.child.code,
                        "lived": round(lived, 1),
                        "pause": pause,
                    },
                )
                await asyncio.sleep(pause)
            while not self._end.is_set() and worker is place.worker:
                try:
                    place.worker = self._start(worker.number)
                except OSError:
                    log.exception("a worker cannot be started", extra={"worker": worker.number})
                    await asyncio.sleep(place.backoff.died(0))

    async def _watch(self) -> None:
        """Kill workers that are frozen."""
        while True:
            await asyncio.sleep(BEAT)
            for worker in list(self._workers):
                worker.silence += 1
                if worker.silence * BEAT >= (FROZEN if worker.has_beaten else _START_LIMIT):
                    log.error("a worker is frozen and is killed", extra={"worker": worker.number})
                    worker.child.send(signal.SIGKILL)

    async def _replace_all(self) -> None:
        """Replace one worker after the other, whenever SIGHUP has come."""
        while True:
            await self._restart.wait()
            self._restart.clear()
            before = self._given, self._settings
            if not self._read_again():
                continue
            log.info("the workers are replaced, one after the other")
            for place in self._places:
                is_replaced = not self._end.is_set() and await self._replace(place)
                if self._end.is_set():
                    return
                if not is_replaced:
                    log.error("the other workers are not replaced: a new one does not start")
                    if place is self._places[0]:
                        self._given, self._settings = before  # nobody can start with the new ones
                        logs.configure(self._settings.log_level, self._settings.log_format)
                    break
            else:
                log.info("the workers are replaced")

    def _read_again(self) -> bool:
        """Let the next workers have the settings as they are now. Return False if these are wrong."""
        if self._reread is None:
            return True
        found = self._reread()
        if found.settings is None:
            for problem in found.problems:
                log.error("the settings are wrong, so no worker is replaced", extra={"problem": problem})
            return False
        for name in FIXED:
            if getattr(found.settings, name) != getattr(self._given, name):
                log.warning("a setting needs a restart to change", extra={"setting": name.upper()})
        self._given = new = replace(found.settings, **{name: getattr(self._given, name) for name in FIXED})
        if self._valkey is not None:
            new = replace(new, redis_url=self._valkey.url, jwt_secret=new.jwt_secret or self._settings.jwt_secret)
        self._settings = new
        logs.configure(new.log_level, new.log_format)
        return True

    async def _replace(self, place: Place) -> bool:
        """Start the next worker of a place; once it serves, let the present one drain, and wait for its end."""
        try:
            new = self._start(place.worker.number)
        except OSError:
            log.exception("a worker cannot be started", extra={"worker": place.worker.number})
            return False
        await _first(new.is_ready, new.left)
        if not new.takes_clients:
            return False
        old, place.worker = place.worker, new  # `_keep` may have replaced it meanwhile
        old.left.set()
        old.is_draining = True
        self._tell_roster()
        old.child.send(signal.SIGTERM)
        await self._ends(old)
        return True

    @property
    def _longest_stop(self) -> float:
        """Return the seconds that guests and requests may get before a worker ends."""
        settings = self._settings
        return max(settings.drain_seconds, settings.stop_notice, settings.stop_patience)

    async def _ends(self, worker: Worker) -> None:
        """Wait until a worker that drains has ended; kill it if that takes too long."""
        try:
            async with asyncio.timeout(self._longest_stop + _STOP_LIMIT):
                await worker.child.ended.wait()
        except TimeoutError:
            log.error("a worker does not end and is killed", extra={"worker": worker.number})  # noqa: TRY400 - no news
            worker.child.send(signal.SIGKILL)

    # ── the end ───────────────────────────────────────────────────────────────────────────────────

    def _stop(self) -> None:
        """The first signal lets the workers drain, another one lets them hurry."""
        if self._end.is_set():
            self._signal_all()
        self._end.set()

    def _interrupt(self) -> None:
        """Somebody at the terminal waits: let the workers hurry."""
        self._signal = signal.SIGINT
        self._stop()

    def _signal_all(self) -> None:
        for worker in self._workers:
            worker.child.send(self._signal)

    async def _drain(self) -> None:
        self._listeners.close()  # the workers have the port as long as they say goodbye to guests, and no longer
        nodes = [worker.node for worker in self._workers if worker.node]
        self._tell_all(Ending(nodes, keeps=self._valkey is None))
        for worker in self._workers:
            if not worker.is_draining:  # else it has had the signal, and a second one would let it hurry
                worker.child.send(self._signal)
        await asyncio.gather(*(self._ends(worker) for worker in self._workers))


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of them is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _refuse(reason: str) -> int:
    sys.stderr.write(f"passerby: {reason}\n")
    return USAGE_ERROR


def run(
    settings: Settings, ready: Callable[[Listeners], None], reread: Callable[[], Configuration] | None = None
) -> int:
    """Serve with several workers until SIGTERM or SIGINT; return the exit code. Raises ListenError."""
    # Python's own event loop: libuv would take SIGCHLD for itself.
    with asyncio.Runner() as runner:
        return runner.run(Parent(settings, ready, reread=reread).run())
