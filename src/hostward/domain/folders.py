"""Directory folders: something may be assigned to a place in a directory, and so to all users at or below it.

A place is a distinguished name (RFC 4514). Names are the same however they are written: upper or lower case, blanks,
escapes. Their key has every special character of a value as a backslash and two digits, so that a comma always ends a
part, and what is above a place is what is left without its first parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hostward.domain.texts import name_key

MAX_DN: Final = 1000
MAX_PARTS: Final = 50
BETWEEN: Final = "\t"
"""Between the directory's id and the place's key; neither has one in it."""
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)*").fullmatch
_HEX: Final = re.compile(r"[0-9A-Fa-f]{2}").match
_SPECIAL: Final = re.compile(r'[,+"\\<>;=#\x00-\x1f\x7f]')


def dn_key(dn: str) -> str:
    """The same for the same place. Raises ValueError for what is no distinguished name."""
    if len(dn) > MAX_DN:
        raise ValueError("it is too long")
    parts = [_part(part) for part in _split(dn, ",")]
    if len(parts) > MAX_PARTS:
        raise ValueError("it has too many parts")
    return ",".join(parts)


def same_place(one: str, other: str) -> bool:
    """Whether both names are of one place; what can't be one is nowhere."""
    return _known(one) == _known(other)


def folder_id(directory: str, dn: str) -> str:
    """Of the place in the directory with that id. Raises ValueError."""
    return f"{directory}{BETWEEN}{dn_key(dn)}"


def folder_parts(id_: str) -> tuple[str, str]:
    """The directory's id and the place's key. Raises ValueError for what is no folder's id."""
    directory, between, dn = id_.partition(BETWEEN)
    if not directory or not between or dn_key(dn) != dn:
        raise ValueError("it is no folder")
    return directory, dn


def above(key: str) -> Iterator[str]:
    """The keys of all places that hold that one, the nearest first."""
    while "," in key:
        key = key.partition(",")[2]
        yield key


def _known(dn: str) -> str:
    try:
        return dn_key(dn)
    except ValueError:
        return ""


def _part(text: str) -> str:
    return "+".join(sorted(_attribute(one) for one in _split(text, "+")))


def _attribute(text: str) -> str:
    type_, equals, value = text.partition("=")
    if not equals or not _TYPE(type_.strip()):
        raise ValueError("a part isn't TYPE=VALUE")
    plain = " ".join(name_key(_unescaped(value)).split())
    if not plain:
        raise ValueError("a part has no value")
    return f"{type_.strip().lower()}={_SPECIAL.sub(_escape, plain)}"


def _escape(found: re.Match[str]) -> str:
    return f"\\{ord(found[0]):02x}"


def _split(text: str, separator: str) -> Iterator[str]:
    """By what isn't escaped."""
    start, at = 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == separator:
            yield text[start:at]
            start = at + 1
        at += 1
    yield text[start:]


def _unescaped(value: str) -> str:
    found, at = bytearray(), 0
    while at < len(value):
        if value[at] != "\\":
            found += value[at].encode("utf-8", "replace")
            at += 1
        elif _HEX(value, at + 1):
            found += bytes.fromhex(value[at + 1 : at + 3])
            at += 3
        elif at + 1 < len(value):
            found += value[at + 1].encode("utf-8", "replace")
            at += 2
        else:
            raise ValueError("it ends with a backslash")
    return found.decode()  # UnicodeDecodeError is a ValueError
