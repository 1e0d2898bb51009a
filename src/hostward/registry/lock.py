"""One process for a data directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hostward.domain.errors import RegistryError


@contextmanager
def lock_data_dir(path: Path) -> Iterator[None]:
    """Hold the data directory. Raises RegistryError "data-dir-in-use" naming the process that has it."""
    with (path / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read(20).strip() or "unknown"
            raise RegistryError(
                f"The data directory {path} is in use by another server (process {holder}).",
                remedy="Stop that server, or give this one a data directory of its own.",
                code="data-dir-in-use",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
