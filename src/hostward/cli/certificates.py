"""`hostward certificate …`: Trusted Certificates, in both stores, and the server's own certificate."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from hostward.cli import secrets
from hostward.cli.options import Call, YesOption, client_command
from hostward.cli.problems import Refused
from hostward.cli.wanted import parse_server
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


@client_command(app, "own")
def own(call: Call) -> None:
    """Show the server's own certificate: until when it is valid, and who has confirmed it since its last renewal."""
    _show_own(call, call.api.get("server/certificate"))


@client_command(app, "renew")
def renew(call: Call, yes: YesOption = False) -> None:
    """Give the server a new key and certificate; the group's other servers take it over by themselves."""
    _show_own(call, call.confirmed("POST", "server/certificate/renew", {}, yes=yes))


@client_command(app, "request")
def request(call: Call) -> None:
    """Print a certificate signing request, for an authority."""
    answer = call.api.post("server/certificate/request")
    call.show(answer, str(answer.get("request_pem", "")).rstrip())


@client_command(app, "install")
def install(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="PEM: the server's certificate, then its chain.")],
    yes: YesOption = False,
) -> None:
    """Install the certificate that an authority has issued for the server's request."""
    _show_own(call, call.confirmed("PUT", "server/certificate", {"pem": _read_pem(file)}, yes=yes))


@client_command(app, "for-browsers")
def for_browsers(call: Call) -> None:
    """Show the certificate that browsers see at the HTTPS port."""
    _show_for_browsers(call, call.api.get("server/certificate/for-browsers"))


@client_command(app, "install-for-browsers")
def install_for_browsers(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="PKCS #12 or PEM: private key, certificate, chain.")],
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", metavar="FILE", help="With the file's password; asked for where needed."),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Show browsers this certificate; other servers go on seeing the server's own."""
    path = "server/certificate/for-browsers"
    body = {"file": b64encode(_read(file)).decode()}
    if password_file is not None:
        body["password"] = secrets.from_file(password_file)
    try:
        answer = call.confirmed("PUT", path, body, yes=yes)
    except Refused as refused:
        if password_file is not None or refused.code not in ("password-needed", "wrong-password") or not os.isatty(0):
            raise
        body["password"] = secrets.ask("The file's password", option="--password-file")
        answer = call.confirmed("PUT", path, body, yes=yes)
    _show_for_browsers(call, answer)


@client_command(app, "remove-for-browsers")
def remove_for_browsers(call: Call, yes: YesOption = False) -> None:
    """Show browsers the server's own certificate again; the other one's key is deleted."""
    question = "Delete the certificate for browsers, with its key?"
    if not yes and os.isatty(0) and not typer.confirm(question, err=True):
        raise typer.Exit(1)
    call.show(call.api.delete("server/certificate/for-browsers"), "Browsers see the server's own certificate.")


@client_command(app, "fetch")
def fetch(
    call: Call,
    address: Annotated[
        str, typer.Argument(metavar="HOST[:PORT]", help="The other server's HTTPS port; 443 unless given.")
    ],
    friendly_name: Annotated[str | None, typer.Option("--name", "-n", help="Friendly name; HOST unless given.")] = None,
    confirm: Annotated[
        str | None, typer.Option("--fingerprint", help="Import it if its SHA-256 fingerprint is this one.")
    ] = None,
    store: StoreOption = Store.mss,
) -> None:
    """Look at another server's certificate by its address; trust it after comparing the fingerprint."""
    place = parse_server(address, "https")
    body: dict[str, Any] = {"host": place["host"], "port": place["port"]}
    path = f"trusted-certificates/{store.value}/fetch"
    found = call.api.post(path, body) if confirm is None else {}
    if confirm is None and os.isatty(0) and os.isatty(2):
        typer.echo(f"{found['subject']}\nSHA-256 {found['fingerprint']}", err=True)
        if typer.confirm("Is that the fingerprint that `certificate own` shows on that server?", err=True):
            confirm = str(found["fingerprint"])
    if confirm is not None:
        body |= {"confirm_fingerprint": confirm, "friendly_name": friendly_name or place["host"]}
        found = call.api.post(path, body)
    lines = [
        f"{found['subject']}",
        f"Valid until {str(found['not_after'])[:10]}. Fingerprint (SHA-256): {found['fingerprint']}",
    ]
    lines.append("It is trusted." if found["imported"] else "Nothing was imported: give --fingerprint to trust it.")
    call.show(found, *lines)


def _show_own(call: Call, answer: Mapping[str, Any]) -> None:
    lines = _facts(answer)
    for member in answer.get("members") or []:
        lines.append(f"{member['server_name']}: {'confirmed' if member['confirmed'] else 'not yet confirmed'}")
    call.show(answer, *lines)


def _show_for_browsers(call: Call, answer: Mapping[str, Any]) -> None:
    lines = _facts(answer["certificate"]) if answer["certificate"] else ["Browsers see the server's own certificate."]
    call.show(answer, *lines, *([answer["problem"]] if answer["problem"] else []))


def _facts(certificate: Mapping[str, Any]) -> list[str]:
    first, last = (str(certificate[name])[:10] for name in ("not_before", "not_after"))
    issuer = "self-signed" if certificate["self_signed"] else f"issued by {certificate['issuer']}"
    return [
        f"{certificate['subject']}",
        f"For {', '.join(certificate['names'])}",
        f"Fingerprint (SHA-256): {certificate['fingerprint']}",
        f"Valid from {first} until {last}{' EXPIRED' if certificate['expired'] else ''}, {issuer}",
    ]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_CERTIFICATE_BYTES)
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}.", remedy="Check name and permissions.") from error


def _read_pem(path: Path) -> str:
    content = _read(path)
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        from ssl import DER_cert_to_PEM_cert

        return DER_cert_to_PEM_cert(content)
    return text
