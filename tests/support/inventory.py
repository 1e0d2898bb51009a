"""Generated inventories: the same for the same seed."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

FIELDS = ("name", "type", "host", "port", "tls", "lu", "model", "code_page", "groups", "comment")
TYPES = ("IBM 3270", "IBM 5250", "VT", "SSH")
CITIES = ("Göteborg", "Dublin", "Porto", "Łódź", "Zürich", "Århus", "San José", "Reykjavík")
REMARKS = ("", "Übergabe nötig", 'owner said "do not touch"', "a, b; c", "first line\nsecond line", "日本語", "-")


def rows(count: int, *, seed: int = 1, prefix: str = "Session") -> list[dict[str, Any]]:
    """`count` sessions as an export in JSON shows them."""
    random_ = random.Random(seed)
    found = []
    for number in range(count):
        city = random_.choice(CITIES)
        type_ = random_.choice(TYPES)
        tls = random_.random() < 0.5 and type_ != "SSH"
        found.append(
            {
                "name": f"{prefix} {city} {number:05d}",
                "type": type_,
                "host": f"host{random_.randrange(500)}.example.com",
                "port": 22 if type_ == "SSH" else 992 if tls else 23,
                "tls": tls,
                "lu": f"LU{random_.randrange(1, 9999):04d}" if type_ == "IBM 3270" else "",
                "model": "3279-4-E" if type_ == "IBM 3270" else "",
                "code_page": "1147" if type_ == "IBM 3270" else "",
                "groups": sorted({f"{city} {g}" for g in random_.sample(("Finance", "Claims", "Operations"), 2)}),
                "comment": random_.choice(REMARKS),
            }
        )
    return found


def as_csv(sessions: list[dict[str, Any]]) -> bytes:
    """The rows as an inventory file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(FIELDS)
    for one in sessions:
        cells = {**one, "tls": "yes" if one["tls"] else "no", "groups": ";".join(one["groups"])}
        writer.writerow([cells[name] for name in FIELDS])
    return text.getvalue().encode()


def by_name(sessions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sessions by name, with the fields of an inventory only. Fails where a name comes twice."""
    found = {s["name"]: {field: s[field] for field in FIELDS} for s in sessions}
    assert len(found) == len(sessions), "a name comes twice"
    return found
