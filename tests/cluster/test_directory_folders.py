"""What is assigned to folders of a real OpenLDAP, on a group without a JVM: whoever is there has it, and loses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.cluster.test_directories import log_in, settings
from tests.cluster.test_people import TOLD_WITHIN_S
from tests.support.addresses import give_back, take_address
from tests.support.api import Api
from tests.support.command import hostward
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.slapd import BASE, READER, READER_SECRET, SECRET, Slapd, person, slapd, tree
from tests.support.waiting import eventually

from hostward.domain.folders import same_place

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R23")]

PEOPLE = f"ou=people,{BASE}"
SALES, IT = f"ou=Sales,{PEOPLE}", f"ou=IT\\, Oslo,{PEOPLE}"
FOLDERS = "".join(
    f"dn: {dn}\nobjectClass: organizationalUnit\nou: {name}\n\n" for dn, name in ((SALES, "Sales"), (IT, "IT, Oslo"))
)


@pytest.fixture(scope="module")
def ldap(light: LightGroup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    address = take_address()
    for server in light.servers:
        server.api.send("PUT", "credentials/ldap-reader", json={"user": READER, "secret": READER_SECRET})
    people = "".join(person(name).replace(PEOPLE, SALES, 1) for name in ("rosa", "sven", "tora"))
    with slapd(tmp_path_factory.mktemp("slapd"), address, tree(FOLDERS, people)) as found:
        light.master.api.put("directories/Places", settings(found, group_base="", first_login=True))
        for name in ("folder sales", "folder it"):
            light.master.api.post("sessions", {"name": name, "type": "VT", "host": "a.example.com"})
        light.wait_equal(TOLD_WITHIN_S)
        yield found
    light.master.api.post("users/delete", {"matching": {"directory": "Places"}, "confirm": True})
    light.master.api.delete("directories/Places")
    light.wait_equal(TOLD_WITHIN_S)
    give_back(address)


def move(ldap: Slapd, name: str, before: str, after: str) -> None:
    ldap.apply(
        f"dn: uid={name},{before}\nchangetype: modrdn\nnewrdn: uid={name}\ndeleteoldrdn: 0\nnewsuperior: {after}\n"
    )


def usable(server: Server, name: str) -> list[str]:
    """What they may use, by a login of their own."""
    with closing(Api(server.api.url, server.certificate_file, name, SECRET)) as own:
        return [s["name"] for s in own.get("me/sessions", q="folder")["items"]]


def test_who_logs_in_first_or_is_taken_over_has_what_is_assigned_to_the_folder_and_moves_are_followed(
    light: LightGroup, ldap: Slapd, tmp_path: Path
) -> None:
    def run(*arguments: str) -> str:
        done = hostward(*arguments, on=light.master, home=tmp_path)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    run("access", "allow", "folder sales", "--folder", f"Places: {SALES}")
    run("access", "allow", "folder it", "--folder", f"Places: {IT}")
    slave = light.slaves[0]
    light.wait_equal(TOLD_WITHIN_S)
    assert usable(slave, "rosa") == ["folder sales"], "at her first login"
    assert f"Places: {SALES}".lower() in run("access", "folders").lower()
    light.master.api.post("directories/Places/sync")
    assert usable(light.master, "sven") == ["folder sales"]
    for name in ("rosa", "sven"):
        move(ldap, name, SALES, IT)
    light.master.api.post("directories/Places/sync")
    light.wait_equal(TOLD_WITHIN_S)
    for server in light.servers:
        assert [usable(server, name) for name in ("rosa", "sven")] == [["folder it"], ["folder it"]]
    assert "folder places: " in run("access", "why", "rosa", "folder it").lower()
    assert "folder it" in run("report", "who-may", "--folder", f"Places: {IT}")


@pytest.mark.parametrize("place", [0, 1], ids=["master", "slave"])
def test_a_move_is_followed_at_the_next_login_also_on_a_slave_and_where_nobody_new_is_let_in(
    light: LightGroup, ldap: Slapd, place: int
) -> None:
    light.master.api.put("directories/Places", settings(ldap, group_base="", first_login=True))
    light.wait_equal(TOLD_WITHIN_S)
    server = light.servers[place]
    assert log_in(server, "tora").status_code == 200
    light.master.api.put("directories/Places", settings(ldap, group_base="", first_login=False))
    light.wait_equal(TOLD_WITHIN_S)
    user = next(u for u in light.master.api.get("users", q="tora")["items"])
    before = user["dn"].partition(",")[2]
    after = IT if before == SALES else SALES
    move(ldap, "tora", before, after)
    assert log_in(server, "tora").status_code == 200

    def noted() -> bool:
        return same_place(light.master.api.get(f"users/{user['id']}")["dn"], f"uid=tora,{after}")

    eventually(noted, within_s=TOLD_WITHIN_S)
    entry = light.master.api.get("audit", act="user-moved")["items"][0]
    assert (entry["user"], entry["about"]["directory"]) == ("tora", "Places")


def test_somebody_who_has_moved_gets_in_also_while_the_master_is_away(light: LightGroup, ldap: Slapd) -> None:
    assert log_in(light.slaves[0], "tora").status_code == 200
    user = next(u for u in light.master.api.get("users", q="tora")["items"])
    before = user["dn"].partition(",")[2]
    light.wait_equal(TOLD_WITHIN_S)
    light.master.stop()
    try:
        move(ldap, "tora", before, IT if before == SALES else SALES)
        assert log_in(light.slaves[0], "tora").status_code == 200
    finally:
        light.master.start()
        light.wait_writable()
