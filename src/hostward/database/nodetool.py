"""Cassandra's own nodetool, for the server's own node; arguments and output pass through as they are."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from hostward.database.compiled import compiled
from hostward.database.install import Runtime
from hostward.database.jvm import class_path, module_options
from hostward.database.settings import JMX_ADDRESS, NodeSettings
from hostward.database.yaml import MANAGEMENT_USER
from hostward.domain.errors import DatabaseError

_LOOKUP_SOURCE = "rmiURLContextFactory.java"  # looks up nodetool's rmi: address; the packaged Java has no module for it


def nodetool_command(runtime: Runtime, settings: NodeSettings, arguments: Sequence[str]) -> list[str]:
    """The argument list; the password is in a file that it names."""
    command = [str(runtime.java.path), "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
    command += ["-Xlog:disable"]  # a shared archive that doesn't fit is no news
    if runtime.archive.exists():
        command.append(f"-XX:SharedArchiveFile={runtime.archive}")
    # nodetool writes a history file to the user's home.
    command += [*module_options(runtime), f"-Duser.home={settings.conf_dir}"]
    command.append(f"-Dlogback.configurationFile={(settings.conf_dir / 'logback-tools.xml').as_uri()}")
    command.append("-Djava.naming.factory.url.pkgs=hostward")
    lookup = compiled(runtime.java.path, runtime.jars, _LOOKUP_SOURCE, runtime.archive.parent)
    command += ["-cp", f"{class_path(runtime)}:{lookup}", "org.apache.cassandra.tools.NodeTool"]
    command += ["-h", JMX_ADDRESS, "-p", str(settings.jmx_port)]
    command += ["-u", MANAGEMENT_USER, "-pwf", str(settings.jmx_password_path)]
    return [*command, *arguments]


def run_nodetool(runtime: Runtime, settings: NodeSettings, arguments: Sequence[str]) -> int:
    """Run it on this process's own input and output; its exit code. Raises DatabaseError when the node was never
    started on this data directory ("not-started") or Java is gone."""
    if not settings.jmx_password_path.exists():
        raise DatabaseError(
            "This server has no replication database to ask.",
            remedy="nodetool is for a Master or a Slave whose database has been started.",
            code="not-started",
        )
    try:
        return subprocess.run(nodetool_command(runtime, settings, arguments), check=False).returncode
    except (OSError, subprocess.SubprocessError) as error:
        raise DatabaseError(f"nodetool can't be run: {error}.", remedy="Apply again.", code="no-java") from error
