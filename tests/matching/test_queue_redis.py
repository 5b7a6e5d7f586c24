"""What only the queue in Redis does: leases, lost answers, the fallback, and what remains when nobody is left."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.background import Background
from passerby.matching.queue_redis import AT_ONCE, DROPPED, KEPT, LEASE, TOGETHER, RedisMatchQueue
from passerby.matching.stages import INTERESTS, Openness
from passerby.models import Ticket, Wish
from tests.support.aging import age
from tests.support.clock import ManualClock
from tests.support.lossy import LossyRedis
from tests.support.valkey import cluster, connected, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from passerby.redis.client import Redis
    from tests.support.lossy import Fate
    from tests.support.valkey import Valkey


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with asyncio.Runner() as runner:
        context = valkey()
        yield runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture
async def redis(server: Valkey) -> AsyncIterator[Redis]:
    async with connected(server.url, "test:") as redis:
        await redis.command("FLUSHALL")
        yield redis


@pytest.fixture
def lossy(redis: Redis) -> LossyRedis:
    return LossyRedis(redis)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(lossy: LossyRedis, clock: ManualClock) -> RedisMatchQueue:
    """The queue of the process under test; its Redis loses what `lossy` says."""
    return RedisMatchQueue(cast("Redis", lossy), clock, Background(clock))


@pytest.fixture
def other(redis: Redis, clock: ManualClock) -> RedisMatchQueue:
    """The queue of another process."""
    return RedisMatchQueue(redis, clock, Background(clock))


PATIENCE = 5.0
ANYONE = "a\x1ftext"
"""The name of the place where all stand who accept anybody, after whose it is."""
EVERYBODY = "m\x1ftext"
CLOSED = Openness(INTERESTS, False)


def ticket(guest: object, search: object = "first", entered_at: float = 1000.0) -> Ticket:
    return Ticket(f"ticket_{guest}_{search}", f"guest_{guest}", entered_at)


def asking(guest: object, interest: str, node: str = "") -> Ticket:
    """Return a ticket with which nothing else than a shared interest is accepted, as long as it is CLOSED."""
    wish = Wish(interests=(interest,), words=(interest,), patient=True)
    return Ticket(f"ticket_{guest}", f"guest_{guest}", 1000.0, node, wish)


def met(guest: object, *others: object, node: str = "") -> Ticket:
    wish = Wish(met=tuple(f"guest_{other}" for other in others))
    return Ticket(f"ticket_{guest}", f"guest_{guest}", 1000.0, node, wish)


async def keys(redis: Redis) -> list[str]:
    """Return the queue's keys."""
    return sorted(name.decode() for name in cast("list[bytes]", await redis.command("KEYS", "*{mm}*")))


async def crowd(redis: Redis, count: int) -> list[Ticket]:
    """Let many wait at once: two who enter one after the other would meet."""
    tickets = [ticket(number) for number in range(count)]
    lease = 1000 * int(cast("list[bytes]", await redis.command("TIME"))[0]) + 1000 * LEASE
    for own in tickets:
        encoded = json.dumps({"id": own.id, "guestId": own.guest_id, "enteredAt": own.entered_at})
        await redis.command("HSET", "test:{mm}:tickets", own.guest_id, encoded)
        await redis.command("ZADD", "test:{mm}:leases", lease, own.guest_id)
        await redis.command("SADD", "test:{mm}:waiting", own.guest_id)
    await stand(redis, f"*{ANYONE}", tickets)
    return tickets


async def stand(redis: Redis, name: str, tickets: list[Ticket]) -> None:
    """Let tickets stand in a place, whether they wait or not."""
    for own in tickets:
        await redis.command("ZADD", f"test:{{mm}}:places:{name}", 1000 * own.entered_at, own.guest_id)
        await redis.command("HSET", "test:{mm}:places", own.guest_id, f"1\n{name}")


# ── what is in Redis ──────────────────────────────────────────────────────────────────────────────


async def test_all_keys_are_in_one_slot_and_expire(redis: Redis, queue: RedisMatchQueue) -> None:
    await queue.enter(ticket("a"))
    waiting = await keys(redis)
    await queue.enter(ticket("b"))
    await queue.enter(ticket("c"))
    await queue.suspend(ticket("c"), 5000)
    await queue.enter(ticket("d"))
    everything = await keys(redis)

    assert waiting == sorted(
        f"test:{{mm}}:{name}"
        for name in (
            "leases",
            "places",
            f"places:*{ANYONE}",
            "places:*l\x1ftext\x1f*\x1f\x1f\x1f\x1f",
            "places:*l\x1ftext\x1f?\x1f\x1f\x1f\x1f",
            "places:*m\x1ftext",
            "tickets",
            "waiting",
        )
    )
    assert everything == sorted([*waiting, "test:{mm}:claim:ticket_b_first"])
    for key in everything:
        assert cast("int", await redis.command("PTTL", key)) > 0, key
    assert cast("int", await redis.command("TTL", "test:{mm}:tickets")) >= 4999, "as long as what is suspended"


async def test_anybody_can_read_a_ticket(redis: Redis, queue: RedisMatchQueue) -> None:
    await queue.enter(ticket("a", entered_at=1764174177.123456))

    value = cast("bytes", await redis.command("HGET", "test:{mm}:tickets", "guest_a"))
    assert json.loads(value) == {
        "id": "ticket_a_first",
        "guestId": "guest_a",
        "enteredAt": 1764174177.123456,
    }


async def test_nothing_is_left_of_two_who_met(redis: Redis, queue: RedisMatchQueue, clock: ManualClock) -> None:
    await queue.enter(ticket("a"))
    await queue.enter(ticket("b"))
    queue.forget(ticket("a"), ticket("b"))
    clock.advance(1)
    await queue.size()

    assert await keys(redis) == []


async def test_nothing_is_left_of_a_process_that_is_gone(
    redis: Redis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await crowd(redis, AT_ONCE + 1)
    await queue.renew([])
    assert await queue.size() == AT_ONCE + 1
    await age(redis, LEASE + KEPT)
    await other.renew([])

    assert await keys(redis) == []


async def test_a_damaged_ticket_is_dropped(redis: Redis, queue: RedisMatchQueue) -> None:
    await crowd(redis, 1)
    await redis.command("HSET", "test:{mm}:tickets", "guest_0", "{")

    assert await queue.recall("guest_0") is None
    assert await queue.enter(ticket("a")) is None
    assert await queue.enter(ticket("b")) == ticket("a")


@pytest.mark.parametrize("name", ["tickets", "waiting", "leases", "places", f"places:*{ANYONE}"])
async def test_a_key_of_another_type_is_removed(redis: Redis, queue: RedisMatchQueue, name: str) -> None:
    await redis.command("SET", f"test:{{mm}}:{name}", "somebody else's")

    assert await queue.enter(ticket("a"), patience=PATIENCE) is None
    assert await queue.enter(ticket("b"), patience=PATIENCE) == ticket("a")


@pytest.mark.parametrize("name", ["tickets", "waiting", "leases"])
async def test_a_key_of_another_type_is_removed_when_redis_is_back(
    redis: Redis, queue: RedisMatchQueue, other: RedisMatchQueue, name: str
) -> None:
    await queue.enter(ticket("a"))
    await redis.command("DEL", f"test:{{mm}}:{name}")
    await redis.command("SET", f"test:{{mm}}:{name}", "somebody else's")

    await queue.resync()

    for lost in await queue.renew([ticket("a")]):
        assert await queue.enter(lost) is None
    assert await other.enter(ticket("b")) == ticket("a")


async def test_a_cluster_matches_too(clock: ManualClock) -> None:
    async with cluster() as nodes, connected(nodes.url, "test:") as redis:
        queue = RedisMatchQueue(redis, clock, Background(clock))
        await queue.enter(ticket("a"))
        await queue.suspend(ticket("b"), 20)

        assert await queue.renew([ticket("a")]) == []
        assert await queue.recall("guest_b") == ticket("b")
        assert await queue.enter(ticket("b", "second")) == ticket("a")
        queue.forget(ticket("a"), ticket("b", "second"))
        assert await queue.recall("guest_b") is None
        assert await queue.size() == 0


# ── leases ────────────────────────────────────────────────────────────────────────────────────────


async def test_the_search_of_a_process_that_is_gone_is_not_met_but_recalled(
    redis: Redis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await queue.enter(ticket("a", entered_at=1.5))
    await age(redis, LEASE)

    assert await other.enter(ticket("b")) is None
    assert await other.recall("guest_a") == ticket("a", entered_at=1.5)
    await age(redis, KEPT - 1)
    assert await other.recall("guest_a") == ticket("a", entered_at=1.5)
    await age(redis, 1)
    assert await other.recall("guest_a") is None


async def test_a_long_suspension_makes_no_long_lease(
    redis: Redis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await queue.suspend(ticket("a"), 1000)
    await queue.enter(ticket("a", "second"))
    await age(redis, LEASE)

    assert await other.enter(ticket("b")) is None


async def test_two_who_were_matched_are_recalled_if_the_process_is_gone_before_they_have_a_room(
    redis: Redis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await queue.enter(ticket("a"))
    await queue.enter(ticket("b"))
    await age(redis, KEPT)

    assert [await other.recall("guest_a"), await other.recall("guest_b")] == [ticket("a"), ticket("b")]
    assert await other.enter(ticket("c")) is None, "nobody is given to anybody else"


async def test_however_many_of_the_dead_wait_the_living_is_found(
    redis: Redis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await crowd(redis, 5 * DROPPED)
    await age(redis, LEASE)
    await redis.command("ZADD", "test:{mm}:leases", "XX", 10**15, "guest_7")

    assert await queue.enter(ticket("a")) == ticket(7)
    assert await other.enter(ticket("b")) is None


async def test_however_many_of_the_dead_wait_two_who_have_met_are_not_alone(
    redis: Redis, queue: RedisMatchQueue
) -> None:
    await queue.enter(asking("c", "chess"), CLOSED)
    await queue.enter(met("a", "b"))
    await stand(redis, f"*{EVERYBODY}", [ticket(number, entered_at=900) for number in range(DROPPED + 5)])
    assert await queue.enter(met("b", "a")) is None, "c may still be met"


async def test_only_tickets_that_wait_are_renewed(redis: Redis, queue: RedisMatchQueue) -> None:
    tickets = await crowd(redis, 2 * AT_ONCE + 1)
    await redis.command("SREM", "test:{mm}:waiting", "guest_1", f"guest_{AT_ONCE}")
    await age(redis, 0.6 * LEASE)

    assert await queue.renew(iter(tickets)) == []
    await age(redis, 0.6 * LEASE)
    assert await queue.renew(iter(tickets)) == [tickets[1], tickets[AT_ONCE]]


async def test_after_flushall_everybody_enters_again(redis: Redis, queue: RedisMatchQueue) -> None:
    await queue.enter(ticket("a"))
    await redis.command("FLUSHALL")

    assert await queue.renew([ticket("a")]) == [ticket("a")]
    assert await queue.enter(ticket("a")) is None
    assert await queue.renew([ticket("a")]) == []
    assert await queue.enter(ticket("b")) == ticket("a")


# ── lost answers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fate", ["unsent", "unanswered"])
async def test_whoever_enters_again_after_a_lost_answer_gets_the_same_partner(
    fate: Fate, lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await other.enter(ticket("a"))
    lossy.fates.append(fate)
    assert await queue.enter(ticket("b")) is None, "in memory nobody is there"

    assert await queue.renew([ticket("b")]) == [ticket("b")]
    assert await queue.enter(ticket("b")) == ticket("a")
    assert await queue.renew([]) == []
    assert await other.enter(ticket("c")) is None


@pytest.mark.parametrize("fate", ["unsent", "unanswered"])
async def test_whoever_waits_after_a_lost_answer_waits_once(
    fate: Fate, lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    lossy.fates.append(fate)
    await queue.enter(ticket("a"))

    assert await queue.enter(ticket("a")) is None
    assert await queue.size() == 1
    assert await other.enter(ticket("b")) == ticket("a")
    assert await other.enter(ticket("c")) is None


async def test_whoever_was_found_before_entering_again_is_not_found_twice(
    lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    lossy.fates.append("unanswered")
    await queue.enter(ticket("a"))
    assert await other.enter(ticket("b")) == ticket("a")

    assert await queue.enter(ticket("a")) is None
    assert await other.enter(ticket("c")) is None


async def test_a_partner_of_whom_nobody_knows_is_free_again_in_time(
    redis: Redis, lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await other.enter(ticket("a"))
    lossy.fates.append("unanswered")
    await queue.enter(ticket("b"))
    await queue.cancel(ticket("b"))

    assert await other.renew([ticket("a")]) == []
    await age(redis, LEASE + 1)
    assert await other.renew([ticket("a")]) == [ticket("a")]
    assert await other.enter(ticket("a")) is None
    assert await other.enter(ticket("c")) == ticket("a")


async def test_a_claim_is_worth_nothing_when_the_partner_has_gone_on(
    lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await other.enter(ticket("a"))
    lossy.fates.append("unanswered")
    await queue.enter(ticket("b"))
    await other.cancel(ticket("a"))

    assert await queue.enter(ticket("b")) is None
    assert await queue.size() == 1


async def test_a_claim_is_worth_nothing_when_the_partner_has_entered_again(
    lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await other.enter(ticket("a"))
    lossy.fates.append("unanswered")
    await queue.enter(ticket("b"))
    await other.enter(ticket("a"))
    assert await other.enter(ticket("c")) == ticket("a")

    assert await queue.enter(ticket("b")) is None


async def test_an_answer_that_came_too_late_is_a_lost_one(
    lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await other.enter(ticket("a"))
    entering = asyncio.ensure_future(queue.enter(ticket("b")))
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering

    assert await queue.enter(ticket("b")) == ticket("a")


# ── tickets that enter together ───────────────────────────────────────────────────────────────────


async def enter_together(queue: RedisMatchQueue, *tickets: Ticket) -> list[Ticket | None]:
    """Let all enter in one turn of the event loop."""
    return await asyncio.gather(*(queue.enter(own) for own in tickets))


async def test_two_who_enter_together_meet(lossy: LossyRedis, queue: RedisMatchQueue) -> None:
    lossy.fates.extend(["fine", "unsent"])

    assert await enter_together(queue, ticket("a"), ticket("b")) == [None, ticket("a")]
    assert list(lossy.fates) == ["unsent"], "it is one run of the script"


async def test_a_guest_with_two_tickets_does_not_meet_themselves(queue: RedisMatchQueue) -> None:
    together = ticket("a", "first"), ticket("a", "second"), ticket("b"), ticket("a", "third")

    assert await enter_together(queue, *together) == [None, None, ticket("a", "second"), None]


async def test_more_than_one_run_of_the_script_takes(queue: RedisMatchQueue) -> None:
    tickets = [ticket(number) for number in range(2 * TOGETHER + 1)]
    found = await enter_together(queue, *tickets)

    assert found == [None if number % 2 == 0 else tickets[number - 1] for number in range(2 * TOGETHER + 1)]


async def test_those_who_ask_for_all_that_can_be_asked_for_are_fewer_in_one_run(
    redis: Redis, queue: RedisMatchQueue
) -> None:
    wish = Wish(
        interests=tuple("abcde"),
        words=tuple("abcde"),
        languages=("de", "en", "fi"),
        gender="f",
        location="a, b, c",
        patient=True,
    )
    await queue.enter(ticket("a"))
    await queue.cancel(ticket("a"))
    await redis.command("CONFIG", "RESETSTAT")
    await asyncio.gather(*(queue.enter(Ticket(f"t{n}", f"guest_{n}", 1000.0, "", wish), CLOSED) for n in range(8)))
    stats = cast("bytes", await redis.command("INFO", "commandstats")).decode()
    assert "cmdstat_evalsha:calls=1," not in stats, "one run would take long"
    assert await queue.size() == 0


async def test_whoever_finds_a_damaged_ticket_meets_one_of_the_others(redis: Redis, queue: RedisMatchQueue) -> None:
    await crowd(redis, 1)
    await redis.command("HSET", "test:{mm}:tickets", "guest_0", "{")

    assert await enter_together(queue, ticket("a"), ticket("b")) == [ticket("b"), None]
    assert await queue.enter(ticket("c")) is None


async def test_an_error_of_one_ticket_is_not_one_of_the_others(
    redis: Redis, lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    lossy.fates.append("unsent")
    await queue.enter(ticket("b"))
    await redis.command("RPUSH", "test:{mm}:claim:ticket_b_first", "somebody else's")

    assert await enter_together(queue, ticket("a"), ticket("b"), ticket("c")) == [None, None, ticket("a")]
    assert await other.enter(ticket("d")) is None
    await redis.command("DEL", "test:{mm}:claim:ticket_b_first")
    assert await queue.enter(ticket("b")) == ticket("d")


@pytest.mark.parametrize("name", ["tickets", "waiting", "leases"])
async def test_a_key_of_another_type_is_removed_for_all(redis: Redis, queue: RedisMatchQueue, name: str) -> None:
    await redis.command("SET", f"test:{{mm}}:{name}", "somebody else's")

    found = await enter_together(queue, ticket("a"), ticket("b"), ticket("c"))
    assert found == [None, ticket("a"), None]
    assert await queue.size() == 1


async def test_those_whom_redis_refuses_meet_in_memory(lossy: LossyRedis, queue: RedisMatchQueue) -> None:
    lossy.fates.append("refused")

    assert await enter_together(queue, ticket("a"), ticket("b")) == [None, ticket("a")]
    assert await queue.size() == 0


@pytest.mark.parametrize("is_together", [True, False])
@pytest.mark.parametrize("fate", ["unsent", "unanswered"])
async def test_those_who_enter_again_after_lost_answers_get_the_same(
    fate: Fate, is_together: bool, lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await other.enter(ticket("x"))
    lossy.fates.append(fate)
    tickets = ticket("a"), ticket("b"), ticket("c"), ticket("d")
    await enter_together(queue, *tickets)

    found = await enter_together(queue, *tickets) if is_together else [await queue.enter(own) for own in tickets]
    assert found == [ticket("x"), None, ticket("b"), None]
    assert await other.enter(ticket("e")) == ticket("d")
    assert await other.enter(ticket("f")) is None


async def test_an_answer_that_came_too_late_is_no_loss_of_the_others(queue: RedisMatchQueue) -> None:
    entering = [asyncio.ensure_future(queue.enter(ticket(guest))) for guest in "abc"]
    await asyncio.sleep(0)
    entering[1].cancel()
    found = await asyncio.gather(*entering, return_exceptions=True)

    assert (found[0], found[2]) == (None, None)
    assert isinstance(found[1], asyncio.CancelledError)
    assert await queue.enter(ticket("b")) == ticket("a"), "as it was answered"


async def test_what_cannot_be_sent_is_answered(
    queue: RedisMatchQueue, lossy: LossyRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_then(*_: object) -> None:
        raise TypeError("what is sent is text")

    monkeypatch.setattr(lossy, "run_then", run_then)

    assert await enter_together(queue, ticket("a"), ticket("b")) == [None, ticket("a")]


@pytest.mark.parametrize("is_suspended", [True, False])
async def test_whoever_ends_a_search_at_once_has_entered_before(is_suspended: bool, queue: RedisMatchQueue) -> None:
    entering = asyncio.ensure_future(queue.enter(ticket("a")))
    await asyncio.sleep(0)
    if is_suspended:
        await queue.suspend(ticket("a"), 20)
    else:
        assert await queue.cancel(ticket("a")) is True

    assert await entering is None
    assert await queue.size() == 0


async def test_those_who_enter_together_drop_all_of_the_dead(redis: Redis, queue: RedisMatchQueue) -> None:
    await crowd(redis, 5 * DROPPED)
    await age(redis, LEASE)

    found = await enter_together(queue, ticket("a"), ticket("b"), ticket("c"), ticket("d"))
    assert sum(partner is not None for partner in found) == 2
    assert await queue.size() == 0


# ── the fallback ──────────────────────────────────────────────────────────────────────────────────


async def test_without_redis_guests_of_the_process_meet(lossy: LossyRedis, queue: RedisMatchQueue) -> None:
    await queue.enter(ticket("a"))
    lossy.is_up = False

    assert await queue.size() == 1
    assert await queue.renew([ticket("a")]) == []
    assert await queue.enter(ticket("b")) == ticket("a")
    assert await queue.enter(ticket("c")) is None
    assert await queue.cancel(ticket("c")) is True


@pytest.mark.parametrize("fate", ["unsent", "unanswered", "refused"])
async def test_whoever_waited_before_is_met_when_redis_has_gone(
    fate: Fate, lossy: LossyRedis, queue: RedisMatchQueue
) -> None:
    await queue.enter(ticket("a"))
    lossy.fates.append(fate)

    assert await queue.enter(ticket("b")) == ticket("a")


@pytest.mark.parametrize("is_look", [False, True])
async def test_whose_answer_was_lost_looks_in_memory_while_redis_is_gone(
    is_look: bool, lossy: LossyRedis, queue: RedisMatchQueue
) -> None:
    anna, berta = asking("a", "chess"), asking("b", "go")
    if is_look:
        await queue.enter(anna, CLOSED)
        await queue.enter(berta, CLOSED)
    lossy.fates += ["unsent", "unsent"]
    for own in (anna, berta):
        assert await (queue.look if is_look else queue.enter)(own, CLOSED) is None
    lossy.is_up = False

    assert await queue.look(anna) is None
    assert await queue.look(berta) == anna


async def test_what_ended_meanwhile_is_removed_when_redis_is_back(
    redis: Redis, lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await queue.enter(ticket("a"))
    lossy.is_up = False
    await queue.cancel(ticket("a"))
    await queue.enter(ticket("b"))
    assert await queue.enter(ticket("c")) == ticket("b")
    queue.forget(ticket("b"), ticket("c"))
    lossy.is_up = True
    await queue.resync()
    await queue.resync()

    assert await keys(redis) == []
    assert await other.enter(ticket("d")) is None


async def test_what_began_meanwhile_enters_when_redis_is_back(
    lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await other.enter(ticket("a"))
    lossy.is_up = False
    await queue.enter(ticket("b"))
    await queue.suspend(ticket("c"), 20)
    lossy.is_up = True
    await queue.resync()

    assert await other.recall("guest_b") == ticket("b"), "should this process die now"
    assert await other.recall("guest_c") == ticket("c")
    assert await queue.size() == 1, "nobody waits beside a partner"
    assert await queue.renew([ticket("b")]) == [ticket("b")]
    assert await queue.enter(ticket("b")) == ticket("a")


async def test_a_resync_leaves_alone_who_waits(
    lossy: LossyRedis, queue: RedisMatchQueue, other: RedisMatchQueue
) -> None:
    await queue.enter(ticket("a"))
    await queue.resync()

    assert await other.enter(ticket("b")) == ticket("a")


async def test_a_resync_that_is_interrupted_is_repeated(
    redis: Redis, lossy: LossyRedis, queue: RedisMatchQueue
) -> None:
    await queue.enter(ticket("a"))
    lossy.is_up = False
    await queue.cancel(ticket("a"))
    lossy.is_up = True
    lossy.fates.append("unanswered")
    with pytest.raises(OSError, match="lost"):
        await queue.resync()
    await queue.resync()

    assert await keys(redis) == []


async def test_what_ended_long_ago_is_not_remembered(
    lossy: LossyRedis, queue: RedisMatchQueue, clock: ManualClock
) -> None:
    lossy.is_up = False
    for number in range(100):
        queue.forget(ticket(number))
        clock.advance(1)

    assert len(queue._ended) <= LEASE + KEPT + 1


# ── the same node first ───────────────────────────────────────────────────────────────────────────


def of(node: str, guest: object) -> Ticket:
    return Ticket(f"ticket_{guest}", f"guest_{guest}", 1000.0, node)


@pytest.fixture
def here(lossy: LossyRedis, clock: ManualClock) -> RedisMatchQueue:
    return RedisMatchQueue(cast("Redis", lossy), clock, Background(clock), "here")


@pytest.fixture
def there(redis: Redis, clock: ManualClock) -> RedisMatchQueue:
    return RedisMatchQueue(redis, clock, Background(clock), "there")


async def test_guests_of_the_same_node_meet_first(here: RedisMatchQueue, there: RedisMatchQueue) -> None:
    assert await here.enter(of("here", "a"), patience=PATIENCE) is None
    assert await there.enter(of("there", "b"), patience=PATIENCE) is None
    assert await there.enter(of("there", "c"), patience=PATIENCE) == of("there", "b")
    assert await here.enter(of("here", "d"), patience=PATIENCE) == of("here", "a")


async def test_whose_patience_is_over_meet_across_nodes(here: RedisMatchQueue, there: RedisMatchQueue) -> None:
    await here.enter(of("here", "a"), patience=PATIENCE)
    await there.enter(of("there", "b"), patience=PATIENCE)
    assert await here.look(of("here", "a")) is None, "the other one still waits for their own node"
    assert await there.look(of("there", "b")) == of("here", "a")
    assert await there.size() == 0


async def test_whoever_has_looked_in_vain_is_still_found_by_the_own_node(
    here: RedisMatchQueue, there: RedisMatchQueue
) -> None:
    await here.enter(of("here", "a"), patience=PATIENCE)
    assert await here.look(of("here", "a")) is None
    assert await there.enter(of("there", "b"), patience=PATIENCE) is None
    assert await here.enter(of("here", "c"), patience=PATIENCE) == of("here", "a")


async def test_without_patience_anybody_is_found(here: RedisMatchQueue, there: RedisMatchQueue) -> None:
    await here.enter(of("here", "a"), patience=PATIENCE)
    assert await here.look(of("here", "a")) is None
    assert await there.enter(of("there", "b")) == of("here", "a")
    await there.enter(of("there", "c"))
    await here.enter(of("here", "d"), patience=PATIENCE)
    assert await here.look(of("here", "d")) == of("there", "c")


@pytest.mark.parametrize("patience", [0.0, PATIENCE])
async def test_two_of_a_node_who_have_met_do_not_meet_again_while_somebody_searches_elsewhere(
    patience: float, here: RedisMatchQueue, there: RedisMatchQueue
) -> None:
    third = asking("c", "chess", node="there")
    await there.enter(third, CLOSED, patience=patience)
    assert await here.enter(met("a", "b", node="here"), patience=PATIENCE) is None
    assert await here.look(met("a", "b", node="here")) is None
    assert await here.enter(met("b", "a", node="here"), patience=PATIENCE) is None
    assert await here.look(met("b", "a", node="here")) is None

    await there.cancel(third)
    assert await here.look(met("b", "a", node="here")) == met("a", "b", node="here")


async def test_whoever_was_found_meanwhile_looks_in_vain(
    redis: Redis, here: RedisMatchQueue, there: RedisMatchQueue
) -> None:
    await here.enter(of("here", "a"))
    assert await there.enter(of("there", "b")) == of("here", "a")
    assert await there.enter(of("there", "c")) is None
    before = await redis.command("HGETALL", "test:{mm}:tickets")

    assert await here.look(of("here", "a")) is None
    assert await redis.command("HGETALL", "test:{mm}:tickets") == before
    assert await here.size() == 1, "the third one waits"


async def test_whoever_has_cancelled_looks_in_vain(here: RedisMatchQueue, there: RedisMatchQueue) -> None:
    await here.enter(of("here", "a"), patience=PATIENCE)
    await there.enter(of("there", "b"))
    await here.cancel(of("here", "a"))

    assert await here.look(of("here", "a")) is None
    assert await here.enter(of("here", "c"), patience=PATIENCE) is None, "nobody waits here any more"


async def test_a_guest_who_has_moved_is_found_where_they_are(here: RedisMatchQueue, there: RedisMatchQueue) -> None:
    await here.enter(of("here", "a"), patience=PATIENCE)
    here.release(of("here", "a"))
    await there.enter(of("there", "a"), patience=PATIENCE)

    assert await here.enter(of("here", "b"), patience=PATIENCE) is None
    assert await there.enter(of("there", "c"), patience=PATIENCE) == of("there", "a")


async def test_many_who_are_gone_are_passed_over(redis: Redis, here: RedisMatchQueue) -> None:
    gone = [of("here", number) for number in range(2 * DROPPED + 5)]
    await stand(redis, f"here{ANYONE}", gone)
    assert await here.enter(of("here", "a"), patience=PATIENCE) is None
    await stand(redis, f"here{ANYONE}", gone)
    assert await here.look(of("here", "a")) is None
    assert await here.enter(of("here", "b"), patience=PATIENCE) == of("here", "a")


@pytest.mark.parametrize("fate", ["unsent", "unanswered"])
async def test_the_answer_to_a_look_is_lost(
    lossy: LossyRedis, here: RedisMatchQueue, there: RedisMatchQueue, fate: Fate
) -> None:
    await there.enter(of("there", "b"))
    await here.enter(of("here", "a"), patience=PATIENCE)
    lossy.fates.append(fate)
    assert await here.look(of("here", "a")) is None
    assert await here.look(of("here", "a")) is None, "it may have been matched"

    assert await here.renew([of("here", "a")]) == [of("here", "a")]
    found = await here.enter(of("here", "a"), patience=PATIENCE)
    if fate == "unsent":
        assert found is None, "it waits as before"
        found = await here.look(of("here", "a"))
    assert found == of("there", "b")


async def test_all_places_expire(redis: Redis, here: RedisMatchQueue) -> None:
    await here.enter(of("here", "a"), patience=PATIENCE)
    await here.look(of("here", "a"))
    await here.enter(of("here", "b"), patience=PATIENCE)
    await here.enter(of("here", "c"), patience=PATIENCE)
    await here.look(of("here", "c"))
    assert {f"test:{{mm}}:places:here{ANYONE}", f"test:{{mm}}:places:*{ANYONE}"} <= set(await keys(redis))
    await age(redis, LEASE + KEPT + 1)
    await here.renew([])
    assert await keys(redis) == []


# ── anything, in any order ────────────────────────────────────────────────────────────────────────


GUESTS = 5
NODES = 2


class Process:
    """A process with one guest. What its memory matches is therefore nothing. Some are called the same node."""

    def __init__(self, number: int, redis: Redis) -> None:
        self.guest = f"guest_{number}"
        self.node = f"node_{number % NODES}"
        self.redis = LossyRedis(redis)
        self.clock = ManualClock()
        self.queue = RedisMatchQueue(cast("Redis", self.redis), self.clock, Background(self.clock), self.node)
        self.ticket: Ticket | None = None
        self.alive = 0.0
        """When its ticket was entered or renewed last."""
        self.was_told = True
        """Whether Redis knows for sure that a ticket has ended."""


class Processes:
    """Processes that lose commands and answers, and searches in them.

    A ticket lives as long as its lease, which is only as exact as the server's clock: that goes on during the test.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.processes = [Process(number, redis) for number in range(GUESTS)]
        self.by_guest = {process.guest: process for process in self.processes}
        self.now = 0.0
        self.tickets = 0
        self.matches = 0

    async def settle(self) -> None:
        """When nothing fails any more, everybody but one meets, and then nothing is left."""
        for process in self.processes:
            await self.mend(process)
        for _ in range(6):
            await self.pass_time(3)
            for process in self.processes:
                await self.renew(process)
                await self.look(process)
        searching = [process for process in self.processes if process.ticket is not None]
        assert len(searching) <= 1
        for process in searching:
            await self.cancel(process)
        await self.pass_time(LEASE + KEPT + 1)
        await self.processes[0].queue.renew([])
        assert await keys(self.redis) == []

    async def mend(self, process: Process) -> None:
        process.redis.fates.clear()
        process.redis.is_up = True
        await process.queue.resync()
        process.alive = self.now

    async def pass_time(self, seconds: float) -> None:
        self.now += seconds
        await age(self.redis, seconds)
        for process in self.processes:
            process.clock.advance(seconds)

    async def look(self, process: Process) -> None:
        await self._enter(process, PATIENCE, looks=True)

    async def _enter(self, process: Process, patience: float = 0.0, *, looks: bool = False) -> None:
        while process.ticket is not None:
            queue = process.queue
            found = await (queue.look(process.ticket) if looks else queue.enter(process.ticket, patience=patience))
            looks = False
            process.alive = self.now
            if found is None:
                return
            partner = self.by_guest[found.guest_id]
            assert partner is not process, "nobody meets themselves"
            assert self.now - partner.alive <= LEASE, "nobody meets someone whose lease has ended"
            if partner.ticket == found:
                tickets = process.ticket, found
                process.ticket = partner.ticket = None
                self.matches += 1
                for one in (process, partner):
                    one.queue.forget(*tickets)
                await asyncio.sleep(0)
            else:
                assert not partner.was_told, "nobody meets someone who is gone, or has met somebody"

    async def renew(self, process: Process) -> None:
        before = process.redis.fates.copy()
        lost = await process.queue.renew([] if process.ticket is None else [process.ticket])
        if not before or before[0] == "unanswered":
            process.alive = self.now
        for own in lost:
            assert own == process.ticket
            await self._enter(process)

    async def cancel(self, process: Process) -> None:
        if process.ticket is None:
            return
        process.was_told = not process.redis.fates and process.redis.is_up
        await process.queue.cancel(process.ticket)
        process.ticket = None

    async def search(self, process: Process, patience: float = 0.0) -> None:
        if process.ticket is None:
            self.tickets += 1
            process.ticket = Ticket(f"ticket_{self.tickets}", process.guest, float(self.tickets), process.node)
            await self._enter(process, patience)

    async def step(self, name: str, process: Process, seconds: int, fates: list[Fate]) -> None:
        if name == "search":
            await self.search(process)
        elif name == "search patiently":
            await self.search(process, PATIENCE)
        elif name == "look":
            await self.look(process)
        elif name == "cancel":
            await self.cancel(process)
        elif name == "renew":
            await self.renew(process)
        elif name == "lose":
            process.redis.fates.extend(fates)
        elif name == "break":
            process.redis.is_up = False
        elif name == "mend":
            await self.mend(process)
        elif name == "pass":
            await self.pass_time(seconds)
        else:
            await self.redis.command("FLUSHALL")


STEPS = (
    ("search", "search patiently", "look") * 3
    + ("renew", "lose") * 3
    + ("cancel", "pass", "pass", "mend")
    + ("break", "flush")
)
FATES: tuple[Fate, ...] = ("unsent", "unanswered", "unanswered", "refused")


@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(STEPS),
            st.integers(0, GUESTS - 1),
            st.integers(1, 6),
            st.lists(st.sampled_from(FATES), max_size=2),
        ),
        min_size=100,
        max_size=150,
    )
)
def test_any_sequence_of_losses_matches_nobody_twice(
    server: Valkey, steps: list[tuple[str, int, int, list[Fate]]]
) -> None:
    async def run() -> None:
        async with connected(server.url, "test:") as redis:
            await redis.command("FLUSHALL")
            world = Processes(redis)
            for name, number, seconds, fates in steps:
                await world.step(name, world.processes[number], seconds, fates)
            await world.settle()

    asyncio.run(run())


class Halls:
    """Two processes, each with several guests who search in the same turn, and lose the same answers."""

    GUESTS = 4

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.processes = [Process(number, redis) for number in range(2)]
        self.guests = [f"guest_{number}" for number in range(2 * self.GUESTS)]
        self.held: dict[str, Ticket] = {}
        self.tickets = 0
        self.patience = 0.0

    def home(self, guest: str) -> RedisMatchQueue:
        return self.processes[self.guests.index(guest) // self.GUESTS].queue

    async def search(self, numbers: set[int]) -> None:
        """Let these guests search, those who do so already again."""
        for number in numbers:
            guest = self.guests[number]
            if guest not in self.held:
                self.tickets += 1
                node = self.processes[number // self.GUESTS].node
                self.held[guest] = Ticket(f"ticket_{self.tickets}", guest, float(self.tickets), node)
        await asyncio.gather(*(self._enter(self.held[self.guests[number]]) for number in sorted(numbers)))

    async def look(self, numbers: set[int]) -> None:
        """Let these guests look again, if they search."""
        mine = [self.held[guest] for number in sorted(numbers) if (guest := self.guests[number]) in self.held]
        await asyncio.gather(*(self._enter(own, looks=True) for own in mine))

    async def _enter(self, own: Ticket, *, looks: bool = False) -> None:
        """See `Matchmaking._enter`."""
        while True:
            queue = self.home(own.guest_id)
            found = await (queue.look(own) if looks else queue.enter(own, patience=self.patience))
            looks = False
            if found is None:
                return
            assert found.guest_id != own.guest_id, "nobody meets themselves"
            is_here, is_there = (self.held.get(one.guest_id) == one for one in (own, found))
            if is_here and is_there:
                for one in (own, found):
                    del self.held[one.guest_id]
                for process in self.processes:
                    process.queue.forget(own, found)
                return
            if not is_here:
                if not is_there:
                    return
                own = found

    async def leave(self, numbers: set[int]) -> None:
        leaving = [self.held.pop(guest) for number in numbers if (guest := self.guests[number]) in self.held]
        await asyncio.gather(*(self.home(own.guest_id).cancel(own) for own in leaving))

    async def renew(self) -> None:
        for process in self.processes:
            mine = [own for own in self.held.values() if self.home(own.guest_id) is process.queue]
            for own in await process.queue.renew(mine):
                if self.held.get(own.guest_id) == own:
                    await self._enter(own)

    async def pass_time(self, seconds: float) -> None:
        await age(self.redis, seconds)
        for process in self.processes:
            process.clock.advance(seconds)

    async def settle(self) -> None:
        """When nothing fails any more, everybody but one meets, and then nothing is left."""
        for process in self.processes:
            process.redis.fates.clear()
            process.redis.is_up = True
            await process.queue.resync()
        for _ in range(6):
            await self.pass_time(3)
            await self.renew()
            await self.look(set(range(len(self.guests))))
        assert len(self.held) <= 1
        await self.leave(set(range(len(self.guests))))
        await self.pass_time(LEASE + KEPT + 1)
        await self.processes[0].queue.renew([])
        assert await keys(self.redis) == []


@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(("search",) * 4 + ("look", "leave", "renew", "lose", "lose", "pass", "flush")),
            st.sets(st.integers(0, 2 * Halls.GUESTS - 1)),
            st.integers(0, 1),
            st.lists(st.sampled_from(FATES), max_size=2),
        ),
        min_size=20,
        max_size=60,
    ),
    patience=st.sampled_from((0.0, PATIENCE)),
)
def test_any_groups_and_losses_leave_nobody_alone(
    server: Valkey, steps: list[tuple[str, set[int], int, list[Fate]]], patience: float
) -> None:
    async def run() -> None:
        async with connected(server.url, "test:") as redis:
            await redis.command("FLUSHALL")
            halls = Halls(redis)
            halls.patience = patience
            for name, numbers, process, fates in steps:
                if name == "search":
                    await halls.search(numbers)
                elif name == "look":
                    await halls.look(numbers)
                elif name == "leave":
                    await halls.leave(numbers)
                elif name == "renew":
                    await halls.renew()
                elif name == "lose":
                    halls.processes[process].redis.fates.extend(fates)
                elif name == "pass":
                    await halls.pass_time(3)
                else:
                    await redis.command("FLUSHALL")
            await halls.settle()

    asyncio.run(run())
