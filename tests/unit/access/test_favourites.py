"""A user's favourites are changed in turns."""

from __future__ import annotations

import asyncio

import pytest

from hostward.access.favourites import EVERY_S, FavouriteTurns
from hostward.domain.errors import Unavailable
from hostward.domain.favourites import Marking

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R23")]


class World:
    """A clock that a pause moves, and what was made of the markings."""

    def __init__(self) -> None:
        self.now_s, self.made = 100.0, list[Marking]()
        self.away = False
        self.turns = FavouriteTurns(lambda: self.now_s, self.pause)

    async def pause(self, wait_s: float) -> None:
        await asyncio.sleep(0)
        self.now_s += wait_s

    async def make(self, marking: Marking) -> None:
        if self.away:
            raise Unavailable("The Master doesn't answer.")
        self.made.append(marking)

    async def click(self, *add: str, remove: str = "", user: str = "anna") -> None:
        await self.turns.change(user, Marking(frozenset(add), frozenset({remove} - {""})), self.make)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_clicks_at_the_same_time_are_one_change_and_the_last_one_holds() -> None:
    world = World()
    await asyncio.gather(world.click("a"), world.click("b"), world.click(remove="a"), world.click("c", "b"))
    assert world.made == [Marking(frozenset("bc"), frozenset("a"))]


async def test_a_user_has_one_change_a_second_and_keeps_nobody_else_waiting() -> None:
    world = World()
    for n in range(5):
        await world.click(f"s{n}")
    assert world.now_s >= 100 + 4 * EVERY_S
    before = world.now_s
    await world.click("other", user="bert")
    assert world.now_s == before
    assert len(world.made) == 6


async def test_what_could_not_be_made_is_told_to_all_who_wait_and_holds_up_nothing_later() -> None:
    world = World()
    world.away = True
    answers = await asyncio.gather(world.click("a"), world.click("b"), return_exceptions=True)
    assert [type(a) for a in answers] == [Unavailable, Unavailable]
    world.away = False
    await world.click("c")
    assert world.made == [Marking(frozenset("c"))]


async def test_who_gives_up_waiting_takes_nothing_away_from_the_others() -> None:
    world = World()
    first = asyncio.create_task(world.click("a"))
    await asyncio.sleep(0)
    first.cancel()
    await world.click("b")
    assert {s for m in world.made for s in m.add} == {"a", "b"}
