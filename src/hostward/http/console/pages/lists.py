"""What lists have in common: words and filters, columns to sort by, pages. The address says all of it, so that a list
can be kept, sent to others and come back to; and what is chosen in it for an act on many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response

from hostward.commands.choosing import MAX_IDS, Selection
from hostward.http.console.visits import Visit, page_of

PER_PAGE: Final = 50
MAX_WORDS: Final = 500
MAX_NAME: Final = 1200
"""Of a name to filter by: a directory's are long."""
PART: Final = "list"
"""The id of what is replaced when something else of a list is shown."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: its panel, what there is to filter by besides words (with the values that there are; None for any), and
    the columns: what each is sorted by, empty for what it isn't, and its title. `usual` is how it is sorted before
    anybody says so."""

    panel: str
    filters: Mapping[str, Collection[str] | None]
    columns: Sequence[tuple[str, str]]
    usual: str = "name"


@dataclass(frozen=True, slots=True)
class View:
    """Which part of a list is shown."""

    listing: Listing
    filters: Mapping[str, str]
    sort: str
    page: int = 1

    @classmethod
    def of(cls, listing: Listing, given: Mapping[str, str]) -> View:
        """What can't be used is as if it weren't there."""
        filters = {"q": given.get("q", "")[:MAX_WORDS].strip()}
        for name, values in listing.filters.items():
            value = given.get(name, "")[:MAX_NAME].strip()
            filters[name] = value if values is None or value in values else ""
        sorts = {sort for sort, _ in listing.columns if sort}
        sort = given.get("sort", "")
        sort = sort if sort.removeprefix("-") in sorts else listing.usual
        return cls(listing, filters, sort, page_of(given.get("page", "")))

    @classmethod
    def kept(cls, listing: Listing, query: str) -> View:
        """From what `query` gave."""
        return cls.of(listing, dict(parse_qsl(query[: 4 * MAX_NAME])))

    @property
    def narrowed(self) -> bool:
        """Whether not all are shown."""
        return any(self.filters.values())

    @property
    def query(self) -> str:
        """Only what isn't as usual."""
        values = {**self.filters, "sort": "" if self.sort == self.listing.usual else self.sort}
        values["page"] = "" if self.page == 1 else str(self.page)
        return urlencode({name: value for name, value in values.items() if value})

    def path(self, *, page: int = 1, sort: str = "") -> str:
        """The list's own path, its first page unless another one is named."""
        query = replace(self, page=page, sort=sort or self.sort).query
        return self.listing.panel + (f"?{query}" if query else "")

    def sorted_by(self, column: str) -> str:
        """Its path when the column's head is pressed."""
        return self.path(sort=f"-{column}" if self.sort == column else column)

    @property
    def here(self) -> str:
        """Its path as it is."""
        return self.path(page=self.page)


class Page(Protocol):
    """One page of what was found, and how many there are on all."""

    @property
    def items(self) -> Sequence[Any]: ...
    @property
    def total(self) -> int: ...


P = TypeVar("P", bound=Page)


async def find_page(view: View, find: Callable[[View], Awaitable[P]]) -> tuple[View, P]:
    """What is on the page that is asked for, or on the last one where there is no such page any more."""
    found = await find(view)
    last = _last(found.total)
    if view.page <= last:
        return view, found
    view = replace(view, page=last)
    return view, await find(view)


async def answer_list(
    visit: Visit, view: View, total: int, page: str, part: str, around: Mapping[str, Any], **shown: Any
) -> Response:
    """The list alone, where htmx asks for it, or its whole page, which has `around` too."""
    shown |= {
        "panel": view.listing.panel,
        "view": view,
        "total": total,
        "last": _last(total),
        "first": (view.page - 1) * PER_PAGE + 1,
        "revision": visit.services.group.position.revision,
    }
    if visit.request.headers.get("hx-target") != PART:
        return await visit.page(page, **around, **shown)
    answer = visit.part(part, **shown)
    answer.headers["HX-Replace-Url"] = visit.console.base + view.here
    return answer


def selected(visit: Visit, listing: Listing) -> tuple[Selection, View]:
    """Those that are ticked, or all that match the view of the list; and that view, to come back to."""
    view, expected = View.kept(listing, visit.text("list")), visit.text("expected")
    if visit.text("all") == "yes":
        return Selection(None, int(expected) if expected.isdigit() else None), view
    return Selection(tuple(visit.text("ids").split()[:MAX_IDS])), view


def _last(total: int) -> int:
    return max(1, -(-total // PER_PAGE))
