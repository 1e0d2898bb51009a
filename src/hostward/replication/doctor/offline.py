"""The doctor of a server that doesn't run: its files, ports, Java and logs say why. Changes nothing."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from hostward.access.auditing import FILE, KEY
from hostward.configuration import Configuration
from hostward.database.diagnosis import diagnose
from hostward.database.install import default_runtime_dir
from hostward.database.java import find_java
from hostward.database.settings import NodeSettings
from hostward.database.yaml import look_for_edits
from hostward.domain.errors import DatabaseError, HostwardError
from hostward.domain.findings import Finding, in_order
from hostward.domain.replication import Role
from hostward.registry.audit_reading import verify_file
from hostward.registry.schema import check_integrity, explained, open_reader
from hostward.registry.server import read_value
from hostward.replication.doctor.examination import DISK_FREE_MIN_BYTES
from hostward.replication.ring.adapters import list_adapters
from hostward.replication.state import State, read_state
from hostward.trust.identity import DIRECTORY, NEXT_DIRECTORY, parse_certificate, read_pair, server_id_of

MAX_LOG_BYTES = 1 << 20
_STARTED = "Configuration location: "
_DAY_S = 86_400.0


def examine_files(data_dir: Path, configuration: Configuration) -> list[Finding]:
    """What keeps the server on this data directory from starting, or its database. The server must not run."""
    if not (data_dir / "server.db").exists():
        remedy = "Name the server's data directory with --data-dir."
        return [Finding("data-dir-unusable", str(data_dir), f"{data_dir} is no data directory of a server.", remedy)]
    remedy = f"Start it: hostward serve --data-dir {data_dir}."
    found = [Finding("server-not-running", str(data_dir), "No server runs on this data directory.", remedy)]
    found += _ports(configuration)
    found += _identity(data_dir)
    for name in ("group.db", "server.db"):
        found += _registry(data_dir / name)
    found += _audit(data_dir)
    found += _disk(data_dir)
    if not any(f.code == "registry-damaged" and f.subject.endswith("server.db") for f in found):
        state = _state(data_dir)
        if state is not None and state.role is not Role.STANDALONE:
            found += _database(data_dir, configuration, state)
    return in_order(found)


def _state(data_dir: Path) -> State | None:
    with contextlib.suppress(HostwardError, TypeError, ValueError):
        return read_state(data_dir / "server.db")
    return None


def _ports(configuration: Configuration) -> Iterator[Finding]:
    s = configuration.server
    for port in (s.https_port, s.http_port):
        if not port:
            continue
        family = socket.AF_INET6 if ":" in s.listen else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((s.listen, port))
                probe.listen(1)
            except OSError as error:
                cause = f"The server can't listen on {s.listen}, port {port}: {error.strerror}."
                remedy = "End the process that has it, or choose another port under [server]."
                yield Finding("port-in-use", f"{s.listen}:{port}", cause, remedy)


def _identity(data_dir: Path) -> Iterator[Finding]:
    where, now = data_dir / DIRECTORY, datetime.now(UTC)
    renewed = (data_dir / NEXT_DIRECTORY).exists()  # the next start puts it in force, also where a crash left it alone
    if not renewed and (not where.exists() or not any(where.iterdir())):
        remedy = "Bring it back from a copy of the data directory; a new one is another server for the group."
        yield Finding("identity-damaged", str(where), "This server's certificate and key are missing.", remedy)
        return
    try:
        pair = read_pair(data_dir)
    except HostwardError as error:
        yield Finding("identity-damaged", str(where), error.message, error.remedy)
        return
    expires = parse_certificate(pair.certificate_pem).not_valid_after_utc
    days = (expires - now).total_seconds() / _DAY_S
    if days < 0:
        remedy = "Start the server and renew it; the other servers need the new one."
        cause = f"This server's own certificate expired {-days:.0f} days ago."
        yield Finding("certificate-expired", str(where), cause, remedy)


def _registry(path: Path) -> Iterator[Finding]:
    if not path.exists():
        cause = f"{path.name} is missing."
        remedy = "A Slave loads it anew from its Master; else copy the newest of backups/ there."
        yield Finding("registry-damaged", str(path), cause, remedy)
        return
    try:
        with explained(path), contextlib.closing(open_reader(path)) as db:
            check_integrity(db, path)
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except HostwardError as error:
        yield Finding("registry-damaged", str(path), error.message, error.remedy)


def _audit(data_dir: Path) -> Iterator[Finding]:
    path = data_dir / FILE
    with contextlib.suppress(HostwardError):  # what is wrong with those files is another finding
        certificate = read_pair(data_dir).certificate_pem
        known = read_value(data_dir / "server.db", KEY) or ()
        if not path.exists():
            if known:
                remedy = "Bring it back from a copy of the data directory; else a new one begins at the next start."
                cause = f"{path.name} is missing; it had {known[1]} entries."
                yield Finding("audit-log-broken", str(path), cause, remedy)
            return
        try:
            troubles = verify_file(path, server_id_of(certificate), [certificate], known).troubles
        except HostwardError as error:
            remedy = "The server starts with a new one, and keeps this file beside it."
            yield Finding("audit-log-broken", str(path), error.message, remedy)
            return
        for trouble in troubles:
            remedy = "Find out who has had access to this server's files. What is left of the log is kept as it is."
            cause = f"The audit log of {trouble.server_name}: {trouble.text}"
            yield Finding("audit-log-broken", trouble.server_name, cause, remedy)


def _disk(data_dir: Path) -> Iterator[Finding]:
    for path in (data_dir, data_dir / "database"):
        if path.exists() and (usage := shutil.disk_usage(path)).free < DISK_FREE_MIN_BYTES:
            cause = f"{usage.free >> 20} MB are free in {path}."
            yield Finding("disk-nearly-full", str(path), cause, "Free some room; nothing was lost.")
            return


def _database(data_dir: Path, configuration: Configuration, state: State) -> Iterator[Finding]:
    d = configuration.database
    adapters = list_adapters(d.address)
    if state.adapter not in {a.address for a in adapters}:
        offered = ", ".join(a.address for a in adapters)
        cause = f"The Database Network Adapter's address, {state.adapter}, is no longer one of this machine's."
        remedy = (
            f"Start the server: it finds the new one where there is only one, else choose it. There are: {offered}."
        )
        yield Finding("address-gone", state.adapter, cause, remedy)
    try:
        if find_java(d.java, d.runtime_dir or default_runtime_dir()) is None:
            cause = "No Java 17 or 21 is here; the server fetches one when it starts, if it can."
            yield Finding("java-unusable", str(d.java or "PATH"), cause, "Name one with java in [database].")
    except DatabaseError as error:
        yield Finding("java-unusable", str(d.java), error.message, error.remedy)
    yield from _yaml(data_dir)
    log = data_dir / "logs" / "cassandra.log"
    ended = _why_it_ended(log)
    if ended is not None:
        yield Finding("database-ended", str(log), ended.message, ended.remedy)


def _yaml(data_dir: Path) -> Iterator[Finding]:
    conf = data_dir / "database"
    settings = NodeSettings("", "", (), conf, data_dir / "logs", conf, conf)
    hand, path = look_for_edits(settings), str(settings.yaml_path)
    if hand.set_aside is not None:
        cause, remedy = (
            f"The file can't be read: {hand.problem}.",
            "Mend it, or delete it: it is written at each start.",
        )
        yield Finding("yaml-unreadable", path, cause, remedy)
    if hand.edits.honoured:
        cause = f"Changed by hand, and kept: {', '.join(hand.edits.honoured)}."
        yield Finding("yaml-edited", path, cause, "Nothing need be done; take the change back to undo it.")
    for refused in hand.edits.refused:
        remedy = f"{refused.why[:1].upper()}{refused.why[1:]}."
        yield Finding("yaml-refused", path, f"The change of {refused.key} isn't used.", remedy)


def _why_it_ended(log: Path) -> DatabaseError | None:
    """The diagnosis of the last start in the log; None where nothing in it looks wrong."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - MAX_LOG_BYTES))
            text = file.read(MAX_LOG_BYTES).decode(errors="replace")
    except OSError:
        return None
    last = text[max(0, text.rfind(_STARTED)) :]
    found = diagnose(last, None)
    return None if found.code == "node-exited" else found
