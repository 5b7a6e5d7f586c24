from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.models import Guest
from tests.support.backends import BACKENDS

if TYPE_CHECKING:
    from passerby.guests.store import SessionStore
    from tests.support.backends import Backend

LIFETIME = 7200.0


@pytest.fixture
def store(backend: Backend) -> SessionStore:
    return backend.session_store()


def guest(name: str = "one", **changes: object) -> Guest:
    fields: dict[str, object] = {
        "id": f"guest_{name}",
        "session_id": f"session-{name}",
        "username": "CoolPanda1234",
        "is_online": True,
        "is_searching": True,
        "in_chat": True,
        "connected_user": "guest_other",
        "location": "Zürich 🏔",
        "gender": "x",
        "language": "pt-BR",
        "socket_id": "socket_1",
        "last_seen": "2023-12-07T10:30:00.000Z",
        "created_at": "2023-12-07T10:00:00.000Z",
        "connected_at": "2023-12-07T10:25:00.000Z",
    }
    return Guest(**{**fields, **changes})  # type: ignore[arg-type]  # fields by name


async def test_what_is_saved_is_loaded_with_every_field(store: SessionStore) -> None:
    await store.save(guest(), LIFETIME)

    assert await store.load("session-one") == guest()


async def test_a_guest_of_whom_nothing_is_known_is_loaded_as_such(store: SessionStore) -> None:
    bare = Guest(
        id="guest_bare",
        session_id="bare",
        username="Bare_1",
        last_seen="2023-12-07T10:30:00.000Z",
        created_at="2023-12-07T10:30:00.000Z",
    )
    await store.save(bare, LIFETIME)

    assert await store.load("bare") == bare


async def test_a_session_that_never_was_is_none(store: SessionStore) -> None:
    await store.save(guest(), LIFETIME)

    assert await store.load("session-two") is None
    assert await store.load("guest_one") is None


async def test_changing_what_was_saved_changes_nothing_stored(store: SessionStore) -> None:
    saved = guest()
    await store.save(saved, LIFETIME)
    saved.username = "Changed_1"

    loaded = await store.load("session-one")

    assert loaded is not None
    assert loaded.username == "CoolPanda1234"


async def test_changing_what_was_loaded_changes_nothing_stored(store: SessionStore) -> None:
    await store.save(guest(), LIFETIME)
    first = await store.load("session-one")
    assert first is not None
    first.username = "Changed_1"
    first.connected_user = None

    assert await store.load("session-one") == guest()


async def test_a_save_replaces_what_was_there_whole(store: SessionStore) -> None:
    await store.save(guest(), LIFETIME)
    changed = guest(location=None, connected_user=None, in_chat=False)
    await store.save(changed, LIFETIME)

    assert await store.load("session-one") == changed
    assert await store.count() == 1


async def test_a_session_lives_until_its_deadline_and_not_at_it(backend: Backend, store: SessionStore) -> None:
    await store.save(guest(), 10)
    await backend.pass_time(9)
    assert await store.load("session-one") == guest()

    await backend.pass_time(1)

    assert await store.load("session-one") is None


async def test_a_save_begins_the_lifetime_anew(backend: Backend, store: SessionStore) -> None:
    await store.save(guest(), 10)
    await backend.pass_time(9)
    await store.save(guest(), 10)
    await backend.pass_time(9)
    assert await store.load("session-one") == guest()

    await backend.pass_time(1)

    assert await store.load("session-one") is None


async def test_a_shorter_lifetime_counts_too(backend: Backend, store: SessionStore) -> None:
    await store.save(guest(), LIFETIME)
    await store.save(guest(), 5)
    await backend.pass_time(5)

    assert await store.load("session-one") is None


async def test_loading_does_not_lengthen_the_life(backend: Backend, store: SessionStore) -> None:
    await store.save(guest(), 10)
    await backend.pass_time(9)
    await store.load("session-one")
    await backend.pass_time(1)

    assert await store.load("session-one") is None


async def test_a_removed_session_is_gone_and_others_stay(store: SessionStore) -> None:
    await store.save(guest("one"), LIFETIME)
    await store.save(guest("two"), LIFETIME)
    await store.remove("session-one")

    assert await store.load("session-one") is None
    assert await store.load("session-two") == guest("two")
    assert await store.count() == 1


async def test_a_session_that_another_process_has_ended_is_gone(store: SessionStore) -> None:
    await store.save(guest("one"), LIFETIME)
    await store.save(guest("two"), LIFETIME)
    await store.ended("session-one")
    await store.ended("session-three")

    assert await store.load("session-one") is None
    assert await store.load("session-two") == guest("two")
    assert await store.count() == 1


async def test_removing_what_is_not_there_does_nothing(store: SessionStore) -> None:
    await store.save(guest(), LIFETIME)
    await store.remove("session-two")

    assert await store.load("session-one") == guest()


async def test_a_session_can_be_saved_again_after_its_end(backend: Backend, store: SessionStore) -> None:
    await store.save(guest(), 10)
    await backend.pass_time(10)
    await store.save(guest(username="Again_1"), 10)

    loaded = await store.load("session-one")

    assert loaded is not None
    assert loaded.username == "Again_1"


async def test_the_count_is_of_all_sessions(store: SessionStore) -> None:
    assert await store.count() == 0
    for number in range(7):
        await store.save(guest(str(number)), LIFETIME)

    assert await store.count() == 7


async def test_a_sweep_leaves_only_the_living(backend: Backend, store: SessionStore) -> None:
    for number in range(3):
        await store.save(guest(f"short{number}"), 10)
    for number in range(2):
        await store.save(guest(f"long{number}"), 20)
    await backend.pass_time(10)

    removed = await store.sweep()

    # A store that removes expired sessions itself has nothing to sweep.
    assert removed in {0, 3}
    assert await store.count() == 2
    assert await store.load("session-long1") == guest("long1")
    assert await store.sweep() == 0


async def test_a_process_that_begins_reads_all_sessions_that_have_not_ended(
    backend: Backend, store: SessionStore
) -> None:
    names = [str(number) for number in range(250)]
    for name in (*names, "removed"):
        await store.save(guest(name), LIFETIME)
    await store.save(guest("short"), 60.0)
    await store.remove("session-removed")
    await backend.pass_time(61.0)

    found = {session.session_id: session async for session in store.saved()}
    assert found == {f"session-{name}": guest(name) for name in names}


async def test_simultaneous_saves_leave_one_of_them_whole(store: SessionStore) -> None:
    versions = [guest(username=f"Name_{number}", location=f"place {number}") for number in range(100)]
    await asyncio.gather(*(store.save(version, LIFETIME) for version in versions))

    assert await store.load("session-one") in versions
    assert await store.count() == 1


async def test_simultaneous_calls_for_different_sessions_do_not_mix(store: SessionStore) -> None:
    async def come_and_maybe_go(number: int) -> Guest | None:
        own = guest(str(number))
        await store.save(own, LIFETIME)
        if number % 2:
            await store.remove(own.session_id)
        return await store.load(own.session_id)

    found = await asyncio.gather(*(come_and_maybe_go(number) for number in range(100)))

    assert found == [None if number % 2 else guest(str(number)) for number in range(100)]
    assert await store.count() == 50


IDS = st.sampled_from(["one", "two", "three"])
COMMANDS = st.one_of(
    st.tuples(st.just("save"), IDS, st.sampled_from([5, 10, LIFETIME])),
    st.tuples(st.sampled_from(["load", "remove"]), IDS),
    st.tuples(st.just("pass_time"), st.integers(1, 12)),
    st.tuples(st.sampled_from(["count", "sweep", "lose", "evict"])),
)


@given(st.lists(COMMANDS, min_size=10, max_size=60))
@settings(max_examples=40)
async def test_any_sequence_of_commands_has_the_same_answers_in_all_stores(commands: list[tuple[str, ...]]) -> None:
    """Also if a store loses what it keeps elsewhere: this process has it in memory."""
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(BACKENDS[name]()) for name in sorted(BACKENDS)]
        answers = [await results(backend, commands) for backend in backends]

    assert all(each == answers[0] for each in answers), commands


async def results(backend: Backend, commands: list[tuple[str, ...]]) -> list[object]:
    store, found = backend.session_store(), list[object]()
    for number, (command, *arguments) in enumerate(commands):
        match command, arguments:
            case "save", [name, lifetime]:
                await store.save(guest(name, location=f"place {number}"), float(lifetime))
            case "load", [name]:
                found.append(await store.load(f"session-{name}"))
            case "remove", [name]:
                await store.remove(f"session-{name}")
            case "pass_time", [seconds]:
                await backend.pass_time(int(seconds))
            case "count", _:
                found.append(await store.count())
            case "sweep", _:
                await store.sweep()
            case "lose" | "evict", _:
                await backend.lose("*" if command == "lose" else "guest:*")
    return found
