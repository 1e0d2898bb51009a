"""Asking LDAP directories: who a user is there, whether a password is theirs, which groups they belong to.

Blocks; every call is bounded by the directory's own time limit. Only the certificates that are given in the directory's
settings are believed, those of the system where there are none: not this server's Trusted Certificates, which make
servers of the group of whoever is in them. Each look leaves its steps, so that an administrator sees where it ended.
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from hostward.domain.directories import DN, USER, Directory, Security, host_and_port
from hostward.domain.errors import HostwardError, NotFound, Unauthenticated, Unavailable
from hostward.trust.identity import fingerprint, parse_certificate

with warnings.catch_warnings():
    # ldap3 uses names that pyasn1 has renamed.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core.exceptions import LDAPException, LDAPSocketOpenError, LDAPStartTLSError
    from ldap3.utils.conv import escape_filter_chars

MAX_GROUPS: Final = 500
DIRECT, MAX_LEVELS = 1, 20
"""How far groups are followed: those that name the user, or also those that name such a group, and so on."""
MAX_USERS: Final = 50_000
PAGE: Final = 500
_WRONG_PASSWORD: Final = 49
_SUCCESS: Final = 0
_SIZE_LIMIT: Final = 4
_NO_SUCH_OBJECT: Final = 32

Secret = Callable[[str], tuple[str, str]]
"""The user and secret of a Credential Store's entry. Raises NotFound, TrustError."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was tried."""

    name: str
    ok: bool
    said: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A user as the directory has them. `groups` are names, of those that they belong to by way of others too."""

    dn: str
    name: str
    full_name: str
    groups: Sequence[str] = ()


@dataclass(slots=True)
class Looking:
    """`steps` are what was done, in order."""

    steps: list[Step] = field(default_factory=list)

    def did(self, name: str, said: str) -> None:
        self.steps.append(Step(name, True, said))

    def failed(self, name: str, error: HostwardError) -> HostwardError:
        self.steps.append(Step(name, False, str(error)))
        return error


class Directories:
    """`secret` gives the Credential Store's."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def find(self, directory: Directory, user: str, *, levels: int = 0, looking: Looking | None = None) -> Entry:
        """With their groups, as far as `levels` says. Raises Unavailable where no server answers as it should, NotFound
        where there is no such user, or several."""
        looking = looking or Looking()
        with self._connected(directory, looking) as connection:
            return self._find(connection, directory, user, levels, looking)

    def check(
        self, directory: Directory, user: str, password: str, *, levels: int = 0, looking: Looking | None = None
    ) -> Entry:
        """Return who that is, where the password is theirs. Raises Unauthenticated, as for a user who isn't there;
        Unavailable."""
        looking = looking or Looking()
        wrong = Unauthenticated(
            "The user name or the password is wrong.",
            remedy="Check both; upper and lower case matter in the password.",
            code="wrong-password",
        )
        if not password:  # a directory lets anybody in with none: that is an anonymous bind (RFC 4513, 5.1.2)
            raise looking.failed("password", wrong)
        with self._connected(directory, looking) as connection:
            try:
                found = self._find(connection, directory, user, levels, looking)
            except NotFound as error:
                raise wrong from error
            with _explained(directory, looking, "password"):
                connection.rebind(user=found.dn, password=password, authentication=ldap3.SIMPLE)
                code = connection.result["result"]
            if code == _SUCCESS:
                looking.did("password", f"{found.dn} is let in with it.")
                return found
            if code == _WRONG_PASSWORD:
                raise looking.failed("password", wrong)
            raise looking.failed("password", _refused(directory, connection.result))

    def users(self, directory: Directory) -> list[Entry]:
        """All that the filter finds with any user name, with the groups that they belong to directly. Raises
        Unavailable, also where it finds no user, no group, or may not show them all: who isn't among them is taken to
        be gone."""
        looking = Looking()
        with self._connected(directory, looking) as connection, _explained(directory, looking, "search"):
            query = directory.user_filter.replace(USER, "*")
            attributes = [directory.name_attribute, directory.full_name_attribute]
            rows = list(_paged(connection, directory, directory.user_base, query, attributes, MAX_USERS))
            if not any(_first(row, directory.name_attribute) for row in rows):
                why = f"{len(rows):,} entries fit {query}, but none shows {directory.name_attribute}"
                raise _nothing(directory, "user", directory.user_base, why if rows else f"nothing fits {query}")
            belongs: dict[str, list[str]] = {}
            if directory.group_base:
                member = directory.group_filter.partition("=")[0].strip("(&|!")
                query = directory.group_filter.replace(DN, "*")
                attributes = [member, directory.group_name_attribute]
                for row in _paged(connection, directory, directory.group_base, query, attributes, MAX_USERS):
                    for dn in row["attributes"].get(member) or ():
                        belongs.setdefault(str(dn).lower(), []).append(_first(row, directory.group_name_attribute))
                if not belongs:
                    why = f"nothing fits {query}, or none shows {member}"
                    raise _nothing(directory, "group", directory.group_base, why)
            return [_entry(directory, row, belongs.get(row["dn"].lower(), ())) for row in rows]

    def _find(self, connection: Any, directory: Directory, user: str, levels: int, looking: Looking) -> Entry:
        query = directory.user_filter.replace(USER, escape_filter_chars(user))
        with _explained(directory, looking, "user"):
            attributes = [directory.name_attribute, directory.full_name_attribute]
            connection.search(directory.user_base, query, attributes=attributes, size_limit=2)
            rows = [row for row in connection.response or () if row.get("type") == "searchResEntry"]
            code = connection.result["result"]
        if code not in (_SUCCESS, _SIZE_LIMIT, _NO_SUCH_OBJECT):
            raise looking.failed("user", _refused(directory, connection.result))
        if len(rows) != 1:
            how_many = "no user" if not rows else "several users"
            raise looking.failed(
                "user",
                NotFound(
                    f"{directory.name} has {how_many} that fit {query} below {directory.user_base}.",
                    remedy="Correct the search base or the filter for users, or the user name.",
                    code="no-such-user",
                ),
            )
        looking.did("user", f"{query} finds {rows[0]['dn']}.")
        wanted = levels if directory.group_base else 0
        names = self._groups(connection, directory, rows[0]["dn"], wanted, looking) if wanted else ()
        return _entry(directory, rows[0], names)

    def _groups(self, connection: Any, directory: Directory, dn: str, levels: int, looking: Looking) -> Sequence[str]:
        """Of whoever has that name, and of their groups in turn, as far as `levels` says."""
        seen: dict[str, str] = {}
        level = [dn]
        with _explained(directory, looking, "groups"):
            for _ in range(levels):
                found: dict[str, str] = {}
                for member in level:
                    query = directory.group_filter.replace(DN, escape_filter_chars(member))
                    attributes = [directory.group_name_attribute]
                    rows = islice(_paged(connection, directory, directory.group_base, query, attributes), MAX_GROUPS)
                    found |= {row["dn"]: _first(row, directory.group_name_attribute) for row in rows}
                level = [group for group in found if group not in seen][: MAX_GROUPS - len(seen)]
                seen |= {group: found[group] for group in level}
                if not level:
                    break
        names = sorted(set(filter(None, seen.values())))
        looking.did("groups", f"Belongs to {', '.join(names)}." if names else "Belongs to no group.")
        return names

    @contextmanager
    def _connected(self, directory: Directory, looking: Looking) -> Iterator[Any]:
        """To the first server that answers, searching as the Credential Store's entry says."""
        login: tuple[str, str] | None = None
        if directory.credential:
            try:
                login = self._secret(directory.credential)
            except HostwardError as error:
                raise looking.failed("credential", _unavailable(directory, str(error))) from error
            looking.did("credential", f"The Credential Store has {directory.credential}, for {login[0]}.")
        last: HostwardError | None = None
        for server in directory.servers:
            try:
                connection = self._open(directory, server, login, looking)
            except HostwardError as error:
                last = error
                continue
            try:
                yield connection
            finally:
                _close(connection)
            return
        assert last is not None
        raise last

    def _open(self, directory: Directory, server: str, login: tuple[str, str] | None, looking: Looking) -> Any:
        host, port = host_and_port(server, directory.security)
        tls, limit = _tls(directory), directory.timeout_s
        with ExitStack() as closing:
            with _explained(directory, looking, f"connection to {host}:{port}"):
                at = ldap3.Server(
                    host, port, use_ssl=directory.security is Security.LDAPS, tls=tls, connect_timeout=limit,
                    get_info=ldap3.NONE,
                )  # fmt: skip
                connection = ldap3.Connection(
                    at, user=login[0] if login else None, password=login[1] if login else None,
                    authentication=ldap3.SIMPLE if login else ldap3.ANONYMOUS, receive_timeout=limit,
                    auto_referrals=False, raise_exceptions=False, read_only=True,
                )  # fmt: skip
                closing.callback(_close, connection)
                connection.open(read_server_info=False)
                if directory.security is Security.START_TLS:
                    connection.start_tls(read_server_info=False)
                looking.did("connection", f"{host}:{port} answers. {_certificate_of(connection)}".strip())
                connection.bind(read_server_info=False)
            if connection.result["result"] != _SUCCESS:
                raise looking.failed("bind", _refused(directory, connection.result))
            looking.did("bind", f"Searches as {login[0]}." if login else "Searches anonymously.")
            closing.pop_all()
        return connection


def _close(connection: Any) -> None:
    """ldap3 leaves the socket of a connection open that it couldn't open or encrypt."""
    with suppress(LDAPException, OSError):
        connection.unbind()
    if connection.socket is not None:
        with suppress(OSError):
            connection.socket.close()


def _tls(directory: Directory) -> Any:
    if directory.security is Security.NONE:
        return None
    given = directory.certificates or None
    return ldap3.Tls(validate=ssl.CERT_REQUIRED, version=ssl.PROTOCOL_TLS_CLIENT, ca_certs_data=given)


def _paged(
    connection: Any, directory: Directory, base: str, query: str, attributes: Sequence[str], most: int | None = None
) -> Iterator[Mapping[str, Any]]:
    """All entries. Raises Unavailable where it doesn't give all, and for more than `most`."""
    rows = connection.extend.standard.paged_search(
        base, query, attributes=list(attributes), paged_size=PAGE, generator=True
    )
    count = 0
    for row in rows:
        if row.get("type") != "searchResEntry":
            continue
        count += 1
        if most is not None and count > most:
            remedy = "Choose a search base or a filter that finds fewer."
            raise _unavailable(directory, f"More than {most:,} entries fit {query} below {base}.", remedy)
        yield row
    code = connection.result["result"]
    if code == _NO_SUCH_OBJECT:
        remedy = "Correct the search base, or let the Credential Store's entry read it."
        raise _unavailable(directory, f"There is no {base}, or it may not be read.", remedy)
    if code == _SIZE_LIMIT:
        remedy = "Raise its limit for the Credential Store's entry, or choose a filter that finds fewer."
        raise _unavailable(directory, f"It gives no more than {count:,} entries below {base}, and has more.", remedy)
    if code != _SUCCESS:
        raise _refused(directory, connection.result)


def _entry(directory: Directory, row: Mapping[str, Any], groups: Sequence[str]) -> Entry:
    return Entry(
        row["dn"], _first(row, directory.name_attribute), _first(row, directory.full_name_attribute), tuple(groups)
    )


def _first(row: Mapping[str, Any], attribute: str) -> str:
    values = row["attributes"].get(attribute)
    if isinstance(values, list):
        values = values[0] if values else ""
    return str(values or "")[:200]


def _certificate_of(connection: Any) -> str:
    """What it has shown."""
    shown = connection.socket.getpeercert(binary_form=True) if isinstance(connection.socket, ssl.SSLSocket) else None
    if not shown:
        return "The connection isn't encrypted: passwords can be read on the way."
    found = parse_certificate(shown)
    assert found.public_bytes(Encoding.DER)
    return f"Its certificate is of {found.subject.rfc4514_string()}, SHA-256 {fingerprint(shown)}."


@contextmanager
def _explained(directory: Directory, looking: Looking, step: str) -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        looking.failed(step, error)
        raise
    except (LDAPException, OSError, ssl.SSLError) as error:
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text or "certificate" in text.lower():
            found = _unavailable(
                directory, "The certificate that it shows isn't trusted, or is of another name.",
                "Put its certificate, or its authority's, into the directory's settings.",
            )  # fmt: skip
        elif isinstance(error, LDAPStartTLSError):
            found = _unavailable(directory, "It doesn't offer StartTLS there.", "Choose LDAPS, or correct the port.")
        elif isinstance(error, LDAPSocketOpenError | OSError):
            found = _unavailable(directory, "It isn't reached, or doesn't speak LDAP there.")
        else:
            found = _unavailable(directory, f"It doesn't answer as it should ({type(error).__name__}).")
        raise looking.failed(step, found) from error


def _nothing(directory: Directory, what: str, base: str, why: str) -> HostwardError:
    remedy = f"Correct the {what}s' search base, filter or attributes, or let the Credential Store's entry read them."
    remedy += " Where there are none, leave “Groups below” empty." if what == "group" else ""
    return _unavailable(directory, f"It shows no {what} below {base}: {why}. Nothing was changed.", remedy)


def _refused(directory: Directory, result: Mapping[str, Any]) -> HostwardError:
    text = f"{result.get('description', 'refused')} {str(result.get('message') or '')[:200]}".strip()
    return _unavailable(directory, f"It refuses: {text}.", "Correct the Credential Store's entry, or the search bases.")


def _unavailable(directory: Directory, why: str, remedy: str = "See whether it runs, and its address.") -> Unavailable:
    return Unavailable(f"The directory {directory.name}: {why}", remedy=remedy, code="directory")
