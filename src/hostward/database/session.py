"""CQL to this server's own node: mutual TLS, deadlines, and asyncio over the driver's threads.

The driver is imported when the first session is opened: a Standalone server never pays for it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hostward.database.settings import NodeSettings
from hostward.database.yaml import DATACENTER
from hostward.domain.errors import DatabaseError

if TYPE_CHECKING:
    from cassandra.cluster import Cluster, ResponseFuture
    from cassandra.cluster import Session as DriverSession

KEYSPACE = "hostward"
SYSTEM_KEYSPACES = ("system_distributed", "system_traces", "system_auth")
"""Cassandra's own replicated keyspaces; a node that joins or leaves needs them at the same factor as ours."""

MAX_REPLICATION_FACTOR = 16
REQUEST_TIMEOUT_S = 10.0
SCHEMA_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
SCHEMA_AGREEMENT_S = 5
PAGE_ROWS = 1000

_LOCAL, _WIDE, _SCHEMA = "local", "wide", "schema"
_PREPARED = ("SELECT", "INSERT", "UPDATE", "DELETE")


class Session:
    """Statements on the local node. Rows have columns as attributes. Any number of requests may be under way."""

    def __init__(self, cluster: Cluster, session: DriverSession) -> None:
        """Use `open_session`."""
        self._cluster, self._session = cluster, session
        self._prepared: dict[str, asyncio.Task[Any]] = {}
        self._closed = False

    async def execute(self, cql: str, params: Sequence[object] = (), *, widely: bool = False) -> list[Any]:
        """All rows of the answer, from as many pages as it takes. The local node alone answers (ONE), or a majority
        of the replicas if `widely` (QUORUM). Reads and writes are prepared once; schema statements run as they are.

        Raises DatabaseError: "not-enough-nodes", "timeout", "not-connected", or "database" for a refused statement.
        Deadline: REQUEST_TIMEOUT_S, for a schema statement SCHEMA_TIMEOUT_S.
        """
        if self._closed:
            raise DatabaseError("The database session is closed.", remedy="Open a new one.", code="not-connected")
        if cql.lstrip()[:6].upper() in _PREPARED:
            statement = (await self._prepare(cql)).bind(params)
            profile, timeout_s = (_WIDE if widely else _LOCAL), REQUEST_TIMEOUT_S
        else:
            statement, profile, timeout_s = cql, _SCHEMA, SCHEMA_TIMEOUT_S
        try:
            async with asyncio.timeout(timeout_s):
                return await _rows(self._session.execute_async(statement, execution_profile=profile))
        except Exception as error:  # the driver's errors have no common base
            raise _wrapped(error) from error

    async def close(self) -> None:
        """End the connections and the driver's threads. Harmless a second time."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._cluster.shutdown)

    async def _prepare(self, cql: str) -> Any:
        task = self._prepared.get(cql)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(asyncio.to_thread(self._session.prepare, cql))
            self._prepared[cql] = task
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return await asyncio.shield(task)
        except Exception as error:
            raise _wrapped(error) from error


async def open_session(settings: NodeSettings, *, timeout_s: float = CONNECT_TIMEOUT_S) -> Session:
    """Connect to the node with the server's own certificate. Raises DatabaseError "not-connected"."""
    try:
        async with asyncio.timeout(timeout_s * 2):
            cluster = await asyncio.to_thread(_cluster, settings, timeout_s)
            try:
                return Session(cluster, await asyncio.to_thread(cluster.connect))
            except BaseException:
                await asyncio.shield(asyncio.to_thread(cluster.shutdown))
                raise
    except Exception as error:
        raise _wrapped(error) from error


async def ensure_keyspaces(session: Session, replication_factor: int) -> None:
    """Make our keyspace, and give it and Cassandra's own the factor (1 to 16). Changes only what differs. Raises
    DatabaseError "clock" where a change didn't count, since an earlier one was made by a clock that was ahead:
    Cassandra keeps what has the later time, and says nothing.

    NetworkTopologyStrategy rather than SimpleStrategy: with one data centre it places the same replicas, and a ring
    of two data centres needs no other strategy later. Raise the factor before a node joins, lower it after one left.
    """
    if not 1 <= replication_factor <= MAX_REPLICATION_FACTOR:
        raise DatabaseError(
            f"A replication factor of {replication_factor} is not possible.",
            remedy=f"A group has 1 to {MAX_REPLICATION_FACTOR} servers.",
        )
    wanted = {"class": "NetworkTopologyStrategy", DATACENTER: str(replication_factor)}
    text = "{" + ", ".join(f"'{name}': '{value}'" for name, value in wanted.items()) + "}"
    rows = await session.execute("SELECT keyspace_name, replication FROM system_schema.keyspaces")
    found = {row.keyspace_name: _plain(row.replication) for row in rows}
    for name in (KEYSPACE, *SYSTEM_KEYSPACES):
        if name not in found:
            await session.execute(f"CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = {text}")
        elif found[name] != wanted:
            await session.execute(f"ALTER KEYSPACE {name} WITH replication = {text}")
            await _check_counts(session, name, wanted)


async def _check_counts(session: Session, name: str, wanted: dict[str, str]) -> None:
    rows = await session.execute(
        "SELECT keyspace_name, replication, WRITETIME(replication) AS written FROM system_schema.keyspaces"
    )
    row = next((row for row in rows if row.keyspace_name == name), None)
    if row is None or _plain(row.replication) == wanted:
        return
    written = datetime.fromtimestamp(row.written / 1e6, UTC).isoformat(timespec="seconds")
    raise DatabaseError(
        f"The replication factor can't be changed: it was last set at {written}, by a server whose clock was ahead.",
        remedy="See that the clocks of all servers are right (NTP). It is tried again until that time has come; to go"
        " on now, make the database anew on the Master: hostward replication rebuild-database. Nothing is lost by it.",
        code="clock",
    )


async def replication_factors(session: Session) -> dict[str, int]:
    """The factor of our keyspace (if it is there) and of Cassandra's own."""
    rows = await session.execute("SELECT keyspace_name, replication FROM system_schema.keyspaces")
    return {
        row.keyspace_name: int(row.replication.get(DATACENTER) or row.replication.get("replication_factor") or 0)
        for row in rows
        if row.keyspace_name in (KEYSPACE, *SYSTEM_KEYSPACES)
    }


def _plain(replication: Any) -> dict[str, str]:
    return {name: str(value).rsplit(".", 1)[-1] for name, value in replication.items()}


def _cluster(settings: NodeSettings, timeout_s: float) -> Cluster:
    from cassandra import ConsistencyLevel
    from cassandra.cluster import Cluster, ExecutionProfile
    from cassandra.io.libevreactor import LibevConnection
    from cassandra.policies import (
        ConstantReconnectionPolicy,
        FallthroughRetryPolicy,
        HostFilterPolicy,
        RoundRobinPolicy,
    )

    def profile(consistency: int, request_timeout_s: float) -> ExecutionProfile:
        # By port too: the nodes of one machine share the loopback address.
        return ExecutionProfile(
            load_balancing_policy=HostFilterPolicy(
                RoundRobinPolicy(),
                lambda host: (host.endpoint.address, host.endpoint.port) == (settings.loopback, settings.cql_port),
            ),
            consistency_level=consistency,
            serial_consistency_level=ConsistencyLevel.SERIAL,
            request_timeout=request_timeout_s,
            retry_policy=FallthroughRetryPolicy(),
        )

    cluster = Cluster(
        contact_points=[settings.loopback],
        port=settings.cql_port,
        ssl_context=client_tls(settings),
        connection_class=LibevConnection,
        protocol_version=5,
        # Without it each request of more than a packet waits 40 ms for an acknowledgement.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        connect_timeout=timeout_s,
        control_connection_timeout=timeout_s,
        max_schema_agreement_wait=SCHEMA_AGREEMENT_S,
        execution_profiles={
            _LOCAL: profile(ConsistencyLevel.ONE, REQUEST_TIMEOUT_S),
            _WIDE: profile(ConsistencyLevel.QUORUM, REQUEST_TIMEOUT_S),
            _SCHEMA: profile(ConsistencyLevel.ONE, SCHEMA_TIMEOUT_S),
        },
        reconnection_policy=ConstantReconnectionPolicy(0.5, None),
        # Nothing of the other nodes or the schema is needed here, so it isn't fetched whenever a node comes or goes.
        schema_metadata_enabled=False,
        token_metadata_enabled=False,
        status_event_refresh_window=-1,
        topology_event_refresh_window=-1,
        prepare_on_all_hosts=False,
        executor_threads=2,
        idle_heartbeat_interval=10,
    )
    # Nodes of one machine share the loopback address, and then the driver takes another node's leaving for this one's.
    # Whether this one is there, its own connections tell.
    for handler in ("_handle_topology_change", "_handle_status_change"):
        assert callable(getattr(cluster.control_connection, handler)), "the driver has changed: see the comment above"
        setattr(cluster.control_connection, handler, lambda event: None)
    return cluster


def client_tls(settings: NodeSettings) -> ssl.SSLContext:
    """The node's own certificate on both ends: it trusts that one as a client, and the server trusts it as a node."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # the certificate is pinned; its name is a server id
    context.load_verify_locations(settings.certificate_path)
    context.load_cert_chain(settings.certificate_path, settings.key_path)
    return context


async def _rows(future: ResponseFuture) -> list[Any]:
    """The driver's answer, handed from its thread to the event loop."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[list[Any]] = loop.create_future()
    gathered: list[Any] = []

    def settle(error: BaseException | None) -> None:
        if waiting.done():  # cancelled, or its deadline has passed
            return
        if error is None:
            waiting.set_result(gathered)
        else:
            waiting.set_exception(error)

    def tell(error: BaseException | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, error)

    def page(rows: Any) -> None:
        gathered.extend(rows or ())
        if future.has_more_pages:
            future.start_fetching_next_page()
        else:
            tell(None)

    future.add_callbacks(page, tell)
    return await waiting


def _wrapped(error: BaseException) -> DatabaseError:
    from cassandra import DriverException, OperationTimedOut, RequestExecutionException, Unavailable
    from cassandra.cluster import NoHostAvailable
    from cassandra.connection import ConnectionException
    from cassandra.protocol import ErrorMessage

    if isinstance(error, DatabaseError):
        return error
    if isinstance(error, Unavailable):
        return DatabaseError(
            f"Only {error.alive_replicas} of the {error.required_replicas} database nodes needed are up.",
            remedy="Start the other servers of the group; the request can then be repeated.",
            code="not-enough-nodes",
        )
    if isinstance(error, TimeoutError | OperationTimedOut):
        return DatabaseError("The database did not answer in time.", remedy="Try again.", code="timeout")
    if isinstance(error, RequestExecutionException):
        return DatabaseError(
            f"Not enough database nodes answered: {error}.",
            remedy="Check the other nodes in Details; the request can be repeated.",
            code="not-enough-nodes",
        )
    if isinstance(error, NoHostAvailable | ConnectionException | OSError | ssl.SSLError):
        return DatabaseError(
            f"This server's database does not take connections: {error}.",
            remedy="It is being started or has ended; Database Status says which.",
            code="not-connected",
        )
    if isinstance(error, DriverException | ErrorMessage | TypeError | ValueError):
        return DatabaseError(f"The database refused a statement: {error}.", remedy="See logs/cassandra.log.")
    raise error
