"""The search over everything."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from hostward.commands import searching
from hostward.http.api.shapes import answers
from hostward.http.requests import Json, Shown, Strict, Who, With, administrators_router

router = administrators_router("Search", "/search")


class SearchQuery(Strict):
    q: str = Field(max_length=searching.MAX_QUERY)
    """Words, each of which must be found somewhere; none: the console's panels."""
    each: int = Field(default=10, ge=1, le=searching.MAX_EACH)
    """At most so many hits of each kind."""


class HitShown(Shown):
    kind: searching.Kind
    id: str
    """What the operations about its kind take."""
    title: str
    detail: str
    path: str
    """Where the console has it, below the servlet context; empty where it has no page."""


class Hits(Shown):
    items: list[HitShown]
    more: list[searching.Kind]
    """Of which kinds there are more."""


@router.get("", summary="Search everything", responses=answers(Hits, "The first hits of each kind"))
async def search(query: Annotated[SearchQuery, Query()], who: Who, services: With) -> Response:
    """Sessions, users and their groups, packages, servers, trusted certificates, change requests, settings,
    the console's panels: what the caller's role may look at."""
    found = await searching.search(services, who, query.q, each=query.each)
    return Json({"items": [asdict(hit) for hit in found.hits], "more": list(found.more)})
