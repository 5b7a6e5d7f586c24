"""The Chromium that drives the end-to-end tests: found where there is one, fetched where not.

    python -m tests.e2e.browser

prints the path of a Chromium that starts, fetching one if need be, or ends with one line that
says what to install. In the tests, `executable()` finds what that left.

Searched: `$PASSERBY_BROWSER`, Playwright's own, one on PATH. Fetched: by Playwright, else
(root or a sudo that asks nothing, and apt-get) from the distribution.
"""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

# Software rendering, no calls home: the same run on a laptop, in a container, without network.
ARGS = (
    "--no-sandbox",  # Chromium refuses its sandbox to root, which is who runs in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a microphone that beeps, a camera; who may use them is still asked
    "--allow-loopback-in-peer-connection",  # else a call finds no path on a machine without network
    "--auto-select-tab-capture-source-by-title=Passerby",  # nobody is there to choose what is shared
)

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"

# Playwright starts no driver inside a running event loop, so the question goes to a new process.
_ASK_PLAYWRIGHT = (
    "from playwright.sync_api import sync_playwright as start\nwith start() as p: print(p.chromium.executable_path)"
)

_START_SECONDS = 30  # the first start after an installation reads some 300 MB from disk
_FETCH_SECONDS = 300  # 180 MB at 5 Mbit/s; whoever is slower than that has a system package
_CONNECT_MILLISECONDS = "10000"  # a firewall that swallows packets costs this, three times
_APT_SECONDS = 420


class NoBrowserError(Exception):
    """No Chromium that starts; the message is one line and says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "no Chromium for the browser tests: install the package `chromium` or Google Chrome, "
            "or run `.venv/bin/playwright install --with-deps chromium`, "
            "or name one in PASSERBY_BROWSER",
        )


@functools.cache
def executable() -> str:
    """The path of a Chromium that starts; raises `NoBrowserError`. Fetches nothing."""
    for path in _candidates():
        if starts(path):
            return path
    raise NoBrowserError


def ensure() -> str:
    """Like `executable`, but fetches a Chromium when there is none. Takes minutes at worst."""
    if os.environ.get("PASSERBY_BROWSER"):
        return executable()
    for fetch in (_fetch_by_playwright, _fetch_by_apt):
        with contextlib.suppress(NoBrowserError):
            return executable()
        fetch()
    return executable()


def _candidates() -> Iterator[str]:
    named = os.environ.get("PASSERBY_BROWSER")
    if named:
        yield named
        return
    own = _playwrights_own()
    if own:
        yield own
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            yield found
    yield _MAC


def _playwrights_own() -> str:
    return _run((sys.executable, "-c", _ASK_PLAYWRIGHT), _START_SECONDS) or ""


def starts(path: str) -> bool:
    """Whether there is a browser at `path` that starts."""
    # Existing is not enough: Playwright's may lack libraries, and Ubuntu's is a stub without snap.
    return os.access(path, os.X_OK) and _run((path, "--version"), _START_SECONDS) is not None


def _fetch_by_playwright() -> None:
    _say("fetching Chromium by Playwright")
    playwright = (sys.executable, "-m", "playwright")
    environment = {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": _CONNECT_MILLISECONDS}
    _run((*playwright, "install", "--no-shell", "chromium"), _FETCH_SECONDS, environment)
    own = _playwrights_own()
    if os.access(own, os.X_OK) and not starts(own) and _root() is not None:
        _say("installing the libraries that it lacks")
        _run((*playwright, "install-deps", "chromium"), _APT_SECONDS)


def _fetch_by_apt() -> None:
    root = _root()
    if root is None or not shutil.which("apt-get"):
        return
    _say("installing the package chromium")
    apt = (*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq")
    apt += ("-o", "DPkg::Lock::Timeout=60", "-o", "Acquire::http::Timeout=15")
    _run((*apt, "update"), _APT_SECONDS)
    _run((*apt, "install", "--yes", "--no-install-recommends", "chromium"), _APT_SECONDS)


def _root() -> Sequence[str] | None:
    """What goes before a command to run it as root; None when that would ask for a password."""
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo") and _run(("sudo", "-n", "true"), _START_SECONDS) is not None:
        return ("sudo", "-n")
    return None


def _run(
    command: Sequence[str],
    seconds: float,
    environment: Mapping[str, str] | None = None,
) -> str | None:
    """What the command prints, stripped; None when it fails, is missing or takes too long."""
    try:
        process = subprocess.Popen(
            command,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            process_group=0,
        )
    except OSError:
        return None
    with process:
        try:
            printed, _ = process.communicate(timeout=seconds)
        except BaseException as error:
            # The whole group: a grandchild that lived on would keep the pipe open, and us waiting.
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return None
            raise
    return printed.strip() if process.returncode == 0 else None


def _say(what: str) -> None:
    print(f"browser: {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Print the path of a Chromium that starts and return 0, or say what to install: 1."""
    try:
        print(ensure())
    except NoBrowserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
