"""The command line of the JVM: measured settings, no secrets."""

from __future__ import annotations

from pathlib import Path

from hostward.database.install import Runtime
from hostward.database.settings import NodeSettings

_EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.base/java.lang.ref",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.management/com.sun.jmx.remote.security",  # a password for JMX
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
    "jdk.attach/sun.tools.attach",
)
_OPENS = (
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.util",
    "java.base/java.nio",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/sun.nio.ch",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
)
_FASTER = (
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.superuser_setup_delay_ms=0",
    "-Dcassandra.shutdown_announce_in_ms=200",
    "-Dcassandra.memtable_row_overhead_computation_step=1000",
    # Timeouts are of seconds: a clock read every 2 ms would be half of what an idle node takes of the processor.
    "-Dcassandra.approximate_time_precision_ms=20",
    # The Master alone changes the factor, and nothing lives only in the database: a node that has just been removed, or
    # died while it joined, must not hold the others up.
    "-Dcassandra.allow_alter_rf_during_range_movement=true",
)


def class_path(runtime: Runtime) -> str:
    """The jars one by one: the shared archive is only used with the class path it was made with."""
    return ":".join(str(jar) for jar in runtime.jars)


def module_options(runtime: Runtime) -> list[str]:
    """What Cassandra's code reaches into, and what Java 21 has to be told."""
    options = [f"--add-exports={name}=ALL-UNNAMED" for name in _EXPORTS]
    options += [f"--add-opens={name}=ALL-UNNAMED" for name in _OPENS]
    if runtime.java.major >= 18:
        options.append("-Djava.security.manager=allow")
    return options


def node_command(runtime: Runtime, settings: NodeSettings, *, make_archive: Path | None = None) -> list[str]:
    """The JVM's argument list. With `make_archive`, classes loaded are written there when the JVM ends, and there is
    no management agent."""
    conf = settings.conf_dir
    command = [str(runtime.java.path), f"-Xms{settings.heap_mib}m", f"-Xmx{settings.heap_mib}m"]
    # C1 only: starts in half the time with 25 % less memory; the log's load is small.
    command += ["-XX:+UseSerialGC", "-Xss256k", "-XX:+PerfDisableSharedMem", "-XX:+ExitOnOutOfMemoryError"]
    command += ["-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xlog:disable", "-Xlog:all=error:stderr"]
    if make_archive is not None:
        command.append(f"-XX:ArchiveClassesAtExit={make_archive}")
    else:
        command.append(f"-javaagent:{runtime.agent}=config={conf / 'jolokia.properties'}")
        if runtime.archive.exists():
            command.append(f"-XX:SharedArchiveFile={runtime.archive}")
    command += module_options(runtime)
    command += [
        "-Djdk.attach.allowAttachSelf=true",
        "-Dio.netty.tryReflectionSetAccessible=true",
        "-Dcassandra-foreground=yes",
        f"-Dcassandra.config={(conf / 'cassandra.yaml').as_uri()}",
        f"-Dcassandra.storagedir={settings.storage_dir}",
        f"-Dcassandra.logdir={settings.log_dir}",
        f"-Dlogback.configurationFile={(conf / 'logback.xml').as_uri()}",
        f"-Dcassandra-rackdc.properties={(conf / 'rackdc.properties').as_uri()}",
        f"-Dcassandra.jmx.local.port={settings.jmx_port}",
        "-Dcom.sun.management.jmxremote.authenticate=true",
        f"-Dcom.sun.management.jmxremote.password.file={settings.jmx_password_path}",
        f"-Dcassandra.ring_delay_ms={settings.ring_delay_ms}",
        "-Dsun.net.httpserver.nodelay=true",  # Jolokia's server: 2 ms a call rather than 45
        *_FASTER,
    ]
    return [*command, "-cp", class_path(runtime), "org.apache.cassandra.service.CassandraDaemon"]
