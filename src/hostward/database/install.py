"""What the replication database needs on this machine: Java, Cassandra's jars, the management agent.

All of it is in one directory that several servers of a machine share. It is fetched on first need and checked
against the committed locks (java.lock, jars.lock); afterwards no network is needed.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hostward.database.algorithms import trust_algorithm
from hostward.database.jars import Progress, fetch_jars, read_lock
from hostward.database.java import Java, find_java, install_java
from hostward.domain.errors import DatabaseError

LOCK_TIMEOUT_S = 1800.0
LOCK_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Runtime:
    """An installed Cassandra. `jars` is the class path, sorted; `archive` is where the class data sharing archive of
    this Java and these jars is, or would be; `trust_algorithm` what cassandra.yaml must name, if anything."""

    java: Java
    jars: tuple[Path, ...]
    agent: Path
    archive: Path
    trust_algorithm: str = ""


def default_runtime_dir() -> Path:
    """Where the runtime is kept unless configured: shared by this user's servers."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "hostward" / "runtime"


async def ensure_runtime(
    runtime_dir: Path | None = None,
    *,
    java: Path | None = None,
    maven_repository: str | None = None,
    progress: Progress = lambda done, total, what: None,
) -> Runtime:
    """Install what is missing, once for all servers that ask at the same time, and return it. Cheap when all is there.

    `progress(bytes_done, bytes_total, what)` is called from other threads. Raises DatabaseError: "no-java",
    "wrong-java", "no-network", "bad-checksum", "disk-full", "unwritable", "install-busy".
    """
    directory = runtime_dir or default_runtime_dir()
    return await asyncio.to_thread(_ensure, directory, java, maven_repository, progress)


def _ensure(directory: Path, java_path: Path | None, repository: str | None, progress: Progress) -> Runtime:
    locked = read_lock()
    lock_hash = hashlib.sha256("".join(jar.sha256 for jar in locked).encode()).hexdigest()
    jars_dir = directory / "jars"
    complete = directory / f"jars-{lock_hash[:16]}.complete"
    java = find_java(java_path, directory)
    if java is None or not complete.exists():
        with install_lock(directory):
            java = find_java(java_path, directory)
            if java is None:
                progress(0, 0, "Java")
                java = install_java(directory)
            fetch_jars(locked, jars_dir, repository, progress)
            complete.touch()
    agent = next(jar.name for jar in locked if "jolokia" in jar.name)
    build = hashlib.sha256(f"{java.path}\n{java.build}\n{lock_hash}".encode()).hexdigest()
    jars = tuple(jars_dir / jar.name for jar in locked if jar.name != agent)
    return Runtime(
        java=java,
        jars=jars,
        agent=jars_dir / agent,
        archive=directory / f"classes-{build[:16]}.jsa",
        trust_algorithm=trust_algorithm(java, jars, directory),
    )


@contextmanager
def install_lock(directory: Path) -> Iterator[None]:
    """Held while something is installed into `directory`. Blocks; DatabaseError "install-busy" after half an hour."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / "lock").open("w")
    except OSError as error:
        raise DatabaseError(
            f"The replication database can't be installed in {directory}: {error}.",
            remedy="Set runtime_dir in [database] to a directory that this user may write; then apply again.",
            code="unwritable",
        ) from error
    with file:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DatabaseError(
                        f"Another process has been installing the replication database in {directory} for too long.",
                        remedy="End that process, or set runtime_dir in [database] to another directory.",
                        code="install-busy",
                    ) from None
                time.sleep(LOCK_POLL_S)
        yield
