"""How long a phone works for a session under suspicion, at the lowest and the highest level, in a real browser."""

import contextlib
import functools
import statistics
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from altcha import create_challenge
from playwright.async_api import Page, async_playwright

from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import ADDRESS, PROJECT_FOLDER, MeasurementError, Passerby
from passerby.safety.pressure import HIGHEST
from passerby.safety.proofs import ALGORITHM, ITERATIONS, counters
from tests.e2e import browser

LIBRARY = PROJECT_FOLDER / "web" / "node_modules" / "altcha" / "dist"
"""With the solver of the web client's widget."""
THROTTLE = 4
"""A median phone is so many times slower than this machine."""
BAR = Bar(at_most=0.5, unit="s")
SOLVE = """async (challenge) => {
  const { solveChallengeWorkers } = await import('/lib/index.js');
  const began = performance.now();
  const createWorker = () => new Worker('/workers/pbkdf2.js');
  const solution = await solveChallengeWorkers({ challenge, createWorker });
  return [(performance.now() - began) / 1000, solution.counter];
}"""


async def measure(plan: Plan, _passerby: Passerby | None) -> list[Row]:
    """Let Chromium solve challenges of both levels."""
    if not LIBRARY.is_dir():
        raise MeasurementError("the web client's packages are missing: run npm --prefix web ci")
    with _library() as url:
        async with async_playwright() as playwright:
            chromium = await playwright.chromium.launch(executable_path=browser.executable(), args=list(browser.ARGS))
            page = await chromium.new_page()
            await page.goto(f"{url}/lib/")
            rows = [await _row(plan, page, 1, "lowest", BAR), await _row(plan, page, HIGHEST, "highest", None)]
            await chromium.close()
    return rows


async def _row(plan: Plan, page: Page, level: int, name: str, bar: Bar | None) -> Row:
    """Hold the median of challenges that are as hard as the level's can be, which half of a guest's are not."""
    rounds = plan.rounds if level < HIGHEST else 1
    free = await _seconds(page, level, 1, rounds)
    throttled = await _seconds(page, level, THROTTLE, rounds)
    # The browser's throttle slows the pages' own threads, but not those that compute for them: a phone has neither.
    phone = max(throttled, THROTTLE * free)
    return Row(
        what=f"proof of work at the {name} level, hardest challenge, CPU throttled {THROTTLE} x",
        passerby=f"{phone:.2f} s; half of that on average",
        beside=f"{counters(level):,} keys: {free:.2f} s, throttled {throttled:.2f} s",
        result=phone,
        bar=bar,
        values={"free": free, "throttled": throttled},
    )


async def _seconds(page: Page, level: int, throttle: int, rounds: int) -> float:
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    seconds = []
    for _ in range(rounds):
        taken, counter = await page.evaluate(SOLVE, _challenge(counters(level)))
        assert counter == counters(level)
        seconds.append(float(taken))
    await session.detach()
    return statistics.median(seconds)


def _challenge(counter: int) -> dict[str, Any]:
    made = create_challenge(ALGORITHM, ITERATIONS, counter=counter, hmac_secret=b"any", hmac_key_secret=b"other")
    return made.to_dict()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def _library() -> Iterator[str]:
    """Serve the solver; return the URL. A page of this machine may use the browser's cryptography."""
    server = ThreadingHTTPServer((ADDRESS, 0), functools.partial(_Quiet, directory=str(LIBRARY)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{ADDRESS}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
