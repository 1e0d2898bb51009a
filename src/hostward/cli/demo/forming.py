"""How the three servers become a group: by the public REST API alone, in the order of the guide (5.13.3 to 5.13.7).

Every step looks first whether it is done already, so an interrupted demo goes on where it was, and one that is started
again finds nothing to do.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hostward.cli.client import ApiClient, pinned_context, trusting_context
from hostward.cli.demo.layout import CONTEXT, HTTPS_PORT, USER, DemoServer
from hostward.cli.problems import Refused, Unreachable
from hostward.cli.progress import POLL_S, Progress, follow_job
from hostward.cli.wanted import same_server, server_words, wanted_from, with_slave
from hostward.domain.errors import HostwardError, Unavailable

STORE = "trusted-certificates/mss"
EXAMPLES = Path(__file__).with_name("example-sessions.csv")
EXAMPLE_USERS = Path(__file__).with_name("example-users.json")
EXAMPLE_USER = "anna"
EXAMPLE_PACKAGE = "An administrator puts an installer here, such as an .msi. Hostward brings it to every server.\n"
READY_TIMEOUT_S = 60.0
UP_TIMEOUT_S = 300.0
EQUAL_TIMEOUT_S = 60.0
TOKEN_DAYS = 365


@dataclass(slots=True)
class Administrator:
    """Somebody logged in at one server, who logs in again when the login ends: becoming a Slave replaces the server's
    accounts and logins."""

    server: DemoServer
    password: str = field(repr=False)
    api: ApiClient

    def __call__(self, ask: Callable[[ApiClient], Any]) -> Any:
        """The answer to one request."""
        try:
            return ask(self.api)
        except Refused as refused:
            if refused.status != 401:
                raise
        self.log_in()
        return ask(self.api)

    def log_in(self) -> None:
        """Get a new login."""
        self.api.use_token(None)
        self.api.use_token(self.api.post("login", {"user": USER, "password": self.password})["token"])

    def status(self) -> dict[str, Any]:
        """Role, Database Status and the rest of `GET replication`."""
        return dict(self(lambda api: api.get("replication")))


def administrator(server: DemoServer, password: str) -> Administrator:
    """Trusts the certificate in the server's own data directory, which nobody else can have put there."""
    own = server.data_dir / "identity" / "servletcontainer.cer"
    return Administrator(
        server, password, ApiClient(server.url, verify=pinned_context(own.read_text("ascii")), pinned=True)
    )


def wait_until_live(server: DemoServer, still_runs: Callable[[], bool]) -> None:
    """Until the server answers. Raises Unavailable if its process ends or the time is over."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    with ApiClient(server.url, verify=trusting_context()) as api:  # only asks whether it lives
        while True:
            try:
                if api.probe("health/live")[0] == 200:
                    return
            except Unreachable:
                pass  # it hasn't opened its port yet
            if not still_runs():
                raise Unavailable(f"{server.name} ended as soon as it was started.", code="ended")
            if time.monotonic() > deadline:
                raise Unavailable(f"{server.name} doesn't answer after {READY_TIMEOUT_S:.0f} s.", code="silent")
            time.sleep(POLL_S / 4)


def form(everyone: Sequence[Administrator], progress: Progress) -> None:
    """Trust, Master, Slaves, example sessions. Raises HostwardError with what went wrong."""
    master, *slaves = everyone
    progress.step("Importing every server's certificate on every other")
    imported = sum(trust(one, everyone) for one in everyone)
    if imported:
        progress.done(f"{imported} certificates imported: every server trusts every other")
    for one in everyone:
        _finish_running_job(one, progress)
    _make_master(master, progress)
    for slave in slaves:
        _make_slave(slave, master, progress)
        _test_connection(master, _place(slave.server), progress)
        _list_slave(master, slave, progress)
    wait_until_up(everyone, progress)
    _import_examples(master, progress)
    _import_people(master, progress)
    _upload_package(master, progress)
    wait_until_equal(master, len(everyone), progress)


def trust(here: Administrator, everyone: Sequence[Administrator]) -> int:
    """Import the others' certificates as the guide says: copy the file, then import it by name. How many were new."""
    known = {c["fingerprint"] for c in here(lambda api: api.get(STORE))["items"]}
    new = 0
    for other in everyone:
        info = other(lambda api: api.get("server"))
        if other is here or info["fingerprint"] in known:
            continue
        file = here.server.data_dir / "certificates" / f"{other.server.name}.cer"
        file.write_text(info["certificate_pem"], encoding="ascii")
        body = {"file_name": file.name, "friendly_name": other.server.name}
        here(partial(ApiClient.post, path=STORE, body=body))
        new += 1
    return new


def apply(who: Administrator, wanted: Mapping[str, Any], progress: Progress) -> None:
    """Apply with Yes, and follow the job. Raises HostwardError if it fails."""
    answer = who(lambda api: api.put("replication", {**wanted, "confirm": True}))
    job = answer.get("job")
    job_id = job.get("id") if isinstance(job, Mapping) else job
    if job_id:
        _follow(who, str(job_id), progress)


def wait_until_up(everyone: Sequence[Administrator], progress: Progress) -> None:
    """Until each one's Database Status is Up. Raises Unavailable with its own reason if one takes too long."""
    deadline = time.monotonic() + UP_TIMEOUT_S
    for who in everyone:
        progress.step(f"Waiting for {who.server.name} to be Up")
        while (status := who.status()).get("database_status") != "Up":
            progress.note(str(status.get("reason") or status.get("database_status")))
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{who.server.name} isn't Up: {status.get('database_status')}. {status.get('reason') or ''}",
                    remedy=f"Look into {who.server.data_dir / 'logs'}; then run the demo again, it goes on from here.",
                )
            time.sleep(POLL_S)


def wait_until_equal(master: Administrator, count: int, progress: Progress) -> None:
    """Until Details shows every server, owning 100 % and in sync. Raises Unavailable if that takes too long."""
    progress.step("Comparing the servers")
    deadline = time.monotonic() + EQUAL_TIMEOUT_S
    while True:
        nodes = _items(master(lambda api: api.get("replication/nodes")))
        good = [n for n in nodes if n.get("in_sync") and round(float(n.get("owns_percent") or 0)) == 100]
        if len(good) == count == len(nodes):
            progress.done(f"All {count} servers are in sync at revision {good[0].get('revision')} and own 100 %")
            return
        if time.monotonic() > deadline:
            seen = "; ".join(
                f"{n.get('server_name')}: {n.get('status')}, owns {n.get('owns_percent')} %, in sync {n.get('in_sync')}"
                for n in nodes
            )
            raise Unavailable(
                f"The servers aren't equal after {EQUAL_TIMEOUT_S:.0f} s ({seen}).",
                remedy="Run `hostward replication nodes` to see whether they become so.",
            )
        time.sleep(POLL_S)


def token_for(who: Administrator, kept: str | None) -> str:
    """The token of an earlier run, if it is still valid there, else a new one."""
    if kept:
        who.api.use_token(kept)
        try:
            who.api.get("me")
            return kept
        except Refused as refused:
            if refused.status != 401:
                raise
        finally:
            who.api.use_token(None)
    body = {"name": f"demo-{who.server.name}", "days": TOKEN_DAYS}
    return str(who(lambda api: api.post("tokens", body))["token"])


def _make_master(master: Administrator, progress: Progress) -> None:
    now = master.status()
    if now["role"] == "master":
        return
    progress.step(f"Making {master.server.name} the Master")
    wanted = wanted_from(now, role="master") | {"adapter": master.server.address, "protocol": "https"}
    apply(master, wanted, progress)
    wait_until_up([master], progress)
    progress.done(f"{master.server.name} is the Master")


def _make_slave(slave: Administrator, master: Administrator, progress: Progress) -> None:
    now = slave.status()
    if now["role"] == "slave":
        return
    place = _place(master.server)
    _test_connection(slave, place, progress)
    progress.step(f"Making {slave.server.name} a Slave")
    wanted = wanted_from(now, role="slave") | {"adapter": slave.server.address, "protocol": "https", "master": place}
    apply(slave, wanted, progress)
    wait_until_up([slave], progress)
    progress.done(f"{slave.server.name} is a Slave, and Up")


def _list_slave(master: Administrator, slave: Administrator, progress: Progress) -> None:
    now = master.status()
    place = _place(slave.server)
    if any(same_server(place, s) for s in now.get("slaves") or []):
        return  # a Master that admits a Slave may have entered it by itself
    apply(master, with_slave(wanted_from(now), place), progress)
    wait_until_up([master], progress)
    progress.done(f"{slave.server.name} is in the Master's list of Slaves")


def _test_connection(who: Administrator, to: Mapping[str, Any], progress: Progress) -> None:
    progress.step(f"Testing the connection from {who.server.name} to {server_words(to)}")
    answer = who(lambda api: api.post("replication/test-connection", {**to, "protocol": "https"}))
    failed = [c for c in answer.get("checks") or [] if c.get("ok") is False]
    if not answer.get("ok"):
        words = "; ".join(f"{c.get('name')}: {c.get('detail')}" for c in failed)
        raise HostwardError(
            f"Test Connection from {who.server.name} to {server_words(to)} failed: {words}.",
            remedy=" ".join(str(c.get("remedy") or "") for c in failed).strip(),
        )
    progress.done(f"Test Connection from {who.server.name} to {server_words(to)}: ok")


def _import_examples(master: Administrator, progress: Progress) -> None:
    if master(lambda api: api.get("sessions", {"per_page": 1}))["total"]:
        return
    progress.step("Importing example sessions")
    content = EXAMPLES.read_bytes()
    answer = master(lambda api: api.upload("sessions/import", content, "text/csv", {"format": "csv"}))
    replicated = answer.get("replicated") or {}
    progress.done(
        f"{answer['imported']} example sessions imported, on {replicated.get('have')} of {replicated.get('of')} servers"
    )


def _import_people(master: Administrator, progress: Progress) -> None:
    """Example users; those who have a role, and the first one, can log in with the demo's own password."""
    if master(lambda api: api.get("users", {"per_page": 1}))["total"]:
        return
    progress.step("Importing example users")
    content = EXAMPLE_USERS.read_bytes()
    master(lambda api: api.upload("users/import", content, "application/json", {}))
    users = master(lambda api: api.get("users", {"per_page": 500}))["items"]
    for user in users:
        if user["role"] or user["name"] == EXAMPLE_USER:
            master(partial(_set_password, user["id"], master.password))
    progress.done(f"{len(users)} example users, of the groups that the sessions name")


def _upload_package(master: Administrator, progress: Progress) -> None:
    """An example package, which all users may have."""
    if master(lambda api: api.get("packages", {"per_page": 1}))["total"]:
        return
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("README.txt", EXAMPLE_PACKAGE)
    params = {"name": "Example client", "version": "1.0", "description": "What users are given to install."}
    everyone = {"to": [{"kind": "everyone"}], "packages": ["Example client"]}
    master(lambda api: api.upload_file("packages", [made.getvalue()], params))
    master(lambda api: api.post("assignments", everyone))
    progress.done("An example package, for all users")


def _set_password(user_id: str, password: str, api: ApiClient) -> Any:
    return api.put(f"users/{user_id}/password", {"password": password})


def _finish_running_job(who: Administrator, progress: Progress) -> None:
    """A job that an interrupted demo left is brought to its end first."""
    job = who.status().get("job")
    if job and job.get("state") == "running":
        _follow(who, str(job["id"]), progress)


def _follow(who: Administrator, job_id: str, progress: Progress) -> None:
    job = who(lambda api: follow_job(api, job_id, progress))
    if job.get("state") == "failed":
        raise HostwardError(
            f"{who.server.name}: the job failed: {job.get('reason')}",
            remedy=f"Look into {who.server.data_dir / 'logs'}; then run the demo again, it goes on from here.",
            code="job-failed",
        )


def _place(server: DemoServer) -> dict[str, Any]:
    return {"host": server.address, "port": HTTPS_PORT, "context": CONTEXT}


def _items(answer: Any) -> list[dict[str, Any]]:
    return list(answer["items"] if isinstance(answer, dict) else answer)
