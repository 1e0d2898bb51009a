"""Text that people give: names, comments, and what is wrong with them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from hostward.domain.suggestions import shown

MAX_COMMENT: Final = 1_000

# No control or line-breaking character, none that turns the direction of text or can't be seen, no half of a pair:
# names and groups are shown in lists, chosen by people, and become file names.
UNSEEN: Final = (
    "\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff"
)
_UNSEEN_ANYWHERE = re.compile(f"[{UNSEEN}]").search
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]").search


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a field's value, and what would be right."""

    problem: str
    remedy: str


def name_key(name: str) -> str:
    """Names are the same if their keys are: upper or lower case, and how an accent is composed, make no difference."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def not_text(value: object) -> Wrong:
    return Wrong(f"{shown(value)} isn't text.", "Write it as text, in quotation marks.")


def wrong_text(text: str) -> Wrong:
    """What is wrong with a name that isn't empty, too long or a path."""
    if found := _UNSEEN_ANYWHERE(text):
        plain = re.sub(f"[{UNSEEN}]+", " ", text).strip()
        return Wrong(
            f"{shown(text)} has a line break or another character that can't be seen (U+{ord(found[0]):04X}).",
            f"Remove it: write {shown(plain)}." if plain else "Remove it.",
        )
    return Wrong(f"{shown(text)} begins or ends with a blank.", f"Write {shown(text.strip())}.")


def check_comment(value: object) -> str | Wrong:
    if type(value) is not str:
        return not_text(value)
    if len(value) > MAX_COMMENT:
        return Wrong(f"The comment has {len(value)} characters.", f"Use at most {MAX_COMMENT}.")
    if found := _CONTROL(value):
        return Wrong(f"The comment has a control character (U+{ord(found[0]):04X}).", "Remove it.")
    return value
