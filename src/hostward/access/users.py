"""The group's users as they log in here.

They are looked up in the registry at each request, so that what is changed there (disabled, a new password, logged out
everywhere, another role) holds on this server as soon as it has the change.
"""

from __future__ import annotations

from dataclasses import dataclass

from hostward.domain.people import PASSWORD_KIND, USER_KIND, Role
from hostward.registry.group import GroupRegistry, Reader


@dataclass(frozen=True, slots=True)
class User:
    """A user of the group. `hash` is the password's, empty where there is none; a login of another `generation` than
    this is no longer good. `directory` is the one that checks the password instead, empty for none; `dn` is where
    the user is in it, as far as it is known."""

    id: str
    name: str
    role: Role
    disabled: bool
    hash: str
    generation: int
    directory: str = ""
    dn: str = ""

    def __repr__(self) -> str:
        return f"User({self.name!r}, {self.role.value!r})"


class Users:
    """Quick enough for the event loop."""

    def __init__(self, group: GroupRegistry) -> None:
        self._group = group

    def named(self, name: str) -> User | None:
        """Whatever the case."""
        with self._group.read() as reader:
            id_ = reader.people.user_named(name)
            return _user(reader, id_) if id_ else None

    def get(self, user_id: str) -> User | None:
        with self._group.read() as reader:
            return _user(reader, user_id)

    def hash_of(self, name: str) -> str | None:
        """Of that user's password; None where there is no such user, or no password."""
        found = self.named(name)
        return found.hash or None if found else None


def _user(reader: Reader, id_: str) -> User | None:
    found = reader.get(USER_KIND, id_)
    if found is None:
        return None
    body = found.json()
    kept = reader.get(PASSWORD_KIND, id_)
    password = kept.json() if kept else {}
    known = body.get("role", "") in [r.value for r in Role]
    # A role that a newer server knows is none here.
    role = Role(body["role"]) if known else Role.NONE
    disabled = bool(body.get("disabled", False))
    hashed, generation = password.get("hash", ""), password.get("generation", 0)
    directory, dn = body.get("directory", ""), body.get("dn", "")
    return User(id_, body["name"], role, disabled, hashed, generation, directory, dn)
