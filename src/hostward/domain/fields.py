"""The fields of an element's body: each has its check, which gives the value to store or says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.suggestions import did_you_mean, shown
from hostward.domain.texts import UNSEEN, Wrong, not_text, wrong_text

MAX_NAME: Final = 128

Checks = Mapping[str, tuple[Any, Callable[[object], Any]]]
"""By field: what it is where it isn't given, and its check."""

_TEXT: Final = re.compile(rf"(?!\s)[^{UNSEEN}]{{1,{MAX_NAME}}}(?<!\s)").fullmatch


def checked(noun: str, checks: Checks, given: Mapping[str, Any]) -> Body:
    """The body with these fields. Raises InvalidInput, with one Mistake a field."""
    body: Body = {}
    mistakes: list[Mistake] = []
    for field, (empty, check) in checks.items():
        value = given.get(field)
        found = check(empty if value is None else value)
        if isinstance(found, Wrong):
            mistakes.append(Mistake(field, found.problem, found.remedy))
        body[field] = found
    for key in given:
        if key not in checks:
            problem = f"There is no field {shown(key)}."
            mistakes.append(Mistake(str(key)[:MAX_NAME], problem, f"{did_you_mean(str(key), checks)}Remove it."))
    if mistakes:
        raise InvalidInput(
            f"The {noun} has a mistake." if len(mistakes) == 1 else f"The {noun} has {len(mistakes)} mistakes.",
            remedy=" ".join(f"{m.field}: {m.problem} {m.remedy}" for m in mistakes),
            code=f"{noun.replace(' ', '-')}-invalid",
            mistakes=mistakes,
        )
    return body


def check_text(value: object, noun: str) -> str | Wrong:
    """A name or another line that isn't empty."""
    if not isinstance(value, str):
        return not_text(value)
    if _TEXT(value):
        return value
    if not value.strip():
        return Wrong(f"The {noun} is empty.", f"Write 1 to {MAX_NAME} characters.")
    if len(value) > MAX_NAME:
        return Wrong(f"The {noun} has {len(value)} characters.", f"Use at most {MAX_NAME}.")
    return wrong_text(value)


def check_yes_no(value: object) -> bool | Wrong:
    """True or false."""
    return (
        value if isinstance(value, bool) else Wrong(f"{shown(value)} is neither true nor false.", "Write one of them.")
    )


def check_count(value: object) -> int | Wrong:
    """A whole number that isn't negative."""
    fine = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return int(str(value)) if fine else Wrong(f"{shown(value)} is no number.", "Write a whole number.")
