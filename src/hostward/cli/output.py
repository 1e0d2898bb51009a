"""What commands print: tables for people, JSON for programs. No colours and 100 columns when it isn't a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import IO, Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 100
_GAP = 3
_LEAST_WIDTH = 20

_CONTROL = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}


def plain(value: object) -> Text:
    """A value as text that a terminal only shows: no markup, and no control characters, so that nothing stored on a
    server can steer the terminal of the person who lists it."""
    return Text(as_text(value).translate(_CONTROL))


def as_text(value: object) -> str:
    """yes/no for truth values, nothing for None, lists joined by commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(as_text(part) for part in value)
    return str(value)


def _make_console(stream: IO[str]) -> Console:
    width = None
    if not stream.isatty() and "COLUMNS" not in os.environ:
        width = WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


@cache
def console() -> Console:
    """Standard output."""
    return _make_console(sys.stdout)


@cache
def error_console() -> Console:
    """Standard error: errors, progress and questions, so that standard output stays what was asked for."""
    return _make_console(sys.stderr)


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def show(*rendered: RenderableType | str) -> None:
    """Print for people. Plain strings aren't wrapped."""
    for part in rendered:
        if isinstance(part, str):
            console().print(plain(part), soft_wrap=True)
        else:
            console().print(part)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> Table:
    """A table with one header line. Cells that don't fit are folded, never cut."""
    made = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False
    )
    cells = [[plain(cell) for cell in row] for row in rows]
    whole = _unfolded([max([len(name), *(cell_len(row[n]) for row in cells)]) for n, name in enumerate(columns)])
    for n, name in enumerate(columns):
        made.add_column(name, overflow="fold", no_wrap=n in whole)
    for row in cells:
        made.add_row(*row)
    return made


def cell_len(cell: Text) -> int:
    """The columns of a terminal that a cell takes: its longest line's."""
    return max((line.cell_len for line in cell.split()), default=0)


def _unfolded(widths: Sequence[int]) -> set[int]:
    """The columns that are shown without folding: the narrowest ones, as far as the others keep enough room."""
    room = console().width
    chosen: set[int] = set()
    for n in sorted(range(len(widths)), key=lambda n: widths[n]):
        others = len(widths) - len(chosen) - 1
        room -= widths[n] + _GAP
        if room < others * (_LEAST_WIDTH + _GAP):
            break
        chosen.add(n)
    return chosen


def moment(value: object) -> str:
    """An ISO 8601 moment to the minute, for lists."""
    return str(value or "")[:16].replace("T", " ")


def facts(pairs: Iterable[tuple[str, object]], *, title: str | None = None) -> Table:
    """Names and values, one a line."""
    made = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(name, plain(value))
    return made


def mistakes_table(mistakes: Sequence[Mapping[str, Any]]) -> Table:
    """What is wrong with an input, one mistake a row."""
    rows = [(m.get("row"), m.get("field"), m.get("problem"), m.get("remedy")) for m in mistakes]
    if all(row[0] is None for row in rows):
        return table(("Field", "Problem", "What would be right"), [row[1:] for row in rows])
    return table(("Row", "Column", "Problem", "What would be right"), rows)


def replicated_words(answer: Mapping[str, Any]) -> str:
    """Where a write is, from its answer: "revision 7, on 3 of 3 servers"."""
    words = f"revision {answer.get('revision')}"
    replicated = answer.get("replicated")
    if not isinstance(replicated, Mapping):
        return words
    have, of = replicated.get("have"), replicated.get("of")
    words += f", on {have} of {of} server{'' if of == 1 else 's'}"
    if have != of:
        words += " so far; the others catch up by themselves"
    return words
