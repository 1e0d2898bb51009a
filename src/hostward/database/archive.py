"""The class data sharing archive: a start in half the time and with less memory, made once per Java and jars.

Never a condition: without it, nodes start more slowly. A node that is started and ended for this alone writes it, so
that no server's own node takes longer to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import socket
import tempfile
from pathlib import Path

import structlog

from hostward.database.identity import node_identity
from hostward.database.install import Runtime
from hostward.database.process import NodeProcess
from hostward.database.settings import JMX_ADDRESS, NodeSettings
from hostward.domain.errors import DatabaseError

READY_TIMEOUT_S = 120.0
DUMP_TIMEOUT_S = 60.0

_log = structlog.get_logger(__name__)


async def ensure_archive(runtime: Runtime) -> bool:
    """Make the archive if it is missing, which takes 10 to 20 s; whether there is one afterwards. Raises nothing: a
    failure is logged and remembered, and not tried again with the same Java and jars. False at once while another
    process is making it."""
    if runtime.archive.exists():
        return True
    failed = runtime.archive.with_suffix(".failed")
    try:
        with runtime.archive.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not (runtime.archive.exists() or failed.exists()):
                with tempfile.TemporaryDirectory(prefix="hostward-archive-", ignore_cleanup_errors=True) as scratch:
                    await _make(runtime, Path(scratch))
    except BlockingIOError:
        return False
    except (DatabaseError, OSError) as error:
        _log.warning("class_archive_not_made", cause=str(error))
        with contextlib.suppress(OSError):
            failed.write_text(str(error))
    return runtime.archive.exists()


async def _make(runtime: Runtime, scratch: Path) -> None:
    part = scratch / "classes.jsa"
    ports = _free_ports(4)
    identity = node_identity(scratch / "identity", "archive")
    settings = NodeSettings(
        cluster_name="archive",
        listen_address=JMX_ADDRESS,
        seeds=(f"{JMX_ADDRESS}:{ports[0]}",),
        data_dir=scratch / "database",
        log_dir=scratch / "logs",
        key_path=identity.key_path,
        certificate_path=identity.certificate_path,
        storage_port=ports[0],
        cql_port=ports[1],
        management_port=ports[2],
        jmx_port=ports[3],
    )
    node = NodeProcess(settings, runtime, make_archive=part)
    try:
        await node.start()
        await node.wait_ready(READY_TIMEOUT_S)
    finally:
        await node.stop(DUMP_TIMEOUT_S)
    if not part.exists():
        raise DatabaseError("This Java wrote no class data sharing archive.")
    moved = runtime.archive.with_suffix(".part")
    await asyncio.to_thread(shutil.move, part, moved)
    moved.replace(runtime.archive)


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((JMX_ADDRESS, 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
