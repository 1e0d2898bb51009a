"""`hostward replication …`: roles, Master and Slaves, Details, Test Connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from hostward.cli import secrets
from hostward.cli.options import Call, YesOption, client_command
from hostward.cli.wanted import (
    Server,
    Wanted,
    parse_server,
    server_words,
    wanted_from,
    with_master,
    with_slave,
    without_master,
    without_slave,
)
from hostward.domain.errors import HostwardError, NotFound

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(help="The replication group: role, Master, Slaves, Details.", no_args_is_help=True)

WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Follow the job until it is done.")]
AdapterOption = Annotated[
    str | None, typer.Option("--adapter", metavar="ADDRESS", help="Database Network Adapter: its IP address.")
]
PassphraseFlag = Annotated[bool, typer.Option("--passphrase", help="Ask for a new passphrase.")]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="FILE", help="Holds the passphrase; - is standard input.")
]
_SERVER_HELP = "HOST[:PORT][/CONTEXT]; 443 (80 with HTTP) and mss unless given."
ServerArgument = Annotated[str, typer.Argument(metavar="SERVER", help=_SERVER_HELP)]


class Role(StrEnum):
    """A server's role."""

    standalone = "standalone"
    master = "master"
    slave = "slave"


class Protocol(StrEnum):
    """Global protocol between servers."""

    https = "https"
    http = "http"


@client_command(app, "status")
def status(call: Call) -> None:
    """Show role, Database Status, revision and hash of this server."""
    answer = call.api.get("replication")
    call.show(answer, *_status_words(answer))


@client_command(app, "nodes")
def nodes(call: Call) -> None:
    """Details: every server of the group, with what its database says at this moment."""
    answer = call.api.get("replication/nodes")
    details = [f"\n{_name_of(node)}: {node['detail']}" for node in answer if node.get("detail")]
    call.show(answer, _nodes_table(answer), *details)


@client_command(app, "set")
def set_(
    call: Call,
    role: Annotated[Role | None, typer.Option("--role")] = None,
    adapter: AdapterOption = None,
    protocol: Annotated[Protocol | None, typer.Option("--protocol", help="Global protocol.")] = None,
    passphrase: PassphraseFlag = False,
    passphrase_file: PassphraseFile = None,
    master: Annotated[str | None, typer.Option("--master", metavar="SERVER", help=_SERVER_HELP)] = None,
    slave: Annotated[
        list[str] | None, typer.Option("--slave", metavar="SERVER", help="The whole list of Slaves; repeatable.")
    ] = None,
    yes: YesOption = False,
    wait: WaitOption = False,
) -> None:
    """Change this server's role and replication settings (Apply). What isn't given stays as it is."""
    now = call.api.get("replication")
    wanted = wanted_from(now, role=role.value if role else ("slave" if master else "master" if slave else None))
    if adapter:
        wanted["adapter"] = adapter
    if protocol:
        wanted["protocol"] = protocol.value
    spoken = str(wanted.get("protocol", "https"))
    if master:
        wanted["master"] = parse_server(master, spoken)
    if slave is not None:
        wanted["slaves"] = [parse_server(text, spoken) for text in slave]
    if passphrase or passphrase_file:
        wanted["passphrase"] = secrets.get(passphrase_file, "Passphrase", option="--passphrase-file", twice=True)
    apply(call, wanted, yes=yes, wait=wait)


@client_command(app, "add-slave")
def add_slave(call: Call, server: ServerArgument, yes: YesOption = False, wait: WaitOption = False) -> None:
    """On a Master: add a server to its list of Slaves."""
    now = call.api.get("replication")
    apply(call, with_slave(wanted_from(now), _parsed(server, now)), yes=yes, wait=wait)


@client_command(app, "delete-slave")
def delete_slave(call: Call, server: ServerArgument, yes: YesOption = False, wait: WaitOption = False) -> None:
    """On a Master: delete a server from its list of Slaves."""
    now = call.api.get("replication")
    apply(call, without_slave(wanted_from(now), _parsed(server, now)), yes=yes, wait=wait)


@client_command(app, "add-master")
def add_master(
    call: Call,
    server: ServerArgument,
    adapter: AdapterOption = None,
    passphrase: PassphraseFlag = False,
    passphrase_file: PassphraseFile = None,
    yes: YesOption = False,
    wait: WaitOption = False,
) -> None:
    """Make this server a Slave of that Master: its own configuration is overwritten, and kept as a backup."""
    now = call.api.get("replication")
    wanted = with_master(wanted_from(now), _parsed(server, now))
    if adapter:
        wanted["adapter"] = adapter
    if passphrase or passphrase_file:
        wanted["passphrase"] = secrets.get(passphrase_file, "Passphrase", option="--passphrase-file", twice=True)
    apply(call, wanted, yes=yes, wait=wait)


@client_command(app, "delete-master")
def delete_master(call: Call, yes: YesOption = False, wait: WaitOption = False) -> None:
    """On a Slave: leave the group and become Standalone; all data stays."""
    apply(call, without_master(wanted_from(call.api.get("replication"))), yes=yes, wait=wait)


@client_command(app, "remove")
def remove(
    call: Call,
    host_id: Annotated[
        str,
        typer.Argument(metavar="HOST_ID", help="From `hostward replication nodes`; the server's id while it joins."),
    ],
    yes: YesOption = False,
    wait: WaitOption = False,
) -> None:
    """On a Master: remove a server, running, down or joining, or a node that belongs to none, from the group."""
    path = f"replication/nodes/{quote(host_id, safe='')}"
    show_job(call, call.confirmed("DELETE", path, {}, yes=yes), wait=wait)


@client_command(app, "switch-over")
def switch_over(
    call: Call,
    to: Annotated[str, typer.Argument(metavar="SERVER", help="A Slave: its name, server id or Host Id.")],
    yes: YesOption = False,
    wait: WaitOption = False,
) -> None:
    """On the Master: hand over to a Slave, which becomes the Master; nothing is lost."""
    show_job(call, call.confirmed("POST", "replication/switch-over", {"to": to}, yes=yes), wait=wait)


@client_command(app, "promote")
def promote(
    call: Call,
    insist: Annotated[bool, typer.Option("--insist", help="Also where the Master can still be reached.")] = False,
    yes: YesOption = False,
    wait: WaitOption = False,
) -> None:
    """On a Slave whose Master is dead: make it the Master."""
    show_job(call, call.confirmed("POST", "replication/promote", {"insist": insist}, yes=yes), wait=wait)


@client_command(app, "follow")
def follow_server(
    call: Call,
    server: Annotated[str, typer.Argument(metavar="SERVER", help="As `hostward replication status` names it.")],
    yes: YesOption = False,
    wait: WaitOption = False,
) -> None:
    """Follow a server that was promoted by force."""
    show_job(call, call.confirmed("POST", "replication/follow", {"server": server}, yes=yes), wait=wait)


@client_command(app, "rebuild-database")
def rebuild_database(call: Call, yes: YesOption = False, wait: WaitOption = False) -> None:
    """Make this server's database node anew from the group: its files are removed, nothing is lost."""
    show_job(call, call.confirmed("POST", "replication/database/rebuild", {}, yes=yes), wait=wait)


@client_command(app, "test-connection")
def check_connection(
    call: Call,
    server: Annotated[
        str | None, typer.Argument(metavar="SERVER", help=f"{_SERVER_HELP} The Master, or all Slaves, unless given.")
    ] = None,
    passphrase: PassphraseFlag = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Test Connection: name, port, protocol, certificates, passphrase, clock, version, database port."""
    now = call.api.get("replication")
    configured = [now["master"]] if now.get("master") else list(now.get("slaves") or [])
    targets = [_parsed(server, now)] if server else [_bare(s) for s in configured]
    if not targets:
        raise NotFound("No other server is configured.", remedy="Name one: hostward replication test-connection HOST.")
    extra = {"protocol": now.get("protocol")}
    if passphrase or passphrase_file:
        extra["passphrase"] = secrets.get(passphrase_file, "Passphrase", option="--passphrase-file")
    answers = [{"target": t, **_tested(call, t, extra)} for t in targets]
    call.show(answers[0] if server else answers)
    if not all(answer["ok"] for answer in answers):
        raise typer.Exit(1)


def apply(call: Call, wanted: Wanted, *, yes: bool, wait: bool) -> None:
    """Send the wanted settings with the "Settings update" confirmation, and show or follow the job."""
    show_job(call, call.confirmed("PUT", "replication", wanted, yes=yes), wait=wait)


def show_job(call: Call, answer: Mapping[str, Any], *, wait: bool) -> None:
    """Say that a job has begun, or follow it."""
    job = answer.get("job")
    job_id = job.get("id") if isinstance(job, Mapping) else job
    if not job_id:
        call.show(answer, "Nothing to change: the settings are as wanted.")
        return
    if not wait:
        call.show(answer, f"Accepted as job {job_id}. Follow it with `hostward job follow {job_id}`.")
        return
    follow(call, str(job_id))


def follow(call: Call, job_id: str) -> None:
    """Show a job's steps as they happen. Raises HostwardError with its reason if it fails."""
    from hostward.cli.progress import Progress, follow_job

    with Progress() as progress:
        job = follow_job(call.api, job_id, progress)
    if job.get("state") == "failed":
        raise HostwardError(
            f"Job {job_id} failed: {job.get('reason') or 'no reason was given'}",
            remedy="Mend that, then apply the settings again; `hostward replication status` says what it waits for.",
            code="job-failed",
        )
    call.show(job, "Done.")


def _parsed(server: str, now: Mapping[str, Any]) -> Server:
    return parse_server(server, str(now.get("protocol") or "https"))


def _bare(server: Mapping[str, Any]) -> Server:
    return {key: server[key] for key in ("host", "port", "context")}


def _status_words(answer: Mapping[str, Any]) -> Iterable[RenderableType | str]:
    from hostward.cli.output import facts

    role, wanted = answer.get("role"), answer.get("wanted_role")
    state = str(answer.get("database_status"))
    if answer.get("since"):
        state += f" since {answer['since']}"
    pairs: list[tuple[str, object]] = [
        ("Server", f"{answer.get('server_name')} ({answer.get('server')})"),
        ("Role", f"{role} (wanted: {wanted})" if wanted and wanted != role else role),
        ("Database Status", state),
        ("Why", answer.get("reason")),
        ("Revision", answer.get("revision")),
        ("Hash", answer.get("hash")),
        ("Epoch", answer.get("epoch")),
        ("Group", answer.get("group")),
        ("Global protocol", answer.get("protocol")),
        ("Adapter", answer.get("adapter")),
    ]
    if answer.get("master"):
        pairs.append(("Master", server_words(answer["master"])))
    for slave in (answer.get("slaves") or []) if role == "master" else []:
        pairs.append(("Slave", server_words(slave) + ("" if slave.get("joined") else " (not joined yet)")))
    yield facts([(name, value) for name, value in pairs if value not in (None, "")])
    for warning in answer.get("warnings") or []:
        yield f"\nWarning: {warning}"


def _nodes_table(items: Iterable[Mapping[str, Any]]) -> RenderableType:
    from hostward.cli.output import as_text, table

    rows = []
    for node in items:
        owns = node.get("owns_percent")
        synced = as_text(node.get("in_sync"))
        lag = node.get("lag_changes")
        rows.append(
            (
                f"{_name_of(node)}\n{node.get('address')}",
                f"{node.get('role')}\nv{node.get('version')}",
                f"{node.get('status')}\n{node.get('state') or ''}",
                "" if owns is None else f"{owns:g} %",
                f"{node.get('host_id') or node.get('server') or ''}\n{_here(node)}",
                f"{node.get('revision')}\n{'' if lag is None else f'lag {lag}'}",
                f"{synced}\n{_clock(node.get('compared_at'))}",
            )
        )
    return table(("Server", "Role", "Status", "Owns", "Host Id", "Revision", "In sync"), rows)


def _name_of(node: Mapping[str, Any]) -> str:
    return str(node.get("server_name") or node.get("server") or node.get("address"))


def _clock(moment: object) -> str:
    """The time of day of an ISO 8601 moment, UTC; how fresh the comparison is matters, not its date."""
    text = str(moment or "")
    return f"{text[11:19]}Z" if len(text) >= 19 else text


def _tested(call: Call, target: Mapping[str, Any], extra: Mapping[str, Any]) -> Any:
    """The whole answer; people see each check as soon as it is made."""
    from hostward.cli.output import show

    answer: Any = {}
    for answer in call.api.follow("replication/test-connection", {**target, **extra}):
        if call.as_json:
            continue
        if "checks" in answer:
            show(f"{server_words(target)}: {'ok' if answer['ok'] else 'failed'}", "")
            continue
        mark = {True: "ok", False: "FAILED"}.get(answer["ok"], "not tried")
        words = " ".join(part for part in (answer["detail"], answer["remedy"]) if part)
        show(f"{answer['name']:<18} {mark:<10} {words}".rstrip())
    return answer


def _here(node: Mapping[str, Any]) -> str:
    return "this server" if node.get("local_instance") else ""
