"""Which trust manager algorithm the database is told to use: Java's own default, unless this Java doesn't offer it.

On a Java whose security settings name an algorithm of another vendor (z/Linux: IBMX509 and SunX509), Cassandra would
end with "NoSuchAlgorithmException: … TrustManagerFactory not available". So the JVM is asked what it has.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import structlog

from hostward.database.compiled import compiled
from hostward.database.java import Java
from hostward.domain.errors import DatabaseError

ASK_TIMEOUT_S = 30
PREFERRED = ("SUNX509", "IBMX509", "IBMPKIX", "PKIX")
"""PKIX last: Cassandra asks for key managers by the same name, and those of that name find no certificate where TLS is
done by OpenSSL, as on most machines."""


log = structlog.get_logger()


def trust_algorithm(java: Java, jars: Sequence[Path], directory: Path) -> str:
    """The algorithm to write to cassandra.yaml, empty where Java's default works, or where it can't be asked. Asked
    once for each Java and its security settings; the answer is kept in `directory`."""
    kept = directory / f"trust-manager-{_build(java)}"
    try:
        return kept.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        pass
    try:
        classes = compiled(java.path, jars, "Algorithms.java", directory)
        command = [str(java.path), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", str(classes), "Algorithms"]
        done = subprocess.run(command, capture_output=True, timeout=ASK_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError, DatabaseError) as error:
        log.warning("trust-algorithm-unknown", reason=str(error))
        return ""
    chosen = choose(done.stdout.decode(errors="replace"))
    kept.write_text(chosen, encoding="ascii")
    return chosen


def choose(said: str) -> str:
    """From what Algorithms.java printed: empty where the default works or nothing does."""
    lines = said.split("\n")
    if lines[0].removeprefix("default").strip():
        return ""
    offered = {line.strip() for line in lines[1:] if line.strip()}
    return next((name for name in (*PREFERRED, *sorted(offered)) if name in offered), "")


def _build(java: Java) -> str:
    """Tells one Java from another, and from itself with other security settings."""
    parts = [str(java.path), java.build]
    for path in (java.path, java.path.parents[1] / "conf" / "security" / "java.security"):
        parts.append(str(path.stat().st_mtime_ns) if path.exists() else "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
