"""A real OpenLDAP server with users and groups, of the test's own."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.programs import program, running
from tests.support.waiting import eventually

BASE = "dc=example,dc=com"
READER = f"cn=reader,{BASE}"
READER_SECRET = "only for searching"
SECRET = "the directory's word"
CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {directory}/server.pem
TLSCertificateKeyFile {directory}/server.key
TLSCACertificateFile {directory}/server.pem
TLSVerifyClient never
pidfile {directory}/pid
database mdb
suffix "{base}"
rootdn "cn=root,{base}"
rootpw root
directory {directory}/data
index uid,member eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * auth
"""


@dataclass(frozen=True)
class Slapd:
    """`ldaps` and `ldap` are host:port; `certificate` is the server's own, which is its own authority (PEM)."""

    ldaps: str
    ldap: str
    certificate: str
    directory: Path

    def apply(self, ldif: str) -> None:
        """Change its content."""
        command = ["ldapmodify", "-x", "-H", f"ldap://{self.ldap}", "-D", f"cn=root,{BASE}", "-w", "root", "-c"]
        subprocess.run(command, input=ldif, text=True, check=True, capture_output=True, timeout=60)


@contextmanager
def slapd(directory: Path, address: str, names: str, *settings: str) -> Iterator[Slapd]:
    """With the entries of that LDIF, on the ports 3636 and 3389 of that address; `settings` are lines for the
    database."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "data").mkdir()
    certificate = _make_certificate(directory, address)
    config = CONFIG.format(directory=directory, base=BASE, reader=READER) + "".join(f"{s}\n" for s in settings)
    (directory / "slapd.conf").write_text(config, encoding="utf-8")
    (directory / "content.ldif").write_text(names, encoding="utf-8")
    config_file, content = str(directory / "slapd.conf"), str(directory / "content.ldif")
    load = subprocess.run([program("slapadd"), "-f", config_file, "-l", content], capture_output=True, timeout=60)
    assert load.returncode == 0, load.stderr.decode()
    urls = f"ldaps://{address}:3636 ldap://{address}:3389"
    log = directory / "log"
    with ExitStack() as stack:
        command = [program("slapd"), "-d", "0", "-f", config_file, "-h", urls]
        stack.enter_context(running(command, log))
        found = Slapd(f"{address}:3636", f"{address}:3389", certificate, directory)
        search = ["ldapsearch", "-x", "-H", f"ldap://{found.ldap}", "-D", READER, "-w", READER_SECRET]
        search += ["-s", "base", "-b", BASE]
        eventually(lambda: subprocess.run(search, capture_output=True, timeout=60).returncode == 0, within_s=30)
        yield found


def person(name: str, full_name: str = "", secret: str = SECRET) -> str:
    """An entry of LDIF."""
    full = full_name or name.title()
    return (
        f"dn: uid={name},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {full}\nsn: {full}\n"
        f"userPassword: {secret}\n\n"
    )


def group(name: str, *members: str) -> str:
    """A group of these: names of users, or of groups with cn= before them."""
    escaped = name.replace(";", "\\;")
    lines = [f"dn: cn={escaped},ou=groups,{BASE}", "objectClass: groupOfNames", f"cn: {name}"]
    for member in members:
        below = f"{member},ou=groups" if member.startswith("cn=") else f"uid={member},ou=people"
        lines.append(f"member: {below},{BASE}")
    return "\n".join(lines) + "\n\n"


def tree(*entries: str) -> str:
    """A whole directory's LDIF."""
    return (
        f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n"
        f"dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people\n\n"
        f"dn: ou=groups,{BASE}\nobjectClass: organizationalUnit\nou: groups\n\n"
        f"dn: {READER}\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: {READER_SECRET}\n\n"
    ) + "".join(entries)


def _make_certificate(directory: Path, address: str) -> str:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "directory of the tests")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    (directory / "server.pem").write_text(pem, encoding="ascii")
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "server.key").write_bytes(private)
    return pem
