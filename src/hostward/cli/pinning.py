"""Which certificate a server is believed by, when somebody first logs in there."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
from urllib.parse import urlsplit

import typer

from hostward.cli.problems import Unreachable
from hostward.domain.greeting import IDENTITY_NAME

_CONNECT_TIMEOUT_S = 10.0


def certificate_to_pin(url: str, confirmed: str | None) -> str | None:
    """The server's certificate, once the person has confirmed it; None where the system trusts it anyway."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return None
    host, port = parts.hostname or "", parts.port or 443
    if confirmed is None and _is_trusted(host, port):
        return None
    pem = ssl.DER_cert_to_PEM_cert(shown_certificate(url, host, port))
    shown = fingerprint_of(pem)
    if confirmed is not None:
        if _plain_hex(confirmed) != _plain_hex(shown):
            raise Unreachable(
                f"{url} shows a certificate with the fingerprint {shown}, not the one given.",
                remedy="Compare with `hostward certificate own` run on the server itself.",
                code="certificate",
            )
        return pem
    if not os.isatty(0):
        raise Unreachable(
            f"The certificate of {url} is not trusted here. Fingerprint (SHA-256): {shown}",
            remedy="Compare it with the server's own, then give it with --fingerprint; or use --insecure.",
            code="certificate",
        )
    typer.echo(f"This machine doesn't know the certificate of {url}.\nFingerprint (SHA-256): {shown}", err=True)
    if not typer.confirm("Is that the server's own? Trust it from now on?", err=True):
        raise typer.Exit(1)
    return pem


def _is_trusted(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    try:
        with (
            socket.create_connection((host, port), _CONNECT_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except ssl.SSLCertVerificationError:
        return False
    except OSError:
        return False  # reading the certificate fails the same way, and says why


def shown_certificate(url: str, host: str, port: int) -> bytes:
    """The server's own (DER): what browsers see may be renewed without a word."""
    from hostward.cli.client import trusting_context, unreachable

    try:
        with (
            socket.create_connection((host, port), _CONNECT_TIMEOUT_S) as plain,
            trusting_context().wrap_socket(plain, server_hostname=IDENTITY_NAME) as tls,
        ):
            return tls.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise unreachable(url, error, pinned=False, doing="reading its certificate") from error


def fingerprint_of(pem: str) -> str:
    """SHA-256 of the DER form, as `GET server` gives it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":").upper()


def _plain_hex(text: str) -> str:
    return text.replace(":", "").replace(" ", "").lower()
