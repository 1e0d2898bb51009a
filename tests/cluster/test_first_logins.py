"""Who is new in a directory gets in at the first login, on every server of a group without a JVM; a real OpenLDAP."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import pytest
from tests.cluster.test_directories import settings
from tests.cluster.test_people import TOLD_WITHIN_S
from tests.support.addresses import give_back, take_address
from tests.support.light import LightGroup
from tests.support.peer import Peer
from tests.support.server import Server
from tests.support.slapd import BASE, READER, READER_SECRET, SECRET, Slapd, group, person, slapd, tree
from tests.support.waiting import eventually

from hostward.replication.peers.messages import Message
from hostward.trust.identity import load_or_create

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R23")]

NEW = ("gina", "hugo", "ines", "jonas", "karin", "lars", "mona", "nils")
THERE = "127.0.78.1"
PLACES = count(1)
OWN = "a word of the group"
PIA = "pia@example.com"


@pytest.fixture(scope="module")
def ldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    address = take_address()
    names = tree(
        *(person(name) for name in (*NEW, "local", "elsewhere", "admin")),
        person("weird name"),
        person("pia").replace("sn:", f"mail: {PIA}\nsn:"),
        group("Oslo", "gina", "hugo"),
        group("Nordics", "cn=Oslo"),
        group("bad;name", "gina"),
    )
    with slapd(tmp_path_factory.mktemp("slapd"), address, names) as found:
        yield found
    give_back(address)


@pytest.fixture(scope="module", autouse=True)
def directory(light: LightGroup, ldap: Slapd) -> str:
    for server in light.servers:
        server.api.send("PUT", "credentials/ldap-reader", json={"user": READER, "secret": READER_SECRET})
    set_up(light, ldap)
    return "Example"


def set_up(light: LightGroup, ldap: Slapd, **changed: Any) -> None:
    light.master.api.put("directories/Example", settings(ldap, first_login=True) | changed)
    light.wait_equal(TOLD_WITHIN_S)


def log_in(server: Server, name: str, password: str = SECRET, address: str = "") -> httpx.Response:
    """From an address of its own, unless one is given: so no guess makes another test wait."""
    transport = httpx.HTTPTransport(verify=False, local_address=address or f"127.0.77.{next(PLACES)}")
    with httpx.Client(transport=transport, timeout=30) as client:
        return client.post(f"{server.api.url}/api/v1/login", json={"user": name, "password": password})


def users_named(server: Server, name: str) -> list[dict[str, Any]]:
    return [u for u in server.api.get("users", q=name, per_page=500)["items"] if u["name"] == name]


def my_role(server: Server, token: str) -> Any:
    with httpx.Client(verify=False, trust_env=False, timeout=30) as client:
        return client.get(f"{server.api.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}).json()["role"]


@pytest.mark.parametrize(("place", "name"), [(0, "gina"), (1, "hugo")], ids=["master", "slave"])
def test_who_is_new_gets_in_at_once_with_the_directorys_groups_and_no_role(
    light: LightGroup, place: int, name: str
) -> None:
    server = light.servers[place]
    assert not users_named(light.master, name)
    answer = log_in(server, name.upper())
    assert answer.status_code == 200, answer.text
    assert my_role(server, answer.json()["token"]) == ""
    light.wait_equal(TOLD_WITHIN_S)
    for other in light.servers:
        (user,) = users_named(other, name)
        assert (user["directory"], user["groups"], user["role"]) == ("Example", ["Oslo"], "")
        assert log_in(other, name).status_code == 200
    (made,) = light.master.api.get("audit", act="user-taken-over", user=name)["items"]
    assert made["about"]["directory"] == "Example"
    assert made["about"].get("on", "") == ("" if place == 0 else server.name)
    first = light.master.api.get("audit", act="logged-in", user=name)["items"]
    assert first[-1]["outcome"] == "done"


@pytest.mark.feature("A10")
def test_nobody_is_made_without_the_right_password(light: LightGroup, ldap: Slapd) -> None:
    before = light.master.api.status()["revision"]
    for server in light.servers:
        for name, password in (
            ("ines", "wrong"), ("nobody", SECRET), ("weird name", SECRET), ("*", SECRET), ("i*s", SECRET),
            ("ines)(uid=*", SECRET),
        ):  # fmt: skip
            assert log_in(server, name, password).status_code == 401, name
        assert log_in(server, "ines", "").status_code in (401, 422)
    assert light.master.api.status()["revision"] == before
    told = light.slaves[0].api.get("audit", act="logged-in", outcome="refused", user="ines")["items"]
    assert not told, "a name that nobody has may be a password, and isn't written down"


def test_many_first_logins_at_once_make_one_user(light: LightGroup) -> None:
    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(lambda n: log_in(light.servers[n % 3], "ines").status_code, range(9)))
    assert set(answers) == {200}, answers
    light.wait_equal(TOLD_WITHIN_S)
    assert len(users_named(light.slaves[0], "ines")) == 1


def test_a_name_that_is_somebodys_already_is_never_taken_over(light: LightGroup, ldap: Slapd) -> None:
    api = light.master.api
    api.post("users", {"name": "local", "password": OWN, "role": "auditor"})
    api.put("directories/Other", settings(ldap, user_base=f"ou=groups,{BASE}"))
    api.post("users", {"name": "elsewhere", "directory": "Other"})
    light.wait_equal(TOLD_WITHIN_S)
    for server in light.servers:
        for name in ("local", "elsewhere", "admin"):
            assert log_in(server, name).status_code == 401, name
        assert log_in(server, "local", OWN).status_code == 200
    assert users_named(light.master, "local")[0]["directory"] == ""
    assert users_named(light.master, "elsewhere")[0]["directory"] == "Other"
    assert not users_named(light.master, "admin")
    # Also where a Slave doesn't know of that user, and asks.
    answer = from_a_slave(light, "local", SECRET)
    assert (answer.act, answer.data.get("code")) == ("error", "name-taken")
    assert from_a_slave(light, "admin", SECRET).data.get("code") == "name-taken"


def test_whom_a_directory_names_otherwise_than_they_log_in_logs_in_and_becomes_no_second_user(
    light: LightGroup, ldap: Slapd
) -> None:
    api = light.master.api
    api.put("directories/Mail", settings(ldap, first_login=True, user_filter="(mail={user})"))
    made = api.post("users", {"name": PIA, "directory": "Mail"})
    light.wait_equal(TOLD_WITHIN_S)
    before = api.status()["revision"]
    for server in (*light.slaves, light.master):
        assert log_in(server, PIA).status_code == 200
    # A Master that is asked refuses it, and counts that as a wrong password of that Slave's.
    refused = api.get("audit", act="user-moved", outcome="refused")["items"]
    assert not [e for e in refused if e["about"].get("code") == "user-name"]
    assert api.status()["revision"] == before
    api.delete(f"users/{made['user']['id']}")
    api.delete("directories/Mail")


@pytest.mark.feature("A5")
def test_the_master_asks_the_directory_itself_whatever_a_slave_says(light: LightGroup) -> None:
    answer = from_a_slave(light, "jonas", "wrong")
    assert (answer.act, answer.data.get("code")) == ("error", "wrong-password")
    assert not users_named(light.master, "jonas")
    for _ in range(20):
        answer = from_a_slave(light, "jonas", "wrong again")
    assert answer.data.get("code") == "too-many-attempts"


def from_a_slave(light: LightGroup, name: str, password: str) -> Message:
    """What the Master answers to a Slave that says so."""
    slave = light.slaves[1]
    identity = load_or_create(slave.data_dir, slave.host, [slave.address], datetime.now(UTC))
    peer = Peer(identity, group=str(light.master.api.status()["group"]))
    data = {"directory": "Example", "user": name, "password": password}
    return peer.ask(light.master, Message("directory-user", data))


def test_while_the_master_is_away_the_first_login_says_so(light: LightGroup) -> None:
    slave = light.slaves[0]
    light.master.stop()
    try:
        eventually(lambda: log_in(slave, "karin").json()["code"] == "master-away", within_s=TOLD_WITHIN_S)
        answer = log_in(slave, "karin")
        assert answer.status_code == 503
        assert "first time" in answer.json()["detail"]
        with httpx.Client(verify=False, trust_env=False, timeout=30) as client:
            form = {"user": "karin", "password": SECRET}
            page = client.post(f"{slave.api.url}/login", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        assert page.status_code == 503
        assert "the Master, which makes new users" in page.text
        assert log_in(slave, "karin", "wrong").status_code == 401
        assert log_in(slave, "gina").status_code == 200, "who was there before needs no Master"
    finally:
        light.master.start()
        light.wait_writable()
    eventually(lambda: log_in(slave, "karin").status_code == 200, within_s=TOLD_WITHIN_S)


def test_a_directory_may_be_set_to_let_nobody_in_for_the_first_time(light: LightGroup, ldap: Slapd) -> None:
    set_up(light, ldap, first_login=False)
    for server in light.servers:
        assert log_in(server, "lars").status_code == 401
    assert from_a_slave(light, "lars", SECRET).act == "error"
    set_up(light, ldap)
    assert log_in(light.slaves[0], "lars").status_code == 200


def test_one_directory_that_is_down_hides_no_other_and_makes_no_guess_free(light: LightGroup, ldap: Slapd) -> None:
    light.master.api.put("directories/Another", settings(ldap, first_login=True, servers=["127.0.0.1:1"]))
    light.wait_equal(TOLD_WITHIN_S)
    try:
        assert log_in(light.slaves[1], "mona").status_code == 200
        answer = log_in(light.slaves[1], "nils", "wrong", THERE)
        assert (answer.status_code, "Another" in answer.text) == (401, False)
        light.master.api.put("directories/Example", settings(ldap, first_login=True, servers=["127.0.0.1:1"]))
        light.wait_equal(TOLD_WITHIN_S)
        assert log_in(light.slaves[1], "nils", SECRET, THERE).status_code == 401
    finally:
        light.master.api.delete("directories/Another")
        set_up(light, ldap)
    # Also what nobody could look at was counted: it may have been any name.
    answers = [log_in(light.slaves[1], "nils", "wrong", THERE).status_code for _ in range(9)]
    assert answers == [401] * 8 + [429]
    assert not users_named(light.master, "nils")
