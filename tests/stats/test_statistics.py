from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from passerby.models import Stats
from passerby.stats.counters import Tally
from passerby.stats.events import RealtimeStats
from tests.support.house import GRACE, House, Person


class Crowd:
    """Other nodes."""

    def __init__(self, *, is_first: bool = False, count: int = 2) -> None:
        self.is_first = is_first
        self.count = count
        self.hears = True
        self.nodes = {"this", "that"}
        self.announced = 0
        self.gathered = 0
        self.shares: list[bytes] = []
        self.told: list[RealtimeStats] = []

    async def announce(self) -> bool:
        self.announced += 1
        return self.hears

    async def gather(self) -> list[bytes]:
        self.gathered += 1
        return self.shares

    def tell(self, event: bytes) -> None:
        self.told.append(msgspec.json.decode(event, type=RealtimeStats))


@asynccontextmanager
async def one_of_several(house: House, crowd: Crowd) -> AsyncIterator[Crowd]:
    """Be one of several nodes."""
    house.stats.others = crowd
    async with house.repeating(house.stats.pass_on), house.repeating(house.stats.broadcast):
        yield crowd


async def snapshot_of(*names: str) -> bytes:
    """Return a broadcast of another node, with its guests."""
    elsewhere = House()
    for name in names:
        await elsewhere.visitor(name)
        elsewhere.clock.advance(1)
    return msgspec.json.encode(await elsewhere.stats.snapshot())


def shown(event: RealtimeStats) -> list[str]:
    return [user.username for user in event.online_users]


if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def house() -> House:
    return House()


def times(house: House, person: Person) -> list[float]:
    return [when for when, _, audience in house.published if any(live.guest.id == person.id for live in audience)]


async def recount(house: House) -> Stats:
    """Check the counts against a count of all guests and rooms; return them."""
    stats = await house.stats.stats()
    lives = house.lives()
    online = [live for live in lives if live.link is not None]
    rooms = {id(live.member.room) for live in lives if live.member is not None}
    assert stats.total_users == await house.adapters.store.count()
    assert stats.online_users == len(online)
    assert stats.available_users == sum(live.member is None for live in online)
    assert stats.connected_users == len(rooms)
    return stats


async def test_an_empty_house_counts_nothing(house: House) -> None:
    assert msgspec.to_builtins(await recount(house)) == {
        "totalUsers": 0,
        "onlineUsers": 0,
        "activeUsers": 0,
        "availableUsers": 0,
        "connectedUsers": 0,
    }


async def test_the_counts_of_everyday_life(house: House) -> None:
    await house.newcomer()
    anna, _ = await house.pair()
    seeker = await house.visitor()
    await seeker.search()
    await house.visitor()
    stats = await recount(house)
    assert (stats.total_users, stats.online_users, stats.available_users, stats.connected_users) == (5, 4, 2, 1)

    anna.drop()
    await house.settle()
    stats = await recount(house)
    assert (stats.total_users, stats.online_users, stats.available_users, stats.connected_users) == (5, 3, 2, 1)

    await house.pass_time(GRACE)
    stats = await recount(house)
    assert (stats.total_users, stats.online_users, stats.available_users, stats.connected_users) == (4, 3, 3, 0)


async def test_active_users_are_the_connected_and_the_schema_says_so(house: House) -> None:
    """The `active_user_count` of the data model: increases with every connection, decreases when it ends."""
    await house.newcomer()
    await house.pair()
    await house.visitor()
    seeker = await house.visitor()
    await seeker.search()
    schema = msgspec.json.schema(Stats)["$defs"]["Stats"]["properties"]["activeUsers"]

    assert (await house.stats.stats()).active_users == 4
    assert "search or talk" not in schema["description"], "that would be a different count"


async def test_those_who_came_last_are_shown_and_no_more_than_the_sample() -> None:
    house = House(online_sample=3)
    people = [await house.visitor() for _ in range(5)]
    people[4].drop()

    shown = house.stats.online_users()

    assert [user.id for user in shown] == [people[3].id, people[2].id, people[1].id]
    assert all(user.is_online for user in shown)


async def test_the_list_holds_no_session_id(house: House) -> None:
    people = [await house.visitor() for _ in range(3)]
    text = msgspec.json.encode(await house.stats.snapshot()).decode()

    assert all(person.id in text for person in people)
    assert not any(person.session_id in text or person.token in text for person in people)


async def test_the_first_change_is_told_at_once(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        anna = await house.visitor()

        assert times(house, anna) == [0.0]
        assert anna.link.last(RealtimeStats).stats.online_users == 1


async def test_without_a_change_nothing_is_told(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        await house.visitor()
        await house.pass_time(60)

        assert len(house.published) == 1


async def test_changes_within_a_second_are_told_together_and_exactly(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        anna = await house.visitor()
        await house.pass_time(0.2)
        people = [await house.visitor() for _ in range(9)]
        await house.pass_time(0.2)
        people[0].drop()
        await house.pass_time(5)

        assert times(house, anna) == [0.0, 1.0]
        assert anna.link.last(RealtimeStats).stats == await recount(house)
        assert anna.link.last(RealtimeStats).stats.online_users == 9


async def test_after_a_quiet_while_a_change_is_told_at_once_again(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        anna = await house.visitor()
        await house.pass_time(30)
        await house.visitor()

        assert times(house, anna) == [0.0, 30.0]


async def test_unending_change_is_told_once_a_second(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        anna = await house.visitor()
        for _ in range(40):
            house.stats.changed()
            await house.pass_time(0.125)

        assert times(house, anna) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


async def test_a_newcomer_in_between_sees_the_last_counts_at_once(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        await house.visitor()
        await house.pass_time(0.3)
        berta = await house.visitor()
        assert [event.stats.online_users for event in berta.link.of(RealtimeStats)] == [1]
        await house.pass_time(1)

        assert [event.stats.online_users for event in berta.link.of(RealtimeStats)] == [1, 2]


async def test_a_newcomer_after_a_quiet_while_sees_only_fresh_counts(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        await house.visitor()
        await house.pass_time(30)
        berta = await house.visitor()
        await house.pass_time(30)

        assert [event.stats.online_users for event in berta.link.of(RealtimeStats)] == [2]


async def test_a_search_and_a_match_are_changes_too(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        anna, berta = await house.visitor(), await house.visitor()
        await house.pass_time(2)
        await anna.search()
        await house.pass_time(2)
        assert any(user.is_searching for user in berta.link.last(RealtimeStats).online_users if user.id == anna.id)
        await berta.search()
        await house.pass_time(2)

        assert berta.link.last(RealtimeStats).stats.connected_users == 1
        house.rooms.leave(anna.live, "user_left")
        await house.pass_time(2)
        assert berta.link.last(RealtimeStats).stats.connected_users == 0


async def test_a_large_house_is_told_in_slices_within_the_frames_of_a_second() -> None:
    frames = 100
    house = House(stats_frames=frames)
    people = [await house.visitor() for _ in range(250)]
    async with house.repeating(house.stats.broadcast):
        await house.pass_time(20)
        assert len(house.published) > 1
        first = house.published[0][1]
        assert all(event is first for _, event, _ in house.published), (
            "the same event object, so that it is encoded once"
        )
        heard = Counter(live.guest.id for _, _, audience in house.published for live in audience)
        assert heard == {person.id: 1 for person in people}

        house.stats.changed()
        await house.pass_time(20)

        sent = [(when, len(audience)) for when, _, audience in house.published]
        for begin, _ in sent:
            assert sum(size for when, size in sent if begin <= when < begin + 0.999) <= frames
        assert sum(size for _, size in sent) == 500


async def test_the_expired_grace_is_told_exactly(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        anna, berta = await house.pair()
        await house.pass_time(3)
        anna.drop()
        await house.pass_time(GRACE + 3)

        last = berta.link.last(RealtimeStats)
        assert last.stats == await recount(house)
        assert (last.stats.total_users, last.stats.online_users, last.stats.connected_users) == (1, 1, 0)


async def test_an_end_in_the_moment_in_which_statistics_are_due_is_told_too(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        anna, berta = await house.visitor(), await house.visitor()
        await house.pass_time(3)
        anna.drop()
        await house.pass_time(GRACE - 1.2)
        carla = await house.visitor()  # so the next statistics are due a second later, 0.2 s before Anna's expiry
        await house.pass_time(0.5)
        house.clock.advance(1)  # as in a busy process, both are due in one event loop iteration
        await house.pass_time(3)

        assert berta.link.last(RealtimeStats).stats == await recount(house)
        assert carla.link.last(RealtimeStats).stats.total_users == 2


async def test_the_end_of_a_session_is_told_exactly(house: House) -> None:
    async with house.repeating(house.stats.broadcast):
        anna, berta = await house.pair()
        await house.pass_time(3)
        await house.presence.end(anna.live.guest)
        await house.pass_time(3)

        last = berta.link.last(RealtimeStats)
        assert last.stats == await recount(house)
        assert last.stats.total_users == 1


async def test_few_frames_a_second_are_kept_too() -> None:
    house = House(stats_frames=4)
    for _ in range(10):
        await house.visitor()
    async with house.repeating(house.stats.broadcast):
        await house.pass_time(10)

    assert [when for when, _, _ in house.published] == [pytest.approx(number / 4) for number in range(10)]


# ── several nodes ─────────────────────────────────────────────────────────────────────────────────


async def test_a_node_leaves_broadcasts_to_the_first(house: House) -> None:
    async with one_of_several(house, Crowd()) as crowd:
        anna = await house.visitor("Anna")
        assert crowd.announced == 1
        await house.visitor("Berta")
        await house.pass_time(1.9)
        assert crowd.announced == 1, "the first knows already"
        assert house.published == []

        house.stats.told(await snapshot_of("Carla"))
        await house.settle()
        assert shown(anna.link.last(RealtimeStats)) == ["Carla"]
        assert crowd.announced == 2, "of Berta, who may have come too late"
        assert crowd.told == []
        assert len(house.published) == 1


async def test_a_newcomer_sees_what_the_first_told_less_than_an_interval_ago(house: House) -> None:
    async with one_of_several(house, Crowd()):
        await house.visitor()
        house.stats.told(await snapshot_of("Carla"))
        await house.pass_time(0.5)
        assert shown((await house.visitor()).link.last(RealtimeStats)) == ["Carla"]
        await house.pass_time(0.6)
        assert (await house.visitor()).link.of(RealtimeStats) == []


async def test_if_the_first_does_not_hear_a_node_has_broadcasts_of_its_own(house: House) -> None:
    async with one_of_several(house, Crowd()) as crowd:
        crowd.hears = False
        anna = await house.visitor("Anna")
        assert shown(anna.link.last(RealtimeStats)) == ["Anna"]
        await house.visitor("Berta")
        await house.pass_time(1)
        assert times(house, anna) == [0.0, 1.0]
        assert crowd.told == []

        crowd.hears = True
        await house.visitor("Carla")
        await house.pass_time(3)
        assert times(house, anna) == [0.0, 1.0]


async def test_if_nothing_comes_from_the_first_it_is_told_again(house: House) -> None:
    async with one_of_several(house, Crowd()) as crowd:
        await house.visitor()
        await house.pass_time(1.9)
        assert crowd.announced == 1
        await house.pass_time(0.2)
        assert crowd.announced == 2


async def test_a_node_that_becomes_the_first_makes_a_broadcast_at_once(house: House) -> None:
    async with one_of_several(house, Crowd()) as crowd:
        anna = await house.visitor("Anna")
        await house.pass_time(3)
        await house.adapters.counters.report("gone", Tally(online=7), 100)
        crowd.is_first = True
        await house.stats.forget("gone")
        await house.settle()

        assert anna.link.last(RealtimeStats).stats.online_users == 1
        assert len(crowd.told) == 1


async def test_when_there_are_other_nodes_than_before_a_broadcast_is_due(house: House) -> None:
    async with one_of_several(house, Crowd(is_first=True)) as crowd, house.repeating(house.stats.heartbeat):
        anna = await house.visitor("Anna")
        await house.pass_time(10)
        assert times(house, anna) == [0.0]
        crowd.nodes = {"this"}
        await house.pass_time(2)
        assert len(times(house, anna)) == 2
        crowd.nodes = {"this", "that", "other"}
        await house.pass_time(2)
        assert len(times(house, anna)) == 3
        await house.pass_time(10)
        assert len(times(house, anna)) == 3


async def test_the_first_tells_the_others_what_all_have() -> None:
    house = House(online_sample=4)
    async with one_of_several(house, Crowd(is_first=True)) as crowd:
        elsewhere = House(clock=house.clock)
        for name in ("Carla", "Dora"):
            house.clock.advance(1)
            await elsewhere.visitor(name)
        house.clock.advance(1)
        anna = await house.visitor("Anna")
        house.clock.advance(1)
        await elsewhere.visitor("Emma")
        crowd.shares = [await elsewhere.stats.share()]
        house.clock.advance(1)
        await house.visitor("Berta")
        await house.pass_time(2)

        assert shown(crowd.told[-1]) == ["Berta", "Emma", "Anna", "Dora"]
        assert anna.link.last(RealtimeStats) == crowd.told[-1]
        crowd.shares.append(await house.stats.share())  # as of guests who have just moved
        house.stats.changed()
        await house.pass_time(2)
        assert shown(crowd.told[-1]) == ["Berta", "Emma", "Anna", "Dora"], "each once"


async def test_others_are_asked_at_most_once_an_interval_by_those_who_look(house: House) -> None:
    crowd = Crowd()
    house.stats.others = crowd
    for _ in range(5):
        await asyncio.gather(*(house.stats.snapshot() for _ in range(5)))
    assert crowd.gathered == 1
    await house.pass_time(1)
    await house.stats.snapshot()
    assert crowd.gathered == 2


async def test_of_several_broadcasts_that_come_during_one_only_the_last_is_passed_on() -> None:
    house = House(stats_frames=100)
    for _ in range(25):
        await house.visitor()
    async with one_of_several(house, Crowd(count=4)):
        house.stats.told(await snapshot_of("Anna"))
        await house.settle()
        house.stats.told(await snapshot_of("Berta"))
        house.stats.told(await snapshot_of("Carla"))
        await house.pass_time(3)

        heard = [name for _, event, audience in house.published for name in shown(event) * len(audience)]
        assert heard == ["Anna"] * 25 + ["Carla"] * 25
        assert house.published[12][0] == pytest.approx(24 / 25), "a fourth of the frames"
