"""Firefox, as its users have it: found or installed, started, and driven over WebDriver BiDi.

    python -m tests.e2e.firefox

prints the path of a Firefox that starts, after installing one if necessary (as root, with apt-get), or one line that
says what to install. Searched: `$PASSERBY_FIREFOX`, then what is on PATH.

Playwright drives only a Firefox of its own, or one that is as new as itself. The few commands that the tests need are
part of the standard (https://www.w3.org/TR/webdriver-bidi/), which every Firefox since 129 speaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from tests.e2e.browser import starts
from tests.support import packages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_NAMES: Final = ("firefox-esr", "firefox")
_PACKAGE: Final = "firefox-esr"
_MAC: Final = "/Applications/Firefox.app/Contents/MacOS/firefox"
_PREFERENCES: Final = {
    "media.navigator.streams.fake": True,  # a microphone that beeps, a camera
    "media.navigator.permission.disabled": True,  # nobody is there to allow it
    "media.autoplay.default": 0,
    "intl.accept_languages": "en-GB",
    "network.captive-portal-service.enabled": False,  # no calls home
    "network.connectivity-service.enabled": False,
    "media.gmp-manager.updateEnabled": False,
}
_LISTENING: Final = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
_WITHIN: Final = 60.0
"""Seconds in which Firefox starts, answers and ends on a machine that does much else: it bounds how a failure lasts."""
_ENTER: Final = "\ue007"
"""WebDriver's name of the key (https://www.w3.org/TR/webdriver2/#keyboard-actions)."""

# Waits for changes of the page, not for time.
_UNTIL = """
(condition, ...args) => new Promise((resolve) => {
  const look = () => {
    const found = condition(...args);
    if (found) {
      observer.disconnect();
      resolve(found);
    }
    return found;
  };
  const observer = new MutationObserver(look);
  observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  look();
})
"""
_FOCUS = """
(testid) => {
  const found = document.querySelector(`[data-testid="${testid}"]`);
  if (!found || found.disabled || !found.checkVisibility({ visibilityProperty: true })) return false;
  found.focus();
  return document.activeElement === found;
}
"""


class NoFirefoxError(Exception):
    """No Firefox that starts; the message is one line that says what to do."""

    def __init__(self) -> None:
        super().__init__(
            f"no Firefox for the tests of recordings: install it (apt-get install {_PACKAGE}), "
            "or name one in PASSERBY_FIREFOX"
        )


class FirefoxError(Exception):
    """A command failed, or what it ran in the page raised; the message says what."""


def executable() -> str:
    """Return the path of a Firefox that starts. Raises NoFirefoxError."""
    for path in _candidates():
        if starts(path):
            return path
    raise NoFirefoxError


def ensure() -> str:
    """Like `executable`, but installs a Firefox if there is none, which may take minutes."""
    with contextlib.suppress(NoFirefoxError):
        return executable()
    if not os.environ.get("PASSERBY_FIREFOX"):
        packages.ensure(_PACKAGE, _PACKAGE)
    return executable()


def _candidates() -> Iterator[str]:
    named = os.environ.get("PASSERBY_FIREFOX")
    if named:
        yield named
        return
    yield from filter(None, map(shutil.which, _NAMES))
    yield _MAC


class Firefox:
    """A running Firefox: commands and their results (WebDriver BiDi §3)."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._results: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._complaints: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def start(self) -> None:
        """Begin a session."""
        await self.send("session.new", capabilities={})
        await self.send("session.subscribe", events=["log.entryAdded"])

    async def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and return its result. Raises FirefoxError."""
        number = next(self._ids)
        result: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._results[number] = result
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_WITHIN):
            return await result

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if said["type"] == "event":
                if said["method"] == "log.entryAdded" and said["params"]["level"] == "error":
                    self._complaints.append(str(said["params"]["text"]))
                continue
            result = self._results.pop(said["id"])
            if result.cancelled():
                continue
            if said["type"] == "success":
                result.set_result(said["result"])
            else:
                result.set_exception(FirefoxError(f"{said['error']}: {said['message']}"))
        for result in self._results.values():
            result.set_exception(FirefoxError("Firefox is gone"))

    async def tab(self, url: str) -> Tab:
        """Open a page in a tab of its own."""
        created = await self.send("browsingContext.create", type="tab")
        tab = Tab(self, created["context"])
        await self.send("browsingContext.navigate", context=tab.context, url=url, wait="complete")
        return tab

    def complaints(self) -> list[str]:
        """Return the errors in the console since the last call."""
        complaints, self._complaints = self._complaints, []
        return complaints


class Tab:
    """A page in Firefox. Functions are JavaScript; arguments and results are JSON."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self._firefox = firefox
        self.context = context

    async def call(self, function: str, *arguments: object) -> Any:  # noqa: ANN401 - any JSON
        """Return what a function, or the promise that it returns, comes to. Raises FirefoxError."""
        ended = await self._firefox.send(
            "script.callFunction",
            functionDeclaration=f"async (given) => JSON.stringify((await ({function})(...JSON.parse(given))) ?? null)",
            arguments=[{"type": "string", "value": json.dumps(arguments)}],
            awaitPromise=True,
            target={"context": self.context},
            userActivation=True,
        )
        if ended["type"] == "exception":
            raise FirefoxError(ended["exceptionDetails"]["text"])
        return json.loads(ended["result"]["value"])

    async def until(self, condition: str, *arguments: object) -> Any:  # noqa: ANN401 - any JSON
        """Wait until a function returns something true, asking at every change of the page; return that."""
        return await self.call(f"(...args) => ({_UNTIL})({condition}, ...args)", *arguments)

    async def press(self, testid: str) -> None:
        """Press Enter on a button, once it can be pressed."""
        await self.until(_FOCUS, testid)
        keys = [{"type": kind, "value": _ENTER} for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": keys}]
        await self._firefox.send("input.performActions", context=self.context, actions=actions)

    async def close(self) -> None:
        await self._firefox.send("browsingContext.close", context=self.context)


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Firefox]:
    """Run a Firefox without a window, whose profile is in `folder`. Raises NoFirefoxError."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items()]
    (folder / "user.js").write_text("".join(lines), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        executable(),
        *("--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port", "0", "about:blank"),
        env=os.environ | {"MOZ_CRASHREPORTER_DISABLE": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        process_group=0,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(_WITHIN):
            address = await _address(process.stderr)
        draining = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{address}/session", max_msg_size=0) as socket:
            firefox = Firefox(socket)
            await firefox.start()
            yield firefox
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it would write its profile for seconds, which nobody reads
        await process.wait()
    await draining


async def _address(errors: asyncio.StreamReader) -> str:
    said: list[str] = []
    async for line in errors:
        said.append(line.decode(errors="replace"))
        if found := _LISTENING.search(line):
            return found[1].decode()
    raise FirefoxError("".join(["Firefox did not start: ", *said]))


def main() -> int:
    """Print the path of Firefox and return 0, or print what to install and return 1."""
    try:
        print(ensure())
    except NoFirefoxError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
