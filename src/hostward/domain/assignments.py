"""Assign Access: who may use which session or package, or may not, and until when.

An assignment gives one thing to one subject, or denies it; there is at most one for the two, whose id follows from
them. What somebody may use is what is allowed to them, to a group they belong to (also by way of others), to a folder
of their directory that holds them (domain.folders) or to everyone, and isn't denied to any of these: a denial always
wins. An assignment that is over counts for nothing. A session's own Groups are assignments of it, too, to the groups of
those names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from hostward.domain.changes import Body, Put, canonical
from hostward.domain.directories import KIND as DIRECTORY_KIND
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.folders import folder_parts
from hostward.domain.packages import KIND as PACKAGE_KIND
from hostward.domain.people import GROUP_KIND, USER_KIND
from hostward.domain.sessions import KIND as SESSION_KIND
from hostward.domain.suggestions import listed, shown

KIND: Final = "assignment"
FIELDS: Final = ("to_kind", "to_id", "of_kind", "of_id", "effect", "until")


class To(StrEnum):
    """Whom something is assigned to."""

    EVERYONE = "everyone"
    USER = USER_KIND
    GROUP = GROUP_KIND
    FOLDER = "directory-folder"


class Of(StrEnum):
    """What is assigned."""

    SESSION = SESSION_KIND
    PACKAGE = PACKAGE_KIND


class Effect(StrEnum):
    """What an assignment does."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Assignment:
    """`to_id` is empty for everyone, and a folder's its folder_id; `until` is a moment in UTC as ISO 8601 has it, empty
    for always."""

    to_kind: To
    to_id: str
    of_kind: Of
    of_id: str
    effect: Effect = Effect.ALLOW
    until: str = ""

    @property
    def id(self) -> str:
        """The same for the same subject and thing, whatever the effect."""
        parts = "\0".join((self.to_kind, self.to_id, self.of_kind, self.of_id))
        return hashlib.sha256(parts.encode()).hexdigest()[:32]

    def put(self) -> Put:
        return Put(KIND, self.id, canonical(self.body()))

    def body(self) -> Body:
        return {name: str(getattr(self, name)) for name in FIELDS}

    def over(self, now: str) -> bool:
        return bool(self.until) and self.until <= now


def assignment_of(body: Mapping[str, Any]) -> Assignment:
    """From an element's body. Raises InvalidInput where it can't be one."""
    mistakes: list[Mistake] = []
    for field, known in (("to_kind", To), ("of_kind", Of), ("effect", Effect)):
        if body.get(field) not in [k.value for k in known]:
            problem = f"{shown(body.get(field))} can't be {field}."
            mistakes.append(Mistake(field, problem, f"Use {listed(k.value for k in known)}."))
    for field in ("to_id", "of_id", "until"):
        if not isinstance(body.get(field), str):
            mistakes.append(Mistake(field, f"{field} isn't text.", "Write it in quotation marks."))
    unknown = [str(k)[:100] for k in body if k not in FIELDS]
    mistakes += [Mistake(k, f"There is no field {shown(k)}.", "Remove it.") for k in unknown]
    if not mistakes and (body["to_kind"] == To.EVERYONE) != (not body["to_id"]):
        mistakes.append(Mistake("to_id", "Everyone has no id; everybody else does.", "Name the user or group."))
    if not mistakes and body["to_kind"] == To.FOLDER and not _is_folder(body["to_id"]):
        mistakes.append(Mistake("to_id", f"{shown(body['to_id'])} is no folder of a directory.", "Name one."))
    if not mistakes and body["until"] and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["until"]):
        mistakes.append(Mistake("until", f"{shown(body['until'])} is no moment.", "Write 2027-01-31T17:00:00Z."))
    if mistakes:
        raise InvalidInput(
            f"The assignment can't be used: {mistakes[0].problem}",
            remedy=mistakes[0].remedy,
            code="assignment-invalid",
            mistakes=mistakes,
        )
    return Assignment(
        To(body["to_kind"]), body["to_id"], Of(body["of_kind"]), body["of_id"], Effect(body["effect"]), body["until"]
    )


def _is_folder(id_: str) -> bool:
    try:
        return bool(folder_parts(id_))
    except ValueError:
        return False


def check_assignment(body: Body) -> Body:
    """The body as it is stored. Raises InvalidInput."""
    return assignment_of(body).body()


def refers_to(body: Body) -> list[tuple[str, str]]:
    """The elements that must be there."""
    found = assignment_of(body)
    to = [(found.to_kind.value, found.to_id)] if found.to_kind is not To.EVERYONE else []
    if found.to_kind is To.FOLDER:
        to = [(DIRECTORY_KIND, folder_parts(found.to_id)[0])]
    return [*to, (found.of_kind.value, found.of_id)]


def moment(given: str) -> str:
    """A date (its end, in UTC) or a moment, as an assignment's `until`; empty stays empty. Raises InvalidInput."""
    if not given:
        return ""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", given):
            given += "T23:59:59+00:00"
        found = datetime.fromisoformat(given)
        until = found.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        found = None
    if found is None or found.tzinfo is None:
        problem = f"{shown(given)} is no moment."
        remedy = "Write a date, such as 2027-01-31, or a moment with its zone, such as 2027-01-31T17:00:00Z."
        raise InvalidInput(problem, remedy=remedy, mistakes=[Mistake("until", problem, remedy)])
    return until
