"""What an emulator has no place for, as comments in its file: Hostward reads them again, the emulator passes over them.

Each is one line, `@name "TSO PROD"`, with the value as JSON. So it has no line break, and doesn't end in a backslash,
which would draw x3270's next line into the comment. No line is longer than 1,500 bytes: x3270 reads 4,095 at once, and
would take the rest for a line of its own; a long comment is several lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

UNSAID: Final = ("groups", "comment")
"""What a file says only in remarks: where it has none, it is not known."""
PIECE_CHARACTERS: Final = 200
_TAGS: Final[Mapping[str, type]] = {"name": str, "tls": bool, "groups": int, "group": str, "comment": str}


def remarks(body: Mapping[str, Any], *fields: str) -> list[str]:
    """These fields of a session, of name, tls, groups and comment."""
    lines: list[str] = []
    for field in fields:
        value = body[field]
        if field == "groups":
            lines += [_line("groups", len(value)), *(_line("group", name) for name in value)]
        elif field == "comment":
            pieces = [value[at : at + PIECE_CHARACTERS] for at in range(0, len(value), PIECE_CHARACTERS)] or [""]
            lines += [_line("comment", piece) for piece in pieces]
        else:
            lines.append(_line(field, value))
    return lines


def read_remarks(comments: Iterable[str]) -> dict[str, Any]:
    """The fields that the comments hold, and no others. A comment that nobody wrote in this way is the session's."""
    found: dict[str, Any] = {}
    plain: list[str] = []
    for comment in comments:
        tag, value = _read(comment)
        if tag == "groups":
            found.setdefault("groups", [])
        elif tag == "group":
            found.setdefault("groups", []).append(value)
        elif tag == "comment":
            found["comment"] = found.get("comment", "") + value
        elif tag:
            found[tag] = value
        elif comment.strip():
            plain.append(comment.strip())
    return ({"comment": "\n".join(plain)} if plain else {}) | found


def _line(tag: str, value: str | bool | int) -> str:
    return f"@{tag} {orjson.dumps(value).decode()}"


def _read(comment: str) -> tuple[str, Any]:
    """The tag and its value; both empty where it is just a comment."""
    tag, _, value = comment.strip().removeprefix("@").partition(" ")
    if not comment.lstrip().startswith("@") or tag not in _TAGS:
        return "", ""
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return "", ""
    return (tag, found) if type(found) is _TAGS[tag] else ("", "")
