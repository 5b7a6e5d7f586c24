"""A new browser begins with the lower steps of the ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from passerby.errors import Code, ConflictError
from passerby.limits import Rate
from passerby.live import CONSENT
from tests.safety.test_consent import SDP, answer, call, content_of, meet, send
from tests.support.house import House

if TYPE_CHECKING:
    from passerby.live import Member
    from passerby.models import Step
    from tests.conftest import StartServer

SECONDS = 60.0
STEPS: tuple[Step, ...] = ("links", "pictures", "files", "voice", "audio", "video")


class Talk:
    """Anna's side of a conversation with somebody whose client cannot ask."""

    def __init__(self, house: House, member: Member) -> None:
        self.house = house
        self.member = member

    @classmethod
    async def begin(cls, **settings: object) -> Talk:
        house = House(**{"new_device_seconds": SECONDS, **settings})  # type: ignore[arg-type]  # by name
        anna, _ = await house.pair()
        return cls(house, anna.live.membership())

    def has_device(self, age: float, *, features: frozenset[str] = frozenset({CONSENT})) -> None:
        self.member.live.features = features
        self.member.guest.device = "d"
        self.member.guest.device_since = self.house.clock.time() - age

    def wait(self, step: Step) -> float:
        """Return how long Anna has to wait before she can take a step."""
        try:
            assert self.house.consent.allows(self.member, step)
        except ConflictError as error:
            return error.retry_after or 0.0 if error.code == Code.NEW_DEVICE else -1.0
        return 0.0

    def alarm(self) -> None:
        for number in range(1000):
            self.house.pressure.asked(f"10.{number // 250}.{number % 250}.1")


async def test_a_new_device_waits_with_what_is_closed_to_it_and_then_does_not() -> None:
    talk = await Talk.begin()
    talk.has_device(20)
    assert [talk.wait(step) for step in STEPS] == [40, 0, 40, 0, 0, 0]
    assert talk.house.consent.checks_links(talk.member)
    talk.house.clock.advance(41)
    assert [talk.wait(step) for step in STEPS] == [0] * 6
    assert not talk.house.consent.checks_links(talk.member)


@pytest.mark.parametrize(
    "settings", [{"new_device_seconds": 0}, {"new_device_closed": ("none",)}, {"new_device_closed": ("audio",)}]
)
async def test_what_is_not_closed_is_open(settings: dict[str, object]) -> None:
    talk = await Talk.begin(**settings)
    talk.has_device(1)
    assert (talk.wait("links"), talk.wait("files")) == (0, 0)
    assert not talk.house.consent.checks_links(talk.member)


async def test_whoever_tells_no_device_is_new_while_the_house_is_under_suspicion() -> None:
    talk = await Talk.begin()
    assert [talk.wait(step) for step in STEPS] == [0] * 6
    assert not talk.house.consent.checks_links(talk.member)
    talk.alarm()
    assert [talk.wait(step) for step in STEPS] == [SECONDS, 0, SECONDS, 0, 0, 0]
    assert talk.house.consent.checks_links(talk.member)
    await talk.house.clock.run(300)
    assert [talk.wait(step) for step in STEPS] == [0] * 6


async def test_a_client_that_keeps_no_id_has_a_new_one_each_time_and_is_not_punished_for_that() -> None:
    talk = await Talk.begin()
    talk.has_device(1, features=frozenset())
    assert [talk.wait(step) for step in STEPS] == [0] * 6
    assert not talk.house.consent.checks_links(talk.member)
    talk.alarm()
    assert [talk.wait(step) for step in STEPS] == [SECONDS - 1, 0, SECONDS - 1, 0, 0, 0]


async def test_an_old_device_is_not_new_while_the_house_is_under_suspicion() -> None:
    talk = await Talk.begin()
    talk.has_device(SECONDS)
    talk.alarm()
    assert [talk.wait(step) for step in STEPS] == [0] * 6


@pytest.mark.parametrize("jump", [-1e6, 1e6])
async def test_a_clock_that_is_set_keeps_nobody_waiting_for_longer(jump: float) -> None:
    talk = await Talk.begin()
    talk.has_device(20)
    talk.house.clock.set_wall(jump)
    assert talk.wait("links") == 0


async def test_consent_does_not_make_a_device_older(start_server: StartServer) -> None:
    server = await start_server(new_device_seconds=SECONDS, calm_sessions=Rate(1, 0.001))
    await server.newcomer()
    two = await meet(server)
    await answer(two.other, "links", allowed=True)
    await two.one.until("consent:answered")
    await send(two.one, "look: https://example.com/x")
    refused = await two.one.until("chat:error")
    assert (refused["code"], refused["clientId"]) == ("new_device", "first")
    assert 0 < refused["retryAfter"] <= SECONDS
    content, kind = await content_of(two, "files")
    await send(two.one, content, kind, "second")
    assert (await two.one.until("chat:error"))["code"] == "new_device"
    await two.one.say("all right, no link")
    assert (await two.other.until("chat:message"))["content"] == "all right, no link"


async def test_calls_wait_too_if_they_are_closed(start_server: StartServer) -> None:
    server = await start_server(
        new_device_seconds=SECONDS, new_device_closed=("audio",), calm_sessions=Rate(1, 0.001), consent=("none",)
    )
    await server.newcomer()
    two = await meet(server)
    await call(two.one, SDP)
    refused = await two.one.until("webrtc:error")
    assert refused["code"] == "new_device"
