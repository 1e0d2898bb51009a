"""Files that commands write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hostward.domain.errors import InvalidInput


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
