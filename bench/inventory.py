"""Generated sessions, as an insurer's or a bank's inventory would hold them: the same for the same numbers."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

FIELDS = ("name", "type", "host", "port", "tls", "lu", "model", "code_page", "groups", "comment")
TYPES = ("IBM 3270", "IBM 5250", "VT", "SSH")
CITIES = ("Göteborg", "Dublin", "Porto", "Zürich", "Århus", "San José", "Reykjavík", "Wien")
TEAMS = ("Finance", "Claims", "Operations", "Audit", "Sales")


def session(number: int, prefix: str = "Ledger") -> dict[str, Any]:
    """One session's fields, as the API takes them."""
    type_, city = TYPES[number % 4], CITIES[number // 4 % 8]
    mainframe = type_ == "IBM 3270"
    return {
        "name": f"{prefix} {city} {number:06d}",
        "type": type_,
        "host": f"{prefix.lower()}{number % 500}.example.com",
        "port": 22 if type_ == "SSH" else 992,
        "tls": type_ != "SSH",
        "lu": f"LU{number % 10_000:04d}" if mainframe else "",
        "model": "3279-4-E" if mainframe else "",
        "code_page": "1147" if mainframe else "",
        "groups": sorted({f"{city} {TEAMS[number % 5]}", f"{city} {TEAMS[number // 5 % 5]}"}),
        "comment": "Übergabe nötig" if number % 7 == 0 else "",
    }


def as_json(number: int, prefix: str) -> bytes:
    """One session as the body of a request."""
    return json.dumps(session(number, prefix), ensure_ascii=False).encode()


def as_csv(count: int) -> bytes:
    """`count` sessions as an inventory file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(FIELDS)
    for number in range(count):
        one = session(number, "Inventory")
        cells = {**one, "tls": "yes" if one["tls"] else "no", "groups": ";".join(one["groups"])}
        writer.writerow([cells[name] for name in FIELDS])
    return text.getvalue().encode()
