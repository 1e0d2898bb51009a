"""What a package's .zip may hold: names that stay within the folder it is unpacked in, on every system, and a size that
was meant. It is looked at where a package is uploaded, and again where it is unpacked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hostward.domain.errors import Mistake
from hostward.domain.launching.names import is_reserved
from hostward.domain.suggestions import shown
from hostward.domain.texts import UNSEEN, name_key

MAX_ENTRIES: Final = 100_000
MAX_DIRECTORY_BYTES: Final = 64 << 20
"""Of the list of its entries, at the file's end."""
MAX_UNPACKED_BYTES: Final = 32 << 30
MAX_RATIO: Final = 200
"""How many bytes one byte may become, over the whole file; text compresses to a tenth, and what is more than this was
made to fill a disk."""
FREE_BYTES: Final = 64 << 20
"""Up to here the ratio doesn't matter."""
MAX_PATH: Final = 400
MAX_MISTAKES: Final = 20

INSTALLERS: Final = (".msi", ".exe", ".msix")

_UNSEEN: Final = re.compile(f"[{UNSEEN}]").search
_FORBIDDEN: Final = re.compile(r'[<>:"|?*\\]').search


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in an archive, as its list says. `name` is the path as it was written, with / between its parts, ending
    in / for a folder."""

    name: str
    size: int
    is_plain: bool = True
    """A file or folder; not a link, a device or anything else."""
    is_encrypted: bool = False

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


def check_entries(entries: Iterable[Entry], packed_bytes: int) -> Sequence[Mistake]:
    """What is wrong with these entries of an archive of that size; at most MAX_MISTAKES."""
    mistakes: list[Mistake] = []
    seen: dict[str, str] = {}
    files: set[str] = set()
    folders: dict[str, str] = {}
    count = total = 0
    for entry in entries:
        count += 1
        total += max(entry.size, 0)
        problem = wrong_entry(entry) or _taken(entry, seen, files, folders)
        if problem and len(mistakes) < MAX_MISTAKES:
            mistakes.append(Mistake("file", problem, "Make the .zip file anew without it."))
    if count > MAX_ENTRIES:
        mistakes.append(Mistake("file", f"It has {count:,} entries.", f"Use at most {MAX_ENTRIES:,}."))
    if total > MAX_UNPACKED_BYTES or too_large(total, packed_bytes):
        problem = f"Unpacked it would be {total:,} bytes, from {packed_bytes:,}."
        mistakes.append(Mistake("file", problem, "Make several packages of it, or leave out what only fills disks."))
    if not files and not mistakes:
        mistakes.append(Mistake("file", "There is no file in it.", "Put the files in that are to be installed."))
    return mistakes


def too_large(unpacked_bytes: int, packed_bytes: int) -> bool:
    """More than such an archive can honestly hold."""
    return unpacked_bytes > FREE_BYTES and unpacked_bytes > MAX_RATIO * packed_bytes


def wrong_entry(entry: Entry) -> str:
    """What is wrong with an entry by itself; empty where nothing is."""
    name = entry.name
    if not entry.is_plain:
        return f"{shown(name)} is a link or device."
    if entry.is_encrypted:
        return f"{shown(name)} is encrypted."
    if not name or len(name) > MAX_PATH:
        return f"{shown(name)} is no name that can be used: 1 to {MAX_PATH} characters."
    if _UNSEEN(name) or _FORBIDDEN(name):
        return f"{shown(name)} has a character that file names can't have everywhere."
    parts = name.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        return f"{shown(name)} leads out of the folder that it is unpacked in."
    if any(is_reserved(part) or part[-1] in ". " for part in parts):
        return f"{shown(name)} is a name that Windows can't have."
    return ""


def installers(names: Iterable[str]) -> Sequence[str]:
    """Those that install something when they are opened, at most MAX_MISTAKES."""
    return sorted(n for n in names if n.lower().endswith(INSTALLERS))[:MAX_MISTAKES]


def _taken(entry: Entry, seen: dict[str, str], files: set[str], folders: dict[str, str]) -> str:
    """Two names that are one where case makes no difference, or a file in the place of a folder."""
    path = entry.name.removesuffix("/")
    key = name_key(path)
    above = key.split("/")
    for depth in range(1, len(above)):
        parent = "/".join(above[:depth])
        folders[parent] = entry.name
        if parent in files:
            return f"{shown(entry.name)} lies in what is a file."
    if entry.is_folder:
        folders[key] = entry.name
        return f"{shown(entry.name)} is a file too." if key in files else ""
    if key in seen:
        return f"{shown(entry.name)} and {shown(seen[key])} are the same name."
    if key in folders:
        return f"{shown(entry.name)} is a folder too."
    seen[key] = entry.name
    files.add(key)
    return ""
