"""What several commands look up."""

from __future__ import annotations

from hostward.commands.services import Services
from hostward.domain.assignments import Of
from hostward.domain.errors import NotFound
from hostward.domain.people import USER_KIND
from hostward.domain.sessions import KIND
from hostward.domain.suggestions import shown
from hostward.registry.group import Element, Reader


def existing_session(reader: Reader, session_id: str) -> Element:
    """Raises NotFound."""
    return existing(reader, Of(KIND), session_id)


def existing(reader: Reader, kind: Of, id_: str) -> Element:
    """A session or package. Raises NotFound."""
    found = reader.get(kind.value, id_)
    if found is None:
        raise no_such(kind, id_)
    return found


def no_such(kind: Of, id_: str) -> NotFound:
    """Also for who may not know that there is one."""
    noun = kind.value
    return NotFound(f"There is no {noun} with the id {shown(id_)}.", remedy=f"Search by its name: GET {noun}s?q=NAME.")


def named(reader: Reader, kind: Of, given: str) -> Element | None:
    """A session or package by its id or name."""
    found = reader.get(kind.value, given)
    return found if found is not None else reader.find_by_name(kind.value, given)


def existing_person(reader: Reader, kind: str, id_: str) -> Element:
    """A user or user group. Raises NotFound."""
    found = reader.get(kind, id_)
    if found is None:
        noun, path = ("user", "users") if kind == USER_KIND else ("user group", "user-groups")
        raise NotFound(
            f"There is no {noun} with the id {shown(id_)}.", remedy=f"Search by its name: GET {path}?q=NAME."
        )
    return found


def now_of(services: Services) -> str:
    """This moment, as assignments have it."""
    return services.clock().isoformat(timespec="seconds").replace("+00:00", "Z")
