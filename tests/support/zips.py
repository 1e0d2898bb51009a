"""Packages as administrators make them, and as an attacker would."""

from __future__ import annotations

import io
import random
import stat
import zipfile
from pathlib import Path


def zipped(**files: bytes) -> bytes:
    """A .zip file with these files; _ in a name stands for its dot."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return made.getvalue()


def with_entry(name: str, content: bytes = b"x", *, mode: int = 0, flags: int = 0) -> bytes:
    """One whose entry has exactly this name and mode, besides a good one."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("good.txt", b"good")
        info = zipfile.ZipInfo("y" * len(name))
        info.external_attr = mode << 16
        archive.writestr(info, content)
    raw = made.getvalue().replace(b"y" * len(name), name.encode())
    if flags:
        at = raw.rindex(b"PK\x01\x02")
        raw = raw[: at + 8] + flags.to_bytes(2, "little") + raw[at + 10 :]
    return raw


LINK = stat.S_IFLNK | 0o777


def large(path: Path, size: int, seed: int = 1) -> None:
    """One that doesn't compress, of about this size, written piece by piece."""
    numbers = random.Random(seed)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive,
        archive.open("setup.msi", "w", force_zip64=True) as f,
    ):
        left = size
        while left > 0:
            piece = numbers.randbytes(min(left, 1 << 20))
            f.write(piece)
            left -= len(piece)
