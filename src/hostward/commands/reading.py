"""What several commands look up."""

from __future__ import annotations

from hostward.domain.errors import NotFound
from hostward.domain.sessions import KIND
from hostward.domain.suggestions import shown
from hostward.registry.group import Element, Reader


def existing_session(reader: Reader, session_id: str) -> Element:
    """Raises NotFound."""
    found = reader.get(KIND, session_id)
    if found is None:
        raise no_such_session(session_id)
    return found


def no_such_session(session_id: str) -> NotFound:
    """Also for who may not know that there is one."""
    return NotFound(
        f"There is no session with the id {shown(session_id)}.", remedy="Search by its name: GET sessions?q=NAME."
    )
