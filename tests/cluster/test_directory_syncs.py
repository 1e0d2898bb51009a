"""Taking over whom a real OpenLDAP has, and doesn't have any more; on a group without a JVM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.test_directories import settings
from tests.cluster.test_people import TOLD_WITHIN_S
from tests.support.addresses import give_back, take_address
from tests.support.api import Refused
from tests.support.command import hostward
from tests.support.light import LightGroup
from tests.support.slapd import BASE, READER, READER_SECRET, Slapd, group, person, slapd, tree

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R23")]

STAFF = [f"staff{n}" for n in range(12)]
NAMES = tree(*map(person, STAFF), group("Staff", *STAFF))
SYNC = "directories/Staff/sync"


@pytest.fixture
def ldap(light: LightGroup, tmp_path: Path) -> Iterator[Slapd]:
    """All of the staff have been taken over from it."""
    address = take_address()
    for server in light.servers:
        server.api.send("PUT", "credentials/ldap-reader", json={"user": READER, "secret": READER_SECRET})
    with slapd(tmp_path / "slapd", address, NAMES) as found:
        set_up(light, found)
        light.master.api.post(SYNC)
        yield found
    users = [u["id"] for u in staff(light).values()]
    light.master.api.post("users/delete", {"ids": users, "confirm": True})
    light.master.api.delete("directories/Staff")
    light.wait_equal(TOLD_WITHIN_S)
    give_back(address)


def set_up(light: LightGroup, ldap: Slapd, **changed: Any) -> None:
    light.master.api.put("directories/Staff", settings(ldap) | changed)
    light.wait_equal(TOLD_WITHIN_S)


def staff(light: LightGroup) -> dict[str, dict[str, Any]]:
    users = light.master.api.get("users", directory="Staff", per_page=500)["items"]
    return {u["name"]: u for u in users}


def remove(ldap: Slapd, *names: str) -> None:
    ldap.apply("".join(f"dn: uid={name},ou=people,{BASE}\nchangetype: delete\n\n" for name in names))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"user_base": f"ou=nowhere,{BASE}"}, f"There is no ou=nowhere,{BASE}, or it may not be read."),
        ({"credential": ""}, "It refuses: insufficientAccessRights"),
        ({"user_base": f"ou=groups,{BASE}"}, "nothing fits (uid=*)"),
        ({"user_filter": "(mail={user})"}, "nothing fits (mail=*)"),
        ({"name_attribute": "employeeNumber"}, "12 entries fit (uid=*), but none shows employeeNumber"),
        ({"group_base": f"ou=nowhere,{BASE}"}, f"There is no ou=nowhere,{BASE}, or it may not be read."),
        ({"group_base": f"ou=people,{BASE}"}, "It shows no group"),
    ],
    ids=["no-base", "unreadable", "empty", "filter", "attribute", "no-group-base", "no-groups"],
)
def test_a_directory_that_shows_nobody_is_an_error_and_changes_nobody(
    light: LightGroup, ldap: Slapd, changed: dict[str, Any], said: str
) -> None:
    before = staff(light)
    assert len(before) == len(STAFF)
    set_up(light, ldap, **changed)
    for path in (f"{SYNC}?dry_run=true", SYNC):
        with pytest.raises(Refused) as refused:
            light.master.api.post(path, {"confirm": True})
        assert refused.value.status == 503
        assert said in refused.value.problem["detail"]
        assert "Correct the" in refused.value.problem["remedy"]
    assert staff(light) == before


def test_a_directory_that_gives_only_some_is_an_error_and_changes_nobody(
    light: LightGroup, ldap: Slapd, tmp_path: Path
) -> None:
    before, address = staff(light), take_address()
    with slapd(tmp_path / "limited", address, NAMES, "limits * size.soft=7 size.hard=7 size.prtotal=7") as limited:
        set_up(light, limited)
        with pytest.raises(Refused) as refused:
            light.master.api.post(SYNC, {"confirm": True})
    give_back(address)
    assert "no more than 7 entries" in refused.value.problem["detail"]
    assert staff(light) == before


def test_who_has_left_is_disabled_and_stays_so_after_coming_back(light: LightGroup, ldap: Slapd) -> None:
    remove(ldap, "staff0", "staff1")
    looked = light.master.api.post(f"{SYNC}?dry_run=true")
    assert looked["disabled"] == 2
    assert not staff(light)["staff0"]["disabled"]
    assert light.master.api.post(SYNC)["disabled"] == 2
    assert {name for name, user in staff(light).items() if user["disabled"]} == {"staff0", "staff1"}
    assert light.master.api.post(SYNC)["disabled"] == 0
    ldap.apply(person("staff0").replace("objectClass", "changetype: add\nobjectClass", 1))
    light.master.api.post(SYNC)
    assert staff(light)["staff0"]["disabled"], "who has disabled somebody isn't known, so only an administrator enables"


def test_an_account_of_the_server_that_the_directory_has_too_holds_nobody_up(light: LightGroup, ldap: Slapd) -> None:
    new = [person(name).replace("objectClass", "changetype: add\nobjectClass", 1) for name in ("admin", "staff99")]
    for one in new:
        ldap.apply(one)
    light.master.api.post(SYNC)
    assert set(staff(light)) == {*STAFF, "staff99"}
    assert light.master.api.get("me")["user"] == "admin", "the server's own account goes on"


def test_where_many_have_left_it_is_asked_first_and_exactly_those_are_disabled(
    light: LightGroup, ldap: Slapd, tmp_path: Path
) -> None:
    remove(ldap, *STAFF[:6])
    with pytest.raises(Refused) as asked:
        light.master.api.post(SYNC)
    assert asked.value.code == "confirmation-required"
    assert "6 of its 12 users" in asked.value.problem["consequences"][0]
    assert "“staff0”" in asked.value.problem["consequences"][1]
    plan = asked.value.problem["plan"]
    remove(ldap, "staff6")
    with pytest.raises(Refused) as others:
        light.master.api.post(SYNC, {"confirm": True, "plan": plan})
    assert others.value.code == "selection-changed"
    assert not any(u["disabled"] for u in staff(light).values())
    refused = hostward("directory", "sync", "Staff", on=light.master, home=tmp_path)
    assert refused.returncode == 1
    assert "7 of its 12 users" in refused.stdout + refused.stderr
    done = hostward("directory", "sync", "Staff", "--yes", on=light.master, home=tmp_path)
    assert "7 gone and disabled" in done.stdout, done.stderr
    assert sum(u["disabled"] for u in staff(light).values()) == 7


def test_where_many_would_lose_all_of_their_groups_it_is_asked_first(light: LightGroup, ldap: Slapd) -> None:
    ldap.apply(f"dn: cn=Staff,ou=groups,{BASE}\nchangetype: modify\nreplace: member\nmember: {READER}\n\n")
    with pytest.raises(Refused) as asked:
        light.master.api.post(SYNC)
    assert "12 of 12 users with groups are in none there any more" in asked.value.problem["consequences"][0]
    assert all(u["groups"] == ["Staff"] for u in staff(light).values())
    light.master.api.post(SYNC, {"confirm": True, "plan": asked.value.problem["plan"]})
    assert not any(u["groups"] for u in staff(light).values())
