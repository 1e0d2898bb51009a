"""Users and user groups: accounts of the group, the same on every server, and what is wrong with one that isn't good.

Which groups somebody belongs to is said by the user, and by each group of the groups that it belongs to in turn. Both
name groups by their ids, so that a group may be renamed. A password isn't part of the user: its hash is an element of
its own (PASSWORD_KIND, the user's id), which no history shows and no restore brings back.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from hostward.domain.changes import Body
from hostward.domain.fields import Checks, check_count, check_text, check_yes_no, checked
from hostward.domain.folders import dn_key
from hostward.domain.suggestions import did_you_mean, listed, shown
from hostward.domain.texts import Wrong, check_comment, name_key, not_text

USER_KIND: Final = "user"
GROUP_KIND: Final = "user-group"
PASSWORD_KIND: Final = "user-password"  # noqa: S105
MAX_USER_NAME: Final = 64
MAX_GROUPS: Final = 100


class Role(StrEnum):
    """What a user may do in the Administrative Console; most may nothing there."""

    NONE = ""
    ADMINISTRATOR = "administrator"
    SESSIONS = "sessions"
    HELP_DESK = "help desk"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class RoleText:
    """A role as it is chosen."""

    role: Role
    label: str
    help: str


class State(StrEnum):
    """How it stands with a user's logging in."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    NO_PASSWORD = "no password"  # noqa: S105


@dataclass(frozen=True, slots=True)
class UserSearch:
    """Which users: those that have all the words of `q` in name, full name or comment, and everything else that is
    given. An empty `role` is that of users without one, an empty `directory` that of users whose password is the
    group's own; `group` is the id of one that they belong to directly. NO_PASSWORD are the users without any, of no
    directory."""

    q: str = ""
    role: Role | None = None
    state: State | None = None
    directory: str | None = None
    group: str | None = None


ROLES: Final = (
    RoleText(Role.NONE, "None", "Uses sessions and packages; no console."),
    RoleText(Role.ADMINISTRATOR, "Administrator", "Everything."),
    RoleText(Role.SESSIONS, "Sessions", "Sessions and who may use them; reads everything else."),
    RoleText(Role.HELP_DESK, "Help desk", "Reads everything; new passwords, unlocking, logging users out."),
    RoleText(Role.AUDITOR, "Auditor", "Reads everything, the audit log and its exports too."),
)

MAX_HASH: Final = 300
MAX_KIB, MAX_PASSES, MAX_LANES = 1 << 18, 16, 8
_ARGON2 = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,4}),p=([0-9]{1,3})\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,128}"
).fullmatch
_USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}").fullmatch


def check_user(given: Mapping[str, Any]) -> Body:
    """The body of a user with these fields. `name` must be there; `full_name`, `role`, `comment` and `directory` (the
    name of the one that checks the password) are empty where they aren't given, `groups` (ids) none, `disabled` false.
    `dn` is the user's distinguished name in the directory, as far as it is known.
    Raises InvalidInput, with one Mistake a field."""
    return checked("user", _USER_CHECKS, given)


def check_group(given: Mapping[str, Any]) -> Body:
    """The body of a user group: `name`, `groups` (ids of those that it belongs to), `comment`. Raises InvalidInput."""
    return checked("user group", _GROUP_CHECKS, given)


def check_password(given: Mapping[str, Any]) -> Body:
    """The body of a user's password: `hash` (Argon2, empty where there is none), `changed_at`, and `generation`, which
    is another number whenever the user's logins are to end: one made in another generation is no longer good, whatever
    the clocks of the servers say. Raises InvalidInput."""
    return checked("password", _PASSWORD_CHECKS, given)


def _user_name(value: object) -> str | Wrong:
    if not isinstance(value, str):
        return not_text(value)
    if _USER_NAME(value):
        return value
    problem = "The user name is empty." if not value else f"{shown(value)} can't be a user name."
    return Wrong(
        problem, f"Use 1 to {MAX_USER_NAME} letters, digits, and . _ @ or -, beginning with a letter or digit."
    )


def _full_name(value: object) -> str | Wrong:
    return check_text(value, "full name") if value != "" else ""


def _group_name(value: object) -> str | Wrong:
    if isinstance(value, str) and ";" in value:
        return Wrong("The name has a semicolon, which separates groups in files.", "Leave it out.")
    return check_text(value, "name")


def _directory(value: object) -> str | Wrong:
    return check_text(value, "directory") if value != "" else ""


def _dn(value: object) -> str | Wrong:
    if not isinstance(value, str):
        return not_text(value)
    try:
        return value if value == "" or dn_key(value) else ""
    except ValueError:
        return Wrong(f"{shown(value)} is no distinguished name.", "Write it as the directory has it.")


def left_directory(before: Body, after: Body) -> bool:
    """Whether the user's place, which is kept, is another directory's than the one that the user is of now."""
    same = name_key(before["directory"]) == name_key(after["directory"])
    return not same and after["dn"] != "" and after["dn"] == before["dn"]


def _role(value: object) -> str | Wrong:
    known = [r.value for r in Role]
    if value in known:
        return str(value)
    remedy = f"Use {listed(k for k in known if k)}; or leave it empty."
    return Wrong(f"{shown(value)} is no role.", f"{did_you_mean(str(value), known)}{remedy}")


def _ids(value: object) -> list[str] | Wrong:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, str) and v for v in value):
        return Wrong(f"{shown(value)} isn't a list of groups.", "Write a list.")
    found = sorted(set(value))
    return found if len(found) <= MAX_GROUPS else Wrong(f"There are {len(found)} groups.", f"Use at most {MAX_GROUPS}.")


def _hash(value: object) -> str | Wrong:
    """Its parameters are bounded: each guess at the password costs what they say, and a Slave may send one."""
    if value == "":
        return ""
    found = _ARGON2(value) if isinstance(value, str) and len(value) <= MAX_HASH else None
    if found is None or int(found[1]) > MAX_KIB or int(found[2]) > MAX_PASSES or int(found[3]) > MAX_LANES:
        return Wrong("It is no Argon2 hash that is made here.", "Set the password anew.")
    return str(value)


def new_generation() -> int:
    """Random, so that none comes again: not after a promotion that left changes behind, nor from a backup."""
    return secrets.randbits(53)


def _moment(value: object) -> str | Wrong:
    fine = isinstance(value, str) and re.fullmatch(r"(\d{4}-\d\d-\d\dT[0-9:.]{5,15}Z)?", value)
    return str(value) if fine else Wrong(f"{shown(value)} is no moment.", "Write it in ISO 8601, in UTC.")


_USER_CHECKS: Final[Checks] = {
    "name": ("", _user_name),
    "full_name": ("", _full_name),
    "groups": ((), _ids),
    "role": ("", _role),
    "disabled": (False, check_yes_no),
    "comment": ("", check_comment),
    "directory": ("", _directory),
    "dn": ("", _dn),
}
_GROUP_CHECKS: Final[Checks] = {
    "name": ("", _group_name),
    "groups": ((), _ids),
    "comment": ("", check_comment),
}
_PASSWORD_CHECKS: Final[Checks] = {
    "hash": ("", _hash),
    "changed_at": ("", _moment),
    "generation": (0, check_count),
}
USER_FIELDS: Final = tuple(_USER_CHECKS)
GROUP_FIELDS: Final = tuple(_GROUP_CHECKS)
