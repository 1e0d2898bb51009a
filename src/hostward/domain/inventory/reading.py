"""Reading an inventory: CSV as spreadsheets write it, JSON, x3270's profiles, PuTTY's sessions."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import orjson

from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.inventory.formulas import unguard
from hostward.domain.inventory.profiles import archive_sources, is_archive
from hostward.domain.inventory.sources import Source, emulators_row
from hostward.domain.inventory.text import decode
from hostward.domain.launching import putty
from hostward.domain.launching.x3270 import PROGRAMS
from hostward.domain.sessions import FIELDS, check_fields
from hostward.domain.suggestions import did_you_mean, listed, shown
from hostward.domain.texts import name_key

MAX_BYTES: Final = 256 << 20
MAX_ROWS: Final = 500_000
MAX_MISTAKES: Final = 10_000

HEADER_ROW: Final = 1
_PROFILE_BEGINS: Final = ("!", *(f"{program}{c}" for program in PROGRAMS for c in ".*"))
_DELIMITERS: Final = ",;\t"
_FIELD_SET: Final = frozenset(FIELDS)
_CSV_REMEDY: Final = f"Name each of these columns once in the first row, in any order: {', '.join(FIELDS)}."


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSON = "json"
    X3270 = "x3270"
    """A zip file of profiles, or one profile."""
    PUTTY = "putty"
    """A file for the Windows registry."""


@dataclass(slots=True)
class ParsedInventory:
    """What a file holds. `sessions` are the bodies of the good rows, in the file's order; `skipped` counts the rows
    with mistakes; `mistakes` lists at most 10,000 of theirs, and `unlisted` counts the others. `notes`, at most 10,000,
    say what of good rows can't be carried. `unsaid` has, by `name_key`, the fields that an emulator's file doesn't say:
    they stay as they are where the session is there already."""

    sessions: list[Body] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[Mistake] = field(default_factory=list)
    unsaid: dict[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: int = 0
    unlisted: int = 0

    def require_all_good(self) -> None:
        """Raise InvalidInput with the mistakes, if there are any: a file is imported whole or not at all."""
        if not self.skipped:
            return
        rows = f"{self.skipped:,} of {self.skipped + len(self.sessions):,} rows"
        more = f" The first {MAX_MISTAKES:,} mistakes are listed, {self.unlisted:,} aren't." if self.unlisted else ""
        raise InvalidInput(
            f"{rows} {'has' if self.skipped == 1 else 'have'} mistakes; nothing was imported.{more}",
            remedy="Mend them and import the file again, or import the good rows only, by skipping invalid ones.",
            code="import-mistakes",
            mistakes=self.mistakes,
        )


def parse(data: bytes, format: Format | None = None) -> ParsedInventory:
    """The sessions in a file, and every mistake in it. Without a format, the content shows which it is.

    CSV: UTF-8 or UTF-16 (see text.decode), separated by `,` `;` or tabs as the header is; line breaks in quotation
    marks are kept; columns in any order; empty rows are passed over. A row that ends early has empty cells at its end,
    because Excel leaves out the separators of columns that are empty for some rows. JSON: a list of objects with the
    same names as CSV's columns. In both, a row says all of a session, so no column may be missing: what it left out
    would otherwise be emptied without a word.

    Raises InvalidInput if the file as a whole can't be read: encoding, size, columns, syntax."""
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            f"The file has {len(data) >> 20:,} MiB; at most {MAX_BYTES >> 20} are read at once.",
            remedy="Split it into several files.",
            code="inventory-too-large",
        )
    rows = _Rows()
    for source in _sources(data, format):
        rows.add(source)
    return rows.parsed


def _sources(data: bytes, format: Format | None) -> Iterator[Source]:
    if format is Format.X3270 or (format is None and is_archive(data)):
        return archive_sources(data)
    text = decode(data)
    beginning = text[:4096].lstrip()
    if not beginning:
        raise InvalidInput("The file is empty.", remedy=_CSV_REMEDY, code="inventory-empty")
    if format is None:
        format = _format_of(beginning)
    if format is Format.X3270:
        return archive_sources(data)
    if format is Format.PUTTY:
        return _putty_rows(text)
    return _json_rows(text) if format is Format.JSON else _csv_rows(text)


def _format_of(beginning: str) -> Format:
    if beginning.startswith(("[", "{")):
        return Format.JSON
    if beginning.startswith(putty.HEADERS):
        return Format.PUTTY
    return Format.X3270 if beginning.startswith(_PROFILE_BEGINS) else Format.CSV


class _Rows:
    """Collects rows; finds names that come twice."""

    def __init__(self) -> None:
        self.parsed = ParsedInventory()
        self._row_of: dict[str, int] = {}
        self._count = 0

    def add(self, source: Source) -> None:
        self._count += 1
        if self._count > MAX_ROWS:
            raise InvalidInput(
                f"The file has more than {MAX_ROWS:,} rows.",
                remedy="Split it into several files.",
                code="inventory-too-large",
            )
        number, given = source.number, source.given
        if isinstance(given, Mistake):
            self._skip(source, (given,))
            return
        checked = check_fields({**dict.fromkeys(source.unsaid, ""), **given} if source.unsaid else given)
        # A name counts as used by the first row that has it even if that row has another mistake: both rows are to
        # be looked at, and which of them is meant isn't for the importer to guess.
        name = given.get("name")
        first = self._row_of.setdefault(name_key(name), number) if isinstance(name, str) and name else number
        if first != number:
            again = Mistake(
                "name",
                f"{shown(name)} is in row {first} already.",
                "Give one of the two another name, or delete one of the rows.",
            )
            checked = (again, *(() if isinstance(checked, dict) else (m for m in checked if m.field != "name")))
        if isinstance(checked, dict):
            self._take(source, checked)
        else:
            self._skip(source, checked)

    def _take(self, source: Source, checked: Body) -> None:
        parsed = self.parsed
        parsed.sessions.append(checked)
        if source.unsaid:
            parsed.unsaid[name_key(checked["name"])] = source.unsaid
        if source.notes:
            room = MAX_MISTAKES - len(parsed.notes)
            parsed.notes += [_at(source, note) for note in source.notes[:room]]

    def _skip(self, source: Source, mistakes: Sequence[Mistake]) -> None:
        parsed = self.parsed
        parsed.skipped += 1
        room = MAX_MISTAKES - len(parsed.mistakes)
        parsed.mistakes += [_at(source, m) for m in mistakes[:room]]
        parsed.unlisted += max(0, len(mistakes) - room)


def _at(source: Source, mistake: Mistake) -> Mistake:
    problem = f"{shown(source.place)}: {mistake.problem}" if source.place else mistake.problem
    return replace(mistake, problem=problem, row=source.number)


def _putty_rows(text: str) -> Iterator[Source]:
    """Numbered by the lines at which they begin."""
    for read in putty.read_sessions(text):
        yield emulators_row(read.line, read.name, read.fields, read.notes)


def _csv_rows(text: str) -> Iterator[Source]:
    """Rows numbered as a spreadsheet does: the header is row 1, and a line break in a cell starts no new row."""
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        number, cells = next(((n, row) for n, row in enumerate(reader, HEADER_ROW) if any(row)), (HEADER_ROW, []))
        header = [cell.strip().casefold() for cell in cells]
        while header and not header[-1]:
            header.pop()
        _check_columns(header)
        guarded = "'" in text
        width = len(header)
        for row, cells in enumerate(reader, number + 1):
            if len(cells) != width:
                if any(cells[width:]):
                    yield Source(row, _too_many(cells, width, delimiter))
                    continue
                cells = cells[:width] + [""] * (width - len(cells))
            if guarded:
                cells = [unguard(cell) for cell in cells]
            if any(cells):
                yield Source(row, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise InvalidInput(
            f"The CSV can't be read at line {reader.line_num}: {error}.",
            remedy='A quotation mark is missing or too many: text with one is written as “"a ""b"" c"”.',
            code="inventory-syntax",
        ) from error


def _delimiter(text: str) -> str:
    """The separator that makes the most known columns of the first row."""
    line = text.lstrip("\r\n").partition("\n")[0][:8192].replace('"', "").casefold()

    def known(delimiter: str) -> tuple[int, int]:
        return sum(cell.strip() in _FIELD_SET for cell in line.split(delimiter)), line.count(delimiter)

    return max(_DELIMITERS, key=known)


def _check_columns(header: Sequence[str]) -> None:
    mistakes = [
        Mistake(name[:64], f"There is no column {shown(name)}.", f"{did_you_mean(name, FIELDS)}Remove it.", HEADER_ROW)
        for name in header[:100]
        if name not in _FIELD_SET
    ]
    mistakes += [
        Mistake(
            name,
            f"The column {name} is missing.",
            "Add it; its cells may be empty where there is no value.",
            HEADER_ROW,
        )
        for name in FIELDS
        if name not in header
    ]
    mistakes += [
        Mistake(name, f"The column {name} is there {count} times.", "Keep one of them.", HEADER_ROW)
        for name, count in Counter(header).items()
        if count > 1 and name in _FIELD_SET
    ]
    if mistakes:
        raise InvalidInput(
            "The columns aren't those of an inventory. " + " ".join(f"{m.problem} {m.remedy}" for m in mistakes[:10]),
            remedy=_CSV_REMEDY,
            code="inventory-columns",
            mistakes=mistakes,
        )


def _too_many(cells: Sequence[str], width: int, delimiter: str) -> Mistake:
    separator = "tab" if delimiter == "\t" else delimiter
    last = next(cell for cell in reversed(cells) if cell)
    return Mistake(
        FIELDS[-1],
        f"The row has {len(cells)} cells, the header {width}; the last is {shown(last)}.",
        f"Put a value that has a {separator} in it into quotation marks.",
    )


def _json_rows(text: str) -> Iterator[Source]:
    """Rows are numbered from 1."""
    right = f"Write a list of objects with the names {', '.join(FIELDS)}."
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            f"The JSON can't be read at line {error.lineno}, column {error.colno}: {error.msg}.",
            remedy=right,
            code="inventory-syntax",
        ) from error
    if not isinstance(content, list):
        raise InvalidInput("The JSON isn't a list.", remedy=right, code="inventory-syntax")
    for number, item in enumerate(content, 1):
        if isinstance(item, dict):
            yield Source(number, item)
        else:
            mistake = Mistake("", f"{shown(item)} isn't an object.", f"Write an object with {listed(FIELDS)}.")
            yield Source(number, mistake)
