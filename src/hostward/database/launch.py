"""Becomes Java such that the JVM ends with the process that started it. Run as a script, by path:

    python -I -S launch.py PARENT_PID JAVA ARGUMENTS…

It imports nothing of Hostward, so that it costs milliseconds. On other systems than Linux it only execs; there a JVM
that outlived its server is found by its pid file at the next start.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
CAP_IPC_LOCK = 14
EXIT_NO_PARENT = 75


def tie_to_parent(parent_pid: int) -> None:
    """SIGKILL for this process, and what it execs, when the thread that started it ends. Exits if it has already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(EXIT_NO_PARENT)


def forbid_locked_memory() -> None:
    """As root, Cassandra would lock the whole heap and more in memory: 735 instead of 310 MB."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))


def main(arguments: list[str]) -> None:
    """Never returns: this process is Java afterwards."""
    if sys.platform == "linux":
        tie_to_parent(int(arguments[0]))
        forbid_locked_memory()
    os.execv(arguments[1], arguments[1:])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
