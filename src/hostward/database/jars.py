"""Fetching the locked jars: eight at a time, resumable, each checked against its SHA-256."""

from __future__ import annotations

import hashlib
import importlib.resources
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import certifi
import httpx

from hostward.domain.errors import DatabaseError

THREADS = 8
TRIES = 4
TIMEOUT_S = 60.0
CHUNK_BYTES = 1 << 16

Progress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in total and what is being done, from any thread."""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One line of the lock: path in a Maven repository, hex SHA-256, size in bytes."""

    path: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The file's name; unique in the lock."""
        return self.path.rsplit("/", 1)[-1]


def read_lock() -> tuple[LockedJar, ...]:
    """The committed lock, in its order (sorted by path), which is the order of the class path."""
    text = (importlib.resources.files(__package__) / "jars.lock").read_text()
    fields = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(LockedJar(path, sha256, int(size)) for path, sha256, size in fields)


def fetch_jars(jars: tuple[LockedJar, ...], directory: Path, repository: str | None, progress: Progress) -> None:
    """Make sure that `directory` holds every jar. Good files are kept, half-fetched ones continued.

    `repository` is a Maven repository's base URL; None means the one that the resolver jgo uses by default.
    Raises DatabaseError: "no-network", "bad-checksum", "unwritable".
    """
    missing = [jar for jar in jars if not is_good(directory / jar.name, jar)]
    total = sum(jar.size for jar in jars)
    counter = _Counter(total - sum(jar.size for jar in missing), total, progress)
    if not missing:
        return
    base = (repository or _default_repository()).rstrip("/")
    limits = httpx.Limits(max_connections=THREADS)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with (
            httpx.Client(verify=_trust(), timeout=TIMEOUT_S, limits=limits, follow_redirects=True) as client,
            ThreadPoolExecutor(THREADS) as pool,
        ):
            jobs = [pool.submit(_fetch, client, f"{base}/{jar.path}", jar, directory, counter) for jar in missing]
            try:
                for job in jobs:
                    job.result()
            finally:
                pool.shutdown(cancel_futures=True)
    except OSError as error:
        raise DatabaseError(
            f"The replication database could not be stored in {directory}: {error}.",
            remedy="Make room there, or set runtime_dir in [database] to a writable directory; then apply again.",
            code="disk-full" if error.errno == 28 else "unwritable",
        ) from error


def is_good(path: Path, jar: LockedJar) -> bool:
    """Whether the file is there with the right content."""
    try:
        if path.stat().st_size != jar.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


class _Counter:
    """Adds up what the threads fetch."""

    def __init__(self, done: int, total: int, progress: Progress) -> None:
        self._done, self._total, self._progress = done, total, progress
        self._lock = threading.Lock()

    def add(self, count: int, what: str) -> None:
        with self._lock:
            self._done += count
            self._progress(self._done, self._total, what)


def _fetch(client: httpx.Client, url: str, jar: LockedJar, directory: Path, counter: _Counter) -> None:
    part = directory / (jar.name + ".part")
    cause = ""
    for _ in range(TRIES):
        had = part.stat().st_size if part.exists() else 0
        try:
            _download(client, url, jar, part, counter)
        except httpx.HTTPError as error:
            cause = str(error) or type(error).__name__
            counter.add(-(part.stat().st_size if part.exists() else 0), jar.name)
            continue
        if is_good(part, jar):
            part.replace(directory / jar.name)
            return
        cause = "its SHA-256 differs from the locked one" + (" (it was continued)" if had else "")
        counter.add(-part.stat().st_size, jar.name)
        part.unlink()
    raise DatabaseError(
        f"{jar.name} could not be fetched from the Maven repository: {cause}.",
        remedy="Check this machine's network, or set maven_repository in [database] to a mirror that it reaches; "
        "what was fetched is kept, so apply again.",
        code="bad-checksum" if "SHA-256" in cause else "no-network",
    )


def _download(client: httpx.Client, url: str, jar: LockedJar, part: Path, counter: _Counter) -> None:
    """Append to `part` what is missing of it; all of it where the repository can't continue."""
    had = part.stat().st_size if part.exists() else 0
    if had > jar.size:
        part.unlink()
        had = 0
    counter.add(had, jar.name)
    if had == jar.size:
        return
    with client.stream("GET", url, headers={"Range": f"bytes={had}-"} if had else {}) as answer:
        answer.raise_for_status()
        continued = answer.status_code == httpx.codes.PARTIAL_CONTENT
        if had and not continued:
            counter.add(-had, jar.name)
        left = jar.size - (had if continued else 0)
        with part.open("ab" if continued else "wb") as file:
            for chunk in answer.iter_raw(CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise httpx.RemoteProtocolError("the repository sent more than the locked size")
                file.write(chunk)
                counter.add(len(chunk), jar.name)


def _default_repository() -> str:
    from jgo.constants import MAVEN_CENTRAL_URL

    return str(MAVEN_CENTRAL_URL)


def _trust() -> ssl.SSLContext:
    """The system's authorities (a company's own among them), and certifi's where the system has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
