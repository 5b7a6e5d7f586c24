"""Whatever a program can find out about accessibility, axe-core finds nothing of it, on any screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import tours
from tests.e2e.axe import violations, violations_everywhere
from tests.e2e.conftest import Street, Tabs
from tests.e2e.test_console import desks_of
from tests.e2e.test_house import house_files
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


class Inspector:
    """Looks at every screen of a tour with axe-core, and says at its end what it found on all of them."""

    def __init__(self) -> None:
        self._found: list[str] = []

    async def look(self, visitor: Visitor, screen: str) -> None:
        self._found += [f"{screen}, {violation}" for violation in await violations_everywhere(visitor.page)]

    def finds_nothing(self) -> None:
        assert not self._found, "\n".join(self._found)


async def test_what_is_wrong_is_found(street: Street) -> None:
    anna = await street.visitor()
    await anna.sees_connection("Connected")
    await anna.page.evaluate("""() => {
      const button = Object.assign(document.createElement('button'), { id: 'nameless' });
      const pale = Object.assign(document.createElement('p'), { id: 'pale', textContent: 'Pale' });
      pale.style = 'color: #ccc; background: #fff';
      document.querySelector('main').append(button, pale);
    }""")
    found = "\n".join(await violations(anna.page))
    assert "button-name (critical): #nameless" in found
    assert "color-contrast (serious): #pale" in found
    assert "color-contrast (serious): #pale" in "\n".join(await violations(anna.page, colours_only=True))


async def test_before_the_first_session(street: Street, tmp_path: Path) -> None:
    inspector = Inspector()
    await tours.before_the_first_session(street, inspector.look, **house_files(tmp_path))
    inspector.finds_nothing()


async def test_among_strangers(street: Street) -> None:
    inspector = Inspector()
    await tours.among_strangers(street, inspector.look)
    inspector.finds_nothing()


async def test_told_by_a_moderator(street: Street) -> None:
    inspector = Inspector()
    await tours.told_by_a_moderator(street, inspector.look)
    inspector.finds_nothing()


async def test_the_console(tabs: Tabs) -> None:
    inspector = Inspector()
    async with desks_of(tabs) as desks:
        await tours.at_the_desks(desks, inspector.look)
    inspector.finds_nothing()
