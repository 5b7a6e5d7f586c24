"""What a browser is known by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from passerby.safety.devices import Devices, digest_of, under_age
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from tests.support.server import InsideServer


def devices(clock: ManualClock | None = None, *keys: bytes) -> Devices:
    return Devices(clock or ManualClock(), lambda _purpose: keys or (b"key",))


def test_an_id_says_when_it_was_made() -> None:
    clock = ManualClock()
    one = devices(clock)
    first = one.read(None)
    text = one.text(first)
    clock.advance(1000)
    assert one.read(text) == first
    assert one.read(one.text(under_age(first))).is_under_age
    assert digest_of(text) == first.digest


def test_an_id_outlives_a_change_of_the_secret_and_is_new_after_a_loss() -> None:
    text = devices(None, b"old").text(devices().read(None))
    known = devices(None, b"new", b"old").read(text)
    lost = devices(None, b"new").read(text)
    assert known.digest == lost.digest == digest_of(text)


@given(st.binary(min_size=0, max_size=60), st.integers(0, 43), st.integers(1, 255))
def test_nobody_makes_or_changes_an_id(noise: bytes, place: int, change: int) -> None:
    one = devices()
    assert not one.read(noise.decode("latin-1")).is_under_age
    made = one.text(one.read(None))
    letters = list(made)
    letters[place] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[change % 64]
    changed = one.read("".join(letters))
    assert changed.since <= int(ManualClock().time())
    assert not changed.is_under_age


async def test_a_browser_gets_an_id_and_keeps_it(server: InsideServer) -> None:
    first = (await server.http.post("/api/guest")).json()["data"]["device"]
    again = (await server.http.post("/api/guest", headers={"Device": first})).json()["data"]["device"]
    other = (await server.http.post("/api/guest", headers={"Device": "x" * 44})).json()["data"]["device"]
    assert first == again
    assert other != first
    assert len(other) == 44


async def test_a_block_holds_for_the_browser(server: InsideServer) -> None:
    made = (await server.http.post("/api/guest")).json()["data"]
    again = (await server.http.post("/api/guest", headers={"Device": made["device"]})).json()["data"]
    guests = [await server.application.services.guests.authenticate(data["token"]) for data in (made, again)]
    roots = {guest.root for guest, _ in guests}
    assert len(roots) == 1
    assert made["device"] not in repr(again["user"])
