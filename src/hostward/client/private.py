"""Files and directories that only their owner may read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hostward.domain.errors import InvalidInput


def state_dir() -> Path:
    """Where the desk keeps its things: `hostward` in the user's state directory (XDG)."""
    base = os.environ.get("XDG_STATE_HOME") or ""
    return (Path(base) if base else Path.home() / ".local" / "state") / "hostward"


def private_dir(path: Path) -> Path:
    """The directory, made where it isn't there, its owner's alone (0700). Raises InvalidInput."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file that only its owner may read (0600), whole or not at all. Raises InvalidInput if it can't be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"{path} can't be written: {error.strerror or error}.", remedy="Make its directory writable for you."
    )
