"""Lines of log files: what each says, and which are looked for. Whatever a line holds, it is shown harmlessly: control
characters, and those that turn the direction of text, are written out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

LEVELS: Final[Mapping[str, str]] = {"error": "Error", "warning": "Warning", "info": "Info", "debug": "Debug"}
"""The gravest first."""
_RANKS: Final = {level: rank for rank, level in enumerate(LEVELS)}
_SAME: Final = {"critical": "error", "exception": "error", "fatal": "error", "warn": "warning", "trace": "debug"}
MAX_SHOWN: Final = 16_000
"""Characters of one part of an entry."""

_DATABASE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) ([A-Z]+) +\[([^]]*)\] (.*)", re.DOTALL).fullmatch


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of a log. `at` is ISO 8601, UTC, and empty for what isn't known to begin one; `trace` is what comes
    below it, such as a traceback."""

    at: str
    level: str
    event: str
    about: Mapping[str, str] = field(default_factory=dict)
    trace: str = ""

    def text(self) -> str:
        """All of it, in one line but for the trace."""
        parts = [self.event, *(f"{name}={value}" for name, value in self.about.items())]
        return " ".join(parts) + (f"\n{self.trace}" if self.trace else "")

    def to_json(self) -> dict[str, Any]:
        """As programs are given it."""
        about = dict(self.about)
        return {"at": self.at, "level": self.level, "event": self.event, "about": about, "trace": self.trace}


Parse = Callable[[str], LogEntry | None]
"""Reads a line; None for one that belongs to the entry before it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Entries at least as grave as `level`, in which each of the words is."""

    level: str = "debug"
    words: tuple[str, ...] = ()

    @staticmethod
    def of(level: str, text: str) -> Wanted:
        return Wanted(level or "debug", tuple(text.casefold().split()))

    def has(self, entry: LogEntry) -> bool:
        if _RANKS[entry.level] > _RANKS[self.level]:
            return False
        text = entry.text().casefold() if self.words else ""
        return all(word in text for word in self.words)


def own_line(line: str) -> LogEntry | None:
    """A line of this server's own log, which is JSON."""
    try:
        found = orjson.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or "event" not in found:
        return None
    at, event, trace = (str(found.pop(name, "")) for name in ("timestamp", "event", "exception"))
    level = _level(str(found.pop("level", "")))
    about = found.pop("about", {})
    more = {**found, **about} if isinstance(about, dict) else {**found, "about": about}
    shown = {visible(str(name)): visible(_value(value)) for name, value in more.items()}
    return LogEntry(_moment(at), level, visible(event), shown, visible(trace, lines=True))


def database_line(line: str) -> LogEntry | None:
    """A line of the database's log, whose times are this machine's own."""
    found = _DATABASE(line)
    if found is None:
        return None
    time, milliseconds, level, thread, message = found.groups()
    at = _moment(f"{time}.{milliseconds}")
    if not at:
        return None
    return LogEntry(at, _level(level), visible(message), {"thread": visible(thread)})


def visible(text: str, *, lines: bool = False) -> str:
    """The text with what can't be seen written out; `lines`: line breaks and tabs stay."""
    text = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + " …"
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def _moment(text: str) -> str:
    """ISO 8601, UTC; what has no zone is this machine's time. Empty for what is none."""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(name: str) -> str:
    name = name.lower()
    name = _SAME.get(name, name)
    return name if name in LEVELS else "info"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
