"""The folder deploy/packages of one server: which of its files are known to be what a package should be.

A file counts once it has been read as a whole and its SHA-256 is a package's; it is known again by its size, inode and
times of change, so that a start reads nothing twice. Files that an administrator copies there count in the same way,
whatever their names: one that is a package's is adopted. Nothing else is touched, and named.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat as modes
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from hostward.domain.errors import NotFound, RegistryError
from hostward.domain.packages import HASH_BYTES, PIECE_BYTES, SUFFIX, Content, Package, sum_of_pieces

INCOMING: Final = ".incoming"
_KNOWN: Final = "package-file:"
_READ_BYTES: Final = 1 << 20
_SETTLED_S: Final = 2.0
"""A file that was changed so short a time ago may still be written."""
_KEPT_S: Final = 10.0
"""How long a file of a package that is no longer there is kept: whoever decides may not have committed yet."""
_SPARE_BYTES: Final = 64 << 20

Stat = tuple[int, int, int, int]
"""Size, inode, and when content and inode were changed, in nanoseconds."""


class Values(Protocol):
    """What is needed of server.db."""

    def get(self, name: str, /) -> Any | None: ...
    def starting_with(self, prefix: str, /) -> dict[str, Any]: ...
    def update(self, **values: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Known:
    """A file that was read as a whole. `hashes` are the SHA-256s of its pieces, one after the other."""

    name: str
    stat: Stat
    content: Content
    hashes: bytes = field(repr=False)
    own: bool
    """Put there by this server, which may remove it too."""

    def to_json(self) -> dict[str, Any]:
        c = self.content
        return {
            "stat": list(self.stat),
            "sha256": c.sha256,
            "pieces": c.pieces,
            "hashes": self.hashes.hex(),
            "own": self.own,
        }

    @staticmethod
    def from_json(name: str, value: Mapping[str, Any]) -> Known:
        stat: Stat = tuple(value["stat"])
        hashes = bytes.fromhex(value["hashes"])
        return Known(name, stat, Content(stat[0], value["sha256"], value["pieces"]), hashes, bool(value["own"]))


class Digest:
    """The sums of a file's bytes, in their order."""

    def __init__(self) -> None:
        self.size = 0
        self._whole, self._piece, self._hashes = hashlib.sha256(), hashlib.sha256(), bytearray()

    def add(self, data: bytes) -> None:
        """The next bytes."""
        view = memoryview(data)
        self._whole.update(view)
        while len(view):
            room = PIECE_BYTES - self.size % PIECE_BYTES
            part, view = view[:room], view[room:]
            self._piece.update(part)
            self.size += len(part)
            if self.size % PIECE_BYTES == 0:
                self._end_piece()

    def result(self) -> tuple[Content, bytes]:
        """What it was, and the sums of its pieces. Ends it."""
        if self.size % PIECE_BYTES:
            self._end_piece()
        hashes = bytes(self._hashes)
        return Content(self.size, self._whole.hexdigest(), sum_of_pieces(hashes)), hashes

    def _end_piece(self) -> None:
        self._hashes += self._piece.digest()
        self._piece = hashlib.sha256()


class Incoming:
    """A file that is being uploaded. It is removed unless `keep` is called."""

    def __init__(self, folder: Folder, path: Path) -> None:
        self._folder, self.path = folder, path
        self._file, self._digest = path.open("wb", buffering=0), Digest()

    @property
    def size(self) -> int:
        return self._digest.size

    def write(self, data: bytes) -> None:
        """Raises RegistryError, "disk-full" where it doesn't fit."""
        with _explained(self.path):
            _write_all(self._file, data)
        self._digest.add(data)

    def end(self) -> Content:
        """All has come; it is on the disk. Raises RegistryError."""
        with _explained(self.path):
            os.fsync(self._file.fileno())
            self._file.close()
        self._content, self._hashes = self._digest.result()
        return self._content

    def keep(self, package: Package) -> None:
        """Put it in the folder, as this package's file. Raises RegistryError."""
        self._folder.put(self.path, package, self._hashes)

    def close(self) -> None:
        """Remove what is left of it."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: files in the folder that aren't what a package should be, by name: what each is."""

    strays: Mapping[str, str]


class Folder:
    """Any thread; what reads whole files says so."""

    def __init__(self, path: Path, values: Values) -> None:
        self.path, self._values = path, values
        self._lock = threading.RLock()
        self._known: dict[str, Known] = {}
        self._held: dict[str, int] = {}
        self._unwanted: dict[str, float] = {}
        self._seen: dict[str, Stat] = {}
        for name, value in values.starting_with(_KNOWN).items():
            self._known[name.removeprefix(_KNOWN)] = Known.from_json(name.removeprefix(_KNOWN), value)
        self.incoming = path / INCOMING
        self.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self.incoming.glob("upload-*"):
            left.unlink(missing_ok=True)

    # Having

    def has(self, content: Content) -> Known | None:
        """The file with that content, where it is still the one that was read."""
        with self._lock:
            for known in self._known.values():
                if known.content == content and _stat(self.path / known.name) == known.stat:
                    return known
        return None

    def open(self, content: Content) -> BinaryIO:
        """That file, which stays whole for whoever has it open, also where the package is updated or deleted. Raises
        NotFound."""
        known = self.has(content)
        if known is not None:
            with suppress(OSError):
                file = (self.path / known.name).open("rb", buffering=0)
                if _stat_of(os.fstat(file.fileno())) == known.stat:
                    return file
                file.close()
        raise NotFound("The package's file isn't here.", code="package-not-here")

    def read(self, content: Content, offset: int, count: int) -> bytes:
        """A part of it. Raises NotFound."""
        with self.open(content) as file:
            file.seek(offset)
            return file.read(count)

    # Putting

    def new_upload(self, expected_bytes: int) -> Incoming:
        """Raises RegistryError "disk-full" where so many don't fit."""
        self.check_room(expected_bytes)
        with _explained(self.incoming):
            return Incoming(self, self.incoming / f"upload-{secrets.token_hex(8)}")

    def check_room(self, bytes_: int) -> None:
        """Raises RegistryError "disk-full" where so many more don't fit."""
        found = os.statvfs(self.path)
        free = found.f_bavail * found.f_frsize
        if free < bytes_ + _SPARE_BYTES:
            raise RegistryError(
                f"{bytes_ / 1e6:,.0f} MB don't fit on the disk of {self.path}, which has {free / 1e6:,.0f} MB left.",
                remedy="Free some space there; copying goes on by itself.",
                code="disk-full",
            )

    def put(self, path: Path, package: Package, hashes: bytes) -> None:
        """The file at that path, on the same disk, whose content was looked at, becomes the package's. Raises
        RegistryError."""
        name = package.file_name
        with self._lock, _explained(self.path):
            os.replace(path, self.path / name)
            _sync(self.path)
            stat = _stat(self.path / name)
            if stat is None or stat[0] != package.content.size:
                raise RegistryError(f"{name} was changed meanwhile.", remedy="Try again.", code="package-changed")
            self._learn(Known(name, stat, package.content, hashes, own=True))

    @contextmanager
    def holding(self, content: Content) -> Iterator[None]:
        """That file isn't removed within, whether or not there is a package with it."""
        with self._lock:
            self._held[content.sha256] = self._held.get(content.sha256, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._held[content.sha256] -= 1
                if not self._held[content.sha256]:
                    del self._held[content.sha256]

    # Looking after it

    def look(
        self,
        wanted: Sequence[Package],
        waiting: Callable[[], Collection[str]],
        now: Callable[[], float] = time.monotonic,
    ) -> Looked:
        """Read files that aren't known yet, adopt those that are a package's, and remove this server's own of packages
        that are no longer there; not those whose SHA-256 is `waiting`, which is asked for where there is a file of no
        package. Reads whole files."""
        kept = cache(waiting)
        by_sha = {p.content.sha256: p for p in wanted}
        by_name = {p.file_name: p for p in wanted}
        sizes = {p.content.size for p in wanted}
        strays: dict[str, str] = {}
        names = sorted(e.name for e in os.scandir(self.path) if not e.name.startswith("."))
        self._forget_others(names)
        for name in names:
            if not name.lower().endswith(SUFFIX):
                continue
            stat = _stat(self.path / name)
            if stat is None:
                strays[name] = "It is no plain file."
                continue
            known = self._known_as(name, stat)
            if known is None:
                before = self._known.get(name)
                if stat[0] not in sizes and (before is None or stat[0] != before.content.size):
                    strays[name] = _stray(by_name.get(name))
                    continue
                known = self._read_settled(name, stat)
                if known is None:
                    strays[name] = "It is being copied or read."
                    continue
            package = by_sha.get(known.content.sha256)
            if package is not None:
                self._adopt(known, package)
            elif known.content.sha256 not in kept() and (name in by_name or not self._removed(known, now())):
                strays[name] = _stray(by_name.get(name))
        return Looked(strays)

    def _adopt(self, known: Known, package: Package) -> None:
        """Give it the package's file name."""
        self._unwanted.pop(known.name, None)
        if known.name == package.file_name:
            if not known.own:
                self._learn(replace(known, own=True))
            return
        named = self._known.get(package.file_name)
        if named is not None and named.content == known.content and _stat(self.path / named.name) == named.stat:
            self._drop(known)  # the same twice
            return
        with suppress(RegistryError):
            self.put(self.path / known.name, package, known.hashes)
            self._forget(known.name)

    def _removed(self, known: Known, now: float) -> bool:
        """Whether it is this server's own, so that it needn't be named."""
        with self._lock:
            if not known.own:
                return False
            if known.content.sha256 in self._held:
                self._unwanted.pop(known.name, None)
            elif now - self._unwanted.setdefault(known.name, now) >= _KEPT_S:
                self._drop(known)
            return True

    def _drop(self, known: Known) -> None:
        with self._lock, suppress(OSError):
            if _stat(self.path / known.name) == known.stat:
                (self.path / known.name).unlink(missing_ok=True)
            self._forget(known.name)

    def _read_settled(self, name: str, stat: Stat) -> Known | None:
        """Read it, unless it may still be written."""
        unchanged = self._seen.get(name) == stat
        self._seen[name] = stat
        if not unchanged and abs(time.time_ns() - max(stat[2:])) < _SETTLED_S * 1e9:
            return None
        try:
            found = read_whole(self.path / name)
        except OSError:
            return None
        with self._lock:
            if found is None or _stat(self.path / name) != stat:
                return None
            content, hashes = found
            before = self._known.get(name)
            # A file of this server's own that somebody wrote in is this server's own to replace.
            known = Known(name, stat, content, hashes, own=before is not None and before.own)
            self._learn(known)
            return known

    def _known_as(self, name: str, stat: Stat) -> Known | None:
        with self._lock:
            known = self._known.get(name)
        return known if known is not None and known.stat == stat else None

    def _learn(self, known: Known) -> None:
        with self._lock:
            self._unwanted.pop(known.name, None)
            self._known[known.name] = known
            self._values.update(**{_KNOWN + known.name: known.to_json()})

    def _forget(self, name: str) -> None:
        with self._lock:
            self._seen.pop(name, None)
            self._unwanted.pop(name, None)
            if self._known.pop(name, None) is not None:
                self._values.update(**{_KNOWN + name: None})

    def _forget_others(self, names: Collection[str]) -> None:
        """What is no longer there."""
        with self._lock:
            for name in set(self._known) - set(names):
                if _stat(self.path / name) is None:
                    self._forget(name)
            self._seen = {name: stat for name, stat in self._seen.items() if name in names}


class Partial:
    """A file that is being copied from another server, piece by piece. Each is compared before it is kept, so what is
    there after a cut is good as far as it goes."""

    def __init__(self, folder: Folder, content: Content, hashes: bytes) -> None:
        """Raises RegistryError. Reads what is there already."""
        if len(hashes) != content.count * HASH_BYTES or sum_of_pieces(hashes) != content.pieces:
            raise ValueError("these aren't the sums of its pieces")
        self._folder, self.content, self._hashes = folder, content, hashes
        self.path = folder.incoming / f"{content.sha256}.part"
        self.size = 0
        with _explained(self.path):
            self._file = self.path.open("a+b", buffering=0)
            self._take_up()
        folder.check_room(content.size - self.size)

    @property
    def next_size(self) -> int:
        """Of the piece that comes next; 0 where all are there."""
        return min(PIECE_BYTES, self.content.size - self.size)

    def add(self, piece: bytes) -> None:
        """The next piece. Raises ValueError where it isn't right, RegistryError where it can't be written."""
        check_piece(self.content, self._hashes, self.size, piece)
        with _explained(self.path):
            _write_all(self._file, piece)
        self.size += len(piece)

    def keep(self, package: Package) -> None:
        """All pieces are there: it becomes the package's file. Raises RegistryError."""
        with _explained(self.path):
            os.fsync(self._file.fileno())
        self.close()
        found = read_whole(self.path)
        if found is None or found[0] != self.content:
            self.path.unlink(missing_ok=True)
            raise RegistryError(
                f"The copy of {package.name} isn't what its SHA-256 says, though each piece of it is.",
                remedy="Upload the package again.",
                code="package-differs",
            )
        self._folder.put(self.path, package, self._hashes)

    def close(self) -> None:
        self._file.close()

    def _take_up(self) -> None:
        """Go on after the last good piece of an earlier copy."""
        self._file.seek(0)
        while self.next_size:
            piece = self._file.read(self.next_size)
            try:
                check_piece(self.content, self._hashes, self.size, piece)
            except ValueError:
                break
            self.size += len(piece)
        self._file.truncate(self.size)


def check_piece(content: Content, hashes: bytes, offset: int, piece: bytes) -> None:
    """Raises ValueError where it isn't the piece that begins there."""
    at = offset // PIECE_BYTES * HASH_BYTES
    whole = len(piece) == min(PIECE_BYTES, content.size - offset)
    if not whole or hashlib.sha256(piece).digest() != hashes[at : at + HASH_BYTES]:
        raise ValueError("the piece isn't what it should be")


def read_whole(path: Path) -> tuple[Content, bytes] | None:
    """A file's content, and the sums of its pieces; None where it is empty. Raises OSError."""
    digest = Digest()
    with path.open("rb", buffering=0) as file:
        while data := file.read(_READ_BYTES):
            digest.add(data)
    return digest.result() if digest.size else None


def _stat(path: Path) -> Stat | None:
    """None where it is no plain file, or isn't there."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return _stat_of(found) if modes.S_ISREG(found.st_mode) else None


def _stat_of(found: os.stat_result) -> Stat:
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _stray(instead_of: Package | None) -> str:
    if instead_of is None:
        return "It is no package's file."
    return f"It isn't the file of {instead_of.name}: its SHA-256 differs. It is replaced."


def _write_all(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while len(view):
        view = view[file.write(view) :]


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (28, 122)
        raise RegistryError(
            f"{path} can't be written: {error.strerror or error}.",
            remedy="Free some space on that disk." if full else "Give this server's user access to it.",
            code="disk-full" if full else "unwritable",
        ) from error
