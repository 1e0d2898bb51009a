"""Another server becomes the Master: handed over, there and back."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

import httpx
import pytest
from tests.support.api import Refused
from tests.support.group import Group
from tests.support.history import History
from tests.support.inventory import rows
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

from hostward.replication.goals import Goal

pytestmark = pytest.mark.cluster

SWITCH_WITHIN_S = 10.0
STEP_WITHIN_S = 120.0


@pytest.fixture
def led(group: Group) -> Iterator[Group]:
    """The group, and the server that led it before leads it afterwards."""
    first = group.master
    yield group
    if group.master is not first:
        group.switch_over(first)


@pytest.mark.feature("R27")
def test_switch_over_there_and_back_while_clients_write(led: Group, history: History) -> None:
    old, new, third = led.servers
    writers = Writers(old.api, history, count=2, seed=27, prefix="During switch-overs")
    writers.start()
    before = old.api.post("sessions", rows(1, prefix="Before the switch-over")[0])
    with pytest.raises(Refused) as refused:
        old.api.post("replication/switch-over", {"to": new.name})
    assert refused.value.code == "confirmation-required"
    assert refused.value.problem["consequences"]
    began = time.monotonic()
    old.api.post("replication/switch-over", {"to": new.name, "confirm": True})
    eventually(lambda: new.api.health("master")[0] == 200, within_s=SWITCH_WITHIN_S)
    accepted_s = time.monotonic() - began
    writers.move(new.api)
    led.is_master(new)
    written = new.api.post("sessions", rows(1, prefix="After the switch-over")[0])
    assert written["revision"] > before["revision"]
    writers.stop()
    led.wait_settled(60)
    settled_s = time.monotonic() - began
    print(f"switch-over: changes accepted after {accepted_s:.1f} s, all Up and in sync after {settled_s:.1f} s")
    assert {s.name: s.api.status()["role"] for s in led.servers} == {
        new.name: "master",
        old.name: "slave",
        third.name: "slave",
    }
    assert {(s["host"], s["joined"]) for s in new.api.status()["slaves"]} == {(old.host, True), (third.host, True)}
    assert third.api.status()["master"] == old.api.status()["master"] == new.target()


@pytest.mark.feature("R27")
def test_a_switch_over_in_which_each_server_is_killed_at_each_step(led: Group, history: History) -> None:
    """Before the hand-over is stored nothing has happened; from then on it is carried through, whoever dies."""
    old, new, third = led.servers
    writers = Writers(old.api, history, count=1, seed=28, prefix="Before the kills", changes=20)
    writers.start()
    writers.join(STEP_WITHIN_S)
    old.restart(env={"HOSTWARD_FAILPOINT": "HAND_OVER"})
    led.wait_settled()
    killed_while_asked(old, new)
    old.start(env={"HOSTWARD_FAILPOINT": Goal.ADOPTED.name})
    old.wait_up()
    assert old.api.health("master")[0] == 200
    new.restart(env={"HOSTWARD_FAILPOINT": Goal.EPOCH.name})
    third.restart(env={"HOSTWARD_FAILPOINT": Goal.ADOPTED.name})
    led.wait_settled()
    killed_while_asked(old, new)
    old.start(wait=False)
    assert new.wait_ended(STEP_WITHIN_S) == -signal.SIGKILL
    new.start(env={"HOSTWARD_FAILPOINT": Goal.CAUGHT_UP.name}, wait=False)
    assert new.wait_ended(STEP_WITHIN_S) == -signal.SIGKILL
    new.start(env={"HOSTWARD_FAILPOINT": Goal.OWN_MEMBER.name}, wait=False)
    assert third.wait_ended(STEP_WITHIN_S) == -signal.SIGKILL
    third.start(wait=False)
    assert new.wait_ended(STEP_WITHIN_S) == -signal.SIGKILL
    new.start()
    led.is_master(new)
    led.wait_settled()
    assert new.api.health("master")[0] == 200
    assert {s["host"] for s in new.api.status()["slaves"]} == {old.host, third.host}


def killed_while_asked(master: Server, to: Server) -> None:
    """The switch-over's request, in which, or after which, the Master kills itself."""
    with contextlib.suppress(httpx.TransportError):
        master.api.post("replication/switch-over", {"to": to.name, "confirm": True})
    assert master.wait_ended(STEP_WITHIN_S) == -signal.SIGKILL
