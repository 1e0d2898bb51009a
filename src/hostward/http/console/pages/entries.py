"""Sessions' fields between a form and the domain: what was entered, and what is shown. What fields there are, and how
each is entered, is declared in domain/sessions.py alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from starlette.datastructures import FormData

from hostward.domain.sessions import BULK, DECLARED, TYPES, Field, Input


def entered_session(form: FormData, prefix: str = "") -> dict[str, Any]:
    """A whole session as a form has it. Fields that its type doesn't have are left out, whatever the form says: they
    weren't to be seen."""
    type_ = _text(form, f"{prefix}type")
    return {f.name: _entered(form, f, prefix) for f in DECLARED if type_ in f.types or type_ not in TYPES}


def entered_fields(form: FormData) -> dict[str, Any]:
    """The fields that the form says shall be set in many sessions: those that are ticked."""
    ticked = form.getlist("set")
    return {f.name: _entered(form, f, "") for f in BULK if f.name in ticked}


def as_entered(value: Any) -> str:
    """A field's value as its input holds it."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    return "" if value is None else str(value)


def as_shown(value: Any) -> str:
    """A field's value for reading."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value in ("", None) else str(value)


def field_label(name: str, kind: str) -> str:
    """What a field of an element is called."""
    labels: Iterable[str] = (f.label for f in DECLARED if kind == "session" and f.name == name)
    return next(iter(labels), name.replace("_", " ").capitalize())


def _entered(form: FormData, field: Field, prefix: str) -> Any:
    text = _text(form, prefix + field.name)
    match field.input:
        case Input.SWITCH:
            return text == "yes"
        case Input.NUMBER:
            return int(text) if re.fullmatch("[0-9]{1,9}", text) else text or None
        case Input.GROUPS:
            return [line.strip() for line in re.split("[\n;]", text) if line.strip()]
        case _:
            return text


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""
