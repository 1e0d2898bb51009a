"""A user's favourites are changed in turns."""

from __future__ import annotations

import asyncio

import pytest

from hostward.access.favourites import EVERY_S, FavouriteTurns
from hostward.access.own_pace import SERVER_AT_ONCE, USER_AT_ONCE, USER_EVERY_S, TooOften
from hostward.domain.errors import InvalidInput, Unavailable
from hostward.domain.favourites import TOO_MANY, Marking

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R23")]


class World:
    """A clock that a pause moves, and what was made of the markings."""

    def __init__(self) -> None:
        self.now_s, self.made = 100.0, list[Marking]()
        self.away, self.room = False, 1_000
        self.turns = FavouriteTurns(lambda: self.now_s, self.pause)

    async def pause(self, wait_s: float) -> None:
        await asyncio.sleep(0)
        self.now_s += wait_s

    async def make(self, marking: Marking) -> None:
        if self.away:
            raise Unavailable("The Master doesn't answer.")
        if len({s for m in [*self.made, marking] for s in m.add}) > self.room:
            raise InvalidInput("That would be too many.", code=TOO_MANY)
        self.made.append(marking)

    async def click(self, *add: str, remove: str = "", user: str = "anna", server: str = "") -> None:
        await self.turns.change(user, Marking(frozenset(add), frozenset({remove} - {""})), self.make, server)


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


async def test_what_fits_only_alone_is_not_refused_with_what_it_was_put_together_with() -> None:
    world = World()
    world.room = 2
    first, second, third = await asyncio.gather(
        world.click("a", "b"), world.click("c"), world.click("a"), return_exceptions=True
    )
    assert (first, third) == (None, None)
    assert isinstance(second, InvalidInput)
    assert world.made == [Marking(frozenset("ab")), Marking(frozenset("a"))]
    assert world.now_s >= 100 + 3 * EVERY_S, "each has a turn of its own"


async def test_who_changes_without_end_is_held_back_and_keeps_nobody_else_waiting() -> None:
    """The change log keeps the newest 50,000 changes: a script would push out all of the group's history."""
    world = World()
    for _ in range(500):
        try:
            await world.click("a")
        except TooOften as held:
            await world.pause(held.retry_after_s)
    assert world.now_s - 100 >= (len(world.made) - USER_AT_ONCE - 1) * USER_EVERY_S
    await world.click("a", user="bert")
    await world.pause(USER_AT_ONCE * USER_EVERY_S)
    before = len(world.made)
    for _ in range(USER_AT_ONCE):
        await world.click("a")
    assert len(world.made) == before + USER_AT_ONCE, "after a quiet time all is as it was"


async def test_a_server_that_was_taken_over_is_held_back_whomever_it_names() -> None:
    world = World()
    for n in range(SERVER_AT_ONCE):
        await world.click("a", user=f"user {n}", server="b")
    with pytest.raises(TooOften):
        await world.click("a", server="b")
    await world.click("a", server="c")
    await world.click("a")
    first = asyncio.create_task(world.click("a"))
    await asyncio.sleep(0)
    with pytest.raises(TooOften):
        await world.click("b", server="b")
    await first
