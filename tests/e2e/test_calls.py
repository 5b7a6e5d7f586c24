"""Calls: they connect, say what happens, come back when they can, and end cleanly."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import ViewportSize, expect

from tests.e2e.calling import (
    ANOTHER_PATH,
    NOTHING_IS_OPEN,
    PATH,
    call,
    devices,
    is_active,
    is_over,
    keep_connections,
    see_each_other,
)
from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import CUT_OFF, LAPTOP, LOW_CONTRAST, PHONE, everything_is_named
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

# Whether there is a sound of the other before so much of silence has passed: a device that is not real beeps.
# Each look takes in the last two thirds of a second, so that none of it escapes a page that has little time.
SOUNDS = """
(milliseconds) => new Promise((resolve) => {
  const { srcObject } = document.querySelector('[data-testid="remote-video"]');
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 32768 });
  const source = context.createMediaStreamSource(new MediaStream(srcObject.getAudioTracks()));
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const listen = () => {
    analyser.getFloatTimeDomainData(samples);
    const sounds = samples.some((sample) => Math.abs(sample) > 0.01);
    if (!sounds && context.currentTime * 1000 < milliseconds) setTimeout(listen, 20);
    else context.close().then(() => resolve(sounds));
  };
  listen();
})
"""
A_WHILE_MS = 1500
"""The device that is not real beeps once in a second."""
PATIENCE_MS = 15_000
"""A sound comes within this."""

# Controls that something else lies over, once they are scrolled to.
COVERED = """
() => Array.from(document.querySelectorAll('[data-testid="call"] [role="group"] button'))
  .filter((button) => {
    button.scrollIntoView({ block: 'nearest' });
    const { left, top, width, height } = button.getBoundingClientRect();
    return [0.1, 0.5, 0.9].some((part) => {
      const hit = document.elementFromPoint(left + width / 2, top + height * part);
      return !button.contains(hit);
    });
  })
  .map((button) => button.dataset.testid)
"""

# Nobody is given a device before `letDevicesGo()`.
HOLD_DEVICES = """
() => {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const leave = new Promise((resolve) => { window.letDevicesGo = resolve });
  navigator.mediaDevices.getUserMedia = (wanted) => leave.then(() => ask(wanted));
}
"""

# Where a control stands, and what the line above it says: on a busy machine the connection may become weak meanwhile,
# and longer words move what is below them.
PLACE = """
({ offsetLeft, offsetTop }) =>
  [offsetLeft, offsetTop, document.querySelector('[data-testid="call-state"]').textContent]
"""
PHONE_ON_ITS_SIDE: ViewportSize = {"width": PHONE["height"], "height": PHONE["width"]}

SEES_NOTHING = """
() => document.querySelector('[data-testid="remote-video"]').matches('.unseen')
"""


async def hears(visitor: Visitor, within_ms: float = PATIENCE_MS) -> bool:
    sounds: bool = await visitor.page.evaluate(SOUNDS, within_ms)
    return sounds


async def falls_silent(visitor: Visitor) -> None:
    """Play what was on its way, and then nothing."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while await hears(visitor, A_WHILE_MS):
            pass


async def test_a_video_call_shows_each_the_other_and_ends_cleanly(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await anna.part("call-video").click()
        await expect(anna.part("preview")).to_be_visible()
        await expect(anna.part("hide-address")).to_have_count(0)  # without a relay there is no choice
        await anna.part("join-call").click()
        await expect(anna.part("call")).to_have_attribute("data-state", "calling")
        await expect(berta.part("call-incoming")).to_contain_text("is calling, with video")
        assert "is calling" in await berta.page.title()
        await everything_is_named(berta)
        await berta.part("answer-video").click()
        await berta.part("join-call").click()
        await is_active(anna, berta)
        await see_each_other(anna, berta)
        assert all(await asyncio.gather(hears(anna), hears(berta)))
        await everything_is_named(anna)
        await expect(anna.part("call-time")).to_have_text(re.compile(r"^0:(0[3-9]|[1-5]\d)$"))

        # Text goes on beside it.
        await anna.say("I can see you")
        await berta.sees("I can see you")

        # By the keyboard, the own picture moves to another corner.
        own = anna.part("self-view")
        await own.focus()
        await anna.page.keyboard.press("ArrowUp")
        await anna.page.keyboard.press("ArrowLeft")
        await expect(own).to_have_attribute("data-corner", "top-left")

        await anna.part("hang-up").click()
        await is_over(anna, "Video call", "You called", "0:")
        await is_over(berta, "Video call", f"{await berta.partner()} called", "0:")
        await expect(anna.composer).to_be_focused()
        for visitor in (anna, berta):
            await visitor.page.wait_for_function(NOTHING_IS_OPEN)


async def test_mute_and_camera_off_and_on_reach_the_other(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "video")
        await see_each_other(berta)
        await anna.part("mute").click()
        await expect(anna.part("call-state")).to_contain_text("You are muted")
        await falls_silent(berta)
        await anna.part("mute").click()
        assert await hears(berta)

        await anna.part("camera").click()
        await berta.page.wait_for_function(SEES_NOTHING)
        await expect(anna.part("self-view")).to_have_count(0)
        lit = "window.tracks.filter(({ kind, readyState }) => kind === 'video' && readyState === 'live').length"
        assert await anna.page.evaluate(lit) == 0  # the camera's light is off
        await anna.part("camera").click()
        await see_each_other(berta)
        await see_each_other(anna)
        await berta.part("hang-up").click()
        await is_over(anna, "Video call")


async def test_pictures_join_an_audio_call(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "audio")
        assert all(await asyncio.gather(hears(anna), hears(berta)))
        await berta.part("camera").click()
        await see_each_other(anna)
        await anna.part("camera").click()
        await see_each_other(anna, berta)
        await anna.part("hang-up").click()
        await is_over(berta, "Audio call")
        for visitor in (anna, berta):
            await visitor.page.wait_for_function(NOTHING_IS_OPEN)


async def test_both_add_their_camera_at_once(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "audio")
        await asyncio.gather(anna.part("camera").click(), berta.part("camera").click())
        await see_each_other(anna, berta)
        await anna.part("hang-up").click()
        await is_over(berta, "Audio call")


async def test_both_calling_at_once_is_one_call(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        # Neither is told of the other's call before both have pressed.
        for visitor in (anna, berta):
            await visitor.page.evaluate(HOLD_DEVICES)
            await visitor.part("call-audio").click()
        await asyncio.gather(*(visitor.page.evaluate("letDevicesGo()") for visitor in (anna, berta)))
        await is_active(anna, berta)
        await anna.part("hang-up").click()
        await is_over(anna, "Audio call")
        await is_over(berta, "Audio call")
        await expect(anna.part("call-line")).to_have_count(1)


async def test_a_call_is_declined(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna):
        await anna.part("call-audio").click()
        await berta.part("decline").click()
        await is_over(anna, f"{await anna.partner()} declined your audio call")
        await is_over(berta, "You declined")
        await anna.page.wait_for_function(NOTHING_IS_OPEN)


async def test_a_call_that_is_cancelled_is_a_missed_one(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna):
        await anna.part("call-audio").click()
        await expect(berta.part("call-incoming")).to_be_visible()
        await anna.part("hang-up").click()
        await is_over(anna, "You cancelled your audio call")
        await is_over(berta, f"You missed {await berta.partner()}")
        await expect(berta.part("call-incoming")).to_have_count(0)


async def test_a_video_call_is_taken_without_camera(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "video", answer="audio")
        await see_each_other(berta)
        await anna.page.wait_for_function(SEES_NOTHING)
        assert await hears(anna)
        await berta.part("camera").click()
        await see_each_other(anna)
        await anna.part("hang-up").click()
        await is_over(berta, "Video call")


async def test_without_leave_to_use_a_device_one_can_still_join(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna):
        await anna.part("call-audio").click()
        await berta.part("answer-audio").click()
        await expect(berta.part("call-state")).to_contain_text("The microphone is blocked for this page.")
        await everything_is_named(berta)
        await berta.part("join-less").click()
        await is_active(anna, berta)
        assert await hears(berta)
        await berta.part("mute").click()
        await expect(berta.part("media-notice")).to_contain_text("so nobody hears you")
        await berta.part("hang-up").click()
        await is_over(anna, "Audio call")


async def test_with_the_camera_blocked_one_joins_with_sound(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, camera=False), devices(berta):
        await anna.part("call-video").click()
        await expect(anna.part("call-state")).to_contain_text("The camera is blocked for this page.")
        await anna.part("join-less").click()
        await anna.part("join-call").click()
        await berta.part("answer-video").click()
        await berta.part("join-call").click()
        await is_active(anna, berta)
        await see_each_other(anna)
        assert await hears(berta)
        await berta.part("hang-up").click()
        await is_over(anna, "Video call")


async def test_a_screen_is_shared(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "audio")
        await anna.part("share-screen").click()
        await expect(anna.part("share-screen")).to_have_attribute("data-on", "true")
        await berta.page.wait_for_function(
            """() => document.querySelector('[data-testid="remote-video"]:not(.unseen)')?.videoWidth > 0"""
        )
        await anna.part("share-screen").click()
        await berta.page.wait_for_function(SEES_NOTHING)
        await anna.part("hang-up").click()
        await is_over(berta, "Audio call")
        await anna.page.wait_for_function(NOTHING_IS_OPEN)


async def test_after_a_reload_the_call_is_joined_again(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "video")
        await see_each_other(anna)
        for visitor, other in ((anna, berta), (berta, anna)):
            await visitor.page.reload()
            await visitor.part("rejoin-video").click()
            await is_active(visitor, other)
            await see_each_other(visitor, other)
        await berta.part("hang-up").click()
        await is_over(anna, "Video call")
        await expect(anna.part("call-line")).to_have_count(1)


async def test_after_a_reload_it_still_rings(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await anna.part("call-audio").click()
        await expect(berta.part("call-incoming")).to_be_visible()
        await berta.page.reload()
        await berta.part("answer-audio").click()
        await is_active(anna, berta)
        await anna.part("hang-up").click()
        await is_over(berta, "Audio call")


async def test_a_lost_server_keeps_the_call(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine))
    anna.expect_complaint()
    async with devices(anna, berta):
        await call(anna, berta, "audio")
        mine.cut()
        await anna.sees_connection("Reconnecting…")
        assert await hears(berta)
        mine.mend()
        await anna.sees_connection("Connected")
        await berta.part("camera").click()
        await see_each_other(anna)
        await anna.part("hang-up").click()
        await is_over(berta, "Audio call")


async def test_a_lost_path_is_said_and_another_is_looked_for(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await keep_connections(anna)
        await call(anna, berta, "video")
        # No browser loses packets at a word, so that it only says that it does; the restart is a real one.
        before = await anna.page.evaluate(PATH)
        await anna.page.evaluate(
            """() => {
              const [connection] = window.connections;
              Object.defineProperty(connection, 'connectionState', { value: 'disconnected', configurable: true });
              connection.dispatchEvent(new Event('connectionstatechange'));
            }"""
        )
        await expect(anna.part("call")).to_have_attribute("data-state", "recovering")
        await expect(anna.part("call-state")).to_contain_text("Trying again")
        await anna.page.wait_for_function(ANOTHER_PATH, arg=before)
        await anna.page.evaluate(
            """() => {
              const [connection] = window.connections;
              delete connection.connectionState;
              connection.dispatchEvent(new Event('connectionstatechange'));
            }"""
        )
        await is_active(anna, berta)
        await see_each_other(anna, berta)
        await anna.part("hang-up").click()
        await is_over(berta, "Video call")


async def test_both_looking_for_another_path_at_once_see_each_other_all_along(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await keep_connections(anna, berta)
        await call(anna, berta, "video")
        for _ in range(3):  # that the offers cross is very likely, not certain
            await see_each_other(anna, berta)
            before = [await visitor.page.evaluate(PATH) for visitor in (anna, berta)]
            another_network = "dispatchEvent(new Event('online'))"
            await asyncio.gather(*(visitor.page.evaluate(another_network) for visitor in (anna, berta)))
            for visitor, path in zip((anna, berta), before, strict=True):
                await visitor.page.wait_for_function(ANOTHER_PATH, arg=path)
        await see_each_other(anna, berta)
        await anna.part("hang-up").click()
        await is_over(berta, "Video call")


async def test_an_unplugged_device_is_said_and_the_call_goes_on(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "video")
        unplug = """(kind) => window.tracks.filter((track) => track.kind === kind).forEach((track) => {
          track.stop();
          track.dispatchEvent(new Event('ended'));
        })"""
        await anna.page.evaluate(unplug, "video")
        await expect(anna.part("media-notice")).to_contain_text("Your camera was unplugged.")
        await berta.page.wait_for_function(SEES_NOTHING)
        await anna.page.evaluate(unplug, "audio")
        await expect(anna.part("media-notice")).to_contain_text("You are heard by another one now.")
        assert await hears(berta)
        # Another one can be chosen, too.
        await anna.part("call-settings").click()
        await anna.part("choose-microphone").select_option(index=1)
        assert await hears(berta)
        await anna.part("hang-up").click()
        await is_over(berta, "Video call")


@pytest.mark.parametrize("settings", [{"turn_urls": "turn:127.0.0.1:9", "turn_secret": "secret"}])
async def test_a_guest_may_hide_their_address_where_there_is_a_relay(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna):
        await anna.page.evaluate(
            """() => {
              window.policies = [];
              const Original = RTCPeerConnection;
              window.RTCPeerConnection = class extends Original {
                constructor(configuration) {
                  super(configuration);
                  window.policies.push(configuration.iceTransportPolicy);
                }
              };
            }"""
        )
        await anna.part("call-audio").click()
        await anna.part("hide-address").check()
        await anna.part("join-call").click()
        await expect(berta.part("call-incoming")).to_be_visible()
        await expect(berta.part("hide-address")).not_to_be_checked()
        assert await anna.page.evaluate("window.policies") == ["relay"]
        await anna.part("hang-up").click()
        await is_over(berta, "You missed")


@pytest.mark.parametrize("settings", [{"grace": "2"}])
async def test_when_a_page_is_gone_the_other_is_told(street: Street) -> None:
    anna, berta = await street.pair()
    name = await anna.partner()
    async with devices(anna, berta):
        await call(anna, berta, "audio")
        await berta.go_away()
        await anna.sees_ended(f"{name} lost the connection and did not come back.")
        await is_over(anna, "Audio call")
        await anna.page.wait_for_function(NOTHING_IS_OPEN)


@pytest.mark.parametrize("settings", [{"call_return": "1"}])
async def test_a_call_does_not_wait_long_for_a_page_that_was_closed(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "video")
        await berta.go_away()
        await is_over(anna, "Video call")
        await anna.page.wait_for_function(NOTHING_IS_OPEN)
        await berta.page.go_back()
        await is_over(berta, "Video call")
        await berta.say("Sorry, wrong button")  # the conversation waits longer
        await anna.sees("Sorry, wrong button")


async def test_moving_on_ends_the_call(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "audio")
        await anna.part("leave").click()
        await expect(anna.part("start")).to_be_visible()
        await berta.sees_ended("has moved on")
        await is_over(berta, "Audio call")
        for visitor in (anna, berta):
            await visitor.page.wait_for_function(NOTHING_IS_OPEN)


@pytest.mark.parametrize("dark", [False, True])
async def test_on_a_phone_with_large_text_nothing_is_cut_off(street: Street, dark: bool) -> None:
    anna = await street.visitor(viewport=PHONE, dark=dark)
    anna, berta = await street.pair(anna)
    async with devices(anna, berta):
        await anna.page.evaluate("document.documentElement.style.fontSize = '200%'")
        await anna.part("call-video").click()
        await expect(anna.part("preview")).to_be_visible()
        assert await anna.page.evaluate(CUT_OFF) == []
        await anna.part("join-call").click()
        await berta.part("answer-audio").click()
        await is_active(anna, berta)
        await anna.part("call-settings").click()
        assert await anna.page.evaluate(CUT_OFF) == []
        assert await anna.page.evaluate(LOW_CONTRAST) == []
        await anna.part("hang-up").click()
        await berta.part("call-video").click()
        await berta.part("join-call").click()
        await expect(anna.part("call-incoming")).to_be_visible()
        assert await anna.page.evaluate(CUT_OFF) == []
        assert await anna.page.evaluate(LOW_CONTRAST) == []
        await anna.part("decline").click()


@pytest.mark.parametrize("text", ["100%", "200%"])
async def test_nothing_lies_over_the_controls(street: Street, text: str) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await call(anna, berta, "video")
        await see_each_other(anna)
        await anna.page.evaluate("size => { document.documentElement.style.fontSize = size }", text)
        for viewport in (PHONE, PHONE_ON_ITS_SIDE, LAPTOP):
            await anna.resize(viewport)
            assert await anna.page.evaluate(COVERED) == []
            while True:
                *before, words = await anna.part("hang-up").evaluate(PLACE)
                await anna.part("call-settings").click()
                await expect(anna.part("choose-camera")).to_be_visible()
                *after, words_then = await anna.part("hang-up").evaluate(PLACE)
                if words == words_then:
                    break
                await anna.part("call-settings").click()
                await expect(anna.part("choose-camera")).to_be_hidden()
            assert after == before
            assert await anna.page.evaluate(COVERED) == []
            for choice in ("microphone", "camera", "speaker"):
                await anna.part(f"choose-{choice}").click(trial=True)
            await anna.part("call-settings").click()
        await anna.part("hang-up").click()
        await is_over(berta, "Video call")
