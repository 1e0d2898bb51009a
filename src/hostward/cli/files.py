"""Files that commands read and write."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from hostward.domain.errors import InvalidInput


def give_pieces(file: Path | None, pieces: Iterator[bytes]) -> None:
    """Replace the file as `write_pieces` does; without one, to standard output."""
    if file is not None:
        write_pieces(file, pieces)
        return
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.flush()


def write_pieces(file: Path, pieces: Iterator[bytes]) -> None:
    """Replace the file only when everything has arrived. Raises InvalidInput where it can't be written."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        with partial.open("wb") as out:
            for piece in pieces:
                out.write(piece)
        partial.replace(file)
    except OSError as error:
        raise InvalidInput(
            f"{file} can't be written: {error.strerror}.", remedy="Choose another place for it."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def read_limited(file: Path, max_bytes: int) -> bytes:
    """All of a file; - is standard input. Raises InvalidInput where it can't be read or is larger."""
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(max_bytes + 1)
        else:
            with file.open("rb") as opened:
                content = opened.read(max_bytes + 1)
    except OSError as error:
        raise InvalidInput(f"{file} can't be read: {error.strerror}.", remedy="Check its permissions.") from error
    if len(content) > max_bytes:
        raise InvalidInput(f"{file} is larger than {max_bytes >> 20} MiB.", remedy="Split it into several files.")
    return content
