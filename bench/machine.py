"""What the run ran on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from hostward.database.install import Runtime

BUSY_PART = 0.3
"""Of the processors, as load average before the run: more than this, and the numbers can't be trusted."""


def facts(runtime: Runtime) -> list[tuple[str, str]]:
    """Names and values for the head of the report."""
    cassandra = next((m[1] for jar in runtime.jars if (m := re.fullmatch(r"cassandra-all-(.+)\.jar", jar.name))), "?")
    driver, java = importlib.metadata.version("cassandra-driver"), runtime.java.build.splitlines()[0]
    memory_gb = psutil.virtual_memory().total / 1e9
    return [
        ("Date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("Hostward", f"{importlib.metadata.version('hostward')}, {_commit()}"),
        ("Cassandra", f"{cassandra}, {java}, driver {driver}"),
        ("Machine", f"{os.cpu_count()} × {_processor()}, {memory_gb:.0f} GB; {_system()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
    ]


def busy() -> str:
    """A warning where the machine has other work, else ""."""
    load = os.getloadavg()[0]
    if load <= BUSY_PART * (os.cpu_count() or 1):
        return ""
    return f"The machine was busy with something else when this began (load average {load:.1f})."


def _commit() -> str:
    here = Path(__file__).parent
    found = _output(["git", "-C", str(here), "rev-parse", "--short", "HEAD"])
    changed = _output(["git", "-C", str(here), "status", "--porcelain", "--untracked-files=no", "--", "../src"])
    return f"commit {found}{' with changes' if changed else ''}" if found else "no commit"


def _output(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _system() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.system()} {platform.release()}"
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"
