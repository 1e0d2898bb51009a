"""Many profiles of the x3270 family as one zip file.

What is read is bounded before it is unpacked: how many files, how large each and all of them. Nothing is written to a
disk, and of a file's path only its last part is looked at."""

from __future__ import annotations

import struct
import unicodedata
import zipfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO, RawIOBase
from pathlib import PurePosixPath
from typing import Any, Final

from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.inventory.sources import Source, emulators_row
from hostward.domain.launching.x3270 import SUFFIXES, profile, read_profile
from hostward.domain.suggestions import listed, shown

MAX_PROFILES: Final = 50_000
MAX_PROFILE_BYTES: Final = 64 << 10
MAX_UNPACKED_BYTES: Final = 64 << 20
PIECE_BYTES: Final = 1 << 16

_ENTRY: Final = b"PK\x01\x02"
_ENCRYPTED: Final = 0x1
_IS_UTF8: Final = 0x800
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
_BROKEN: Final = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, zlib.error, EOFError),
    *(ValueError, LookupError, OverflowError, struct.error),
)
"""What zipfile raises for bytes that are no zip file."""


def is_archive(data: bytes) -> bool:
    """Whether these are packed profiles, rather than an Excel workbook."""
    return data.startswith(b"PK") and any(suffix.encode() in data for suffix in SUFFIXES)


def is_profile_name(name: str) -> bool:
    """By its end."""
    return name.lower().endswith(SUFFIXES)


def one_file(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Several profiles, as (name, content), packed into one; a single file of another kind as it is. The same files
    give the same bytes. Raises InvalidInput where there are several of another kind."""
    if len(files) == 1 and not is_profile_name(files[0][0]):
        return files[0][1]
    for name, _ in files:
        if not is_profile_name(name):
            raise InvalidInput(
                f"{shown(name)} is no profile of x3270.",
                remedy="Only such profiles may be several files; choose a CSV, JSON or registry file by itself.",
                code="inventory-files",
            )
    return b"".join(_packed(files))


def export_profiles(bodies: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """A profile for each of these sessions, which are of type IBM 3270, with names that differ on every system."""
    return _packed(_named(bodies))


def archive_sources(data: bytes) -> Iterator[Source]:
    """What each file holds, numbered from 1. Raises InvalidInput if they can't be unpacked."""
    if not data.startswith(b"PK"):
        yield _source(1, "", data)
        return
    if data.count(_ENTRY) > MAX_PROFILES:
        raise _too_large(f"more than {MAX_PROFILES:,} files")
    try:
        with zipfile.ZipFile(BytesIO(data)) as opened:
            unpacked = 0
            for number, entry in enumerate(_entries(opened), 1):
                name = PurePosixPath(_name(entry).replace("\\", "/")).name
                content = _content(opened, entry, name)
                if isinstance(content, Mistake):
                    yield Source(number, content, place=name)
                    continue
                unpacked += len(content)
                if unpacked > MAX_UNPACKED_BYTES:
                    raise _too_large(f"more than {MAX_UNPACKED_BYTES >> 20} MiB when it is unpacked")
                yield _source(number, name, content)
    except _BROKEN as error:
        raise InvalidInput(
            f"The zip file can't be read: {error}.", remedy="Pack the profiles again.", code="inventory-syntax"
        ) from error


def _entries(opened: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Without directories and what macOS adds."""
    for entry in opened.infolist():
        name = PurePosixPath(entry.filename).name
        if not entry.is_dir() and not name.startswith("._") and name != ".DS_Store":
            yield entry


def _name(entry: zipfile.ZipInfo) -> str:
    """Some programs write UTF-8 without saying so."""
    if not entry.flag_bits & _IS_UTF8:
        try:
            return entry.filename.encode("cp437").decode()
        except UnicodeError:
            return entry.filename
    return entry.filename


def _content(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes | Mistake:
    """Never more than a profile's bytes are unpacked, whatever the entry says."""
    if not is_profile_name(name):
        return Mistake("", "This is no profile of x3270.", f"Leave it out; profiles end in {listed(SUFFIXES)}.")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        return Mistake("", "It is encrypted, or packed in an unusual way.", "Pack it again, without a password.")
    if entry.file_size > MAX_PROFILE_BYTES:
        return Mistake("", f"It is larger than {MAX_PROFILE_BYTES >> 10} KiB.", "A profile is a few lines of text.")
    with opened.open(entry) as file:
        return file.read(MAX_PROFILE_BYTES)


def _source(number: int, name: str, content: bytes) -> Source:
    try:
        text = content.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError:
        return Source(number, Mistake("", "It isn't UTF-8.", "Save it as UTF-8."), place=name)
    read = read_profile(text, PurePosixPath(name).stem)
    if isinstance(read, Mistake):
        return emulators_row(number, name, read, ())
    return emulators_row(number, name, read.fields, read.notes)


def _too_large(what: str) -> InvalidInput:
    return InvalidInput(f"The file has {what}.", remedy="Split it into several files.", code="inventory-too-large")


class _Collected(RawIOBase):
    """What a zip file is written to: taken away piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        self.size += len(self.pieces[-1])
        return len(self.pieces[-1])

    def take(self) -> bytes:
        taken, self.pieces, self.size = b"".join(self.pieces), [], 0
        return taken


def _packed(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    out = _Collected()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
            if out.size > PIECE_BYTES:
                yield out.take()
    yield out.take()


def _named(bodies: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, bytes]]:
    used: set[str] = set()
    for body in bodies:
        wanted, content = profile(body)
        stem, suffix = PurePosixPath(wanted).stem, PurePosixPath(wanted).suffix
        name, number = wanted, 1
        while (key := unicodedata.normalize("NFC", name).casefold()) in used:
            number += 1
            name = f"{stem} ({number}){suffix}"
        used.add(key)
        yield name, content.encode()
