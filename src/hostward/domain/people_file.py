"""A file of users, as directories and scripts give it: a JSON list of objects with `login`, and `name` (the full name),
`groups` (their names), `role`, `disabled`, `comment`, `directory` (the name of the one that checks the password), `dn`
(the distinguished name there) where there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.people import check_group, check_user
from hostward.domain.suggestions import did_you_mean, shown
from hostward.domain.texts import name_key

MAX_BYTES: Final = 32 << 20
MAX_USERS: Final = 50_000
MAX_MISTAKES: Final = 500
KEYS: Final[Mapping[str, str]] = {
    "login": "name",
    "name": "full_name",
    "groups": "groups",
    "role": "role",
    "disabled": "disabled",
    "comment": "comment",
    "directory": "directory",
    "dn": "dn",
}
"""What is in the file, and the user's field that it becomes."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One user of a file: only the fields that it names; `groups` are names of groups."""

    row: int
    fields: Body


def parse_users(data: bytes) -> list[Listed]:
    """All users of a file. Raises InvalidInput with every mistake, up to MAX_MISTAKES, each with its row: the number of
    the object in the list, from 1."""
    rows = _rows(data)
    found: list[Listed] = []
    mistakes: list[Mistake] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        wrong = _wrong(row, number) if isinstance(row, dict) else [_mistake(number, "", "This is no object.", "")]
        if not wrong:
            key = name_key(row["login"])
            if key in seen:
                wrong = [
                    _mistake(number, "login", f"{shown(row['login'])} is in row {seen[key]} already.", "Keep one.")
                ]
            seen.setdefault(key, number)
            found.append(Listed(number, {KEYS[k]: v for k, v in row.items() if v is not None}))
        mistakes += wrong
        if len(mistakes) >= MAX_MISTAKES:
            break
    if mistakes:
        raise file_invalid(mistakes)
    return found


def file_invalid(mistakes: Sequence[Mistake]) -> InvalidInput:
    """These rows can't be used."""
    return InvalidInput(
        f"The file has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}; nothing was changed.",
        remedy="Correct the rows that are named, and import it again.",
        code="file-invalid",
        mistakes=mistakes[:MAX_MISTAKES],
    )


def _rows(data: bytes) -> Sequence[Any]:
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"The file has more than {MAX_BYTES >> 20} MiB.", remedy="Import it in parts.")
    try:
        rows = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            f"The file isn't JSON: {error.msg} (line {error.lineno}, column {error.colno}).",
            remedy='Write a list of users: [{"login": "anna", "name": "Anna Berg", "groups": ["Oslo IT"]}].',
            code="file-invalid",
        ) from error
    if not isinstance(rows, list):
        raise InvalidInput("The file isn't a list.", remedy="Put the users between [ and ].", code="file-invalid")
    if len(rows) > MAX_USERS:
        raise InvalidInput(
            f"The file has {len(rows):,} users, where at most {MAX_USERS:,} can be.", remedy="Import it in parts."
        )
    return rows


def _wrong(row: Mapping[str, Any], number: int) -> list[Mistake]:
    wrong = [
        _mistake(number, str(k)[:100], f"There is no field {shown(k)}.", f"{did_you_mean(str(k), KEYS)}Remove it.")
        for k in row
        if k not in KEYS
    ]
    groups = row.get("groups") or []
    fields = {KEYS[k]: v for k, v in row.items() if k in KEYS and k != "groups"}
    try:
        check_user(fields)
    except InvalidInput as error:
        names = {v: k for k, v in KEYS.items()}
        wrong += [_mistake(number, names.get(m.field, m.field), m.problem, m.remedy) for m in error.mistakes]
    if not isinstance(groups, list):
        return [*wrong, _mistake(number, "groups", f"{shown(groups)} isn't a list.", "Write a list of names.")]
    for name in groups:
        try:
            check_group({"name": name})
        except InvalidInput as error:
            wrong += [_mistake(number, "groups", m.problem, m.remedy) for m in error.mistakes]
    return wrong


def _mistake(row: int, field: str, problem: str, remedy: str) -> Mistake:
    return Mistake(field, problem, remedy or "Write an object with at least a login.", row)
