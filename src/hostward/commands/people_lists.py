"""Users and user groups as lists: searched, filtered, sorted, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hostward.commands.people import check_directory_there
from hostward.commands.reading import existing_person
from hostward.commands.services import Services
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.people import GROUP_KIND, USER_KIND, UserSearch
from hostward.domain.suggestions import did_you_mean, shown
from hostward.registry.group import Element, Reader


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a list, and how many there are on all pages. `names` are those of all groups, by their ids;
    `sizes`, for groups alone, how many users belong to each directly."""

    items: Sequence[Element]
    total: int
    names: Mapping[str, str]
    sizes: Mapping[str, int] | None


async def list_users(services: Services, search: UserSearch, *, sort: str, page: int, per_page: int) -> Found:
    """`sort` is name, full_name or role; with - before it, the other way round. Raises InvalidInput, NotFound."""

    def read() -> Found:
        with services.group.read() as reader:
            check_search(reader, search)
            ids, total = reader.people.users(search, sort=sort, page=page, per_page=per_page)
            items = [e for e in (reader.get(USER_KIND, i) for i in ids) if e]
            return Found(items, total, reader.people.group_names(), None)

    return await asyncio.to_thread(read)


async def list_groups(services: Services, q: str, group: str | None, *, sort: str, page: int, per_page: int) -> Found:
    """`group` is a group's id: what belongs to it directly; `sort` name or users. Raises InvalidInput, NotFound."""

    def read() -> Found:
        with services.group.read() as reader:
            if group is not None:
                existing_person(reader, GROUP_KIND, group)
            ids, total = reader.people.groups(q, group, sort=sort, page=page, per_page=per_page)
            items = [e for e in (reader.get(GROUP_KIND, i) for i in ids) if e]
            return Found(items, total, reader.people.group_names(), reader.people.sizes())

    return await asyncio.to_thread(read)


def group_meant(services: Services, given: str) -> Element:
    """The group with that name, whatever its case, or id. Raises InvalidInput."""
    with services.group.read() as reader:
        found = reader.get(GROUP_KIND, given) or reader.find_by_name(GROUP_KIND, given)
        if found is not None:
            return found
        meant = did_you_mean(given, reader.people.group_names().values())
    problem, remedy = f"There is no user group {shown(given)}.", f"{meant}Check the name."
    raise InvalidInput(problem, remedy=remedy, code="group-unknown", mistakes=[Mistake("group", problem, remedy)])


def check_search(reader: Reader, search: UserSearch) -> None:
    """Raises NotFound where the group isn't there that it names, InvalidInput for the directory."""
    if search.group is not None:
        existing_person(reader, GROUP_KIND, search.group)
    check_directory_there(reader, {"directory": search.directory or ""})
