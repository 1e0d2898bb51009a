"""Small Java classes of Hostward's own, compiled once with the compiler that Cassandra brings along: the packaged Java
has none."""

from __future__ import annotations

import hashlib
import importlib.resources
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hostward.domain.errors import DatabaseError

COMPILE_TIMEOUT_S = 60

_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"


def compiled(java: Path, jars: Sequence[Path], source_name: str, directory: Path) -> Path:
    """The directory of the compiled class, below `directory`. Raises DatabaseError "no-java"."""
    source = importlib.resources.files(__package__) / source_name
    name = source_name.removesuffix(".java").lower()
    classes = directory / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if classes.exists():
        return classes
    compiler = next(jar for jar in jars if jar.name.startswith("ecj-"))
    part = Path(tempfile.mkdtemp(prefix="compiled.", dir=directory))
    with importlib.resources.as_file(source) as path:
        command = [str(java), "-cp", str(compiler), _COMPILER, "-17", "-proc:none", "-d", str(part), str(path)]
        done = subprocess.run(command, capture_output=True, timeout=COMPILE_TIMEOUT_S, check=False)
    if done.returncode != 0:
        shutil.rmtree(part, ignore_errors=True)
        raise DatabaseError(
            f"{source_name} can't be prepared: this Java does not run the compiler.",
            remedy="Name a Java 17 or 21 with java in [database].",
            code="no-java",
        )
    try:
        part.rename(classes)
    except OSError:  # another process was first
        shutil.rmtree(part, ignore_errors=True)
    return classes
