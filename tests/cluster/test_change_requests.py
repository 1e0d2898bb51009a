"""Changes on a Slave: submitted, carried to the Master, decided there, seen on every server, whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.api import Refused
from tests.support.command import hostward
from tests.support.group import Group
from tests.support.inventory import as_csv, rows
from tests.support.light import LightGroup
from tests.support.registry_file import read_registry
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster

CARRIED_WITHIN_S = 30.0
DIED_WITHIN_S = 30.0


def submit(slave: Server, session: dict[str, Any], comment: str) -> dict[str, Any]:
    """Edit a session on a Slave; the request that it becomes."""
    answer = slave.api.send("PATCH", f"sessions/{session['id']}", json={"comment": comment})
    assert answer.status_code == 202
    request: dict[str, Any] = answer.json()["request"]
    return request


def state(server: Server, request: dict[str, Any]) -> str:
    return str(server.api.get(f"change-requests/{request['id']}")["state"])


def wait_state(servers: list[Server], request: dict[str, Any], wanted: str) -> None:
    def so() -> bool:
        states = {s.name: state(s, request) for s in servers}
        assert set(states.values()) == {wanted}, f"the request is {states}"
        return True

    eventually(so, within_s=CARRIED_WITHIN_S)


def times_in_log(master: Server, comment: str) -> int:
    """How many changes of the Master's log have put a session with this comment."""
    log = read_registry(master.group_file).log
    return sum(body is not None and body.get("comment") == comment for e in log for _, _, body in e.operations)


def times_deposited(master: Server, request: dict[str, Any]) -> int:
    log = read_registry(master.group_file).log
    return sum((kind, id_) == ("change-request-content", request["id"]) for e in log for kind, id_, _ in e.operations)


@pytest.fixture
def group(light: LightGroup) -> LightGroup:
    light.wait_writable()
    return light


@pytest.fixture
def slave(group: Group) -> Server:
    return group.slaves[0]


@pytest.fixture
def session(group: Group) -> dict[str, Any]:
    made: dict[str, Any] = group.master.api.post("sessions", rows(1, prefix=f"Asked {uuid.uuid4().hex[:6]}")[0])
    group.wait_equal()
    return dict(made["session"])


@pytest.fixture
def _ask_again(group: Group) -> Iterator[None]:
    yield
    group.master.api.patch("settings", {"change-requests": "ask"})


@pytest.mark.feature("R11")
def test_changes_on_a_slave_wait_on_the_master_and_their_fate_is_seen_on_every_server(
    group: Group, slave: Server, session: dict[str, Any], tmp_path: Path
) -> None:
    master, servers = group.master, list(group.servers)
    path = f"sessions/{session['id']}"
    before = slave.api.export()
    fields = rows(1, prefix=f"New {session['name']}")[0]
    sent = [
        slave.api.send("POST", "sessions", json=fields),
        slave.api.send("PATCH", path, json={"comment": "mine"}),
        slave.api.send("PATCH", path, json={"port": 1234}),
        slave.api.send("DELETE", path),
        slave.api.send("POST", f"{path}/copy", json={"name": f"Copy {session['name']}"}),
    ]
    imported = slave.api.import_(as_csv(rows(200, prefix=f"File {session['name']}")))
    requests = [*(answer.json()["request"] for answer in sent), imported["request"]]
    assert [a.status_code for a in sent] == [202] * len(sent)
    for request in requests:
        wait_state(servers, request, "waiting")
    assert slave.api.export() == before == master.api.export()
    assert any("change requests wait" in w for w in master.api.status()["warnings"])
    create, comment, port, delete, copy, file = requests
    assert file["summary"] == "Create 200 sessions"

    done = master.api.post(f"change-requests/{comment['id']}/implement")
    assert done["replicated"]["confirmed"] is True
    with pytest.raises(Refused) as refused:
        master.api.post(f"change-requests/{port['id']}/implement")
    assert refused.value.code == "request-conflicts"
    master.api.post(f"change-requests/{port['id']}/implement", {"force": True})
    master.api.post(f"change-requests/{delete['id']}/reject", {"reason": "It is still needed."})
    master.api.post(f"change-requests/{file['id']}/implement")
    slave.api.post(f"change-requests/{create['id']}/withdraw")
    for request, fate in (
        (comment, "implemented"), (port, "implemented"), (delete, "rejected"), (file, "implemented"),
        (create, "withdrawn"), (copy, "waiting"),
    ):  # fmt: skip
        wait_state(servers, request, fate)
    group.wait_equal()
    assert slave.api.get(f"change-requests/{delete['id']}")["reason"] == "It is still needed."
    # A forced request puts the whole session back as its author wanted it: the other's comment is gone, and was shown.
    assert (slave.api.get(path)["port"], slave.api.get(path)["comment"]) == (1234, session["comment"])
    assert len(slave.api.export()) == len(before) + 200

    shown = hostward("request", "show", copy["id"], on=slave, home=tmp_path)
    assert f"Copy {session['name']}" in shown.stdout
    there = hostward("request", "implement", copy["id"], on=slave, home=tmp_path)
    assert there.returncode == 1
    assert group.master.host in there.stderr
    assert hostward("request", "implement", copy["id"], on=master, home=tmp_path).returncode == 0
    listed = hostward("request", "list", "--state", "implemented", on=master, home=tmp_path)
    assert copy["id"] in listed.stdout
    told = hostward("session", "edit", session["id"], "--port", "99", on=slave, home=tmp_path)
    assert "Submitted to the Master as request" in told.stdout
    group.wait_equal()
    group.check_equal()


@pytest.mark.feature("R11")
@pytest.mark.usefixtures("_ask_again")
def test_by_policy_a_change_is_implemented_by_itself_where_nothing_conflicts(
    group: Group, slave: Server, session: dict[str, Any], tmp_path: Path
) -> None:
    master, servers = group.master, list(group.servers)
    set_ = hostward("settings", "set", "change-requests=automatic", on=master, home=tmp_path)
    assert set_.returncode == 0, set_.stderr
    group.wait_equal()
    wait_state(servers, submit(slave, session, "by policy"), "implemented")
    assert slave.api.get(f"sessions/{session['id']}")["comment"] == "by policy"
    # The policies themselves are nothing that a Slave's word may change.
    policy = slave.api.patch("settings", {"forced-promotion": "follow"})["request"]
    assert policy["class"] == "security"
    wait_state(servers, policy, "waiting")
    assert master.gate is not None
    master.gate.shut()
    try:
        late = submit(slave, session, "too late")
        master.api.patch(f"sessions/{session['id']}", {"comment": "the Master's"})
        assert state(slave, late) == "on-its-way"
    finally:
        master.gate.open()
    wait_state(servers, late, "waiting")
    assert [c["code"] for c in master.api.get(f"change-requests/{late['id']}")["conflicts"]] == ["changed"]
    again = master.api.put(f"change-requests/{late['id']}", {})["request"]
    master.api.post(f"change-requests/{again['id']}/implement")
    wait_state(servers, again, "implemented")
    wait_state(servers, late, "replaced")
    assert {s["name"]: s["value"] for s in slave.api.get("settings")["items"]}["forced-promotion"] == "ask"
    master.api.post(f"change-requests/{policy['id']}/reject", {"reason": "No."})


@pytest.mark.feature("R11")
def test_a_request_survives_every_death_on_its_way_and_acts_once(
    group: Group, slave: Server, session: dict[str, Any]
) -> None:
    master, servers = group.master, [group.master, slave]
    made: list[dict[str, Any]] = []
    for n, (dies, point) in enumerate(
        [
            (slave, "REQUEST-KEPT"), (slave, "REQUEST-ANSWERED"),
            (master, "REQUEST-RECEIVED"), (master, "REQUEST-DEPOSITED"),
        ]
    ):  # fmt: skip
        dies.kill()
        dies.start(env={"HOSTWARD_FAILPOINT": point})
        with contextlib.suppress(httpx.TransportError):  # the Slave may die before it has answered
            slave.api.patch(f"sessions/{session['id']}", {"comment": f"{session['id']} {n}"})
        dies.wait_ended(DIED_WITHIN_S)
        dies.start()
        request = slave.api.get("change-requests")["items"][0]
        assert request["id"] not in {r["id"] for r in made}
        made.append(request)
        wait_state(servers, request, "waiting")
        assert times_deposited(master, request) == 1, point
    # With the Master dead a request is made all the same, once for each key; and the Slave may die too.
    master.kill()
    fields = {**rows(1, prefix=f"Alone {session['name']}")[0], "comment": f"{session['id']} alone"}
    sent = [slave.api.post("sessions", fields, headers={"Idempotency-Key": session["id"]}) for _ in range(2)]
    ids = {answer["request"]["id"] for answer in sent}
    slave.kill()
    slave.start()
    (alone,) = slave.api.get("change-requests", state="on-its-way")["items"]
    assert ids == {alone["id"]}
    master.start(env={"HOSTWARD_FAILPOINT": "REQUEST-DECIDED"})
    wait_state(servers, alone, "waiting")
    with pytest.raises(httpx.TransportError):
        master.api.post(f"change-requests/{alone['id']}/implement")
    master.wait_ended(DIED_WITHIN_S)
    master.start()
    wait_state(servers, alone, "implemented")
    with pytest.raises(Refused) as refused:
        master.api.post(f"change-requests/{alone['id']}/implement", {"force": True})
    assert refused.value.code == "request-decided"
    assert times_in_log(master, f"{session['id']} alone") == 1
    for n, request in enumerate(made):
        master.api.post(f"change-requests/{request['id']}/reject", {"reason": "Enough."})
        assert times_in_log(master, f"{session['id']} {n}") == 0
    group.wait_equal()
