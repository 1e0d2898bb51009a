"""LDAP directories: where some users' passwords are checked, and what is wrong with a directory's settings.

A user of the group may name a directory. Then the password is the directory's, on every server; who the user is, what
they may do and what is assigned to them is the group's own all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from hostward.domain.changes import Body
from hostward.domain.fields import Checks, check_count, check_text, check_yes_no, checked
from hostward.domain.suggestions import listed, shown
from hostward.domain.texts import UNSEEN, Wrong, not_text

KIND: Final = "directory"
USER: Final = "{user}"
DN: Final = "{dn}"
MAX_SERVERS: Final = 8
MAX_TEXT: Final = 1000
MAX_TIMEOUT_S: Final = 30
MAX_CERTIFICATES: Final = 64_000
MANY_GONE: Final = 5
MANY_GONE_SHARE: Final = 0.2
_PEM: Final = re.compile(r"(?:-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\s*)+").fullmatch


class Security(StrEnum):
    """How the connection is encrypted. `NONE` sends passwords readable over the network."""

    LDAPS = "ldaps"
    START_TLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Directory:
    """`servers` are host or host:port, asked in this order. `certificates` (PEM) are
    of its servers or of who has issued theirs: they alone are believed, those of the system where there are none.
    `credential` is the name of the entry of each server's own
    Credential Store that it is searched with; empty for anonymously. In the filters {user} is the user name, {dn} the
    name of who a group has as a member. `first_login`: whom it knows and the group doesn't becomes a user by logging
    in."""

    id: str
    name: str
    servers: Sequence[str]
    security: Security
    certificates: str
    credential: str
    user_base: str
    user_filter: str
    full_name_attribute: str
    name_attribute: str
    group_base: str
    group_filter: str
    group_name_attribute: str
    timeout_s: int
    first_login: bool


def check_directory(given: Mapping[str, Any]) -> Body:
    """The body of a directory. Raises InvalidInput, with one Mistake a field."""
    return checked("directory", _CHECKS, given)


def directory_of(id_: str, body: Mapping[str, Any]) -> Directory:
    """From an element's body, which was checked when it was written."""
    known = settings_of(body)
    return Directory(id_, **{**known, "security": Security(known["security"])})


def settings_of(body: Mapping[str, Any]) -> Body:
    """All settings of a directory; what an older server has left out is as where it isn't given, or as it was there."""
    return {name: body.get(name, _BEFORE.get(name, empty)) for name, (empty, _) in _CHECKS.items()}


def is_mass(gone: int, of: int) -> bool:
    """Whether so many are more than have left: then it is rather a mistake in the directory, or in how it is asked."""
    return gone > MANY_GONE and gone > of * MANY_GONE_SHARE


def host_and_port(server: str, security: Security) -> tuple[str, int]:
    """Of an entry of `servers`. Raises ValueError."""
    parts = urlsplit(f"//{server}")
    if not parts.hostname or parts.path or parts.query or parts.username:
        raise ValueError("it is no host")
    return parts.hostname, parts.port or (636 if security is Security.LDAPS else 389)


def _servers(value: object) -> list[str] | Wrong:
    right = "Write host names with a port where it isn't the usual one, such as ldap1.example.com:636."
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, str) for v in value):
        return Wrong(f"{shown(value)} isn't a list of servers.", right)
    if not 0 < len(value) <= MAX_SERVERS:
        return Wrong(f"There are {len(value)} servers.", f"Use 1 to {MAX_SERVERS}. {right}")
    for one in value:
        try:
            fine = bool(re.fullmatch(r"[A-Za-z0-9.:_\[\]-]{1,260}", one)) and host_and_port(one, Security.LDAPS)[1] > 0
        except ValueError:
            fine = False
        if not fine:
            return Wrong(f"{shown(one)} is no server.", right)
    return list(value)


def _security(value: object) -> str | Wrong:
    known = [s.value for s in Security]
    return str(value) if value in known else Wrong(f"{shown(value)} is no choice.", f"Use {listed(known)}.")


def _certificates(value: object) -> str | Wrong:
    if not isinstance(value, str):
        return not_text(value)
    text = value.replace("\r\n", "\n").strip()
    if len(text) > MAX_CERTIFICATES or (text and not _PEM(text)):
        return Wrong(
            "It isn't one or more certificates in PEM.",
            "Write each from -----BEGIN CERTIFICATE----- to END, or leave it empty for the system's authorities.",
        )
    return text


def _line(value: object) -> str | Wrong:
    if not isinstance(value, str):
        return not_text(value)
    fine = len(value) <= MAX_TEXT and not re.search(f"[{UNSEEN}]", value)
    return value if fine else Wrong("It is too long, or has a character that can't be seen.", "Write it on one line.")


def _needed(value: object) -> str | Wrong:
    return _line(value) if value != "" else Wrong("It is empty.", "Write where it is searched: dc=example,dc=com.")


def _attribute(value: object) -> str | Wrong:
    fine = isinstance(value, str) and re.fullmatch("[A-Za-z][A-Za-z0-9;-]{0,60}", value)
    return str(value) if fine else Wrong(f"{shown(value)} is no attribute.", "Write its name, such as cn.")


def _filter_with(place: str, value: object) -> str | Wrong:
    found = _line(value)
    if isinstance(found, Wrong):
        return found
    outside = re.sub(r"\\[0-9a-fA-F]{2}", "", found)
    balanced = outside.count("(") == outside.count(")") and found.startswith("(") and found.endswith(")")
    if not balanced or found.count(place) != 1:
        return Wrong(f"{shown(found)} is no such filter.", f"Write one in parentheses, with {place} in it once.")
    return found


def _timeout(value: object) -> int | Wrong:
    found = check_count(value)
    if isinstance(found, int) and not 1 <= found <= MAX_TIMEOUT_S:
        return Wrong(f"{found} seconds can't be used.", f"Use 1 to {MAX_TIMEOUT_S}.")
    return found


_CHECKS: Final[Checks] = {
    "name": ("", lambda value: check_text(value, "name")),
    "servers": ((), _servers),
    "security": (Security.LDAPS.value, _security),
    "certificates": ("", _certificates),
    "credential": ("", _line),
    "user_base": ("", _needed),
    "user_filter": ("(uid={user})", lambda value: _filter_with(USER, value)),
    "name_attribute": ("uid", _attribute),
    "full_name_attribute": ("cn", _attribute),
    "group_base": ("", _line),
    "group_filter": ("(member={dn})", lambda value: _filter_with(DN, value)),
    "group_name_attribute": ("cn", _attribute),
    "timeout_s": (5, _timeout),
    "first_login": (True, check_yes_no),
}
_BEFORE: Final[Mapping[str, object]] = {"first_login": False}
"""What held before there was such a setting, where that is something else than a new directory gets."""
