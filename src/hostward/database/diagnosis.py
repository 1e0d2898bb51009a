"""Why a node did not start, or ended: from its log's words to a sentence and a remedy."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from hostward.database.settings import JMX_ADDRESS, NodeSettings
from hostward.domain.errors import DatabaseError


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A pattern in the log, and what it means. `{0}` in `cause` is the pattern's first group."""

    pattern: re.Pattern[str]
    code: str
    cause: str
    remedy: str


def _row(pattern: str, code: str, cause: str, remedy: str) -> Diagnosis:
    return Diagnosis(re.compile(pattern), code, cause, remedy)


# The first row that matches counts: causes stand before their consequences.
DIAGNOSES: tuple[Diagnosis, ...] = (
    _row(
        r"No space left on device|Insufficient disk space|only (?:\d+) (?:bytes|MB) free",
        "disk-full",
        "There is no room left on the disk of the replication database.",
        "Free some space there; it is then started by itself, and nothing was lost.",
    ),
    _row(
        r"(NoSuchAlgorithmException[^\n]*)",
        "trust-manager",
        "This Java does not know a TLS algorithm that the database asked for ({0}).",
        "Leave the Java security property ssl.TrustManagerFactory.algorithm at its default (PKIX), or name an "
        "unmodified Java 17 or 21 with java in [database].",
    ),
    _row(
        r"(?:Address already in use|already bound|is in use by another process)[^\n]*",
        "port-in-use",
        "Another process uses an address and port that the replication database needs.",
        "End that process, and it starts by itself; or choose other ports in [database].",
    ),
    _row(
        r"Cannot assign requested address|Unable to bind to address",
        "address-missing",
        "The Database Network Adapter's address is not one of this machine's.",
        "Choose an address of this machine as Database Network Adapter and apply again.",
    ),
    _row(
        # "… but continuing anyway" is only a warning of a node that lists itself.
        r"Unable to gossip with any peers(?! but)|Unable to contact any seeds",
        "no-seeds",
        "None of the other members' databases answered on its storage port.",
        "Check that another member's Database Status is Up and that no firewall blocks the storage port between "
        "the servers; the start is tried again.",
    ),
    _row(
        r"This node was decommissioned and will not rejoin",
        "removed",
        "This node has left its ring and will not come back with its old data.",
        "Start it with an empty data directory: apply the replication settings again.",
    ),
    _row(
        r"A node with address [^\n]* already exists, cancelling join",
        "address-taken",
        "A member with this address is in the ring already, with other data.",
        "Remove the old node with Details > Remove (or use another adapter), then apply again.",
    ),
    _row(
        r"Other bootstrapping/leaving/moving nodes detected",
        "join-busy",
        "Another node is joining or leaving the ring at this moment.",
        "Only one at a time can do so; the start is tried again.",
    ),
    _row(
        r"Saved cluster name ([^\n]*)",
        "other-ring",
        "The database's files belong to another ring (saved name {0}).",
        "Start it with an empty data directory: apply the replication settings again.",
    ),
    _row(
        r"CommitLogReplayException|error while processing commit log|CorruptSSTableException|Corrupt(?:ed)?: ([^\n]*)",
        "damaged",
        "The database's files are damaged.",
        "If it repeats they are made anew by themselves; hostward replication rebuild-database does it at once.",
    ),
    _row(
        r"(?:Invalid yaml|ConfigurationException: |YAMLException|encountered during startup: )([^\n]*)",
        "bad-yaml",
        "The database refuses its configuration: {0}",
        "Check the values of [database] in the configuration file; the whole message is in logs/cassandra.log.",
    ),
    _row(
        # With its package: every start logs the JVM's arguments, -XX:+ExitOnOutOfMemoryError among them.
        r"java\.lang\.OutOfMemoryError|There is insufficient memory|Could not reserve enough space",
        "no-memory",
        "The database ran out of memory.",
        "Raise heap_mib in [database], or give this machine more memory.",
    ),
    _row(
        r"UnsupportedClassVersionError|Unrecognized (?:VM )?option|SecurityManager is not supported",
        "wrong-java",
        "This Java can't run the replication database.",
        "Name a Java 17 or 21 with java in [database].",
    ),
)


_ERROR = re.compile(r"\bERROR\b|^(?:Error|Caused by): |^Exception in thread ")


def diagnose(log: str, returncode: int | None) -> DatabaseError:
    """The best explanation of `log` (of one start only) as an error to raise; "node-exited" where no row matches."""
    for row in DIAGNOSES:
        found = row.pattern.search(log)
        if found:
            detail = (found[1] or "").strip() if row.pattern.groups else ""
            return DatabaseError(row.cause.format(detail), remedy=row.remedy, code=row.code)
    how = f"was ended by signal {-returncode}" if returncode is not None and returncode < 0 else f"ended ({returncode})"
    from_outside = returncode in (-signal.SIGKILL, -signal.SIGTERM)  # what it wrote before has nothing to do with it
    errors = [] if from_outside else [line for line in log.splitlines() if _ERROR.search(line)]
    return DatabaseError(
        f"The replication database's process {how}." + (f" Its last error: {errors[-1].strip()}" if errors else ""),
        remedy="It is started again; if this repeats, see logs/cassandra.log and logs/cassandra-console.log.",
        code="node-exited",
    )


def ports_of(settings: NodeSettings) -> tuple[tuple[str, int], ...]:
    """The addresses and ports that the node will listen on."""
    return (
        (settings.listen_address, settings.storage_port),
        (settings.loopback, settings.cql_port),
        (settings.loopback, settings.management_port),
        (JMX_ADDRESS, settings.jmx_port),
    )


def who_listens(address: str, port: int) -> str | None:
    """Name and id of the process on that port, where this user may see it."""
    try:
        connections: Iterable[psutil._ntuples.sconn] = psutil.net_connections("tcp")
        for connection in connections:
            local = connection.laddr
            if connection.status != psutil.CONN_LISTEN or not local or local.port != port or connection.pid is None:
                continue
            # The JVM's sockets are IPv6 ones.
            if local.ip.removeprefix("::ffff:") in (address, "0.0.0.0", "::"):  # noqa: S104
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        return None
    return None
