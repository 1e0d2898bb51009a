"""The help desk unlocks who has given too many wrong passwords, on all servers, from any; on a group without a JVM."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.test_guessing import FREE, WAITS, WRONG, client
from tests.support.api import PASSWORD, Api, Refused
from tests.support.command import hostward
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.feature("A10"), pytest.mark.feature("R23")]

TOLD_WITHIN_S = 30.0
NUMBERS = count(1)


def users(light: LightGroup, *roles: str) -> list[dict[str, Any]]:
    """One of each of these roles, of names of their own."""
    found = []
    for role in roles:
        name = f"unlock-{next(NUMBERS)}"
        done = light.master.api.post("users", {"name": name, "password": PASSWORD, "role": role})
        found.append(done["user"])
    light.wait_equal()
    return found


def lock_out(server: Server, user: str, address: str) -> None:
    """Guess until it has to wait."""
    with ExitStack() as stack:
        there = client(server, stack, address)
        given = [there.post("login", json={"user": user, "password": "wrong"}).status_code for _ in range(FREE + 1)]
    assert given == [WRONG] * FREE + [WAITS]


def log_in(server: Server, user: str, address: str) -> int:
    with ExitStack() as stack:
        return client(server, stack, address).post("login", json={"user": user, "password": PASSWORD}).status_code


def gets_in(server: Server, user: str, address: str) -> None:
    """What the servers have told each other is told anew each second."""
    eventually(lambda: log_in(server, user, address) == 200, within_s=TOLD_WITHIN_S)


def test_who_has_to_wait_is_unlocked_on_every_server_by_the_help_desk_on_a_slave(light: LightGroup) -> None:
    anna, desk = users(light, "", "help desk")
    first, second, third = light.servers
    where = {first.name: "127.0.79.1", second.name: "127.0.79.4"}
    lock_out(first, anna["name"], where[first.name])
    lock_out(second, anna["name"], where[second.name])
    with closing(Api(third.api.url, third.certificate_file, desk["name"])) as helps:
        path = f"users/{anna['id']}/waits"
        found = helps.get(path)
        assert {i["server"]: i["address"] for i in found["items"]} == where
        assert {i["wrong"] for i in found["items"]} == {FREE}
        assert (set(found["servers"]), found["silent"]) == ({s.name for s in light.servers}, [])
        assert {i["server"]: i["address"] for i in helps.delete(path)["items"]} == where, "what was forgotten"
        assert helps.get(path)["items"] == []
    for server in light.servers:
        gets_in(server, anna["name"], where.get(server.name, where[first.name]))
    entry = third.api.get("audit", act="user-unlocked")["items"][0]
    assert (entry["user"], entry["about"]["name"], entry["outcome"]) == (desk["name"], anna["name"], "done")


def test_only_the_help_desk_and_administrators_unlock_and_the_help_desk_nobody_with_a_role(light: LightGroup) -> None:
    anna, desk, sessions, auditor = users(light, "", "help desk", "sessions", "auditor")
    server, address = light.master, "127.0.79.2"
    lock_out(server, auditor["name"], address)
    for who, whom in ((sessions, anna), (auditor, anna), (desk, auditor)):
        with closing(Api(server.api.url, server.certificate_file, who["name"])) as other:
            with pytest.raises(Refused) as refused:
                other.delete(f"users/{whom['id']}/waits")
            assert refused.value.status == 403
    assert len(server.api.get(f"users/{auditor['id']}/waits")["items"]) == 1
    server.api.delete(f"users/{auditor['id']}/waits")
    assert log_in(server, auditor["name"], address) == 200


def test_a_server_that_is_away_is_named_and_the_others_unlock(light: LightGroup, tmp_path: Path) -> None:
    (anna,) = users(light, "")
    away, address = light.slaves[1], "127.0.79.3"
    lock_out(light.master, anna["name"], address)
    away.stop()
    try:
        shown = hostward("user", "waits", anna["name"], on=light.slaves[0], home=tmp_path)
        assert (shown.returncode, address in shown.stdout) == (0, True), shown.stderr
        done = hostward("user", "unlock", anna["name"], "--json", on=light.slaves[0], home=tmp_path)
        said = json.loads(done.stdout)
        assert (set(said["servers"]), said["silent"]) == ({light.master.name, light.slaves[0].name}, [away.name])
        gets_in(light.master, anna["name"], address)
    finally:
        away.start()
        light.wait_writable()
