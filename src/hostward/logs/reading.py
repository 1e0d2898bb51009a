"""Reading a log and its rotated files, from whichever end: the newest entries, older ones, and what has come since.

A place in a log is a file and an offset in it. Rotation gives a file another name; its first line stays, so by that
line's checksum it is known. What was removed meanwhile is no error: before it there is nothing, and after it comes the
oldest that is there.

What it does not do: say who may read (http), or write (writing.py).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from hostward.domain.errors import InvalidInput, NotFound, Unavailable
from hostward.domain.log_lines import MAX_SHOWN, LogEntry, Parse, Wanted, database_line, own_line, visible
from hostward.domain.suggestions import shown

BLOCK_BYTES: Final = 64 << 10
MAX_LINE_BYTES: Final = 256 << 10
"""Of a longer line the rest is left out."""
LOOK_BYTES: Final = 16 << 20
"""How much is read for one page: what is looked for and isn't found so far is looked for from there on."""
MAX_FILES: Final = 200
MAX_BELOW: Final = 200
"""Lines that one entry has below it."""
NOWHERE: Final = "0-0"
"""The place before everything."""
_PLACE = re.compile(r"([0-9a-f]{1,8})-(\d{1,15})").fullmatch


@dataclass(frozen=True, slots=True)
class Log:
    """A log by its key. It is `file` in <data_dir>/logs, and file.1, file.2 … are older."""

    key: str
    title: str
    file: str
    parse: Parse

    def path(self, data_dir: Path) -> Path:
        return data_dir / "logs" / self.file


OWN: Final = Log("hostward", "Hostward", "hostward.log", own_line)
DATABASE: Final = Log("database", "Database", "cassandra.log", database_line)
LOGS: Final = {log.key: log for log in (OWN, DATABASE)}


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, the newest first. `next` leads on to older ones (for `before`), `since` to those that come later (for
    `after`)."""

    items: list[LogEntry]
    next: str
    since: str


@dataclass(frozen=True, slots=True)
class _File:
    """One that is open. `end` is where its last whole line ended when it was opened."""

    key: str
    file: BinaryIO
    end: int


@dataclass(slots=True)
class _Budget:
    """`reached` is the place that reading has come to without an entry: backwards, what lies behind it was seen, in
    whole lines; forwards, the rest of a very long line before it."""

    left: int = LOOK_BYTES
    reached: str = ""


def log_of(key: str) -> Log:
    """Raises NotFound."""
    found = LOGS.get(key)
    if found is None:
        raise NotFound(f"There is no log {shown(key)}.", remedy=f"There are {' and '.join(LOGS)}.", code="no-log")
    return found


def logs_there(data_dir: Path) -> list[Log]:
    """This server's own, and the database's where it has ever run here."""
    return [log for log in LOGS.values() if log is OWN or log.path(data_dir).exists()]


def newest(data_dir: Path, log: Log, wanted: Wanted, *, before: str = "", count: int) -> Page:
    """The newest entries, or those before a place. There may be fewer than `count` while `next` still leads on: then so
    much was read that didn't match. Raises InvalidInput for what is no place, Unavailable."""
    items: list[LogEntry] = []
    with _opened(log.path(data_dir)) as files:
        since = f"{files[0].key}-{files[0].end}" if files else NOWHERE
        at, budget = "", _Budget()
        for place, entry in _backwards(_until(files, before), log, budget):
            if len(items) == count:
                return Page(items, at, since)
            at = place
            if wanted.has(entry):
                items.append(entry)
        return Page(items, (at or budget.reached) if budget.left <= 0 else "", since)


def later(data_dir: Path, log: Log, wanted: Wanted, *, after: str, count: int) -> Page:
    """What has come since that place: the first `count` entries, all the same the newest first; `since` leads on.
    Raises as `newest`."""
    items: list[LogEntry] = []
    since = after
    with _opened(log.path(data_dir)) as files:
        budget = _Budget()
        for place, entry in _forwards(_from(files, after), log, budget):
            since = place
            if wanted.has(entry):
                items.insert(0, entry)
            if len(items) == count or budget.left <= 0:
                break
        else:
            since = budget.reached if since == after and budget.reached else since
    return Page(items, "", since)


def whole(data_dir: Path, log: Log) -> Iterator[bytes]:
    """All files of a log as one, the oldest first, as they were when it began. Raises Unavailable, at once."""
    path = log.path(data_dir)
    with _opened(path):
        return _pieces(path)


def _pieces(path: Path) -> Iterator[bytes]:
    with _opened(path) as files:
        for one in reversed(files):
            one.file.seek(0)
            left = one.end
            while left > 0 and (piece := one.file.read(min(BLOCK_BYTES, left))):
                left -= len(piece)
                yield piece


def _paths(base: Path) -> list[Path]:
    numbered = (p.name.removeprefix(f"{base.name}.") for p in base.parent.glob(f"{base.name}.*"))
    older = sorted(int(number) for number in numbered if number.isascii() and number.isdigit() and len(number) < 5)
    return [base, *(base.with_name(f"{base.name}.{number}") for number in older[:MAX_FILES])]


@contextmanager
def _opened(base: Path) -> Iterator[list[_File]]:
    """Those that hold anything, the newest first. They stay open, so that a rotation meanwhile takes nothing away."""
    with ExitStack() as stack:
        found: list[_File] = []
        try:
            for path in _paths(base):
                try:
                    file = stack.enter_context(path.open("rb"))
                except FileNotFoundError:
                    continue
                key, end = f"{zlib.crc32(file.readline(4096)):x}", _end_of(file)
                if end and key not in [one.key for one in found]:  # rotated since it was opened under the name before
                    found.append(_File(key, file, end))
        except OSError as error:
            raise Unavailable(
                f"The log {base} can't be read: {error.strerror}.",
                remedy="Check the owner and the permissions of the files in the folder logs.",
                code="log-unreadable",
            ) from error
        yield found


def _end_of(file: BinaryIO) -> int:
    """Behind the last line that is whole: one that is being written isn't yet."""
    at = file.seek(0, 2)
    while at > 0:
        size = min(BLOCK_BYTES, at)
        file.seek(at - size)
        found = file.read(size).rfind(b"\n")
        if found >= 0:
            return at - size + found + 1
        at -= size
    return 0


def _place(text: str) -> tuple[str, int]:
    found = _PLACE(text)
    if found is None:
        raise InvalidInput(
            f"{shown(text)} is no place in a log.", remedy="Give what a page before said: `next` or `since`."
        )
    return found[1], int(found[2])


def _until(files: list[_File], before: str) -> list[_File]:
    """What lies before a place."""
    if not before:
        return files
    key, offset = _place(before)
    at = next((n for n, one in enumerate(files) if one.key == key), len(files))
    return [replace(one, end=min(one.end, offset)) if one.key == key else one for one in files[at:]]


def _from(files: list[_File], after: str) -> list[tuple[_File, int]]:
    """What lies behind a place, the oldest first, each with where to begin."""
    key, offset = _place(after)
    at = next((n for n, one in enumerate(files) if one.key == key), None)
    if at is None:
        return [(one, 0) for one in reversed(files)]
    return [(one, offset if one.key == key else 0) for one in reversed(files[: at + 1])]


def _backwards(files: list[_File], log: Log, budget: _Budget) -> Iterator[tuple[str, LogEntry]]:
    """Entries, the last first, each with its place. Ends where the budget does."""
    for one in files:
        below: list[str] = []
        start = one.end
        for start, line in _lines_backwards(one, budget):
            text = _decoded(line)
            entry = log.parse(text)
            if entry is None:
                below = [text, *below[: MAX_BELOW - 1]]
                continue
            yield f"{one.key}-{start}", _with_below(entry, below)
            below = []
        if below and budget.reached == f"{one.key}-0":  # the file begins in the middle of an entry
            yield f"{one.key}-{start}", _with_below(LogEntry("", "info", visible(below[0])), below[1:])
        if budget.left <= 0:
            return


def _forwards(files: list[tuple[_File, int]], log: Log, budget: _Budget) -> Iterator[tuple[str, LogEntry]]:
    """Entries, the first first, each with the place behind it."""
    for one, begin in files:
        entry: LogEntry | None = None
        below: list[str] = []
        one.file.seek(max(0, begin - 1))
        at = begin
        if begin and one.file.read(1) != b"\n":  # behind a part of a very long line: the rest of it is left out
            at += _line(one, at, budget)[1]
            budget.reached = f"{one.key}-{at}"
        while at < one.end and budget.left > 0:
            line, length = _line(one, at, budget)
            if not length:  # somebody cut the file off
                break
            text = _decoded(line.rstrip(b"\r\n"))
            found = log.parse(text)
            if found is not None or entry is None:
                if entry is not None:
                    yield f"{one.key}-{at}", _with_below(entry, below)
                entry, below = found or LogEntry("", "info", visible(text)), []
            elif len(below) < MAX_BELOW:
                below.append(text)
            at += length
        if entry is not None:
            yield f"{one.key}-{at}", _with_below(entry, below)


def _line(one: _File, at: int, budget: _Budget) -> tuple[bytes, int]:
    """The next line, or as much of it as is shown; and how long it is, or as much of it as was read."""
    line = piece = one.file.readline(MAX_LINE_BYTES)
    length = len(line)
    budget.left -= length
    while piece and not piece.endswith(b"\n") and at + length < one.end and budget.left > 0:
        piece = one.file.readline(BLOCK_BYTES)
        length += len(piece)
        budget.left -= len(piece)
    return line, length


def _with_below(entry: LogEntry, below: list[str]) -> LogEntry:
    if not below:
        return entry
    trace = "\n".join([*([entry.trace] if entry.trace else []), *below])
    return replace(entry, trace=visible(trace[:MAX_SHOWN], lines=True))


def _lines_backwards(one: _File, budget: _Budget) -> Iterator[tuple[int, bytes]]:
    """Lines with where they begin, the last first."""
    at, rest, lines_from = one.end, b"", one.end
    while at > 0 and budget.left > 0:
        size = min(BLOCK_BYTES, at)
        at -= size
        budget.left -= size
        one.file.seek(at)
        first, *others = (one.file.read(size) + rest).split(b"\n")
        starts, begin = [], at + len(first) + 1
        if others:
            lines_from = begin
        for line in others:
            starts.append((begin, line))
            begin += len(line) + 1
        for start, line in reversed(starts):
            if line.strip():
                yield start, line.rstrip(b"\r")
        rest = first[:MAX_LINE_BYTES]
    # Where all of it was one line, in the middle of that: its end is then left out.
    budget.reached = f"{one.key}-{lines_from if at > 0 and lines_from < one.end else at}"
    if rest.strip() and at == 0:
        yield 0, rest.rstrip(b"\r")


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "replace")
