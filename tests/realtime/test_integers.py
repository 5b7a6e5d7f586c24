"""Every integer that a client sends is bounded to what JSON clients represent exactly, and 64 bits hold."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import msgspec
import pytest

from passerby.http.models import NewGuest, TraitsUpdate
from passerby.models import INTEGER
from passerby.realtime.contract import INBOUND, Auth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import RunningServer


def integers(kind: Any, path: str, metas: tuple[Any, ...] = ()) -> Iterator[tuple[str, msgspec.Meta]]:  # noqa: ANN401 - a type
    """Yield every integer within a type, with its bounds."""
    if get_origin(kind) is Annotated:
        inner, *own = get_args(kind)
        yield from integers(inner, path, tuple(own))
    elif kind is int:
        yield path, next((meta for meta in metas if isinstance(meta, msgspec.Meta)), msgspec.Meta())
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for name, hint in typing.get_type_hints(kind, include_extras=True).items():
            if get_origin(hint) is not typing.ClassVar:
                yield from integers(hint, f"{path}.{name}")
    else:
        for argument in get_args(kind):
            yield from integers(argument, path)


def test_every_integer_is_bounded() -> None:
    kinds: tuple[type, ...] = (*INBOUND, Auth, NewGuest, TraitsUpdate)
    found = [pair for kind in kinds for pair in integers(kind, kind.__name__)]

    assert {path for path, _ in found} >= {"Auth.resume.seq", "Auth.resume.epoch"}
    for path, bounds in found:
        assert bounds.ge is not None, path
        assert bounds.le is not None, path
        assert -INTEGER <= bounds.ge <= bounds.le <= INTEGER, path


@pytest.mark.parametrize("field", ["seq", "epoch"])
@pytest.mark.parametrize("number", [INTEGER + 1, 2**64, 10**400], ids=["2^63", "2^64", "10^400"])
async def test_a_number_that_nobody_counts_to_is_an_invalid_position(
    shared_server: RunningServer, field: str, number: int
) -> None:
    (anna, client), (_, partner), room = await shared_server.pair()
    await partner.say("hello")
    await client.cut()
    await partner.until("room:partner_away")
    back = await shared_server.connect(anna, {**room, "seq": 1, field: number})

    # As without a position: what has not been confirmed comes again.
    assert (await back.until("room:resumed"))["gap"] == 0
    assert (await back.until("chat:message"))["content"] == "hello"
    await partner.until("room:partner_back")
