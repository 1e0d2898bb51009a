"""Words for messages: values shown safely, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

SHOWN_CHARACTERS = 40
_LEAST_ALIKE = 0.5


def shown(value: object) -> str:
    """The value in quotation marks, as one printable line of at most 40 characters: safe in a log or a terminal."""
    text = value if isinstance(value, str) else repr(value)
    if len(text) > SHOWN_CHARACTERS:
        text = text[:SHOWN_CHARACTERS] + "…"
    return "“" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text) + "”"


def listed(values: Iterable[str]) -> str:
    """The values, separated by commas, the last by "or"."""
    *first, last = values
    return f"{', '.join(first)} or {last}" if first else last


def nearest(given: str, known: Iterable[str]) -> str | None:
    """Which of the known words was probably meant, or None. Among equally near ones the first."""
    wanted, best, ratio = given[:128].strip().casefold(), None, _LEAST_ALIKE
    for word in known:
        matcher = SequenceMatcher(None, wanted, word.casefold())
        if matcher.quick_ratio() >= ratio and (alike := matcher.ratio()) >= ratio and (best is None or alike > ratio):
            best, ratio = word, alike
    return best


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`Did you mean “X”? ` with a blank at its end, or nothing."""
    word = nearest(given, known)
    return f"Did you mean {shown(word)}? " if word is not None else ""
