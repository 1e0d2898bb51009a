"""An authority that issues certificates for servers' requests: a root, and an intermediate below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its certificate (PEM)."""

    key: Key
    certificate: str

    def pem(self, chain: str = "", password: str = "") -> bytes:
        how = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        key = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
        return key + (self.certificate + chain).encode()

    def pkcs12(self, chain: str = "", password: str = "") -> bytes:
        how = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        leaf = x509.load_pem_x509_certificate(self.certificate.encode())
        above = x509.load_pem_x509_certificates(chain.encode()) if chain else None
        return pkcs12.serialize_key_and_certificates(b"browsers", self.key, leaf, above, how)


class Authority:
    """`now` is when it issues; what it issues for itself is valid for a year around that."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self._root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self._root_name, self._name = (_name(f"{kind} of the tests") for kind in ("Root", "Intermediate"))
        self.root = self._certify(self._root_name, self._root_key, self._root_name, self._root_key)
        self.intermediate = self._certify(self._name, self._key, self._root_name, self._root_key)

    @property
    def chain(self) -> str:
        return self.intermediate + self.root

    def issue(
        self,
        request: str,
        *,
        valid: timedelta = 365 * DAY,
        subject: x509.Name | None = None,
        authority: bool = False,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> str:
        """A certificate (PEM) for a request (PEM), with its subject and names unless told otherwise."""
        wanted = x509.load_pem_x509_csr(request.encode())
        assert wanted.is_signature_valid
        names = wanted.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject or wanted.subject)
            .issuer_name(self._name)
            .public_key(wanted.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - DAY)
            .not_valid_after(self.now + valid)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(names, critical=False)
        )
        return _pem(builder.sign(self._key, hashes.SHA256()))

    def hand_out(self, names: Sequence[str], *, key: Key | None = None, valid: timedelta = 365 * DAY) -> Pair:
        """A key that it has made itself, with its certificate for these names: host names or addresses."""
        key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = _name(names[0])
        known = [x509.DNSName(n) if n.strip("0123456789.") else x509.IPAddress(ip_address(n)) for n in names]
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject)
        csr = csr.add_extension(x509.SubjectAlternativeName(known), critical=False)
        request = csr.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        return Pair(key, self.issue(request, valid=valid))

    def _certify(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, by: ec.EllipticCurvePrivateKey
    ) -> str:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - DAY)
            .not_valid_after(self.now + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        )
        return _pem(builder.sign(by, hashes.SHA256()))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
