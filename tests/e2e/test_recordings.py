"""What one browser records, another one plays: Firefox and Chromium, both ways."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.e2e import firefox as gecko
from tests.e2e.conftest import Street
from tests.e2e.firefox import Firefox, Tab
from tests.e2e.test_files import is_recording, microphone, record
from tests.e2e.visitor import STORAGE_KEY
from tests.media import studio
from tests.support.conversation import Two
from tests.support.server import RunningServer, http_client

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

# Plays to the end, seeks back from there, and plays to the end again.
PLAY = """
async (media) => {
  const happens = (name) => new Promise((resolve, reject) => {
    media.addEventListener(name, resolve, { once: true });
    media.addEventListener('error', () => reject(new Error(media.error.message)), { once: true });
  });
  const play = async () => {
    const ended = happens('ended');
    await media.play();
    await ended;
  };
  media.muted = true;
  if (media.readyState === 0) await happens('loadedmetadata');
  const { duration } = media;
  await play();
  const sought = happens('seeked');
  media.currentTime = 0.75 * duration;
  await sought;
  const { currentTime } = media;
  await play();
  return { duration, sought: currentTime / duration };
}
"""
PLAY_ADDRESS = f"([kind, src]) => ({PLAY})(Object.assign(document.createElement(kind), {{ src }}))"
DURATION = """
(src) => new Promise((resolve, reject) => {
  const film = Object.assign(document.createElement('video'), { src });
  film.addEventListener('loadedmetadata', () => resolve(film.duration));
  film.addEventListener('error', () => reject(new Error(film.error.message)));
})
"""
AS_BASE64 = "(bytes) => btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join(''))"

VOICE = """document.querySelector('[data-testid="voice"] audio')"""
FETCH_VOICE = f"""
async () => {{
  const answer = await fetch({VOICE}.src);
  return [answer.headers.get('content-type'), ({AS_BASE64})(await answer.arrayBuffer())];
}}
"""

# As a page does it that we did not write: with the browser's recorder and nothing else.
RECORD = f"""
async (wanted, mimeType) => {{
  const stream = await navigator.mediaDevices.getUserMedia(wanted);
  const recorder = new MediaRecorder(stream, {{ mimeType }});
  const parts = [];
  recorder.addEventListener('dataavailable', ({{ data }}) => {{
    parts.push(data);
    if (parts.length === 3 && recorder.state === 'recording') recorder.stop();
  }});
  await new Promise((resolve) => {{
    recorder.addEventListener('stop', resolve);
    recorder.start(500);
  }});
  for (const track of stream.getTracks()) track.stop();
  return ({AS_BASE64})(await new Blob(parts).arrayBuffer());
}}
"""

IS_RECORDING = """
() => /^0:(0[1-9]|[1-5]\\d)$/.test(document.querySelector('[data-testid="recorder-time"]')?.textContent ?? '')
"""
HAS_VOICE = f"() => {VOICE} !== null"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def firefox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Firefox]:
    try:
        async with gecko.running(tmp_path_factory.mktemp("firefox")) as running:
            yield running
    except gecko.NoFirefoxError as error:
        pytest.fail(str(error), pytrace=False)


@contextlib.asynccontextmanager
async def guest(firefox: Firefox, url: str) -> AsyncIterator[Tab]:
    """Someone opens the page in Firefox; afterwards the session ends, and the console must have said nothing."""
    tab = await firefox.tab(url)
    try:
        yield tab
    finally:
        token = await tab.call(f"() => JSON.parse(sessionStorage.getItem('{STORAGE_KEY}'))?.token")
        await tab.close()
        async with http_client(url) as http:
            await http.delete("/api/guest/me", headers={"Authorization": f"Bearer {token}"})
    assert firefox.complaints() == []


@contextlib.asynccontextmanager
async def two_of_the_api(url: str) -> AsyncIterator[Two]:
    """Two who use no page, but the API."""
    async with http_client(url) as http:
        server = RunningServer(url, http)
        two = await Two.meet(server)
        try:
            yield two
        finally:
            await server.close()
            for account in (two.anna, two.berta):
                await http.delete("/api/guest/me", headers=account.headers)


def plays(played: dict[str, Any], seconds: float) -> None:
    """It was as long as it is, and could be sought in."""
    assert played["duration"] == pytest.approx(seconds, abs=0.1)
    assert played["sought"] == pytest.approx(0.75, abs=0.05)


async def test_a_voice_note_of_firefox_plays_in_chromium(street: Street, firefox: Firefox) -> None:
    async with guest(firefox, street.server.url) as anna:
        berta = await street.visitor()
        await anna.press("start")
        await berta.start()
        await berta.sees_conversation()
        await anna.press("record")
        await anna.until(IS_RECORDING)
        await anna.press("recorder-send")
        await expect(berta.part("voice")).to_have_count(1)

        kind, content = await berta.page.evaluate(FETCH_VOICE)
        played = await berta.part("voice").locator("audio").evaluate(PLAY)

        assert kind == "audio/ogg"
        plays(played, studio.seconds(base64.b64decode(content)))


async def test_a_voice_note_of_chromium_plays_in_firefox(street: Street, firefox: Firefox) -> None:
    async with guest(firefox, street.server.url) as berta:
        anna = await street.visitor()
        await berta.press("start")
        await anna.start()
        await anna.sees_conversation()
        async with microphone(anna):
            await record(anna)
            await is_recording(anna)
            await anna.part("recorder-send").click()
        await berta.until(HAS_VOICE)

        _, content = await berta.call(FETCH_VOICE)
        played = await berta.call(f"() => ({PLAY})({VOICE})")

        plays(played, studio.seconds(base64.b64decode(content)))


@pytest.mark.parametrize(
    ("kind", "recorder"),
    [("audio", "audio/webm;codecs=opus"), ("video", "video/webm;codecs=vp8,opus"), ("video", "video/webm;codecs=vp8")],
)
async def test_webm_of_firefox_plays_in_chromium(street: Street, firefox: Firefox, kind: str, recorder: str) -> None:
    wanted = {"audio": "opus" in recorder, "video": kind == "video" and {"width": 160, "height": 120}}
    visitor = await street.visitor()
    tab = await firefox.tab(street.server.url)
    recording = base64.b64decode(await tab.call(RECORD, wanted, recorder))
    await tab.close()
    async with two_of_the_api(street.server.url) as two:
        info = await two.upload(recording, "recording.webm", claimed=f"{kind}/webm")

        played = await visitor.page.evaluate(PLAY_ADDRESS, [kind, info["fileUrl"]])

    assert info["mimeType"] == f"{kind}/webm"
    assert info["duration"] == pytest.approx(studio.shown(recording), abs=0.1)
    plays(played, studio.shown(recording))


async def test_films_are_as_long_as_chromium_says(street: Street) -> None:
    visitor = await street.visitor()
    async with two_of_the_api(street.server.url) as two:
        for name, film in studio.FILMS.items():
            info = await two.upload(film(), "film.mp4", claimed="video/mp4")
            duration = await visitor.page.evaluate(DURATION, info["fileUrl"])
            assert info["duration"] == pytest.approx(duration, abs=0.1), name
