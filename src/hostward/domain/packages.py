"""Packages: .zip files for Windows-based sessions, which users are given, and what is wrong with one that isn't good.

What a package is called, and what its file is, is an element; the file itself lies in each server's folder
deploy/packages, and goes from server to server. Its name there holds the beginning of its SHA-256, so an update is
another file: whoever downloads gets the one or the other, whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostward.domain.archives import MAX_MISTAKES, MAX_PATH
from hostward.domain.changes import Body
from hostward.domain.fields import Checks, check_count, check_text, checked
from hostward.domain.launching.names import file_stem
from hostward.domain.suggestions import shown
from hostward.domain.texts import Wrong, check_comment, not_text

KIND: Final = "package"
MAX_BYTES: Final = 4 << 30
PIECE_BYTES: Final = 4 << 20
"""A file is checked piece by piece while it comes: nothing wrong is kept, and a cut copy goes on where it stopped."""
HASH_BYTES: Final = 32
SUFFIX: Final = ".zip"
_SHA256: Final = re.compile("[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class Content:
    """A file by what is in it: its size, its SHA-256, and that of the SHA-256s of its pieces (all hex)."""

    size: int
    sha256: str
    pieces: str

    @property
    def count(self) -> int:
        """Of pieces."""
        return -(-self.size // PIECE_BYTES)


@dataclass(frozen=True, slots=True)
class Package:
    """`installers` are the paths, within the .zip, of what installs something."""

    id: str
    name: str
    version: str
    description: str
    content: Content
    installers: Sequence[str] = ()

    @property
    def file_name(self) -> str:
        """Of its file in deploy/packages."""
        return f"{file_stem(self.name)}-{self.content.sha256[:12]}{SUFFIX}"

    @property
    def download_name(self) -> str:
        """As users get it."""
        version = f" {self.version}" if self.version else ""
        return f"{file_stem(self.name + version)}{SUFFIX}"

    def body(self) -> Body:
        c = self.content
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "size": c.size,
            "sha256": c.sha256,
            "pieces": c.pieces,
            "installers": list(self.installers),
        }


def check_package(given: Mapping[str, Any]) -> Body:
    """The body of a package. Raises InvalidInput, with one Mistake a field."""
    return checked("package", _CHECKS, given)


def package_of(id_: str, body: Mapping[str, Any]) -> Package:
    """From an element's body, which was checked when it was written."""
    content = Content(body["size"], body["sha256"], body["pieces"])
    return Package(id_, body["name"], body["version"], body["description"], content, tuple(body["installers"]))


def sum_of_pieces(pieces: bytes) -> str:
    """What `Content.pieces` is, of the SHA-256s of the pieces in their order."""
    return hashlib.sha256(pieces).hexdigest()


def _name(value: object) -> str | Wrong:
    return check_text(value, "name")


def _version(value: object) -> str | Wrong:
    return check_text(value, "version") if value != "" else ""


def _size(value: object) -> int | Wrong:
    found = check_count(value)
    if isinstance(found, int) and not 0 < found <= MAX_BYTES:
        return Wrong(f"The file has {found:,} bytes.", f"Use 1 to {MAX_BYTES:,}.")
    return found


def _sha256(value: object) -> str | Wrong:
    fine = isinstance(value, str) and _SHA256(value)
    return str(value) if fine else Wrong(f"{shown(value)} is no SHA-256.", "Write it as 64 digits from 0 to f.")


def _paths(value: object) -> list[str] | Wrong:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, str) for v in value):
        return not_text(value)
    fine = len(value) <= MAX_MISTAKES and all(0 < len(v) <= MAX_PATH for v in value)
    return list(value) if fine else Wrong("There are too many installers, or their names are too long.", "Leave out.")


_CHECKS: Final[Checks] = {
    "name": ("", _name),
    "version": ("", _version),
    "description": ("", check_comment),
    "size": (0, _size),
    "sha256": ("", _sha256),
    "pieces": ("", _sha256),
    "installers": ((), _paths),
}
