"""Users whose passwords a real OpenLDAP checks, on every server of a group without a JVM."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cluster.test_people import TOLD_WITHIN_S
from tests.support.addresses import give_back, take_address
from tests.support.api import Refused
from tests.support.command import hostward
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.slapd import BASE, READER, READER_SECRET, SECRET, Slapd, group, person, slapd, tree
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R23")]

NAMES = tree(
    person("anna", "Anna Berg"),
    person("bert"),
    person("carl"),
    person("dora"),
    person("weird name", "Not a user's name"),
    group("Oslo", "anna"),
    group("Nordics", "cn=Oslo", "bert"),
    group("Round", "cn=Nordics", "cn=Circle"),
    group("Circle", "cn=Round"),
)


@pytest.fixture(scope="module")
def ldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    address = take_address()
    with slapd(tmp_path_factory.mktemp("slapd"), address, NAMES) as found:
        yield found
    give_back(address)


@pytest.fixture(scope="module")
def directory(light: LightGroup, ldap: Slapd) -> str:
    """Its name: set up on the Master; the secret to search with is each server's own."""
    for server in light.servers:
        server.api.send("PUT", "credentials/ldap-reader", json={"user": READER, "secret": READER_SECRET})
    light.master.api.put("directories/Example", settings(ldap))
    light.wait_equal(TOLD_WITHIN_S)
    return "Example"


def settings(ldap: Slapd, **changed: Any) -> dict[str, Any]:
    return {
        "servers": [ldap.ldaps], "certificates": ldap.certificate, "credential": "ldap-reader",
        "user_base": f"ou=people,{BASE}",
        "group_base": f"ou=groups,{BASE}", "timeout_s": 2, "first_login": False, **changed,
    }  # fmt: skip


def log_in(server: Server, user: str, password: str = SECRET) -> httpx.Response:
    with httpx.Client(verify=False, trust_env=False, timeout=30) as client:
        return client.post(f"{server.api.url}/api/v1/login", json={"user": user, "password": password})


def me(server: Server, token: str) -> int:
    with httpx.Client(verify=False, trust_env=False, timeout=30) as client:
        return client.get(f"{server.api.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code


def tried(server: Server, name: str, user: str, password: str | None = SECRET) -> dict[str, Any]:
    body = {"user": user} | ({"password": password} if password is not None else {})
    found: dict[str, Any] = server.api.post(f"directories/{name}/test", body)
    return found


def test_a_test_login_explains_each_step(light: LightGroup, directory: str, ldap: Slapd) -> None:
    found = tried(light.slaves[0], directory, "anna")
    assert found["ok"], found
    assert [s["name"] for s in found["steps"]] == ["credential", "connection", "bind", "user", "groups", "password"]
    assert found["user"]["dn"] == f"uid=anna,ou=people,{BASE}"
    assert found["user"]["full_name"] == "Anna Berg"
    assert found["user"]["groups"] == ["Circle", "Nordics", "Oslo", "Round"], "also by way of others, in a circle too"
    said = json.dumps(found)
    assert "directory of the tests" in said, "whose certificate it is"
    for secret in (SECRET, READER_SECRET):
        assert secret not in said
    wrong = tried(light.slaves[0], directory, "anna", "not hers")
    assert (wrong["ok"], wrong["steps"][-1]["name"]) == (False, "password")
    nobody = tried(light.slaves[0], directory, "nobody")
    assert (nobody["ok"], nobody["steps"][-1]["name"], nobody["user"]) == (False, "user", None)
    for injected in ("*", "*)(uid=*", "anna)(cn=*", "an*a", "anna\0", "\\61nna"):
        assert not tried(light.slaves[0], directory, injected)["ok"], injected


def test_a_user_logs_in_everywhere_by_the_directory_also_while_the_master_is_away(
    light: LightGroup, directory: str
) -> None:
    light.master.api.post("user-groups", {"name": "Claims"})
    light.master.api.post("users", {"name": "carl", "directory": directory, "groups": ["Claims"], "role": "auditor"})
    light.wait_equal(TOLD_WITHIN_S)
    for server in light.servers:
        answer = log_in(server, "CARL")
        assert answer.status_code == 200, answer.text
        assert log_in(server, "carl", "").status_code in (401, 422), "a directory lets anybody in without a password"
        assert log_in(server, "carl", "wrong").status_code == 401
    light.master.stop()
    try:
        for server in light.slaves:
            assert log_in(server, "carl").status_code == 200
    finally:
        light.master.start()
        light.wait_writable()
    user = next(u for u in light.master.api.get("users", q="carl")["items"] if u["name"] == "carl")
    with pytest.raises(Refused) as refused:
        light.master.api.put(f"users/{user['id']}/password", {"password": "one of the group's own"})
    assert refused.value.code == "password-of-directory"
    light.master.api.patch(f"users/{user['id']}", {"disabled": True})
    light.wait_equal(TOLD_WITHIN_S)
    for server in light.servers:
        assert log_in(server, "carl").status_code == 401
    with pytest.raises(Refused) as used:
        light.master.api.delete(f"directories/{directory}")
    assert used.value.code == "directory-used"
    with pytest.raises(Refused) as unknown:
        light.master.api.post("users", {"name": "erik", "directory": "Nowhere"})
    assert unknown.value.code == "directory-unknown"


def test_taking_users_over_makes_them_with_their_groups_and_changes_nothing_twice(
    light: LightGroup, directory: str, tmp_path: Path
) -> None:
    master = light.master.api
    looked = master.post(f"directories/{directory}/sync?dry_run=true")
    assert looked["created"] >= 3
    done = master.post(f"directories/{directory}/sync")
    assert done["created"] == looked["created"]
    light.wait_equal(TOLD_WITHIN_S)
    anna = next(u for u in light.slaves[1].api.get("users", q="anna")["items"] if u["name"] == "anna")
    assert (anna["full_name"], anna["groups"], anna["directory"]) == ("Anna Berg", ["Oslo"], directory)
    again = master.post(f"directories/{directory}/sync")
    assert (again["created"], again["changed"]) == (0, 0)
    assert again["unchanged"] >= 4
    assert not [u for u in master.get("users", per_page=500)["items"] if "weird" in u["name"]]
    assert log_in(light.slaves[1], "anna").status_code == 200


def test_who_is_gone_from_the_directory_is_out(light: LightGroup, directory: str, ldap: Slapd) -> None:
    if not light.master.api.get("users", q="dora")["items"]:  # else an earlier test has taken her over
        light.master.api.post("users", {"name": "dora", "directory": directory})
    light.wait_equal(TOLD_WITHIN_S)
    assert log_in(light.slaves[0], "dora").status_code == 200
    ldap.apply(f"dn: uid=dora,ou=people,{BASE}\nchangetype: delete\n")
    assert log_in(light.slaves[0], "dora").status_code == 401
    # What an open login says was asked a moment ago; a server that has just started asks anew.
    token = log_in(light.slaves[0], "anna").json()["token"]
    ldap.apply(f"dn: uid=anna,ou=people,{BASE}\nchangetype: delete\n")
    light.slaves[0].restart()
    light.wait_equal(TOLD_WITHIN_S)
    eventually(lambda: me(light.slaves[0], token) == 401, within_s=TOLD_WITHIN_S)
    ldap.apply(person("anna", "Anna Berg").replace("objectClass", "changetype: add\nobjectClass", 1))
    assert log_in(light.slaves[0], "anna").status_code == 200


def test_an_untrusted_certificate_is_refused_before_any_secret_is_sent(
    light: LightGroup, ldap: Slapd, directory: str, tmp_path: Path
) -> None:
    slave, address = light.slaves[0], take_address()
    with slapd(tmp_path / "other", address, NAMES) as other:
        for security, server in (("ldaps", other.ldaps), ("starttls", other.ldap)):
            wanted = settings(other, servers=[server], security=security)
            for certificates in (ldap.certificate, ""):  # another server's; the system's authorities
                light.master.api.put("directories/Other", {**wanted, "certificates": certificates})
                light.wait_equal(TOLD_WITHIN_S)
                found = tried(slave, "Other", "anna")
                assert not found["ok"]
                assert found["steps"][0]["name"] == "credential"
                assert "isn't trusted" in found["steps"][-1]["said"]
            light.master.api.put("directories/Other", wanted)
            light.wait_equal(TOLD_WITHIN_S)
            assert tried(slave, "Other", "anna")["ok"], security
    give_back(address)
    light.master.api.delete("directories/Other")


def test_the_next_server_is_asked_where_the_first_is_down_silent_or_no_directory(
    light: LightGroup, directory: str, ldap: Slapd
) -> None:
    address = take_address()
    with silent(address) as port:
        for first in (f"{address}:1", f"{address}:{port}", f"{light.master.address}:8443"):
            light.master.api.put("directories/Second", settings(ldap, servers=[first, ldap.ldaps], timeout_s=1))
            found = tried(light.master, "Second", "bert")
            assert found["ok"], (first, found)
            assert not found["steps"][1]["ok"], "the step that failed is told too"
        light.master.api.put("directories/Second", settings(ldap, servers=[f"{address}:{port}"], timeout_s=1))
        assert "isn't reached" in tried(light.master, "Second", "bert")["steps"][-1]["said"]
    give_back(address)
    light.master.api.delete("directories/Second")


def test_what_cannot_be_a_directory_is_refused_by_its_field(light: LightGroup, ldap: Slapd, directory: str) -> None:
    for field, value in (
        ("servers", []), ("servers", ["ldap://x y"]), ("user_filter", "uid={user}"), ("user_filter", "(uid=anna)"),
        ("user_filter", "(uid={user}"), ("timeout_s", 0), ("certificates", "nonsense"),
        ("name_attribute", "uid)("), ("user_base", ""),
    ):  # fmt: skip
        with pytest.raises(Refused) as refused:
            light.master.api.put("directories/Wrong", settings(ldap, **{field: value}))
        assert [m["field"] for m in refused.value.problem["mistakes"]] == [field]
    with pytest.raises(Refused) as missing:
        light.master.api.get("directories/Wrong")
    assert missing.value.status == 404


@pytest.mark.feature("A11")
def test_the_credential_store_is_each_servers_own_and_shows_no_secret(
    light: LightGroup, directory: str, ldap: Slapd
) -> None:
    slave = light.slaves[1]
    shown = slave.api.get("credentials")
    assert [(c["name"], c["user"], c["used_by"]) for c in shown["items"]] == [("ldap-reader", READER, [directory])]
    with pytest.raises(Refused) as used:
        slave.api.delete("credentials/ldap-reader")
    assert used.value.code == "credential-used"
    slave.api.send("PUT", "credentials/own", json={"user": "somebody", "secret": "quite unusual words"})
    assert "own" not in json.dumps([c["name"] for c in light.master.api.get("credentials")["items"]])
    for file in (slave.data_dir / "server.db", slave.data_dir / "server.db-wal", slave.data_dir / "group.db"):
        if file.exists():
            raw = file.read_bytes()
            assert b"quite unusual words" not in raw
            assert READER_SECRET.encode() not in raw
    assert "quite unusual words" not in slave.output() + json.dumps(slave.api.get("audit"))
    slave.api.delete("credentials/own")
    light.master.api.put("directories/Lacking", settings(ldap, credential="nowhere"))
    light.wait_equal(TOLD_WITHIN_S)
    assert "no entry “nowhere”" in tried(slave, "Lacking", "bert")["steps"][-1]["said"]
    light.master.api.delete("directories/Lacking")


@pytest.mark.feature("A11")
def test_a_store_with_a_passphrase_is_closed_after_a_start_and_only_its_own_server_lacks_the_directory(
    light: LightGroup, directory: str, tmp_path: Path
) -> None:
    slave, passphrase, wrong = light.slaves[1], tmp_path / "passphrase", tmp_path / "wrong"
    passphrase.write_text("four words nobody guesses", encoding="utf-8")
    wrong.write_text("four words somebody guesses", encoding="utf-8")

    def run(*arguments: str, code: int = 0) -> str:
        done = hostward("credential", *arguments, on=slave, home=tmp_path)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    run("set-passphrase", "--passphrase-file", str(passphrase))
    assert tried(slave, directory, "bert")["ok"], "it goes on being open"
    slave.restart()
    assert "closed" in tried(slave, directory, "bert")["steps"][-1]["said"]
    assert tried(light.master, directory, "bert")["ok"]
    assert "is closed" in run("list")
    assert "isn't the Credential Store's passphrase" in run("open", "--passphrase-file", str(wrong), code=1)
    run("open", "--passphrase-file", str(passphrase))
    assert tried(slave, directory, "bert")["ok"]
    slave.restart(env={"HOSTWARD_STORE_PASSPHRASE_FILE": str(wrong)})
    assert slave.api.get("credentials")["closed"], "it runs all the same"
    slave.restart(env={"HOSTWARD_STORE_PASSPHRASE_FILE": str(passphrase)})
    assert tried(slave, directory, "bert")["ok"]
    run("remove-passphrase")
    slave.restart()
    assert tried(slave, directory, "bert")["ok"]
    assert "four words" not in slave.output() + json.dumps(slave.api.get("audit"))
    light.wait_writable()


def test_everything_about_directories_by_the_command_line(
    light: LightGroup, directory: str, ldap: Slapd, tmp_path: Path
) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        done = hostward(*arguments, on=light.master, home=tmp_path)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    secret, password = tmp_path / "secret", tmp_path / "password"
    secret.write_text(READER_SECRET, encoding="utf-8")
    password.write_text(SECRET, encoding="utf-8")
    assert "Set “reader2”" in run("credential", "set", "reader2", READER, "--secret-file", str(secret))
    assert READER in run("credential", "list")
    pem = tmp_path / "directory.pem"
    pem.write_text(ldap.certificate, encoding="ascii")
    run(
        "directory",
        "set",
        "CLI",
        "--certificates",
        str(pem),
        "--ldap-server",
        ldap.ldaps,
        "--credential",
        "reader2",
        "--user-base",
        f"ou=people,{BASE}",
    )
    assert "ldaps" in run("directory", "show", "cli")
    run("directory", "set", "CLI", "--timeout", "3")
    assert ldap.ldaps in run("directory", "list")
    assert "✓ password" in run("directory", "test", "CLI", "bert", "--password-file", str(password))
    assert "✗ user" in run("directory", "test", "CLI", "nobody", code=1)
    assert "Would be" in run("directory", "sync", "CLI", "--dry-run")
    run("user", "create", "frida", "--directory", "CLI")
    assert "no user" in run("directory", "test", "CLI", "frida", code=1)
    run("user", "edit", "frida", "--directory", "")
    run("directory", "delete", "CLI", "--yes")
    assert "Deleted" in run("credential", "delete", "reader2")


@contextmanager
def silent(address: str) -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server((address, 0)) as listening:
        yield listening.getsockname()[1]
