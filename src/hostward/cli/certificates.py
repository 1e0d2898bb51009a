"""`hostward certificate …`: Trusted Certificates, in both stores, and the server's own certificate."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from hostward.cli.options import Call, YesOption, client_command
from hostward.domain.errors import InvalidInput

app = typer.Typer(help="Trusted Certificates.", no_args_is_help=True)

MAX_CERTIFICATE_BYTES = 1 << 20


class Store(StrEnum):
    """Management and Security Server, or Security Proxy."""

    mss = "mss"
    security_proxy = "security-proxy"


StoreOption = Annotated[Store, typer.Option("--store", help="Management and Security Server, or Security Proxy.")]


@client_command(app, "list")
def list_certificates(call: Call, store: StoreOption = Store.mss) -> None:
    """List the certificates that are trusted."""
    from hostward.cli.output import table

    answer = call.api.get(f"trusted-certificates/{store.value}")
    rows = [
        (
            f"{c['friendly_name']}{' (own)' if c.get('own') else ''}",
            c.get("subject"),
            f"{str(c.get('not_after'))[:10]}{' EXPIRED' if c.get('expired') else ''}",
            c.get("fingerprint"),
        )
        for c in answer.get("items") or []
    ]
    call.show(answer, table(("Friendly name", "Subject", "Valid until", "Fingerprint (SHA-256)"), rows))


@client_command(app, "import")
def import_certificate(
    call: Call,
    file_name: Annotated[str, typer.Argument(metavar="FILE", help="A file name in the server's certificates folder.")],
    friendly_name: Annotated[str, typer.Option("--name", "-n", help="Friendly name: the other server's name.")],
    upload: Annotated[bool, typer.Option("--upload", help="FILE is on this machine (PEM): send it.")] = False,
    store: StoreOption = Store.mss,
) -> None:
    """Trust a certificate: by file name from <data-dir>/certificates on the server, or --upload one from here."""
    body: dict[str, Any] = {"friendly_name": friendly_name}
    if upload:
        body["pem"] = _read_pem(Path(file_name))
    else:
        body["file_name"] = file_name
    answer = call.api.post(f"trusted-certificates/{store.value}", body)
    call.show(answer, f"“{friendly_name}” is trusted. Fingerprint (SHA-256): {answer.get('fingerprint')}")


@client_command(app, "delete")
def delete_certificate(
    call: Call,
    friendly_name: Annotated[str, typer.Argument(metavar="FRIENDLY_NAME")],
    store: StoreOption = Store.mss,
    yes: YesOption = False,
) -> None:
    """No longer trust a certificate."""
    if not yes and os.isatty(0) and not typer.confirm(f"No longer trust “{friendly_name}”?", err=True):
        raise typer.Exit(1)
    path = f"trusted-certificates/{store.value}/{quote(friendly_name, safe='')}"
    call.show(call.api.delete(path), f"“{friendly_name}” is no longer trusted.")


@client_command(app, "show-own")
def show_own(call: Call) -> None:
    """Print the server's own certificate (PEM), to be imported on the others."""
    answer = call.api.get("server")
    own = {key: answer.get(key) for key in ("server_name", "fingerprint", "certificate_pem")}
    call.show(own, str(answer.get("certificate_pem", "")).rstrip())


def _read_pem(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CERTIFICATE_BYTES)
        text = content.decode("ascii")
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}.", remedy="Check name and permissions.") from error
    except UnicodeDecodeError:
        from ssl import DER_cert_to_PEM_cert

        return DER_cert_to_PEM_cert(content)
    return text
