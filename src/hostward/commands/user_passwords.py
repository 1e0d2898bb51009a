"""The changes that give a user another password, or end all logins of a user; who decides on them asks here."""

from __future__ import annotations

from collections.abc import Sequence

from hostward.access import passwords
from hostward.commands.reading import existing_person
from hostward.commands.services import Services
from hostward.domain.changes import Body, Operation, Put, canonical
from hostward.domain.errors import Conflict
from hostward.domain.people import PASSWORD_KIND, USER_KIND, check_password, new_generation
from hostward.registry.group import Reader


def own_password(services: Services, user_id: str, hashed: str, reader: Reader) -> Sequence[Operation]:
    """The change that gives a user a new password, of which the hash is given. Raises NotFound, InvalidInput."""
    existing_person(reader, USER_KIND, user_id)
    return [password_put(services, user_id, hashed)]


def ended_logins(user_id: str, reader: Reader) -> Sequence[Operation]:
    """The change that ends all logins of a user. Raises NotFound."""
    existing_person(reader, USER_KIND, user_id)
    kept = _kept_password(reader, user_id)
    return [Put(PASSWORD_KIND, user_id, canonical({**kept, "generation": new_generation()}))]


async def hashed_password(services: Services, password: str | None, user: str, field: str) -> str | None:
    """The hash of a password for `user`; None for none. Raises InvalidInput, of `field`, and Unavailable."""
    if password is None:
        return None
    checked = passwords.check_new(password, user, field)
    return await services.administrators.hashed(checked)


def password_put(services: Services, user_id: str, hashed: str) -> Put:
    """The password of that hash, from now on, in a generation of its own: all logins of the user end."""
    changed_at = services.clock().isoformat(timespec="seconds").replace("+00:00", "Z")
    body = check_password({"hash": hashed, "changed_at": changed_at, "generation": new_generation()})
    return Put(PASSWORD_KIND, user_id, canonical(body))


def by_directory(name: str) -> Conflict:
    """A password isn't the group's to change."""
    return Conflict(
        f"The password is the directory's ({name}).", remedy="Change it there.", code="password-of-directory"
    )


def _kept_password(reader: Reader, user_id: str) -> Body:
    kept = reader.get(PASSWORD_KIND, user_id)
    return check_password(kept.json() if kept else {})
