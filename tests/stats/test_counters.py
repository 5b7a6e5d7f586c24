from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.stats.counters import Tally
from tests.support.backends import BACKENDS

if TYPE_CHECKING:
    from passerby.stats.counters import Counters
    from tests.support.backends import Backend

LIFETIME = 300.0


@pytest.fixture
def counters(backend: Backend) -> Counters:
    return backend.counters()


async def test_without_reports_the_sum_is_nothing(counters: Counters) -> None:
    assert await counters.total() == Tally(online=0, chatting=0, pairs=0)


async def test_the_sum_is_over_the_nodes(counters: Counters) -> None:
    await counters.report("one", Tally(online=5, chatting=3, pairs=2), LIFETIME)
    await counters.report("two", Tally(online=70, chatting=20, pairs=10), LIFETIME)

    assert await counters.total() == Tally(online=75, chatting=23, pairs=12)


async def test_a_report_replaces_the_nodes_last_one(counters: Counters) -> None:
    await counters.report("one", Tally(online=5, chatting=3, pairs=2), LIFETIME)
    await counters.report("two", Tally(online=1, chatting=0, pairs=0), LIFETIME)
    await counters.report("one", Tally(online=2, chatting=0, pairs=0), LIFETIME)

    assert await counters.total() == Tally(online=3, chatting=0, pairs=0)


async def test_a_report_counts_until_its_deadline_and_not_at_it(backend: Backend, counters: Counters) -> None:
    await counters.report("one", Tally(online=5, chatting=4, pairs=2), 10)
    await backend.pass_time(9)
    assert await counters.total() == Tally(online=5, chatting=4, pairs=2)

    await backend.pass_time(1)

    assert await counters.total() == Tally()


async def test_a_node_that_is_gone_counts_no_longer_until_it_reports_again(counters: Counters) -> None:
    await counters.report("gone", Tally(online=5, chatting=3, pairs=2), LIFETIME)
    await counters.report("here", Tally(online=1, chatting=0, pairs=0), LIFETIME)
    for node in ("gone", "gone", "unknown"):
        await counters.forget(node)
    assert await counters.total() == Tally(online=1, chatting=0, pairs=0)

    await counters.report("gone", Tally(online=2, chatting=0, pairs=0), LIFETIME)
    assert await counters.total() == Tally(online=3, chatting=0, pairs=0)


async def test_a_lost_node_drops_out_and_the_others_stay(backend: Backend, counters: Counters) -> None:
    await counters.report("lost", Tally(online=5, chatting=4, pairs=2), 10)
    await counters.report("here", Tally(online=3, chatting=2, pairs=1), 10)
    await backend.pass_time(6)
    await counters.report("here", Tally(online=4, chatting=2, pairs=1), 10)
    await backend.pass_time(6)

    assert await counters.total() == Tally(online=4, chatting=2, pairs=1)


async def test_a_report_begins_the_lifetime_anew(backend: Backend, counters: Counters) -> None:
    await counters.report("one", Tally(online=1), 10)
    await backend.pass_time(9)
    await counters.report("one", Tally(online=1), 10)
    await backend.pass_time(9)

    assert await counters.total() == Tally(online=1)


async def test_a_node_that_was_lost_can_report_again(backend: Backend, counters: Counters) -> None:
    await counters.report("one", Tally(online=1), 10)
    await backend.pass_time(20)
    await counters.report("one", Tally(online=2), 10)

    assert await counters.total() == Tally(online=2)


async def test_simultaneous_reports_are_all_counted_once(counters: Counters) -> None:
    await asyncio.gather(
        *(
            counters.report(f"node{number % 20}", Tally(online=number % 20, chatting=1, pairs=2), LIFETIME)
            for number in range(200)
        )
    )

    assert await counters.total() == Tally(online=sum(range(20)), chatting=20, pairs=40)


COMMANDS = st.one_of(
    st.tuples(
        st.sampled_from(["one", "two", "three"]),
        st.builds(Tally, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
        st.sampled_from([5, 10, LIFETIME]),
    ),
    st.integers(1, 12),
)


@given(st.lists(COMMANDS, min_size=10, max_size=40))
@settings(max_examples=30)
async def test_any_sequence_of_commands_has_the_same_sums_in_all_counters(
    commands: list[tuple[str, Tally, float] | int],
) -> None:
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(BACKENDS[name]()) for name in sorted(BACKENDS)]
        sums = [await results(backend, commands) for backend in backends]

    assert all(each == sums[0] for each in sums), commands


async def results(backend: Backend, commands: list[tuple[str, Tally, float] | int]) -> list[Tally]:
    counters, found = backend.counters(), list[Tally]()
    for command in commands:
        if isinstance(command, int):
            await backend.pass_time(command)
        else:
            await counters.report(*command)
        found.append(await counters.total())
    return found
