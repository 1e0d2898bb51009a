"""Users of a group, without a JVM: they log in on any server, and what becomes of them holds on every one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.api import Api, Refused
from tests.support.command import hostward
from tests.support.light import READY_WITHIN_S, LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually

from hostward.replication.masters.epochs import GAP_S

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R23")]

SECRET = "correct horse battery"
TOLD_WITHIN_S = 20.0


def made(light: LightGroup, name: str, **fields: Any) -> str:
    """A new user's path, once every server has it."""
    user = light.master.api.post("users", {"name": name, "password": SECRET, **fields})["user"]
    light.wait_equal(TOLD_WITHIN_S)
    return f"users/{user['id']}"


def gets_in(server: Server, name: str, password: str = SECRET) -> bool:
    """Whether that user can log in there."""
    with closing(Api(server.api.url, server.certificate_file, name, password)) as api:
        try:
            return bool(api.get("me")["user"])
        except Refused as error:
            if error.status != 401:
                raise
            return False


@contextmanager
def login(server: Server, name: str) -> Iterator[httpx.Client]:
    """One that isn't made again when it has ended."""
    base = f"{server.api.url}/api/v1/"
    with httpx.Client(base_url=base, verify=False, trust_env=False) as client:
        answer = client.post("login", json={"user": name, "password": SECRET})
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        yield client


def test_a_user_logs_in_on_every_server_and_is_out_of_all_when_disabled(light: LightGroup) -> None:
    path = made(light, "anna", role="auditor")
    with ExitStack() as stack:
        logins = [stack.enter_context(login(server, "anna")) for server in light.servers]
        for one in logins:
            assert one.get("me").json()["role"] == "auditor"
            assert one.get("audit").status_code == 200
            assert one.patch("settings", json={"change-requests": "ask"}).status_code == 403
        light.master.api.patch(path, {"disabled": True})
        for server, one in zip(light.servers, logins, strict=True):
            eventually(lambda one=one: one.get("me").status_code == 401, within_s=TOLD_WITHIN_S)  # type: ignore[misc]
            assert not gets_in(server, "anna")


def test_a_new_password_and_another_role_hold_everywhere(light: LightGroup) -> None:
    path = made(light, "bert", role="administrator")
    with login(light.slaves[0], "bert") as bert:
        assert bert.get("settings").status_code == 200
        light.master.api.patch(path, {"role": ""})
        eventually(lambda: bert.get("settings").status_code == 403, within_s=TOLD_WITHIN_S)
        assert bert.get("me").json()["role"] == ""
        light.master.api.put(f"{path}/password", {"password": "another one of his"})
        eventually(lambda: bert.get("me").status_code == 401, within_s=TOLD_WITHIN_S)
    for server in light.servers:
        assert not gets_in(server, "bert")
        assert gets_in(server, "bert", "another one of his")


@pytest.mark.feature("R11")
@pytest.mark.feature("A5")
def test_what_a_slave_asks_for_users_waits_for_an_administrator_and_shows_no_hash(light: LightGroup) -> None:
    path = made(light, "carl")
    master, slave = light.master.api, light.slaves[0].api
    master.patch("settings", {"change-requests": "automatic"})
    light.wait_equal(TOLD_WITHIN_S)
    answer = slave.send("PUT", f"{path}/password", json={"password": "asked for on a Slave"})
    assert answer.status_code == 202
    id_ = answer.json()["request"]["id"]

    def waiting() -> bool:
        found: list[dict[str, Any]] = master.get("change-requests")["items"]
        return any(r["id"] == id_ and (r["state"], r["class"]) == ("waiting", "security") for r in found)

    eventually(waiting, within_s=TOLD_WITHIN_S)
    for api in (master, slave):
        shown = json.dumps(api.get(f"change-requests/{id_}"))
        assert "password" in shown
        assert "argon2" not in shown
    assert not gets_in(light.master, "carl", "asked for on a Slave")
    master.post(f"change-requests/{id_}/implement", {})
    for server in light.servers:
        eventually(lambda s=server: gets_in(s, "carl", "asked for on a Slave"), within_s=TOLD_WITHIN_S)  # type: ignore[misc]


@pytest.mark.feature("R11")
@pytest.mark.feature("A5")
def test_a_user_changes_the_own_password_on_a_slave_by_the_present_one_alone(light: LightGroup) -> None:
    path = made(light, "heidi")
    slave, new = light.slaves[0], {"new": "another one of hers"}
    with login(slave, "heidi") as heidi, login(light.slaves[1], "heidi") as elsewhere:
        wrong = heidi.put("me/password", json={"current": "not it at all", **new})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong-password")
        done = heidi.put("me/password", json={"current": SECRET, **new})
        assert done.status_code == 200, done.text
        assert heidi.get("me").status_code == 200, "this login goes on"
        eventually(lambda: elsewhere.get("me").status_code == 401, within_s=TOLD_WITHIN_S)
    for server in light.servers:
        assert gets_in(server, "heidi", new["new"])
        assert not gets_in(server, "heidi")
    assert not any("heidi" in r["summary"] for r in light.master.api.get("change-requests")["items"])
    entries = light.master.api.get("audit", act="password-changed", user="heidi")["items"]
    assert any(e["outcome"] == "done" and e["about"].get("on") == slave.name for e in entries), entries
    light.master.api.delete(path)


@pytest.mark.feature("R11")
def test_favourites_set_on_any_server_are_the_same_on_all_and_ask_for_no_change_request(
    light: LightGroup,
) -> None:
    path = made(light, "stella")
    for name in ("Star one", "Star two"):
        light.master.api.post("sessions", {"name": name, "type": "VT", "host": "a.example.com"})
    to = [{"kind": "user", "name": "stella"}]
    light.master.api.post("assignments", {"to": to, "sessions": ["Star one", "Star two"]})
    light.wait_equal(TOLD_WITHIN_S)
    with ExitStack() as stack:
        slave, other, master = (stack.enter_context(login(s, "stella")) for s in (*light.slaves, light.master))
        for client, name in ((slave, "Star one"), (master, "Star two")):
            done = client.patch("me/favourites", json={"add": [name]})
            assert done.status_code == 200, done.text
            assert name in [s["name"] for s in done.json()["items"]], "whoever has an answer finds it there"
        eventually(lambda: len(other.get("me/favourites").json()["items"]) == 2, within_s=TOLD_WITHIN_S)
        done = other.patch("me/favourites", json={"remove": ["Star one"]})
        assert [s["name"] for s in done.json()["items"]] == ["Star two"]
    assert not any("favourite" in r["summary"] for r in light.master.api.get("change-requests")["items"])
    light.master.api.delete(path)
    light.wait_equal(TOLD_WITHIN_S)


def test_favourites_by_the_command_line(light: LightGroup, tmp_path: Path) -> None:
    light.master.api.post("sessions", {"name": "Starred", "type": "VT", "host": "a.example.com"})

    def run(*arguments: str, code: int = 0) -> str:
        done = hostward("my", *arguments, on=light.master, home=tmp_path)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    assert "Starred" in run("favourites", "--add", "starred")
    assert "Starred" in run("sessions", "--favourites")
    assert "“No such”" in run("favourites", "--add", "No such", code=1)
    assert "Starred" not in run("favourites", "--remove", "Starred")


@pytest.mark.feature("A10")
def test_logging_out_everywhere_on_a_slave_ends_the_logins_on_every_server(light: LightGroup) -> None:
    made(light, "ivan")
    with ExitStack() as stack:
        logins = [stack.enter_context(login(server, "ivan")) for server in light.servers]
        assert logins[1].delete("me/logins").status_code == 200
        for one in logins:
            eventually(lambda one=one: one.get("me").status_code == 401, within_s=TOLD_WITHIN_S)  # type: ignore[misc]
    assert gets_in(light.slaves[0], "ivan")
    assert not any("ivan" in r["summary"] for r in light.master.api.get("change-requests")["items"])


def test_everything_about_users_by_the_command_line(light: LightGroup, tmp_path: Path) -> None:
    master = light.master

    def run(*arguments: str, code: int = 0) -> str:
        done = hostward(*arguments, on=master, home=tmp_path)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    secret = tmp_path / "secret"
    secret.write_text("a password from a file\n")
    run("user-group", "create", "Nordics")
    run("user-group", "create", "Oslo IT", "--group", "Nordics", "--comment", "3rd floor")
    run("user", "create", "dora", "--full-name", "Dora Dal", "--group", "oslo it", "--password-file", str(secret))
    assert gets_in(master, "dora", "a password from a file")
    shown = run("user", "show", "DORA")
    assert "Dora Dal" in shown
    assert "Nordics" in shown
    run("user", "edit", "dora", "--role", "help desk", "--disable")
    assert not gets_in(master, "dora", "a password from a file")
    run("user", "edit", "dora", "--enable", "--group", "")
    run("user-group", "members", "Oslo IT", "--add", "dora")
    assert "dora" in run("user", "list", "--in", "Oslo IT")
    run("user", "password", "dora", "--password-file", str(secret))
    run("user", "logout", "dora")
    wrong = run("user", "edit", "dora", "--role", "king", code=1)
    assert "administrator" in wrong
    assert "`hostward user list`" in run("user", "show", "nobody", code=1)
    users = tmp_path / "users.json"
    users.write_text(json.dumps([{"login": f"i{n}", "name": f"I {n}", "groups": ["Oslo IT", "New"]} for n in range(9)]))
    assert "9 new" in run("user", "import", str(users), "--dry-run")
    assert "9 new" in run("user", "import", str(users))
    assert "10" in run("user-group", "show", "Oslo IT")
    exported = tmp_path / "exported.json"
    run("user", "export", str(exported))
    assert {"i0", "i8", "dora"} <= {row["login"] for row in json.loads(exported.read_text())}
    run("user-group", "edit", "New", "--name", "Newer")
    run("user-group", "delete", "Newer", "--yes")
    run("user", "delete", "dora", "--yes")
    assert "i3" in run("user", "list", "i3")
    assert not gets_in(master, "dora", "a password from a file")


def test_what_is_assigned_on_the_master_is_opened_on_any_server_also_while_the_master_is_down(
    light: LightGroup, tmp_path: Path
) -> None:
    made(light, "emil", groups=[])

    def run(*arguments: str, code: int = 0) -> str:
        done = hostward(*arguments, on=light.master, home=tmp_path)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    for name in ("Payroll", "Ledger", "Claims"):
        light.master.api.post("sessions", {"name": name, "type": "IBM 3270", "host": "tso1.example.com"})
    run("user-group", "create", "Finance")
    run("user-group", "members", "Finance", "--add", "emil")
    run("access", "allow", "Payroll", "Ledger", "--group", "finance", "--until", "2099-12-31")
    run("access", "deny", "ledger", "--user", "emil")
    assert "may not use" in run("access", "why", "emil", "Ledger")
    assert "deny" in run("access", "list", "--user", "emil")
    light.wait_equal(TOLD_WITHIN_S)
    for server in light.servers:
        with login(server, "emil") as emil:
            assert [s["name"] for s in emil.get("me/sessions").json()["items"]] == ["Payroll"]
    light.master.kill()
    try:
        for server in light.slaves:
            with login(server, "emil") as emil:
                (one,) = emil.get("me/sessions").json()["items"]
                file = emil.get(f"me/sessions/{one['id']}/launch")
                assert "x3270.hostname" in file.text
                assert "tso1.example.com" in file.text
    finally:
        light.master.start()
        light.wait_writable()
    assert "Payroll" in run("access", "list", "--group", "Finance")
    assert "Payroll" in run("access", "of", "emil")


@pytest.mark.feature("F16")
@pytest.mark.parametrize("how", ["restarted", "halted"])
def test_a_slave_that_was_away_lets_no_user_in_before_it_knows_what_became_of_them(light: LightGroup, how: str) -> None:
    name = f"frida-{how}"
    path = made(light, name)
    slave = light.slaves[0]
    with login(slave, name) as frida:
        assert frida.get("me").status_code == 200
        slave.kill() if how == "restarted" else slave.sigstop()
        try:
            light.master.api.patch(path, {"disabled": True})
            if how == "halted":
                began = time.monotonic()  # longer than a pause that doesn't matter
                eventually(lambda: time.monotonic() - began > GAP_S + 2, within_s=READY_WITHIN_S)
        finally:
            slave.start(wait=False) if how == "restarted" else slave.sigcont()
        seen: list[int] = []

        def out() -> bool:
            try:
                seen.append(frida.get("me", timeout=30).status_code)
            except httpx.TransportError:
                return False
            return seen[-1] == 401

        eventually(out, within_s=READY_WITHIN_S)
        assert 200 not in seen, seen
        assert not gets_in(slave, name)


@pytest.mark.feature("F16")
def test_alone_a_slave_lets_users_in_for_as_long_as_the_setting_says(light: LightGroup) -> None:
    made(light, "gerd")
    slave, others = light.slaves[1], [light.master, light.slaves[0]]
    assert gets_in(slave, "gerd")
    for server in others:
        server.kill()
    try:
        slave.restart()
        assert gets_in(slave, "gerd"), "it was the same as the others a moment ago"
    finally:
        for server in others:
            server.start(wait=False)
        light.wait_writable()
    light.master.api.patch("settings", {"logins-without-confirmation": 0})
    light.wait_equal(TOLD_WITHIN_S)
    for server in others:
        server.kill()
    try:
        slave.restart()
        with pytest.raises(Refused) as refused:
            gets_in(slave, "gerd")
        assert refused.value.code == "not-confirmed"
        assert slave.api.get("me")["user"] == "admin"
    finally:
        for server in others:
            server.start(wait=False)
        light.wait_writable()
    eventually(lambda: gets_in(slave, "gerd"), within_s=READY_WITHIN_S)
    light.master.api.patch("settings", {"logins-without-confirmation": None})


@pytest.mark.feature("A5")
def test_a_password_asked_for_on_a_slave_names_its_user_and_is_refused_once_the_user_has_a_role(
    light: LightGroup,
) -> None:
    path = made(light, "victim")
    made(light, "helper", role="help desk")
    master, slave = light.master.api, light.slaves[0]
    with login(slave, "helper") as helper:
        asked = helper.put(f"{path}/password", json={"password": "the helper's own choice"})
        assert asked.status_code == 202, asked.text
        id_ = asked.json()["request"]["id"]
    eventually(lambda: master.get(f"change-requests/{id_}")["state"] == "waiting", within_s=TOLD_WITHIN_S)
    assert master.get(f"change-requests/{id_}")["summary"] == "Set the password of “victim”"
    master.patch(path, {"role": "administrator"})
    shown = master.get(f"change-requests/{id_}")
    assert shown["changes"][0]["label"] == "password of “victim” (administrator)"
    with pytest.raises(Refused) as refused:
        master.post(f"change-requests/{id_}/implement")
    assert refused.value.status == 409
    assert not gets_in(light.master, "victim", "the helper's own choice")
