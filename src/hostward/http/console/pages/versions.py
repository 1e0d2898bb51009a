"""A stale save: both versions, side by side, of whatever the form has. The form stays as it is until its own button is
pressed again, so neither is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from hostward.http.console.pages.entries import as_entered, as_shown
from hostward.http.console.visits import Visit


@dataclass(frozen=True, slots=True)
class Compared:
    """One field of two versions. `shown` says a value for reading."""

    name: str
    label: str
    theirs: Any
    mine: Any
    shown: Callable[[Any], str] = as_shown

    @property
    def differs(self) -> bool:
        return as_entered(self.theirs) != as_entered(self.mine)

    @property
    def theirs_shown(self) -> str:
        return self.shown(self.theirs)

    @property
    def mine_shown(self) -> str:
        return self.shown(self.mine)


def both_versions(
    visit: Visit, noun: str, rows: Iterable[Compared], *, etag: str | None, revision: int | None = None
) -> Response:
    """The saved version beside the one that was to be saved, to choose from field by field; `etag` is None where the
    saved one is gone. The form has a place for it with the id "versions"."""
    part = visit.part("parts/versions.html", noun=noun, rows=list(rows), etag=etag, revision=revision)
    part.headers.update({"HX-Retarget": "#versions", "HX-Reswap": "innerHTML", "HX-Trigger-After-Settle": "hw:changed"})
    return part
