"""Programs that tests start: each is there, or the test says how to get it; each is ended by its own id."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

END_S = 10.0
PACKAGES = {
    "s3270": "s3270",
    "hercules": "hercules",
    "sshd": "openssh-server",
    "plink": "putty-tools",
    "slapd": "slapd",
    "slapadd": "slapd",
}


def program(name: str) -> str:
    """Its path."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert found, f"{name} is missing. As root: apt-get install {PACKAGES.get(name, name)}"
    return found


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, *, directory: Path | None = None, environment: Mapping[str, str] = {}
) -> Iterator[subprocess.Popen[bytes]]:
    """It runs until the block ends; what it says is in the log."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, **environment},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END_S)
