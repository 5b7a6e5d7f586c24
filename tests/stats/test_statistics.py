from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest

from passerby.models import Stats
from passerby.stats.events import RealtimeStats
from tests.support.house import GRACE, House, Person

if TYPE_CHECKING:
    pass


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
