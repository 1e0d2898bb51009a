"""Writing an inventory, piece by piece, so that 100,000 sessions needn't be in memory as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from hostward.domain.inventory.formulas import guard
from hostward.domain.sessions import FIELDS

PIECE_CHARACTERS: Final = 1 << 16


def export_csv(bodies: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """UTF-8 without a byte order mark, RFC 4180, columns as in FIELDS, groups joined by `;`, tls as yes or no. Text
    that a spreadsheet would run is guarded (see formulas)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(FIELDS)
    for body in bodies:
        writer.writerow(
            (
                guard(body["name"]),
                body["type"],
                guard(body["host"]),
                body["port"],
                "yes" if body["tls"] else "no",
                guard(body["lu"]),
                body["model"],
                body["code_page"],
                guard(";".join(body["groups"])),
                guard(body["comment"]),
            )
        )
        if text.tell() > PIECE_CHARACTERS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def export_json(bodies: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """A list of objects, one a line, with the names in FIELDS in that order."""
    lines: list[bytes] = []
    size, before = 0, b"[\n"
    for body in bodies:
        line = orjson.dumps({name: body[name] for name in FIELDS})
        lines.append(line)
        size += len(line)
        if size > PIECE_CHARACTERS:
            yield before + b",\n".join(lines)
            lines, size, before = [], 0, b",\n"
    if lines:
        yield before + b",\n".join(lines) + b"\n]\n"
    else:
        yield b"[]\n" if before == b"[\n" else b"\n]\n"
