"""The composition root: wires a server's parts, serves, and takes everything down again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
import uvicorn
import uvloop
from starlette.routing import Mount, Router

from hostward import __version__
from hostward.access.administrators import Administrators
from hostward.access.auditing import open_auditor
from hostward.access.credentials import Credentials
from hostward.access.directory_logins import DirectoryLogins
from hostward.access.favourites import FavouriteTurns
from hostward.access.own_pace import OwnPace
from hostward.access.tokens import Tokens
from hostward.access.users import Users
from hostward.commands.accounts import change_own_password
from hostward.commands.favourites import change_users_favourites
from hostward.commands.first_logins import take_over_for
from hostward.commands.services import Services
from hostward.configuration import Configuration, load_configuration
from hostward.domain.audit import Event
from hostward.domain.errors import HostwardError, InvalidInput, RegistryError, Unavailable
from hostward.domain.findings import Finding
from hostward.domain.replication import Role
from hostward.domain.settings import CERTIFICATE_WARNING, IDLE_TIMEOUT, own_number, replicated_number
from hostward.http.app import create_app
from hostward.http.peer.endpoint import peer_routes
from hostward.logs.reading import OWN
from hostward.logs.writing import ServerLog
from hostward.packages.folder import Folder
from hostward.registry.group import GroupRegistry
from hostward.registry.lock import lock_data_dir
from hostward.registry.server import ServerRegistry
from hostward.replication.group_server import Foundation, GroupServer
from hostward.replication.keys.rotation import signer_for
from hostward.replication.ring.node import Node
from hostward.replication.state import read_state
from hostward.trust.browser_certificate import BrowserCertificate
from hostward.trust.certificates import STORES, CertificateStore
from hostward.trust.identity import ServerIdentity, load_or_create, read_pair, server_id_of
from hostward.trust.tls import ServerTls
from hostward.trust.vault import Vault

DIRECTORIES = ("certificates", "deploy/packages", "logs", "backups", "database", "temporary")
BACKLOG = 512
GRACE_S = 2

log = structlog.get_logger()


def serve(data_dir: Path, config: Path | None, admin_password: str | None, store_passphrase: str | None) -> int:
    """Run the Administrative Server until SIGTERM or SIGINT; answers the exit code. Raises HostwardError where it can't
    start, with what to do."""
    configuration = load_configuration(config)
    data_dir = make_data_dir(data_dir)
    with lock_data_dir(data_dir), contextlib.closing(_Sockets(configuration)) as sockets:
        server_log = ServerLog(OWN.path(data_dir))
        server_log.start()
        tempfile.tempdir = str(data_dir / "temporary")  # packages that browsers upload don't fit in every /tmp
        return uvloop.run(_serve(data_dir, configuration, admin_password, store_passphrase, sockets, server_log))


def nodetool(data_dir: Path, config: Path | None, arguments: Sequence[str]) -> int:
    """Run Cassandra's own nodetool on this server's node; answers its exit code. The server may run: only its files are
    read. Raises HostwardError."""
    configuration = load_configuration(config)
    data_dir = data_dir.absolute()
    if not (data_dir / "server.db").exists():
        raise RegistryError(
            f"{data_dir} is no data directory of a server.", remedy="Name it with --data-dir.", code="no-data-dir"
        )
    state = read_state(data_dir / "server.db")
    if state.role is Role.STANDALONE:
        print("This server is Standalone: its embedded registry has no ring, so nodetool has nothing to show.")
        return 1
    server_id = server_id_of(read_pair(data_dir).certificate_pem)
    return Node(data_dir, configuration, server_id).nodetool(state.adapter, arguments)


def doctor(data_dir: Path, config: Path | None) -> list[Finding]:
    """Why the server on this data directory doesn't start, or its database. Raises HostwardError where it runs."""
    from hostward.replication.doctor.offline import examine_files

    data_dir = data_dir.absolute()
    try:
        configuration = load_configuration(config)
    except InvalidInput as error:
        return [Finding("configuration-wrong", str(config), error.message, error.remedy)]
    if not (data_dir / "server.db").exists():
        return examine_files(data_dir, configuration)
    try:
        with lock_data_dir(data_dir):
            return examine_files(data_dir, configuration)
    except OSError as error:
        remedy = "Give this user access to it, or name another with --data-dir."
        return [Finding("data-dir-unusable", str(data_dir), f"{data_dir}: {error.strerror}.", remedy)]
    except RegistryError as error:
        if error.code == "data-dir-in-use":
            error.remedy = "That server runs: ask it, with `hostward doctor --server URL`."
        raise


def make_data_dir(path: Path) -> Path:
    """The data directory with its folders, private to this user. Raises RegistryError where it can't be written."""
    path = path.absolute()
    try:
        for name in ("", *DIRECTORIES):
            (path / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_uid == os.geteuid():
            path.chmod(0o700)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RegistryError(
            f"The data directory {path} can't be written: {error.strerror}.",
            remedy="Give this user write access to it, or name another with --data-dir.",
            code="unwritable",
        ) from error
    return path


class _Sockets:
    """The listening sockets, bound before anything else so that a port in use is said at once."""

    def __init__(self, configuration: Configuration) -> None:
        s = configuration.server
        self.https: socket.socket | None = None
        self.http: socket.socket | None = None
        try:
            self.https = _bind(s.listen, s.https_port) if s.https_port else None
            self.http = _bind(s.listen, s.http_port) if s.http_port else None
        except HostwardError:
            self.close()
            raise

    def close(self) -> None:
        for s in (self.https, self.http):
            if s is not None:
                s.close()


def _bind(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise Unavailable(
            f"This server can't listen on {address}, port {port}: {error.strerror}.",
            remedy=f"{_who_listens(port)}Choose another port in the configuration ([server] https_port, http_port).",
            code="port-in-use",
        ) from error
    sock.setblocking(False)
    return sock


def _who_listens(port: int) -> str:
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for c in psutil.net_connections("tcp"):
            if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port and c.pid:
                return f"It is used by {psutil.Process(c.pid).name()} (process {c.pid}). "
    return ""


class _Embedded(uvicorn.Server):
    """uvicorn as a part: signals are the composition root's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Connections that only wait for their client's next request end at once: with TLS, closing in order would wait
        for the client too."""
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is None or cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)


async def _serve(
    data_dir: Path,
    configuration: Configuration,
    admin_password: str | None,
    store_passphrase: str | None,
    sockets: _Sockets,
    server_log: ServerLog,
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    s = configuration.server
    identity = load_or_create(data_dir, s.host_name, _addresses(configuration), datetime.now(UTC))
    server = ServerRegistry.open(data_dir / "server.db")
    server_log.apply(server)
    group = GroupRegistry.open(data_dir / "group.db", server_id=identity.server_id, sign=identity.sign, now=now)
    group.signer = signer_for(identity)
    stores, tls = certificate_stores(data_dir, server, identity), ServerTls(identity)
    for_browsers = BrowserCertificate(data_dir, tls, time.time, warned_of(server))
    users = Users(group)
    credentials = Credentials(server, Vault.open(data_dir / "identity"), now)
    directories = DirectoryLogins(group, partial(_directories, credentials))
    tokens = Tokens(server, console_lasts=console_lasts(group))
    administrators = Administrators(server, others=users.hash_of)
    auditor = open_auditor(data_dir, server, identity, s.name or s.host_name, now, lambda: uuid.uuid4().hex)
    packages = Folder(data_dir / "deploy" / "packages", server)
    foundation = Foundation(
        data_dir=data_dir, configuration=configuration, identity=identity, group=group, server=server,
        auditor=auditor, store=stores["mss"], for_browsers=for_browsers, now=now, version=__version__,
        new_id=lambda: uuid.uuid4().hex, reload_tls=tls.reload, logins=tokens.ids,
        administrators=administrators, packages=packages,
    )  # fmt: skip
    replication = GroupServer(foundation)
    services = Services(
        group=group, server=server, stores=stores, for_browsers=for_browsers, replication=replication.service,
        requests=replication.parts.requests, locks=replication.locks,
        own_passwords=replication.own_passwords, own_favourites=replication.own_favourites,
        unlocking=replication.unlocking,
        directory_users=replication.directory_users, packages=packages, package_copies=replication.package_copies,
        welcoming=replication.welcoming, joining=replication.joining, rotation=replication.rotation,
        administrators=administrators, users=users, directories=directories,
        credentials=credentials, favourite_turns=FavouriteTurns(), own_pace=OwnPace(), tokens=tokens,
        auditor=auditor, identity=identity,
        configuration=configuration, data_dir=data_dir, clock=lambda: datetime.now(UTC), log=server_log,
    )  # fmt: skip
    replication.own_passwords.change = partial(change_own_password, services)
    replication.own_favourites.change = partial(change_users_favourites, services)
    replication.directory_users.take_over = partial(take_over_for, services)
    _first_administrator(services, admin_password)
    await asyncio.to_thread(_open_store, credentials, store_passphrase)
    peers = Mount(f"/{s.context}/peer", app=replication.peer_app(peer_routes))
    # The servers' own conversation comes first: it is the busiest, and needs nothing of the API's machinery.
    app = Router([peers], redirect_slashes=False, default=create_app(services))
    listeners = _listeners(app, tls.context, sockets)
    await auditor.record(Event("server-started", about={"version": __version__}))
    await replication.start()
    log.info("ready", server=identity.server_id, version=__version__, data_dir=str(data_dir))
    try:
        await _listen(listeners, stop)
    finally:
        await replication.stop()
        await directories.close()
        await auditor.close()
        group.close()
        server.close()
    return 0


async def _listen(listeners: list[tuple[_Embedded, socket.socket]], stop: asyncio.Event) -> None:
    """Until `stop`, or one of them ends by itself; then all end. Raises what one of them has raised."""
    serving = [asyncio.create_task(u.serve(sockets=[sock])) for u, sock in listeners]
    try:
        waiting = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([waiting, *serving], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for u, _ in listeners:
            u.should_exit = True
        await asyncio.gather(*serving, return_exceptions=True)


def _open_store(credentials: Credentials, passphrase: str | None) -> None:
    """The server runs also while its Credential Store is closed."""
    if passphrase is not None:
        try:
            credentials.open(passphrase)
        except HostwardError as error:
            log.warning("credential-store-not-opened", reason=error.message)
    if credentials.closed:
        log.warning("credential-store-closed", remedy="hostward credential open")


def _directories(credentials: Credentials) -> object:
    """Loaded where there is a directory: the library that speaks LDAP takes a third of a second."""
    from hostward.access.directories import Directories

    return Directories(credentials.secret_of)


def _listeners(app: object, tls: ssl.SSLContext, sockets: _Sockets) -> list[tuple[_Embedded, socket.socket]]:
    found = []
    for sock, context in ((sockets.https, tls), (sockets.http, None)):
        if sock is None:
            continue
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=GRACE_S,
            ssl_context_factory=_factory(context) if context else None,
        )
        found.append((_Embedded(config), sock))
    return found


def _factory(context: ssl.SSLContext):  # type: ignore[no-untyped-def]
    return lambda *_: context


def _first_administrator(services: Services, password: str | None) -> None:
    from hostward.access.administrators import ensure_first_administrator

    generated = ensure_first_administrator(services.administrators, password)
    if generated is not None:
        print(f"The first administrator is 'admin', the password {generated} (shown only this once).", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class _StoreInServerDb:
    """One certificate store's entries, kept in server.db (trust.certificates.CertificateStorage)."""

    server: ServerRegistry
    key: str

    def load(self) -> list[dict[str, str]]:
        return self.server.get(f"certificates:{self.key}") or []

    def save(self, entries: list[dict[str, str]]) -> None:
        self.server.put(f"certificates:{self.key}", entries)


def certificate_stores(data_dir: Path, server: ServerRegistry, identity: ServerIdentity) -> dict[str, CertificateStore]:
    return {
        key: CertificateStore(
            key, _StoreInServerDb(server, key), data_dir / "certificates", time.time,
            own=identity if key == "mss" else None,
            soon=warned_of(server),
        )
        for key in STORES
    }  # fmt: skip


def warned_of(server: ServerRegistry) -> Callable[[], timedelta]:
    """How long before its end a certificate is warned of, as it is set now."""
    return lambda: timedelta(days=own_number(server, CERTIFICATE_WARNING))


def console_lasts(group: GroupRegistry) -> Callable[[], timedelta]:
    """How long a login to the console lasts without use, as it is set now."""

    def lasts() -> timedelta:
        with group.read() as reader:
            return timedelta(minutes=replicated_number(reader, IDLE_TIMEOUT))

    return lasts


def _addresses(configuration: Configuration) -> list[str]:
    s = configuration.server
    return [a for a in {s.listen, configuration.database.address} if a and a not in ("0.0.0.0", "::")]  # noqa: S104


def now() -> str:
    """The time as it is shown and stored: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
