"""`hostward client login` and `logout`."""

from __future__ import annotations

import ssl
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from hostward.cli import secrets
from hostward.cli.accounts import PasswordFile
from hostward.cli.desk.servers import Servers, client_of, servers_of
from hostward.cli.options import Invocation
from hostward.cli.problems import Refused, Unreachable, UsageProblem
from hostward.client.private import private_dir, state_dir
from hostward.client.state import Desk, KnownServer, desk_file, save_desk
from hostward.domain.errors import InvalidInput


def register(app: typer.Typer) -> None:
    app.command("login")(login)
    app.command("logout")(logout)


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Any server of the group: https://HOST:PORT/CONTEXT.")],
    user: Annotated[str, typer.Option("--user", "-u", prompt="User", help="Your name; asked for, unless given.")],
    password_file: PasswordFile = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="Certificates (PEM) of who issues the servers' own.")
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", metavar="SHA256", help="Confirms the server's certificate unasked.")
    ] = None,
) -> None:
    """Log in once for all servers of the group.

    The password isn't kept. The certificate is believed that the system trusts, that --ca has issued, or that you
    confirm; of the other servers that which this one says."""
    from hostward.cli.client import server_url
    from hostward.cli.pinning import certificate_to_pin, fingerprint_of, shown_certificate

    address = server_url(url)
    parts = urlsplit(address)
    if parts.scheme != "https":
        raise UsageProblem("A desk logs in over HTTPS alone.", remedy="Name https://HOST:PORT/CONTEXT.")
    authority = _authority(ca)
    pinned = "" if authority else certificate_to_pin(address, fingerprint) or ""
    first = KnownServer("", parts.hostname or address, address, certificate=pinned, given=True)
    desk = Desk(user, "", (first,), authority=authority)
    with client_of(desk, first) as api:
        secret = secrets.get(password_file, "Password", option="--password-file")
        answer = api.post("login", {"user": user, "password": secret, "desk": True})
        api.use_token(str(answer["token"]))
        said = api.get("me/servers")
    own = said["items"][0]
    shown = fingerprint_of(
        ssl.DER_cert_to_PEM_cert(shown_certificate(address, parts.hostname or "", parts.port or 443))
    )
    # Something may stand before the server, with a certificate of its own: then that goes on being believed as now.
    certificate = str(own["certificate"]) if shown == fingerprint_of(str(own["certificate"])) else pinned
    first = replace(
        first, server=str(own["server"]), name=str(own["name"]), certificate=certificate, token=str(answer["token"])
    )
    desk = Desk(str(answer["user"]), str(said["group"]), (first,), str(answer.get("ticket") or ""), authority)
    desk = desk.taught(desk.group, _taught(said, first), time.time())
    private_dir(state_dir())
    save_desk(desk, desk_file())
    others = [server.name for server in desk.servers[1:]]
    also = f" If it doesn't answer: {', '.join(others)}." if others else ""
    print(f"Logged in as {desk.user} at {first.name}, until {answer.get('expires_at')} unless it is used.{also}")


def logout(
    ctx: typer.Context,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End all your logins, in browsers and at other desks too.")
    ] = False,
) -> None:
    """End the login on each server that has one, and forget it here."""
    servers = servers_of(ctx.ensure_object(Invocation))
    if everywhere:
        servers.ask(lambda api: api.delete("me/logins?tokens=false"))
    untold = [] if everywhere else _end_each(servers)
    save_desk(servers.desk.forgotten(), servers.path)
    for name, why in untold:
        typer.echo(f"{name} could not be told: {why}", err=True)
    if untold:
        typer.echo(
            "What it has ends by itself; `hostward client logout --everywhere`, after a login, ends it now.", err=True
        )
    print(f"Logged out {servers.desk.user}.")


def _end_each(servers: Servers) -> list[tuple[str, str]]:
    """Where that couldn't be done, and why."""
    untold = []
    for server in servers.each_logged_in():
        try:
            with client_of(servers.desk, server) as api:
                api.post("logout")
        except Refused as error:
            if error.status != 401:  # else it has ended already
                untold.append((server.name, error.message))
        except Unreachable as error:
            untold.append((server.name, error.message))
    return untold


def _authority(ca: Path | None) -> str:
    if ca is None:
        return ""
    try:
        text = ca.read_text("ascii")
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{ca} can't be read as certificates: {error}.", remedy="Give a PEM file.") from error
    return text


def _taught(said: dict[str, Any], first: KnownServer) -> list[dict[str, Any]]:
    """What it says of the servers; of itself what was found out already."""
    own = {"server": first.server, "name": first.name, "url": first.url, "certificate": first.certificate or "-"}
    return [own, *said["items"][1:]]
