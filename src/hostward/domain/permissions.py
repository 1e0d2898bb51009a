"""What a role may do in the Administrative Console, the API and the command line.

Each route says which permission its writes need; reading needs READ, which every role but none has.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from hostward.domain.errors import Forbidden
from hostward.domain.people import Role


class Permission(StrEnum):
    """One kind of act."""

    OWN = "what is one's own: logging out, one's password, favourites"
    READ = "read the configuration"
    SESSIONS = "change sessions and who may use them"
    HELP = "help users: passwords, locks, logins"
    AUDIT = "read and export the audit log"
    EVERYTHING = "change everything else"


_ALL: Final = frozenset(Permission)
_READ: Final = frozenset({Permission.OWN, Permission.READ})
ALLOWED: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.NONE: frozenset({Permission.OWN}),
    Role.ADMINISTRATOR: _ALL,
    Role.SESSIONS: _READ | {Permission.SESSIONS},
    Role.HELP_DESK: _READ | {Permission.HELP},
    Role.AUDITOR: _READ | {Permission.AUDIT},
}


def check_allowed(role: Role, needed: Permission) -> None:
    """Raises Forbidden where the role doesn't allow it."""
    if needed in ALLOWED[role]:
        return
    roles = [r.value for r, allowed in ALLOWED.items() if needed in allowed and r is not Role.NONE]
    raise Forbidden(
        "Your role doesn't allow this." if role else "This is for administrators.",
        remedy=f"It needs the role {' or '.join(roles)}: ask an administrator.",
        code="role",
    )
