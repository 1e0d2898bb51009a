"""Looking into a .zip before anybody is given it, and unpacking it at a desk: in one way, and with the same limits."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from hostward.domain.archives import (
    MAX_DIRECTORY_BYTES,
    MAX_ENTRIES,
    Entry,
    check_entries,
    installers,
)
from hostward.domain.errors import InvalidInput, Mistake

_END: Final = struct.Struct("<4s4H2LH")
_END_MARK: Final = b"PK\x05\x06"
_LOCATOR: Final = struct.Struct("<4sLQL")
_LOCATOR_MARK: Final = b"PK\x06\x07"
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_END64_MARK: Final = b"PK\x06\x06"
_MAX_REMARK: Final = 0xFFFF
_READ_BYTES: Final = 1 << 20
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What every system unpacks by itself; others could ask for any amount of memory."""
_NOT_READABLE: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What zipfile raises for what is no archive, or a broken one."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What is in it."""

    entries: int
    unpacked_bytes: int
    installers: Sequence[str]


def look_into(path: Path) -> Looked:
    """Every entry is unpacked, to nowhere, and its checksum compared. Raises InvalidInput."""
    with opened(path) as archive:
        infos = archive.infolist()
        for info in infos:
            for _ in pieces_of(archive, info):
                pass
    names = [i.filename for i in infos if not i.is_dir()]
    return Looked(len(infos), sum(i.file_size for i in infos), installers(names))


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive whose entries may be unpacked, by names and sizes. Memory is bounded, whatever the file says of
    itself. Raises InvalidInput, OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            _check_list(file, size)
            archive = zipfile.ZipFile(file)
        except (*_NOT_READABLE, OSError) as error:  # also places that lie beyond the file
            raise _broken(f"It can't be unpacked: {error}.") from error
        with archive:
            _refuse(check_entries(map(_entry, archive.infolist()), size))
            yield archive


def pieces_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """An entry's bytes, never more than it says: what is longer, zipfile cuts, and its checksum then differs. Raises
    InvalidInput."""
    if info.compress_type not in _METHODS:
        raise _broken(f"{info.filename[:100]!r} is compressed in a way that isn't known here.")
    try:
        with archive.open(info) as packed:
            yield from iter(lambda: packed.read(_READ_BYTES), b"")
    except (*_NOT_READABLE, OSError) as error:
        raise _broken(f"It can't be unpacked: {error}.") from error


def _entry(info: zipfile.ZipInfo) -> Entry:
    mode = info.external_attr >> 16
    plain = not mode or stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR)
    return Entry(info.orig_filename, info.file_size, plain, bool(info.flag_bits & 0x1))


def _check_list(file: BinaryIO, size: int) -> None:
    """The list of entries is read into memory as a whole, so its length is looked at before. Raises InvalidInput."""
    tail_bytes = min(size, _END.size + _MAX_REMARK + _LOCATOR.size)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    at = tail.rfind(_END_MARK)
    if at < 0 or at + _END.size > len(tail):
        raise _broken("It is no .zip file, or its end is missing.")
    *_, count, length, _, _ = _END.unpack_from(tail, at)
    before = at - _LOCATOR.size
    if before >= 0 and tail[before : before + 4] == _LOCATOR_MARK:
        _, _, place, _ = _LOCATOR.unpack_from(tail, before)
        file.seek(place)
        raw = file.read(_END64.size)
        if len(raw) < _END64.size or raw[:4] != _END64_MARK:
            raise _broken("Its end is damaged.")
        *_, count, length, _ = _END64.unpack(raw)
    if length > MAX_DIRECTORY_BYTES or count > MAX_ENTRIES:
        _refuse([Mistake("file", f"It has {count:,} entries.", f"Use at most {MAX_ENTRIES:,}.")])
    file.seek(0)


def _refuse(mistakes: Sequence[Mistake]) -> None:
    if mistakes:
        first = mistakes[0]
        more = f" And {len(mistakes) - 1} more." if len(mistakes) > 1 else ""
        raise InvalidInput(
            f"The .zip file can't be used: {first.problem}{more}",
            remedy=first.remedy,
            code="package-refused",
            mistakes=mistakes,
        )


def _broken(problem: str) -> InvalidInput:
    return InvalidInput(
        f"The .zip file can't be used. {problem}",
        remedy="Make it anew, or fetch it again where it came from, and upload it again.",
        code="package-broken",
        mistakes=[Mistake("file", problem, "Make it anew.")],
    )
