"""An authority that issues certificates for servers' requests: a root, and an intermediate below it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


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
